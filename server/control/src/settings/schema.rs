//! The declaration of everything an operator can set: a tree of tables of [`SettingKey`]s per binary.
//!
//! ```text
//!  [limits]            TableItem::Table    one, always there
//!  [keyspace.NAME]     TableItem::Named    as many as the operator names
//!  [[listener]]        TableItem::List     as many as the operator writes, numbered from 1
//! ```
//!
//! From it come the checks, the nearest-key suggestions, the flags and their help, the names of the environment
//! variables, `--print-config`, `/v1/config`, what a reload may change and the tables of docs/config.md. A key exists because
//! it is a field of a struct that [`crate::settings!`] declares.
//!
//! **Not**: values. **Invariants** (held by [`super::check::schema`] over every schema): paths and flags are unique, a
//! default is allowed by the kind of its key, rules name keys that exist and can be compared, named tables and lists stand
//! in the outermost table.
//!
//! **Source**: docs/config.md.

use std::time::Duration;

use super::{include::INCLUDE, kind::Kind};

/// What every environment variable of the product starts with.
pub const VARIABLE_PREFIX: &str = "CORELANE_";

/// Longest name of a named table, in bytes: a keyspace's name is stored in front of each of its keys with its
/// length in one byte, of which the protocol uses six bits.
pub const TABLE_NAME_BYTES_MAX: usize = 63;

/// The value of a key that is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// This value, spelled as in a flag.
    Is(&'static str),
    /// This value, unless the operator writes tables of this list.
    Unless(&'static str, &'static str),
    /// No value, which the key's documentation explains.
    Absent,
    /// Nothing: the process does not start without it.
    Required,
}

/// The flag of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its name without the dashes in front.
    pub name: &'static str,
    /// What stands for the value in the help, such as `SIZE`.
    pub value_name: &'static str,
}

/// Whether a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// It may.
    Shown,
    /// It is replaced wherever a value is written, error messages included.
    Secret,
}

/// How a new value takes effect while the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// When the settings are read again.
    Reload,
    /// When the process is started anew.
    Restart,
}

impl Change {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
        }
    }
}

/// One thing an operator can set.
#[derive(Clone, Copy, Debug)]
pub struct SettingKey {
    /// Its name in its table.
    pub name: &'static str,
    /// One sentence that says what it does, as written above the field.
    doc: &'static str,
    /// What is allowed.
    pub kind: Kind,
    /// What holds when it is not set.
    pub preset: Preset,
    /// Its flag, where it has one.
    pub flag: Option<Flag>,
    /// Its former name; the error for that name suggests this key.
    pub former: Option<&'static str>,
    /// Whether its value may be shown.
    pub secrecy: Secrecy,
    /// How a new value takes effect.
    pub change: Change,
}

impl SettingKey {
    /// A key without a default and without a flag, whose value may be shown and changed at any time.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            name: "",
            doc: "",
            kind,
            preset: Preset::Absent,
            flag: None,
            former: None,
            secrecy: Secrecy::Shown,
            change: Change::Reload,
        }
    }

    /// A size in this range of bytes.
    #[must_use]
    pub const fn bytes(min: u64, max: u64) -> Self {
        Self::new(Kind::Bytes { min, max })
    }

    /// A duration in this range.
    #[must_use]
    pub const fn duration(min: Duration, max: Duration) -> Self {
        Self::new(Kind::Duration { min, max })
    }

    /// A plain number in this range.
    #[must_use]
    pub const fn count(min: u64, max: u64) -> Self {
        Self::new(Kind::Count { min, max })
    }

    /// With this default, spelled as in a flag.
    #[must_use]
    pub const fn preset(mut self, text: &'static str) -> Self {
        self.preset = Preset::Is(text);
        self
    }

    /// With this default, where the operator writes no table of `list`.
    #[must_use]
    pub const fn preset_unless(mut self, text: &'static str, list: &'static str) -> Self {
        self.preset = Preset::Unless(text, list);
        self
    }

    /// Without which the process does not start.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.preset = Preset::Required;
        self
    }

    /// With a flag, which is named like the key, but with dashes; `value_name` stands for the value in the help.
    #[must_use]
    pub const fn flag(mut self, name: &'static str, value_name: &'static str) -> Self {
        self.flag = Some(Flag { name, value_name });
        self
    }

    /// That once had another name.
    #[must_use]
    pub const fn formerly(mut self, name: &'static str) -> Self {
        self.former = Some(name);
        self
    }

    /// With a value that is never shown.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secrecy = Secrecy::Secret;
        self
    }

    /// Whose new value takes effect when the process is started anew.
    #[must_use]
    pub const fn restart(mut self) -> Self {
        self.change = Change::Restart;
        self
    }

    /// The key as part of a table. Called by [`crate::settings!`] with the field's name and documentation.
    #[must_use]
    pub const fn item(mut self, name: &'static str, doc: &'static str) -> TableItem {
        self.name = name;
        self.doc = doc;
        TableItem::Key(self)
    }

    /// One sentence, without the full stop, that says what it does.
    #[must_use]
    pub fn doc(&self) -> &'static str {
        self.doc.trim().trim_end_matches('.')
    }
}

