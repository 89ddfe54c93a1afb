//! The disk that everything durable lives on: its file system, its room, and how worn it is.

use std::path::{Path, PathBuf};

use super::{Finding, Machine};
use crate::bus::kernel::{Files, Space};

const SUBJECT: &str = "disk";
/// Where durable things are when there is no configuration.
const STATE_DIR: &str = "/var/lib/weir";

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    point: String,
    kind: String,
    /// Those of the mount and those of the file system.
    options: Vec<String>,
    source: String,
}

pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let files = machine.files();
    let plan = machine.setup.plan();
    let dir = plan.map_or_else(|| PathBuf::from(STATE_DIR), |plan| absolute(&plan.gateway.state_dir));
    let mounts = machine.read("proc/self/mountinfo").unwrap_or_default();
    let Some(mount) = mount_of(&dir, &mounts) else {
        return vec![Finding::unknown(SUBJECT, format!("it is not known what {} is on", dir.display()))];
    };
    let mut findings = vec![file_system(&mount)];
    if let Some(plan) = plan.filter(|_| machine.is_here()) {
        let there = dir.ancestors().find_map(|dir| files.space(&dir.to_string_lossy()).ok());
        let used =
            crate::store::inspect(&plan.store.dir).map(|listing| listing.segments.iter().map(|it| it.size).sum());
        findings.extend(there.map(|space| room(space, used.unwrap_or(0), plan.store.max_size)));
    }
    findings.extend(wear(&mount, &files));
    findings
}

fn absolute(dir: &Path) -> PathBuf {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())
}

/// The file system that holds `dir` (the format of mountinfo is in proc_pid_mountinfo(5)).
fn mount_of(dir: &Path, mountinfo: &str) -> Option<Mount> {
    let mounts = mountinfo.lines().filter_map(parse);
    mounts
        .filter(|mount| dir.starts_with(&mount.point))
        .max_by_key(|mount| Path::new(&mount.point).components().count())
}

fn parse(line: &str) -> Option<Mount> {
    let (mount, system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(4);
    let (point, own) = (mount.next()?, mount.next()?);
    let mut system = system.split(' ');
    let (kind, source, more) = (system.next()?, system.next()?, system.next().unwrap_or_default());
    let options = own.split(',').chain(more.split(',')).map(str::to_owned).collect();
    // A blank in a path is written in octal.
    Some(Mount { point: point.replace("\\040", " "), kind: kind.into(), options, source: source.into() })
}

fn file_system(mount: &Mount) -> Finding {
    let Mount { point, kind, source, .. } = mount;
    let has = |option: &str| mount.options.iter().any(|it| it == option);
    let told = format!("{kind} on {source} at {point}");
    if has("ro") {
        return Finding::problem(SUBJECT, format!("{told} is read-only"))
            .advise("after a fault of the card the kernel does that: look at `dmesg`; else mount a writable file system at `state_dir`");
    }
    let unsafe_option = ["nobarrier", "barrier=0", "data=writeback"].into_iter().find(|option| has(option));
    if let Some(option) = unsafe_option {
        return Finding::problem(
            SUBJECT,
            format!("{told} is mounted with {option}: a power cut can lose what was acknowledged"),
        )
        .advise(format!("take {option} out of /etc/fstab"));
    }
    match kind.as_str() {
        "tmpfs" | "ramfs" | "rootfs" => {
            Finding::problem(SUBJECT, format!("{told} is memory: a power cut loses everything"))
                .advise("name a directory on a disk in `state_dir`")
        }
        "overlay" => {
            Finding::warning(SUBJECT, format!("{told}: when its upper part is memory, a power cut loses everything"))
                .advise("mount a file system of its own at `state_dir`")
        }
        "vfat" | "exfat" | "msdos" | "ntfs" | "ntfs3" | "fuseblk" => {
            Finding::warning(SUBJECT, format!("{told} has no journal: a power cut can damage it"))
                .advise("use ext4 for `state_dir`")
        }
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" => {
            Finding::warning(SUBJECT, format!("{told} is on the network: the store waits when it does"))
                .advise("name a directory on a local disk in `state_dir`")
        }
        _ if has("noatime") || has("relatime") || kind == "f2fs" => Finding::ok(SUBJECT, told),
        _ => Finding::ok(SUBJECT, told).advise("`noatime` in /etc/fstab saves the card a write for each first read"),
    }
}

