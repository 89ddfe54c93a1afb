//! The dictionaries that batches are packed with. `scripts/train-dictionary` makes them.

/// What a batch of one encoding usually contains.
#[derive(Debug, Clone, Copy)]
pub struct Dictionary {
    /// The number that frames name it by.
    pub id: u32,
    /// In Zstandard's format (RFC 8878 section 5).
    pub bytes: &'static [u8],
}

/// One for each [`Encoding`](super::Encoding), at its place. One that has been released stays as it is, and stays here.
pub const DICTIONARIES: [Dictionary; 3] = [
    Dictionary { id: 57608, bytes: include_bytes!("dictionaries/json-1.zdict") },
    Dictionary { id: 57609, bytes: include_bytes!("dictionaries/senml-1.zdict") },
    Dictionary { id: 57610, bytes: include_bytes!("dictionaries/delta-1.zdict") },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_bear_their_numbers_and_frames_name_them() {
        for (dictionary, (_, encoding)) in DICTIONARIES.iter().zip(super::super::Encoding::ALL) {
            assert_eq!(dictionary.bytes[4..8], dictionary.id.to_le_bytes());
            let frame = super::super::zip::compress(encoding, b"[]");
            assert_eq!(zstd::zstd_safe::get_dict_id_from_frame(&frame).map(u32::from), Some(dictionary.id));
        }
    }
}
