//! The tables of docs/config.md, written from the schemas so that they cannot go stale.
//!
//! **Not**: the prose around them. **Invariants**: a document is changed only between its markers.
//!
//! **Source**: GitHub Flavored Markdown for tables and comments.

use std::fmt::Write as _;

use super::{
    flags,
    schema::{Key, Preset, Schema, variable_of},
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

/// All keys of a binary as a Markdown table.
fn table(schema: &Schema) -> String {
    let mut text = String::from("| key | default | allowed | flag, variable | meaning |\n|---|---|---|---|---|\n");
    for key in schema.keys {
        let flag = key.flag.map_or_else(String::new, |flag| format!("`--{}`, ", flag.name));
        write_row(&mut text, key, key.path, &format!("{flag}`{}`", variable_of(key.path)));
    }
    if let Some(family) = &schema.family {
        for key in family.keys {
            write_row(&mut text, key, &format!("{}.NAME.{}", family.section, key.path), "file only");
        }
    }
    text
}

fn write_row(text: &mut String, key: &Key, path: &str, ways: &str) {
    let preset = match key.preset {
        Preset::Is(value) => format!("`{value}`"),
        Preset::Absent => "not set".to_owned(),
        Preset::Required => "required".to_owned(),
    };
    let (range, doc) = (key.kind.range(), key.doc);
    writeln!(text, "| `{path}` | {preset} | {range} | {ways} | {doc}. |").expect("a string grows");
}
