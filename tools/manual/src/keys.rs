//! Pages of the keys of a configuration file, section 5.
//!
//! **Invariants**: every key of the schema is on the page, under the table it stands in.
//!
//! **Source**: the schema, as for docs/config.md.

use control::settings::schema::{Change, Preset, Schema, SettingKey, Table, TableItem, joined, variable_of};
use roff::{Inline, Roff, bold, italic, roman};

use crate::pages::MANUAL;

/// The page.
pub(crate) fn page(schema: &Schema) -> Vec<u8> {
    let program = schema.program;
    let file = format!("{program}.toml");
    let mut page = Roff::new();
    let source = format!("{program} {}", env!("CARGO_PKG_VERSION"));
    page.control("TH", [file.as_str(), "5", "", &source, MANUAL]);
    page.control("SH", ["NAME"]).text([roman(format!("{file} - configuration of {program}"))]);
    page.control("SH", ["SYNOPSIS"]).text([bold(format!("/etc/corelane/{file}"))]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(format!(
        "A TOML file. All of it is checked before any of it is used: {program} --check --config FILE reports every fault at once, and \
         {program} --print-config shows what holds and where each value came from."
    ))]);
    page.control("PP", []).text([roman(
        "Sizes have a unit (B, KiB, MiB, GiB, TiB), durations too (ms, s, m, h, d); both are written in quotes. Counts have none.",
    )]);
    page.control("SH", ["KEYS"]);
    write_table(&mut page, "", "", schema.table, true);
    page.control("SH", ["SEE ALSO"]).text([bold(program), roman("(1)")]);
    page.render().into_bytes()
}

/// Keys first, then the tables below: in the order of the declaration.
fn write_table(page: &mut Roff, path: &str, heading: &str, table: &Table, has_variables: bool) {
    if !heading.is_empty() {
        page.control("SS", [heading]);
    }
    for item in table.items {
        let below = joined(path, item.name());
        match item {
            TableItem::Key(key) => write_key(page, key, &below, has_variables),
            TableItem::Table(_, table) => write_table(page, &below, &format!("[{below}]"), table, has_variables),
            TableItem::Named(named) => {
                write_table(page, &below, &format!("[{below}.NAME], as many as are needed"), named.table, false);
            }
            TableItem::List(list) => {
                write_table(page, &below, &format!("[[{below}]], as many as are needed"), list.table, false);
            }
        }
    }
}

fn write_key(page: &mut Roff, key: &SettingKey, path: &str, has_variable: bool) {
    page.control("TP", []).text([bold(key.name), roman(" = "), italic(key.kind.range())]);
    page.text(sentence(&format!("{}.", key.doc())));
    let mut facts = match key.preset {
        Preset::Is(value) => format!("Default: {value}."),
        Preset::Unless(value, list) => format!("Default: {value}, without [[{list}]]."),
        Preset::Absent => "Not set by default.".to_owned(),
        Preset::Required => "Required.".to_owned(),
    };
    facts += match key.change {
        Change::Reload => " A change takes a reload.",
        Change::Restart => " A change takes a restart.",
    };
    if let Some(flag) = key.flag {
        facts += &format!(" Flag: --{}.", flag.name);
    }
    if has_variable {
        facts += &format!(" Variable: {}.", variable_of(path));
    }
    page.control("br", []).text([roman(facts)]);
}

/// A sentence whose code spans are bold.
fn sentence(text: &str) -> Vec<Inline> {
    text.split('`').enumerate().map(|(index, part)| if index % 2 == 1 { bold(part) } else { roman(part) }).collect()
}
