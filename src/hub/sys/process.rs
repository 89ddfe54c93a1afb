//! What the process uses.

/// Bytes of memory that this process alone uses: its anonymous pages that are resident (proc(5), `RssAnon`).
/// Zero where the kernel does not say.
pub(crate) fn heap() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().as_deref().and_then(anonymous).unwrap_or(0)
}

fn anonymous(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anonymous_pages_are_found() {
        let status = "Name:\tweir\nVmRSS:\t    2124 kB\nRssAnon:\t     152 kB\nRssFile:\t    1972 kB\n";
        assert_eq!(anonymous(status), Some(152 * 1024));
        assert_eq!(anonymous("Name:\tweir\n"), None);
        assert!(heap() > 100_000);
    }
}
