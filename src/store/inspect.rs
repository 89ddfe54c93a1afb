//! Looking at a store from outside, for the command line: read-only, whether a run has it open or not.

use std::io;
use std::path::Path;

use super::disk::{Disk, RealDisk};
use super::engine::scan::{Run, Scan, scan};
use super::gap::{Dropped, Gap, beyond};
use super::layout::BLOCK;
use super::layout::header::{self, Found};
use super::layout::ledger::{self, Ledger, Slot};
use super::layout::name::{LEDGER, SegmentName, mark};
use super::types::{ChainKey, StoreId};

/// What is in a store's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its id; nothing when the ledger cannot be read.
    pub id: Option<StoreId>,
    /// The number of the last run.
    pub start: u32,
    /// Acknowledged sequence, lost sequences and gaps of each chain, by queue and class.
    pub chains: Vec<ChainInfo>,
    /// Every segment file, by chain and age.
    pub segments: Vec<SegmentInfo>,
}

/// One chain of a [`Listing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainInfo {
    /// Which chain.
    pub key: ChainKey,
    /// Everything up to here is delivered.
    pub ack: u64,
    /// Records that are on the disk and not delivered.
    pub backlog: u64,
    /// Records dropped since the store was made, by cause.
    pub dropped: Dropped,
    /// The last gaps, oldest first.
    pub gaps: Vec<Gap>,
}

/// One segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its file name.
    pub file: String,
    /// The chain it belongs to.
    pub key: ChainKey,
    /// Its size in bytes.
    pub size: u64,
    /// The first and the last sequence, or what names and headers say of them; nothing when it is empty.
    pub range: Option<(u64, u64)>,
    /// Its header cannot be read.
    pub headless: bool,
    /// What is in it, if it was read.
    pub contents: Option<Contents>,
}

/// What is in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Blocks of 4 kB in use, the header included.
    pub blocks: u32,
    /// Whole frames; copies of a partly filled block count twice.
    pub frames: u64,
    /// Records.
    pub records: u64,
    /// Frames that begin and are not whole: torn by a power cut, or rotten.
    pub broken: u64,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What is there.
    pub listing: Listing,
    /// What is wrong, in words; empty when all is well.
    pub problems: Vec<String>,
    /// What is odd and harmless.
    pub remarks: Vec<String>,
}

struct Look {
    listing: Listing,
    /// For each segment the breaks in its chain of frames, and its ends in that chain; nothing where it was not read.
    scans: Vec<Scan>,
    ledgers: usize,
}

/// How much of a store is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Headers, and the last segment of each chain.
    Ends,
    Everything,
}

/// Lists chains and segments; reads their headers, and the last segment of each chain.
///
/// # Errors
/// When the directory cannot be read, or a newer weir wrote it.
pub fn inspect(dir: &Path) -> io::Result<Listing> {
    Ok(look(&RealDisk::read_only(dir)?, Depth::Ends)?.listing)
}

/// Reads everything and checks it. A store that is being written meanwhile can show frames as torn.
///
/// # Errors
/// When the directory cannot be read, or a newer weir wrote it.
pub fn verify(dir: &Path) -> io::Result<Report> {
    Ok(judge(look(&RealDisk::read_only(dir)?, Depth::Everything)?))
}

fn look(disk: &dyn Disk, depth: Depth) -> io::Result<Look> {
    let names = disk.list()?;
    let (ledger, ledgers) = if names.iter().any(|text| text == LEDGER) { read_ledger(disk)? } else { (None, 0) };
    let mut found: Vec<SegmentName> = names.iter().filter_map(|text| SegmentName::parse(text)).collect();
    found.sort_by(|a, b| (&a.key, a.number).cmp(&(&b.key, b.number)));
    let (mut segments, mut scans): (Vec<_>, Vec<Scan>) = segments(disk, found, depth)?.into_iter().unzip();
    segments.reverse();
    scans.reverse();
    let id = ledger.as_ref().map(|ledger| ledger.id);
    let start = ledger.as_ref().map_or(0, |ledger| ledger.start);
    let chains = chains(ledger, &segments, &scans, depth);
    Ok(Look { listing: Listing { id, start, chains, segments }, scans, ledgers })
}

fn newer(version: u32, writer: &str) -> io::Error {
    io::Error::other(format!("the store has format {version}, written by {writer}"))
}

/// The newer of the copies, and how many are whole.
fn read_ledger(disk: &dyn Disk) -> io::Result<(Option<Ledger>, usize)> {
    let file = disk.open(LEDGER)?;
    let mut good = Vec::new();
    for slot in 0..2_u64 {
        let mut bytes = vec![0; ledger::SLOT];
        file.read_at(&mut bytes, slot * ledger::SLOT as u64)?;
        match ledger::judge(&bytes) {
            Slot::Good(ledger) => good.push(ledger),
            Slot::Newer { version, writer } => return Err(newer(version, &writer)),
            Slot::Bad => {}
        }
    }
    let count = good.len();
    Ok((good.into_iter().max_by_key(|ledger| ledger.generation), count))
}

/// Looks at segments, of which the newest of a chain comes last; gives them the other way round.
fn segments(disk: &dyn Disk, names: Vec<SegmentName>, depth: Depth) -> io::Result<Vec<(SegmentInfo, Scan)>> {
    let mut all: Vec<(SegmentInfo, Scan)> = Vec::new();
    // The last sequence before the one that was looked at last.
    let mut after = None;
    let mut found_end = false;
    for name in names.into_iter().rev() {
        if all.last().is_none_or(|(behind, _)| behind.key != name.key) {
            (after, found_end) = (None, false);
        }
        let whole = depth == Depth::Everything || !found_end;
        let (info, scan, before) = segment(disk, name, after.filter(|_| !whole), whole)?;
        found_end |= scan.frames > 0;
        after = before.or(after);
        all.push((info, scan));
    }
    Ok(all)
}

