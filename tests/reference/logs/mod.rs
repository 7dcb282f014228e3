//! `logs.md`: the log messages, from the calls in the source, with meanings that are written by hand.

mod calls;
mod fields;
mod meanings;

use std::collections::{BTreeMap, BTreeSet};

use self::{
    calls::{Call, LEVELS, Message, calls},
    fields::FIELDS,
    meanings::{MESSAGES, shown},
};
use crate::markdown::{self, literal};

const INTRODUCTION: &str = "\
`serve`, `init` and `uninstall` log to standard error. On a terminal the log is text; elsewhere each line is one JSON
object with `timestamp`, `level`, `target`, `message` and the fields of the message. `target` is `imageswap::` and the
module that logs, such as `imageswap::server::accept`. [`IMAGESWAP_LOG_LEVEL` and `IMAGESWAP_LOG_FORMAT`](settings.md)
change level and format. [Operations](../operations.md#log) explains how to use the log.

Messages are fixed texts, so that you can search for them; values are in the fields. Renamed messages and fields are
listed in the [changelog](../../CHANGELOG.md). Libraries log only warnings and errors; their messages are not listed
here.

";

const FIELDS_INTRODUCTION: &str = "
## Fields

A value that a client has sent is cut to 256 bytes, and control characters in it are escaped. A field without a value is
left out.

";

/// The modules that log a message, and its fields, for the level and the text.
type Rows = BTreeMap<(usize, Message), (BTreeSet<String>, Vec<String>)>;

pub(crate) fn page() -> String {
    let rows = rows(calls());
    let differences = differences(&rows);
    assert!(
        differences.is_empty(),
        "meanings.rs or fields.rs in tests/reference/logs:\n{}",
        differences.join("\n")
    );
    let mut page = markdown::page("Log messages") + INTRODUCTION;
    let sections = LEVELS.iter().enumerate().filter_map(|(level, (_, name))| {
        let rows = rows.iter().filter(|((found, _), _)| *found == level);
        let mut rows: Vec<_> = rows.map(|((_, message), logged)| row(message, logged)).collect();
        // Alphabetical within a module.
        rows.sort_by_key(|[message, module, ..]| (module.clone(), message.clone()));
        let table = || markdown::table(["message", "module", "fields", "meaning"], rows.clone());
        (!rows.is_empty()).then(|| format!("## {name}\n\n{}", table()))
    });
    page += &sections.collect::<Vec<_>>().join("\n");
    let fields = FIELDS.iter().map(|(name, meaning)| [literal(name), (*meaning).to_owned()]);
    page + FIELDS_INTRODUCTION + &markdown::table(["field", "meaning"], fields)
}

/// Gathers the calls with the same message.
fn rows(calls: Vec<Call>) -> Rows {
    let mut rows = Rows::new();
    for Call { level, message, module, fields } in calls {
        let (modules, known) = rows.entry((level, message)).or_default();
        modules.insert(module);
        for field in fields {
            if !known.contains(&field) {
                known.push(field);
            }
        }
    }
    rows
}

/// Compares the tables of meanings with the messages and fields of the source.
fn differences(rows: &Rows) -> Vec<String> {
    let messages: BTreeSet<_> = rows.keys().map(|(_, message)| shown(message)).collect();
    let fields: BTreeSet<_> = rows.values().flat_map(|(_, fields)| fields.clone()).collect();
    [("message", messages, MESSAGES), ("field", fields, FIELDS)]
        .into_iter()
        .flat_map(|(kind, logged, table)| {
            let known: BTreeSet<_> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
            let unsorted = (!table.is_sorted_by_key(|(name, _)| *name))
                .then(|| format!("the table of {kind}s is not sorted"));
            let missing =
                logged.difference(&known).map(|name| format!("no meaning of the {kind} `{name}`"));
            let stale =
                known.difference(&logged).map(|name| format!("the {kind} `{name}` is not logged"));
            missing.chain(stale).chain(unsorted).collect::<Vec<_>>()
        })
        .collect()
}

fn row(message: &Message, (modules, fields): &(BTreeSet<String>, Vec<String>)) -> [String; 4] {
    let text = shown(message);
    let (_, meaning) = MESSAGES.iter().find(|(known, _)| *known == text).unwrap();
    let text = match message {
        // A backquote within code needs two around it.
        Message::Fixed(text) if text.contains('`') => format!("`` {text} ``"),
        Message::Fixed(text) => literal(text),
        Message::Value(_) => text,
    };
    let modules: Vec<_> = modules.iter().map(|module| literal(module)).collect();
    let fields: Vec<_> = fields.iter().map(|field| literal(field)).collect();
    [text, modules.join(", "), fields.join(", "), (*meaning).to_owned()]
}