/// What a table of the file may hold.
#[derive(Debug)]
pub struct Table {
    /// Keys first, then tables, then lists and named tables: the order they are shown in.
    pub items: &'static [TableItem],
}

impl Table {
    /// One that is always there.
    #[must_use]
    pub const fn item(&'static self, name: &'static str, _doc: &'static str) -> TableItem {
        TableItem::Table(name, self)
    }

    pub(super) fn find(&self, name: &str) -> Option<&'static TableItem> {
        self.items.iter().find(|item| item.name() == name)
    }
}

/// Tables that share one set of keys and are named by the operator, such as `[keyspace.NAME]`.
#[derive(Clone, Copy, Debug)]
pub struct NamedTables {
    /// The table they stand in.
    pub name: &'static str,
    /// Those that exist without being written.
    pub always: &'static [&'static str],
    /// Most of them.
    pub count_max: usize,
    /// What each holds.
    pub table: &'static Table,
}

impl NamedTables {
    /// At most `count_max` tables, and `always` in any case.
    #[must_use]
    pub const fn new(table: &'static Table, count_max: usize, always: &'static [&'static str]) -> Self {
        Self { name: "", always, count_max, table }
    }

    /// Called by [`crate::settings!`].
    #[must_use]
    pub const fn item(mut self, name: &'static str, _doc: &'static str) -> TableItem {
        self.name = name;
        TableItem::Named(self)
    }
}

/// Tables that share one set of keys and are written one after the other, such as `[[listener]]`.
#[derive(Clone, Copy, Debug)]
pub struct ListedTables {
    /// Their name.
    pub name: &'static str,
    /// Most of them.
    pub count_max: usize,
    /// How another list takes effect.
    pub change: Change,
    /// What each holds.
    pub table: &'static Table,
}

impl ListedTables {
    /// At most `count_max` tables.
    #[must_use]
    pub const fn new(table: &'static Table, count_max: usize, change: Change) -> Self {
        Self { name: "", count_max, change, table }
    }

    /// Called by [`crate::settings!`].
    #[must_use]
    pub const fn item(mut self, name: &'static str, _doc: &'static str) -> TableItem {
        self.name = name;
        TableItem::List(self)
    }
}

/// One entry of a table.
#[derive(Debug)]
pub enum TableItem {
    /// A key.
    Key(SettingKey),
    /// A table that is always there.
    Table(&'static str, &'static Table),
    /// Tables with names.
    Named(NamedTables),
    /// Tables with numbers.
    List(ListedTables),
}

impl TableItem {
    /// The name it is found by.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Key(SettingKey { name, .. })
            | Self::Table(name, _)
            | Self::Named(NamedTables { name, .. })
            | Self::List(ListedTables { name, .. }) => name,
        }
    }
}

/// A rule between two keys of the same kind: the first is at most the second.
#[derive(Clone, Copy, Debug)]
pub struct AtMost {
    /// The path of the smaller one.
    pub lesser: &'static str,
    /// The path of the one that bounds it.
    pub bound: &'static str,
}

/// Another binary of the product. All of them share one environment, and their files are easily mixed up.
#[derive(Clone, Copy, Debug)]
pub struct Relative {
    /// Its name.
    pub program: &'static str,
    /// The paths of the keys that it has and this binary has not.
    pub keys: &'static [&'static str],
}

