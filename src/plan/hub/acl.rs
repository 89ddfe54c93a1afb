//! `[[hub.acl]]`: who may use which topics. A rule that can never match is a warning.

use super::access::Names;
use crate::config::{Fields, Problems, Table, Value};
use crate::hub::users::check_name;
use crate::hub::{Anonymous, Rule};
use crate::model::Filter;

/// The most levels a filter of the hub may have.
const LEVELS: usize = 128;

/// One of the lists of a rule.
type List = fn(&Rule) -> &Vec<String>;

pub(super) fn read(tables: &[Table<'_>], names: &Names, allowed: Anonymous, problems: &mut Problems) -> Vec<Rule> {
    let rules: Vec<_> = tables.iter().map(|table| read_one(table, names, allowed, problems)).collect();
    let first = |has: List| rules.iter().position(|rule| rule.as_ref().is_some_and(|rule| !has(rule).is_empty()));
    let publish: (List, List) = (|rule| &rule.publish, |rule| &rule.deny_publish);
    let subscribe: (List, List) = (|rule| &rule.subscribe, |rule| &rule.deny_subscribe);
    for (key, (allow, deny)) in [("publish", publish), ("subscribe", subscribe)] {
        if let (None, Some(at)) = (first(allow), first(deny)) {
            let help = format!("{key} = [\"#\"] in some rule allows everything else");
            let message = format!("no rule has `{key}`, so everything is refused, not only `deny_{key}`");
            problems.warn(tables[at].place(), message, Some(help));
        }
    }
    rules.into_iter().flatten().collect()
}

fn read_one(table: &Table<'_>, names: &Names, allowed: Anonymous, problems: &mut Problems) -> Option<Rule> {
    let mut fields = table.fields(problems);
    let user = user(&mut fields);
    let publish = topics(&mut fields, "publish");
    let subscribe = topics(&mut fields, "subscribe");
    let deny_publish = topics(&mut fields, "deny_publish");
    let deny_subscribe = topics(&mut fields, "deny_subscribe");
    contradicts(&publish, &deny_publish, "publish", &mut fields);
    contradicts(&subscribe, &deny_subscribe, "subscribe", &mut fields);
    let rule = user.map(|user| Rule { user, publish, subscribe, deny_publish, deny_subscribe });
    if let Some(rule) = &rule {
        never_matches(rule, names, allowed, &mut fields);
    }
    fields.finish();
    rule
}

fn user(fields: &mut Fields<'_, '_>) -> Option<String> {
    if !fields.has("user") {
        return fields.need("user");
    }
    fields.text("user", |text| match text {
        "*" | "anonymous" => Ok(text.to_owned()),
        name => check_name(name).map(|()| name.to_owned()).map_err(str::to_owned),
    })
}

/// Topic filters in which `%u` and `%c` stand for names; those that are wrong are told and left out.
fn topics(fields: &mut Fields<'_, '_>, key: &'static str) -> Vec<String> {
    let Some(value) = fields.value(key) else { return Vec::new() };
    let Some(elements) = value.elements() else {
        value.expected(key, "a list of topics in [ ]", fields.problems);
        return Vec::new();
    };
    elements.iter().filter_map(|element| topic(element, key, fields.problems)).collect()
}

fn topic(element: &Value<'_>, key: &str, problems: &mut Problems) -> Option<String> {
    let Some(text) = element.text() else {
        element.expected(key, "a list of strings", problems);
        return None;
    };
    let why = match Filter::new(&sample(text)) {
        _ if text.starts_with("$share/") => "a rule speaks of topics: leave `$share/GROUP/` out".to_owned(),
        Err(why) => why.to_string(),
        Ok(_) if text.split('/').count() > LEVELS => format!("it has more than {LEVELS} levels"),
        Ok(_) => return Some(text.to_owned()),
    };
    problems.error(element.place(), format!("{text:?} is not a topic filter: {why}"), None);
    None
}

/// The filter with some names in it.
fn sample(text: &str) -> String {
    text.replace("%u", "u").replace("%c", "c")
}

fn never_matches(rule: &Rule, names: &Names, allowed: Anonymous, fields: &mut Fields<'_, '_>) {
    let lists = [&rule.publish, &rule.subscribe, &rule.deny_publish, &rule.deny_subscribe];
    let mut all = lists.into_iter().flatten().peekable();
    let (why, help) = match rule.user.as_str() {
        _ if all.peek().is_none() => ("this rule says nothing", "write publish = [\"...\"] or subscribe = [\"...\"]"),
        "anonymous" if allowed == Anonymous::Never => {
            ("there are no anonymous clients", "allow_anonymous is \"never\"")
        }
        "anonymous" if all.any(|text| text.contains("%u")) => {
            ("`%u` matches nothing here", "an anonymous client has no name")
        }
        "anonymous" => return,
        "*" if !names.exist() && all.any(|text| text.contains("%u")) => {
            ("`%u` matches nothing", "nobody has a name without `users_file` or client certificates")
        }
        "*" => return,
        _ if !names.exist() => {
            ("nobody has a name, so this rule never matches", "names count with `users_file` or client certificates")
        }
        name if !names.may_be(name) => {
            ("there is no such user, so this rule never matches", "`weir user add` makes one")
        }
        _ => return,
    };
    fields.problems.warn(fields.place("user"), why, Some(help.into()));
}

fn contradicts(allow: &[String], deny: &[String], key: &str, fields: &mut Fields<'_, '_>) {
    let filter = |text: &String| Filter::new(&sample(text)).ok();
    for text in allow {
        let denied = |deny: &&String| filter(deny).zip(filter(text)).is_some_and(|(deny, it)| deny.covers(&it));
        if let Some(deny) = deny.iter().find(denied) {
            let message = format!("{text:?} is denied again by {deny:?}: a deny wins");
            fields.problems.warn(fields.place(key), message, None);
        }
    }
}
