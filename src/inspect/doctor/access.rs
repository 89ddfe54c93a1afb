//! Whether the service may open what the configuration names: device nodes, their groups, and its user.

use super::uses::Uses;
use super::{Finding, Machine};
use crate::bus::kernel::{Files, Rights};
use crate::drivers::Claim;

/// The user of the service, and where its unit may be.
const SERVICE_USER: &str = "weir";
const UNITS: [&str; 3] =
    ["etc/systemd/system/weir.service", "lib/systemd/system/weir.service", "usr/lib/systemd/system/weir.service"];

/// Somebody who wants to open device nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    name: String,
    id: u32,
    groups: Vec<u32>,
}

pub(super) fn findings(machine: &Machine, uses: &Uses) -> Vec<Finding> {
    let files = machine.files();
    let nodes = nodes(uses, &files);
    if nodes.is_empty() {
        return Vec::new();
    }
    let text = |path: &str| machine.read(path).unwrap_or_default();
    let (groups, passwd) = (text("etc/group"), text("etc/passwd"));
    let unit = UNITS.iter().find_map(|unit| machine.read(unit)).unwrap_or_default();
    let user = service(&passwd, &groups, &unit).or_else(|| this_process(&text("proc/self/status"), &passwd));
    let Some(user) = user else {
        return vec![Finding::unknown("access", "it is not known who runs weir")];
    };
    let rights = nodes.iter().map(|node| (node.as_str(), files.rights(node.trim_start_matches('/')).ok()));
    judge(&user, &groups, &rights.collect::<Vec<_>>())
}

/// The nodes that the configuration needs.
fn nodes(uses: &Uses, files: &dyn Files) -> Vec<String> {
    let chips = || {
        let names = files.list("dev").unwrap_or_default();
        let chips = names.into_iter().filter(|name| name.starts_with("gpiochip"));
        chips.map(|name| format!("/dev/{name}")).collect()
    };
    let of = |claim: &Claim| match claim {
        Claim::I2c { bus, .. } => vec![format!("/dev/{bus}")],
        Claim::Serial { port } => vec![port.clone()],
        Claim::Gpio { .. } => chips(),
        Claim::Kernel { .. } => Vec::new(),
    };
    let mut nodes: Vec<_> = uses.0.iter().flat_map(|(_, claim)| of(claim)).collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

/// The user of the service, with the groups that its unit adds.
fn service(passwd: &str, groups: &str, unit: &str) -> Option<User> {
    let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let fields = entry.into_iter().find(|fields| fields.first() == Some(&SERVICE_USER))?;
    let mut ids = vec![fields.get(3)?.parse().ok()?];
    let added = unit.lines().filter_map(|line| line.strip_prefix("SupplementaryGroups="));
    let added: Vec<_> = added.flat_map(str::split_whitespace).collect();
    for (name, id, members) in entries(groups) {
        if added.contains(&name) || members.split(',').any(|member| member == SERVICE_USER) {
            ids.push(id);
        }
    }
    Some(User { name: SERVICE_USER.into(), id: fields.get(2)?.parse().ok()?, groups: ids })
}

/// Name, number and members of each group.
fn entries(groups: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    groups.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
        Some((name, id, fields.next().unwrap_or_default()))
    })
}

/// Whoever asks: the effective user and all groups.
fn this_process(status: &str, passwd: &str) -> Option<User> {
    let numbers = |key: &str| -> Option<Vec<u32>> {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.split_whitespace().filter_map(|number| number.parse().ok()).collect())
    };
    let id = *numbers("Uid:")?.get(1)?;
    let mut groups = numbers("Groups:").unwrap_or_default();
    groups.extend(numbers("Gid:")?.get(1));
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    Some(User { name: name.unwrap_or_else(|| format!("user {id}")), id, groups })
}

