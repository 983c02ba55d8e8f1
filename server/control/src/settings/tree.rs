//! The effective settings: one value and one origin for every key, after precedence, requirements and rules.
//!
//! **Not**: reading sources. **Invariants**: every key of the schema has an entry; a key that is required has a value; all
//! rules hold.
//!
//! **Source**: docs/config.md for the order of precedence.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    error::{SettingError, SettingsErrors},
    layer::Layer,
    origin::Origin,
    schema::{Key, Preset, Schema, variable_of},
    value::{Cores, ListenAddress, Value},
};

/// A key with what it was set to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its declaration.
    pub key: &'static Key,
    /// Its value; `None` when it is not set and may be so.
    pub value: Option<Value>,
    /// Where the value came from.
    pub origin: Origin,
}

/// The effective settings of one binary.
#[derive(Clone, Debug)]
pub struct Tree {
    schema: &'static Schema,
    entries: BTreeMap<String, Entry>,
    tables: Vec<String>,
}

impl Tree {
    /// Lays the sources over each other, the weakest first.
    ///
    /// # Errors
    ///
    /// The operator's: all errors of the layers; when there are none, what is required and missing, then which rules are
    /// broken.
    pub(super) fn resolve(schema: &'static Schema, layers: Vec<Layer>) -> Result<Self, SettingsErrors> {
        let mut set = BTreeMap::new();
        let mut errors = Vec::new();
        let mut tables: Vec<String> = schema.family.iter().map(|family| family.always.to_owned()).collect();
        for layer in layers {
            set.extend(layer.set);
            tables.extend(layer.tables);
            // The weakest comes first, but the strongest source is the one the operator just typed.
            errors.splice(0..0, layer.errors);
        }
        tables.sort();
        tables.dedup();
        let mut tree = Self { schema, entries: BTreeMap::new(), tables };
        for (path, key) in tree.declared() {
            let (value, origin) = set.remove(&path).map_or_else(|| preset_of(key), |(value, from)| (Some(value), from));
            tree.entries.insert(path, Entry { key, value, origin });
        }
        debug_assert!(set.is_empty(), "a layer sets only what is declared");
        let missing = tree.missing().filter(|error| errors.iter().all(|known| known.key() != error.key()));
        let missing: Vec<SettingError> = missing.collect();
        errors.extend(missing);
        if errors.is_empty() {
            errors.extend(tree.contradictions());
        }
        if errors.is_empty() { Ok(tree) } else { Err(SettingsErrors::new(errors)) }
    }

    /// The declaration the settings follow.
    #[must_use]
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Every key with its path, in the order of the schema; family tables last, by name.
    pub fn entries(&self) -> impl Iterator<Item = (String, &Entry)> {
        self.declared().into_iter().map(|(path, _)| {
            let entry = &self.entries[&path];
            (path, entry)
        })
    }

    /// The names of the family's tables, sorted; at least the one that always exists.
    #[must_use]
    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    /// The value at `path`.
    ///
    /// # Panics
    ///
    /// When the schema has no such key: the structs are filled from the same table.
    #[must_use]
    pub fn value(&self, path: &str) -> Option<&Value> {
        self.entries.get(path).expect("the path is in the schema").value.as_ref()
    }

