//! The tables of docs/config.md, written from the schemas so that they cannot go stale.
//!
//! **Not**: the prose around them. **Invariants**: a document is changed only between its markers.
//!
//! **Source**: GitHub Flavored Markdown for tables and comments.

use std::fmt::Write as _;

use super::{
    flags,
    schema::{Change, Preset, Schema, SettingKey, Table, TableItem, joined, variable_of},
};

/// The document with every generated part brought up to date. The generated parts stand between
/// `<!-- begin: PROGRAM keys -->` and `<!-- end: PROGRAM keys -->`, the help likewise with `help`. `None` when a marker is
/// missing.
#[must_use]
pub fn refreshed(document: &str, schemas: &[&Schema]) -> Option<String> {
    let mut text = document.to_owned();
    for schema in schemas {
        text = with_part(&text, &format!("{} keys", schema.program), &table(schema))?;
        text =
            with_part(&text, &format!("{} help", schema.program), &format!("```text\n{}```\n", flags::help(schema)))?;
    }
    Some(text)
}

fn with_part(document: &str, name: &str, part: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{part}{end}{after}"))
}

/// All keys of a binary as a Markdown table, those of named tables and lists last.
fn table(schema: &Schema) -> String {
    let mut text = String::from(
        "| key | default | allowed | flag, variable | change takes | meaning |\n|---|---|---|---|---|---|\n",
    );
    write_rows(&mut text, "", schema.table, true);
    text
}

fn write_rows(text: &mut String, prefix: &str, table: &Table, has_variables: bool) {
    for item in table.items {
        let path = joined(prefix, item.name());
        match item {
            TableItem::Key(key) => {
                let flag = key.flag.map_or_else(String::new, |flag| format!("`--{}`, ", flag.name));
                let ways =
                    if has_variables { format!("{flag}`{}`", variable_of(&path)) } else { "file only".to_owned() };
                write_row(text, key, &path, &ways);
            }
            TableItem::Table(_, table) => write_rows(text, &path, table, has_variables),
            TableItem::Named(named) => write_rows(text, &joined(&path, "NAME"), named.table, false),
            TableItem::List(list) => write_rows(text, &format!("{path}[]"), list.table, false),
        }
    }
}

fn write_row(text: &mut String, key: &SettingKey, path: &str, ways: &str) {
    let preset = match key.preset {
        Preset::Is(value) => format!("`{value}`"),
        Preset::Unless(value, list) => format!("`{value}`, without `[[{list}]]`"),
        Preset::Absent => "not set".to_owned(),
        Preset::Required => "required".to_owned(),
    };
    let change = match key.change {
        Change::Reload => "a reload",
        Change::Restart => "a restart",
    };
    let (range, doc) = (key.kind.range(), key.doc());
    writeln!(text, "| `{path}` | {preset} | {range} | {ways} | {change} | {doc}. |").expect("a string grows");
}
