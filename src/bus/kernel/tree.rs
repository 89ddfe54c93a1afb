//! Files in memory: the simulated kernel behind `--simulate`, and the fixtures of tests.

use std::collections::BTreeMap;

use super::files::{Files, Rights, Space, order};
use crate::model::Fault;

type Content = Box<dyn Fn() -> Result<String, Fault> + Send + Sync>;

/// A tree of files in memory. Directories exist by what is in them.
#[derive(Default)]
pub struct Tree {
    files: BTreeMap<String, Content>,
    links: BTreeMap<String, String>,
}

impl Tree {
    /// The same tree with a file whose content does not change.
    #[must_use]
    pub fn with(self, path: &str, content: &str) -> Self {
        let content = content.trim().to_owned();
        self.with_live(path, move || Ok(content.clone()))
    }

    /// The same tree with a file whose content is made at each reading.
    #[must_use]
    pub fn with_live(
        mut self,
        path: &str,
        content: impl Fn() -> Result<String, Fault> + Send + Sync + 'static,
    ) -> Self {
        self.files.insert(path.to_owned(), Box::new(content));
        self
    }

    /// The same tree with a symbolic link.
    #[must_use]
    pub fn with_link(mut self, path: &str, target: &str) -> Self {
        self.links.insert(path.to_owned(), target.to_owned());
        self
    }
}

impl Files for Tree {
    fn read(&self, path: &str) -> Result<String, Fault> {
        let content = self.files.get(path).ok_or_else(|| missing(path))?;
        content()
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Fault> {
        let below = |file: &String| Some(file.strip_prefix(path)?.strip_prefix('/')?.split('/').next()?.to_owned());
        let mut names: Vec<_> = self.files.keys().chain(self.links.keys()).filter_map(below).collect();
        names.sort_by_cached_key(|name| order(name));
        names.dedup();
        if names.is_empty() { Err(missing(path)) } else { Ok(names) }
    }

    fn link(&self, path: &str) -> Option<String> {
        self.links.get(path).cloned()
    }

    fn rights(&self, path: &str) -> Result<Rights, Fault> {
        // Written as "mode user group", the mode in octal.
        let text = self.read(&format!("{path}#rights"))?;
        let mut words = text.split_whitespace();
        let mode = words.next().and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or(0);
        let mut next = || words.next().and_then(|number| number.parse().ok()).unwrap_or(0);
        Ok(Rights { mode, user: next(), group: next() })
    }

    fn space(&self, path: &str) -> Result<Space, Fault> {
        // Written as "total free available".
        let text = self.read(&format!("{path}#space"))?;
        let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Ok(Space { total: next(), free: next(), available: next() })
    }
}

fn missing(path: &str) -> Fault {
    Fault::NotPresent(format!("/{path}: no such file or directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_in_memory_reads_like_one_on_disk() {
        let tree = Tree::default()
            .with("sys/a/name", "cpu\n")
            .with("sys/a/temp10", "1")
            .with_live("sys/a/temp2", || Err(Fault::Nack))
            .with_link("sys/a/device", "../x/1-0044")
            .with("dev/x#rights", "660 0 998")
            .with("#space", "100 50 40");
        assert_eq!(tree.read("sys/a/name"), Ok("cpu".into()));
        assert_eq!(tree.read("sys/a/temp2"), Err(Fault::Nack));
        assert_eq!(tree.list("sys"), Ok(vec!["a".into()]));
        assert_eq!(tree.list("sys/a").unwrap(), ["device", "name", "temp2", "temp10"]);
        assert_eq!(tree.link("sys/a/device").as_deref(), Some("../x/1-0044"));
        assert_eq!(tree.rights("dev/x"), Ok(Rights { mode: 0o660, user: 0, group: 998 }));
        assert_eq!(tree.space(""), Ok(Space { total: 100, free: 50, available: 40 }));
        assert!(tree.list("sys/b").is_err() && tree.read("sys/a").is_err());
    }
}