    fn declared(&self) -> Vec<(String, &'static Key)> {
        let mut declared: Vec<(String, &'static Key)> =
            self.schema.keys.iter().map(|key| (key.path.to_owned(), key)).collect();
        if let Some(family) = &self.schema.family {
            for table in &self.tables {
                declared
                    .extend(family.keys.iter().map(|key| (format!("{}.{table}.{}", family.section, key.path), key)));
            }
        }
        declared
    }

    fn missing(&self) -> impl Iterator<Item = SettingError> {
        self.entries().filter(|(_, entry)| entry.value.is_none() && entry.key.preset == Preset::Required).map(
            |(path, entry)| {
                let flag = entry.key.flag.map_or_else(String::new, |flag| format!("--{}, ", flag.name));
                let ways = format!("{flag}{}, or \"{path} = …\" in the configuration file", variable_of(&path));
                SettingError::Missing { key: path, ways, allowed: entry.key.kind.allowed() }
            },
        )
    }

    fn contradictions(&self) -> impl Iterator<Item = SettingError> {
        self.schema.rules.iter().filter_map(|rule| {
            let (lesser, bound) = (&self.entries[rule.lesser], &self.entries[rule.bound]);
            let (found, most) = (lesser.value.as_ref()?, bound.value.as_ref()?);
            (found.magnitude() > most.magnitude()).then(|| SettingError::Contradiction {
                origin: lesser.origin.clone(),
                key: rule.lesser.to_owned(),
                found: found.to_string(),
                bound_key: rule.bound.to_owned(),
                bound: most.to_string(),
                bound_origin: bound.origin.clone(),
            })
        })
    }
}

/// Typed reading, for the structs of the binaries. Each panics when the schema declares another kind at that path, or when
/// the path may be absent: both are defects of ours that the first test finds.
impl Tree {
    /// A size, in bytes.
    #[must_use]
    pub fn bytes<T: TryFrom<u64>>(&self, path: &str) -> T {
        match self.value(path) {
            Some(Value::Bytes(bytes)) => narrow(*bytes),
            other => wrong_kind(path, other),
        }
    }

    /// A number.
    #[must_use]
    pub fn count<T: TryFrom<u64>>(&self, path: &str) -> T {
        match self.value(path) {
            Some(Value::Count(count)) => narrow(*count),
            other => wrong_kind(path, other),
        }
    }

    /// A duration.
    #[must_use]
    pub fn duration(&self, path: &str) -> Duration {
        match self.value(path) {
            Some(Value::Duration(duration)) => *duration,
            other => wrong_kind(path, other),
        }
    }

    /// A switch.
    #[must_use]
    pub fn bool(&self, path: &str) -> bool {
        match self.value(path) {
            Some(Value::Bool(on)) => *on,
            other => wrong_kind(path, other),
        }
    }

    /// An address to listen on.
    #[must_use]
    pub fn address(&self, path: &str) -> ListenAddress {
        match self.value(path) {
            Some(Value::Address(address)) => address.clone(),
            other => wrong_kind(path, other),
        }
    }

    /// Addresses to listen on.
    #[must_use]
    pub fn addresses(&self, path: &str) -> Vec<ListenAddress> {
        match self.value(path) {
            Some(Value::Addresses(addresses)) => addresses.clone(),
            other => wrong_kind(path, other),
        }
    }

    /// The CPUs to run on.
    #[must_use]
    pub fn cores(&self, path: &str) -> Cores {
        match self.value(path) {
            Some(Value::Cores(cores)) => cores.clone(),
            other => wrong_kind(path, other),
        }
    }

    /// A word of a list.
    #[must_use]
    pub fn choice(&self, path: &str) -> &'static str {
        match self.value(path) {
            Some(Value::Choice(word)) => word,
            other => wrong_kind(path, other),
        }
    }

    /// A path, where it is set.
    #[must_use]
    pub fn path(&self, path: &str) -> Option<PathBuf> {
        match self.value(path) {
            Some(Value::Path(file)) => Some(file.clone()),
            None => None,
            other => wrong_kind(path, other),
        }
    }
}

fn preset_of(key: &Key) -> (Option<Value>, Origin) {
    let value = match key.preset {
        Preset::Is(text) => Some(key.kind.parse_text(text).expect("a test holds every default to its kind")),
        Preset::Absent | Preset::Required => None,
    };
    (value, Origin::Default)
}

fn narrow<T: TryFrom<u64>>(number: u64) -> T {
    T::try_from(number).ok().expect("the range in the schema is within the field's type")
}

fn wrong_kind(path: &str, value: Option<&Value>) -> ! {
    panic!("the schema declares another kind at {path}: {value:?}")
}