/// Looks at one segment, which ends with `last` if it is not read; says what comes before it.
fn segment(
    disk: &dyn Disk,
    name: SegmentName,
    last: Option<u64>,
    whole: bool,
) -> io::Result<(SegmentInfo, Scan, Option<u64>)> {
    let file = disk.open(&name.text())?;
    let mut block = vec![0; BLOCK];
    file.read_at(&mut block, 0)?;
    let found = header::judge(&block, &name);
    let headless = found == Found::Damaged;
    let (scan, range, before) = match found {
        Found::Header(header) if whole => {
            let scan = scan(&*file, header.epoch)?;
            let range = scan.runs.first().map(|run| run.first).zip(scan.runs.last().map(|run| run.last));
            (scan, range, Some(header.after))
        }
        Found::Header(header) => {
            let range = last.map(|last| (name.first, last)).filter(|(first, last)| first <= last);
            (Scan::default(), range, Some(header.after))
        }
        Found::Newer { version, writer } => return Err(newer(version, &writer)),
        Found::Spare | Found::Damaged => (Scan::default(), None, None),
    };
    let contents =
        whole.then(|| Contents { blocks: scan.end, frames: scan.frames, records: records(&scan), broken: scan.broken });
    let info = SegmentInfo { file: name.text(), size: file.size()?, range, headless, contents, key: name.key };
    Ok((info, scan, before))
}

/// Distinct records of a scan, whose runs may overlap.
fn records(scan: &Scan) -> u64 {
    let mut reached = 0;
    let mut count = 0;
    for run in &scan.runs {
        count += run.last - run.first.max(reached + 1) + 1;
        reached = run.last;
    }
    count
}

fn chains(ledger: Option<Ledger>, segments: &[SegmentInfo], scans: &[Scan], depth: Depth) -> Vec<ChainInfo> {
    let mut keys: Vec<ChainKey> = segments.iter().map(|segment| segment.key.clone()).collect();
    let entries = ledger.map(|ledger| ledger.chains).unwrap_or_default();
    keys.extend(entries.iter().map(|entry| entry.key.clone()));
    keys.sort();
    keys.dedup();
    let chain = |key: ChainKey| {
        let entry = entries.iter().find(|entry| entry.key == key);
        let own = |index: &usize| segments[*index].key == key;
        let indexes: Vec<usize> = (0..segments.len()).filter(own).collect();
        let theirs =
            scans.iter().flat_map(|scan| &scan.acks).filter(|(other, _)| *other == mark(&key)).map(|(_, ack)| *ack);
        let acks = indexes.iter().map(|&index| scans[index].ack).chain(theirs).chain(entry.map(|entry| entry.ack));
        let ack = acks.max().unwrap_or(0);
        let gaps = entry.map(|entry| entry.gaps.clone()).unwrap_or_default();
        let theirs = indexes.iter().map(|&index| &scans[index]);
        let backlog = match depth {
            Depth::Everything => waiting(theirs, ack),
            // What was never stored is delivered, or told.
            Depth::Ends => {
                let written = theirs.map(|scan| scan.written).max().unwrap_or(0);
                written.saturating_sub(ack).saturating_sub(beyond(&gaps.list, ack))
            }
        };
        ChainInfo { ack, backlog, dropped: gaps.dropped, gaps: gaps.list, key }
    };
    keys.into_iter().map(chain).collect()
}

/// Distinct records behind `ack`.
fn waiting<'a>(scans: impl Iterator<Item = &'a Scan>, ack: u64) -> u64 {
    let mut reached = ack;
    let count = |run: &Run| {
        let count = (run.last + 1).saturating_sub(run.first.max(reached + 1));
        reached = reached.max(run.last);
        count
    };
    scans.flat_map(|scan| &scan.runs).map(count).sum()
}

fn judge(look: Look) -> Report {
    let mut problems = Vec::new();
    let mut remarks = Vec::new();
    if look.ledgers < 2 {
        problems.push(format!("{} of the 2 copies of the ledger can be read", look.ledgers));
    }
    for (position, (info, scan)) in look.listing.segments.iter().zip(&look.scans).enumerate() {
        if info.headless {
            problems.push(format!("{}: the header cannot be read", info.file));
        }
        if scan.broken > 0 {
            remarks.push(format!("{}: {} torn or damaged frames", info.file, scan.broken));
        }
        let before = position.checked_sub(1).filter(|&before| look.listing.segments[before].key == info.key);
        let chain = look.listing.chains.iter().find(|chain| chain.key == info.key);
        let ack = chain.map_or(0, |chain| chain.ack);
        let mut seen = before.map_or(ack, |before| look.scans[before].written).max(ack);
        for run in &scan.runs {
            let told =
                chain.is_some_and(|chain| chain.gaps.iter().any(|gap| gap.first <= seen + 1 && gap.last >= run.after));
            if run.after > seen && !told {
                problems.push(format!("{}: records {} to {} are missing", info.file, seen + 1, run.after));
            }
            seen = seen.max(run.last);
        }
    }
    Report { listing: look.listing, problems, remarks }
}