/// All that can be set for one binary.
#[derive(Debug)]
pub struct Schema {
    /// The binary's name.
    pub program: &'static str,
    /// One sentence that says what the binary is.
    pub about: &'static str,
    /// The outermost table.
    pub table: &'static Table,
    /// What must hold between keys.
    pub rules: &'static [AtMost],
    /// The other binaries of the product.
    pub relatives: &'static [Relative],
    /// Whether the binary says what becomes of a request (`--explain`).
    pub explains: bool,
}

impl Schema {
    /// The keys that have one place, with their paths, in the order they are shown in. Those of named tables and lists are
    /// not among them; they have neither flag nor variable.
    #[must_use]
    pub fn keys(&self) -> Vec<(String, &'static SettingKey)> {
        let mut keys = Vec::new();
        collect_keys("", self.table, &mut keys);
        keys
    }

    /// The key at this path, named tables and lists excepted.
    #[must_use]
    pub fn key(&self, path: &str) -> Option<&'static SettingKey> {
        self.keys().into_iter().find(|(known, _)| known == path).map(|(_, key)| key)
    }

    /// The key that this environment variable sets, with its path.
    #[must_use]
    pub fn key_of_variable(&self, variable: &str) -> Option<(String, &'static SettingKey)> {
        self.keys().into_iter().find(|(path, _)| variable_of(path) == variable)
    }

    /// Whether another binary has a key that this environment variable sets.
    pub(super) fn is_variable_of_relative(&self, variable: &str) -> bool {
        self.relatives.iter().flat_map(|relative| relative.keys).any(|path| variable_of(path) == variable)
    }

    /// All that `path` could have been meant for: a spelling, and the path that is suggested for it. Every key and table,
    /// former names, and the keys of the named or numbered table the path is in.
    pub(super) fn candidates(&self, path: &str) -> Vec<(String, String)> {
        let mut candidates = vec![(INCLUDE.to_owned(), INCLUDE.to_owned())];
        collect_candidates("", self.table, path, &mut candidates);
        candidates
    }
}

/// The path of `name` in the table at `prefix`.
#[must_use]
pub fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// The path of the table with this number, from 1, in a list.
#[must_use]
pub fn numbered(list: &str, number: usize) -> String {
    format!("{list}[{number}]")
}

fn collect_keys(prefix: &str, table: &'static Table, keys: &mut Vec<(String, &'static SettingKey)>) {
    for item in table.items {
        match item {
            TableItem::Key(key) => keys.push((joined(prefix, key.name), key)),
            TableItem::Table(name, table) => collect_keys(&joined(prefix, name), table, keys),
            TableItem::Named(_) | TableItem::List(_) => {}
        }
    }
}

fn collect_candidates(prefix: &str, table: &'static Table, path: &str, candidates: &mut Vec<(String, String)>) {
    let written = path.strip_prefix(prefix).map_or("", |rest| rest.trim_start_matches('.'));
    for item in table.items {
        let here = joined(prefix, item.name());
        candidates.push((here.clone(), here.clone()));
        match item {
            TableItem::Key(key) => {
                candidates.extend(key.former.map(|former| (joined(prefix, former), here)));
            }
            TableItem::Table(_, table) => collect_candidates(&here, table, path, candidates),
            TableItem::Named(named) => {
                let mut parts = written.split('.');
                let name = parts.next().filter(|part| *part == named.name).and_then(|_| parts.next());
                let name = name.or(named.always.first().copied()).unwrap_or("NAME");
                collect_candidates(&joined(&here, name), named.table, path, candidates);
            }
            TableItem::List(list) => {
                let first = written.split('.').next().unwrap_or_default();
                let is_entry = first.strip_prefix(list.name).is_some_and(|rest| rest.starts_with('['));
                let entry = if is_entry { joined(prefix, first) } else { numbered(&here, 1) };
                collect_candidates(&entry, list.table, path, candidates);
            }
        }
    }
}

/// Whether a named table may have this name: 1 to [`TABLE_NAME_BYTES_MAX`] bytes of `a-z`, `0-9`, `_` and `-`.
#[must_use]
pub fn is_table_name(name: &str) -> bool {
    (1..=TABLE_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// The environment variable of the key at `path`: `limits.header_bytes` is `CORELANE_LIMITS_HEADER_BYTES`.
#[must_use]
pub fn variable_of(path: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", path.replace('.', "_").to_ascii_uppercase())
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