/// Whether the store can become as large as it may.
fn room(space: Space, used: u64, max_size: u64) -> Finding {
    let (free, wanted) = (space.available, max_size.saturating_sub(used));
    let what = format!("{} free; the store uses {} of {}", mib(free), mib(used), mib(max_size));
    if free >= wanted {
        return Finding::ok(SUBJECT, what);
    }
    let what = format!("{what}: it can only grow to {}", mib(used + free));
    Finding::warning(SUBJECT, what)
        .advise("make room, or lower `max_size` in [store]; an outage would lose the oldest messages sooner")
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// What an SD card or an eMMC tells about itself (JEDEC eMMC 5.1, EXT_CSD bytes 267 to 269; SD Status,
/// Physical Layer Simplified Specification, table 4-44).
fn wear(mount: &Mount, files: &dyn Files) -> Vec<Finding> {
    let device = mount.source.strip_prefix("/dev/").filter(|device| device.starts_with("mmcblk"));
    let Some(disk) = device.and_then(|device| device.split('p').next()) else { return Vec::new() };
    let read = |file: &str| files.read(&format!("sys/block/{disk}/device/{file}")).ok();
    let name = read("name").unwrap_or_else(|| disk.to_owned());
    let life = read("life_time").map(|text| life(&name, &text, read("pre_eol_info").as_deref().unwrap_or_default()));
    let class = read("ssr").and_then(|text| speed_class(&name, &text));
    life.into_iter().chain(class).collect()
}

/// The worse of both estimates, in tenths of its life; 11 is past the end.
fn life(name: &str, life_time: &str, pre_eol: &str) -> Finding {
    let hex = |word: &str| u8::from_str_radix(word.trim_start_matches("0x"), 16).ok();
    let used = life_time.split_whitespace().filter_map(hex).max().unwrap_or(0);
    let end = hex(pre_eol.trim()).unwrap_or(0);
    let what = match used {
        0 => format!("{name} does not tell how worn it is"),
        11.. => format!("{name} is past its estimated life"),
        tenths => format!("{name} has used {} to {} % of its life", (tenths - 1) * 10, tenths * 10),
    };
    let advice =
        "replace it soon; raise `max_loss` or put QoS 0 readings aside to wear the next one less (`weir plan`)";
    match (used, end) {
        (11.., _) | (_, 3) => Finding::problem(SUBJECT, what).advise(advice),
        (9.., _) | (_, 2) => Finding::warning(SUBJECT, what).advise(advice),
        (0, 0) => Finding::unknown(SUBJECT, what),
        _ => Finding::ok(SUBJECT, what),
    }
}

/// The application class in the lower half of byte 21.
fn speed_class(name: &str, ssr: &str) -> Option<Finding> {
    let byte = u8::from_str_radix(ssr.get(42..44)?, 16).ok()?;
    let what = match byte & 0x0f {
        0 => {
            return Some(
                Finding::ok(SUBJECT, format!("{name} has no application class"))
                    .advise("a card of class A1 or A2, best one sold for endurance, is quicker and lasts longer"),
            );
        }
        class => format!("{name} is of class A{class}; SD cards do not tell how worn they are"),
    };
    Some(Finding::ok(SUBJECT, what))
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;
    use crate::bus::kernel::Tree;

    const MOUNTS: &str = "22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw\n\
        30 22 0:5 / /dev rw,nosuid - devtmpfs udev rw\n\
        40 22 0:30 / /var/lib/weir rw,relatime shared:9 - tmpfs tmpfs rw,size=1k\n\
        41 22 8:1 / /mnt/my\\040disk ro,relatime - vfat /dev/sda1 rw";

    fn on(dir: &str) -> Mount {
        mount_of(Path::new(dir), MOUNTS).unwrap()
    }

    #[test]
    fn the_nearest_mount_counts() {
        assert_eq!((on("/var/lib").kind.as_str(), on("/var/lib").source.as_str()), ("ext4", "/dev/mmcblk0p2"));
        assert_eq!(on("/var/lib/weir/store").kind, "tmpfs");
        assert_eq!(on("/var/lib/weird").kind, "ext4");
        assert_eq!(on("/mnt/my disk/x").kind, "vfat");
        assert_eq!(mount_of(Path::new("/x"), "nonsense"), None);
    }

    #[test]
    fn file_systems_that_do_not_keep_what_they_are_given() {
        let mount = |kind: &str, options: &str| Mount {
            point: "/".into(),
            kind: kind.into(),
            options: options.split(',').map(str::to_owned).collect(),
            source: "x".into(),
        };
        for (kind, options, grade) in [
            ("ext4", "rw,noatime", Grade::Ok),
            ("ext4", "rw,relatime,data=writeback", Grade::Problem),
            ("ext4", "ro,relatime", Grade::Problem),
            ("xfs", "rw,nobarrier", Grade::Problem),
            ("tmpfs", "rw", Grade::Problem),
            ("rootfs", "rw", Grade::Problem),
            ("overlay", "rw", Grade::Warning),
            ("vfat", "rw", Grade::Warning),
            ("nfs4", "rw", Grade::Warning),
            ("btrfs", "rw", Grade::Ok),
        ] {
            assert_eq!(file_system(&mount(kind, options)).grade, grade, "{kind} {options}");
        }
        assert!(file_system(&mount("ext4", "rw")).advice.unwrap().contains("noatime"));
    }

    #[test]
    fn room_for_the_quota() {
        let space = |available| Space { total: 1 << 40, free: 1 << 40, available };
        assert_eq!(room(space(400 << 20), 200 << 20, 512 << 20).grade, Grade::Ok);
        let told = room(space(100 << 20), 200 << 20, 512 << 20);
        assert!(told.grade == Grade::Warning && told.what.ends_with("grow to 300 MiB"), "{told:?}");
    }

    #[test]
    fn cards_tell_of_their_age() {
        for (life_time, pre_eol, grade) in [
            ("0x01 0x01", "0x01", Grade::Ok),
            ("0x02 0x09", "0x01", Grade::Warning),
            ("0x01 0x0b", "0x01", Grade::Problem),
            ("0x03 0x03", "0x03", Grade::Problem),
            ("0x00 0x00", "0x00", Grade::Unknown),
        ] {
            assert_eq!(life("x", life_time, pre_eol).grade, grade, "{life_time} {pre_eol}");
        }
        assert!(life("BJTD4R", "0x02 0x03", "0x01").what.ends_with("20 to 30 % of its life"));
        // The status register of an SD card of class A2: 64 bytes, of which byte 21 is 02.
        let ssr = format!("{}02{}", "0".repeat(42), "0".repeat(84));
        let tree =
            Tree::default().with("sys/block/mmcblk0/device/name", "SN64G").with("sys/block/mmcblk0/device/ssr", &ssr);
        let told = wear(&on("/var/lib"), &tree);
        assert!(told.len() == 1 && told[0].what.starts_with("SN64G is of class A2"), "{told:?}");
        assert!(wear(&on("/mnt/my disk"), &tree).is_empty(), "not on a card");
    }
}