fn judge(user: &User, groups: &str, nodes: &[(&str, Option<Rights>)]) -> Vec<Finding> {
    const SUBJECT: &str = "access";
    let mut findings = Vec::new();
    for (node, rights) in nodes {
        match rights {
            // A bus without a node has been told with the interfaces.
            None if node.starts_with("/dev/i2c-") => {}
            None => findings.push(
                Finding::problem(SUBJECT, format!("there is no {node}, which the configuration names"))
                    .advise("is the device plugged in, and its interface on? `weir scan` shows what is there"),
            ),
            Some(rights) if !rights.allow(user.id, &user.groups) => findings.push(refused(user, groups, node, *rights)),
            Some(_) => {}
        }
    }
    if findings.is_empty() && !nodes.is_empty() {
        let count = nodes.len();
        let what = format!("{} may open all {count} device nodes that the configuration names", user.name);
        findings.push(Finding::ok(SUBJECT, what));
    }
    findings
}

fn refused(user: &User, groups: &str, node: &str, rights: Rights) -> Finding {
    let group = entries(groups).find(|(_, id, _)| *id == rights.group).map(|(name, ..)| name);
    let what = format!("{} may not open {node} (mode {:o})", user.name, rights.mode);
    let advice = match group {
        Some(group) if group != "root" && rights.mode & 0o060 == 0o060 => format!(
            "`sudo usermod -aG {group} {}`, then log in again or restart weir",
            user.name
        ),
        _ => "give its group read and write with a udev rule; weir's package brings rules for i2c, spi, gpio and serial ports".into(),
    };
    Finding::problem("access", what).advise(advice)
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000:,,,:/home/pi:/bin/bash\nweir:x:997:996::/:/usr/sbin/nologin";
    const GROUPS: &str = "root:x:0:\ndialout:x:20:pi\ni2c:x:994:pi\ngpio:x:993:pi,weir\nweir:x:996:";
    const NODE: Rights = Rights { mode: 0o660, user: 0, group: 994 };

    #[test]
    fn the_service_has_its_own_groups_and_those_of_its_unit() {
        let with = |unit: &str| service(PASSWD, GROUPS, unit).unwrap().groups;
        assert_eq!(with("[Service]\nUser=weir\n"), [996, 993]);
        assert_eq!(with("SupplementaryGroups=i2c spi\nSupplementaryGroups=dialout"), [996, 20, 994, 993]);
        assert_eq!(service("root:x:0:0::/:", GROUPS, ""), None);
    }

    #[test]
    fn without_the_service_it_is_whoever_asks() {
        let status = "Name:\tweir\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t20 994 1000 ";
        let user = this_process(status, PASSWD).unwrap();
        assert_eq!((user.name.as_str(), user.id, user.groups), ("pi", 1000, vec![20, 994, 1000, 1000]));
        assert_eq!(this_process("", PASSWD), None);
    }

    #[test]
    fn what_may_not_be_opened_says_which_group_helps() {
        let user = |groups: &[u32]| User { name: "pi".into(), id: 1000, groups: groups.to_vec() };
        let told = judge(&user(&[1000]), GROUPS, &[("/dev/i2c-1", Some(NODE))]);
        assert_eq!(told[0].grade, Grade::Problem);
        assert!(told[0].advice.as_ref().unwrap().contains("usermod -aG i2c pi"), "{told:?}");
        assert_eq!(judge(&user(&[994]), GROUPS, &[("/dev/i2c-1", Some(NODE))])[0].grade, Grade::Ok);
        let of_root = Rights { mode: 0o600, user: 0, group: 0 };
        let told = judge(&user(&[994]), GROUPS, &[("/dev/ttyUSB0", Some(of_root)), ("/dev/gone", None)]);
        assert!(told[0].advice.as_ref().unwrap().contains("udev"), "{told:?}");
        assert!(told[1].what.contains("there is no /dev/gone"));
        assert!(judge(&user(&[]), GROUPS, &[]).is_empty(), "nothing is needed, nothing is said");
    }
}
