//! The declaration of everything an operator can set: one table of [`Key`]s per binary.
//!
//! From the table come the checks, the nearest-key suggestions, the flags and their help, the names of the environment
//! variables, `--print-config`, `/v1/config` and the tables of docs/config.md. A key exists because it is in the table.
//!
//! **Not**: values. **Invariants** (held by a test over every schema): paths and flags are unique, a default is allowed by
//! the kind of its key, rules name keys that exist and can be compared.
//!
//! **Source**: docs/config.md.

use super::kind::Kind;

/// What every environment variable of the product starts with.
pub const VARIABLE_PREFIX: &str = "CORELANE_";

/// Longest name of a table in a family, in bytes: a keyspace's name is stored in front of each of its keys with its
/// length in one byte, of which the protocol uses six bits.
pub const TABLE_NAME_BYTES_MAX: usize = 63;

/// Most tables in a family. Each is copied into every data core's snapshot, so their number must have a bound.
pub const FAMILY_TABLES_MAX: usize = 256;

/// What holds when nobody sets a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// This value, spelled as in a flag.
    Is(&'static str),
    /// No value, which the key's documentation explains.
    Absent,
    /// Nothing: the process does not start without it.
    Required,
}

/// The flag of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its name without the dashes.
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

/// One thing an operator can set.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its path in the file, `limits.header_bytes`; inside a family relative to the table.
    pub path: &'static str,
    /// What is allowed.
    pub kind: Kind,
    /// What holds when it is not set.
    pub preset: Preset,
    /// One sentence, without the full stop, that says what it does.
    pub doc: &'static str,
    /// The flag, where it has one.
    pub flag: Option<Flag>,
    /// Whether its value may be shown.
    pub secrecy: Secrecy,
}

impl Key {
    /// A key without a flag, whose value may be shown.
    #[must_use]
    pub const fn new(path: &'static str, kind: Kind, preset: Preset, doc: &'static str) -> Self {
        Self { path, kind, preset, doc, flag: None, secrecy: Secrecy::Shown }
    }

    /// The same key with a flag. A flag is named like its key.
    #[must_use]
    pub const fn with_flag(mut self, name: &'static str, value_name: &'static str) -> Self {
        self.flag = Some(Flag { name, value_name });
        self
    }

    /// The same key with a value that is never shown.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secrecy = Secrecy::Secret;
        self
    }
}

/// Tables that share one set of keys and are named by the operator, such as `[keyspace.NAME]`.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The table they stand in.
    pub section: &'static str,
    /// The one that exists without being written.
    pub always: &'static str,
    /// The keys of each, with paths relative to it.
    pub keys: &'static [Key],
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
    /// The keys, in the order they are shown in; those of one section stand together, those of none come first.
    pub keys: &'static [Key],
    /// The tables named by the operator, where there are any.
    pub family: Option<Family>,
    /// What must hold between keys.
    pub rules: &'static [AtMost],
    /// The other binaries of the product.
    pub relatives: &'static [Relative],
}

/// Where a path of the file leads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// To a key.
    Key(&'static Key),
    /// To a table that is part of the schema.
    Section,
    /// To a table of the family, by this name.
    FamilyTable(&'a str),
    /// Nowhere.
    Unknown,
}

impl Schema {
    /// The key at this path, family tables excepted.
    #[must_use]
    pub fn key(&self, path: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.path == path)
    }

    /// The key that this environment variable sets.
    #[must_use]
    pub fn key_of_variable(&self, variable: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| variable_of(key.path) == variable)
    }

    /// Whether another binary has a key that this environment variable sets.
    pub(super) fn is_variable_of_relative(&self, variable: &str) -> bool {
        self.relatives.iter().flat_map(|relative| relative.keys).any(|path| variable_of(path) == variable)
    }

    /// Where `path`, whose last component is `name`, leads. Components that hold a dot are quoted in both, so that they are
    /// not taken for a path.
    pub(super) fn place<'a>(&self, path: &str, name: &'a str) -> Place<'a> {
        let family = self.family.as_ref().and_then(|family| Some((family, path.strip_prefix(family.section)?)));
        match family {
            Some((_, "")) => return Place::Section,
            Some((family, rest)) if rest.starts_with('.') => return family.place(&rest[1..], name),
            _ => {}
        }
        match self.key(path) {
            Some(key) => Place::Key(key),
            None if self.has_section(path) => Place::Section,
            None => Place::Unknown,
        }
    }

    fn has_section(&self, path: &str) -> bool {
        self.keys.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
    }

    /// All paths that `path` could have meant: every key and section, and the keys of the family table it is in.
    pub(super) fn paths_near(&self, path: &str) -> Vec<String> {
        let mut paths: Vec<String> = Vec::new();
        for key in self.keys {
            paths.push(key.path.to_owned());
            if let Some((section, _)) = key.path.split_once('.')
                && !paths.iter().any(|known| known == section)
            {
                paths.push(section.to_owned());
            }
        }
        if let Some(family) = &self.family {
            let table = path.strip_prefix(family.section).and_then(|rest| rest.strip_prefix('.'));
            let name = table.and_then(|table| table.split('.').next()).unwrap_or(family.always);
            paths.push(family.section.to_owned());
            paths.extend(family.keys.iter().map(|key| format!("{}.{name}.{}", family.section, key.path)));
        }
        paths
    }
}

impl Family {
    /// Where the path below the family's section leads; `name` is its last component.
    fn place<'a>(&self, below: &str, name: &'a str) -> Place<'a> {
        if below == name {
            return Place::FamilyTable(name);
        }
        self.keys.iter().find(|key| key.path == name).map_or(Place::Unknown, Place::Key)
    }
}

/// Whether a table of a family may have this name: 1 to [`TABLE_NAME_BYTES_MAX`] bytes of `a-z`, `0-9`, `_` and `-`.
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
