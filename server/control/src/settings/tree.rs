//! The effective settings: one value and one origin for every key, after precedence, requirements and rules.
//!
//! **Not**: reading sources. **Invariants**: every key of the schema has an entry, in every table that was written or
//! always exists; a key that is required has a value; all rules hold, where need be because a default follows what was written.
//!
//! **Source**: docs/config.md for the order of precedence.

use std::{collections::BTreeMap, path::Path};

use super::{
    SettingMisfit,
    error::{SettingError, SettingsErrors},
    layer::{SettingsLayer, Tables},
    origin::Origin,
    schema::{Change, Preset, Schema, SettingKey, Table, TableItem, joined, numbered, variable_of},
    value::{SettingValue, wrong_kind},
};

/// A key with what it was set to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its declaration.
    pub key: &'static SettingKey,
    /// Its value; `None` when it is not set and may be so.
    pub value: Option<SettingValue>,
    /// Where the value came from.
    pub origin: Origin,
}

/// The effective settings of one binary.
#[derive(Clone, Debug)]
pub struct SettingsTree {
    schema: &'static Schema,
    entries: BTreeMap<String, Entry>,
    tables: Tables,
}

impl SettingsTree {
    /// Lays the sources over each other, the weakest first.
    ///
    /// # Errors
    ///
    /// The operator's: all errors of the layers, what is required and missing, and which rules are broken. A rule is
    /// checked only when the values that it compares are known.
    pub(super) fn resolve(schema: &'static Schema, layers: Vec<SettingsLayer>) -> Result<Self, SettingsErrors> {
        let mut set = BTreeMap::new();
        let mut errors = Vec::new();
        let mut tables = Tables::always(schema);
        for layer in layers {
            set.extend(layer.set);
            tables.add(layer.tables);
            // The weakest comes first, but the strongest source is the one the operator just typed.
            errors.splice(0..0, layer.errors);
        }
        let mut tree = Self { schema, entries: BTreeMap::new(), tables };
        for (path, key) in tree.declared() {
            let preset = || (preset_of(key, &tree.tables), Origin::Default);
            let (value, origin) = set.remove(&path).map_or_else(preset, |(value, from)| (Some(value), from));
            tree.entries.insert(path, Entry { key, value, origin });
        }
        debug_assert!(set.is_empty(), "a layer sets only what is declared");
        tree.follow_bounds();
        let missing = tree.missing().filter(|error| errors.iter().all(|known| known.key() != error.key()));
        let missing: Vec<SettingError> = missing.collect();
        errors.extend(missing);
        let contradictions = tree.contradictions(&errors);
        errors.extend(contradictions);
        if errors.is_empty() {
            errors = tree.collisions();
        }
        if errors.is_empty() { Ok(tree) } else { Err(SettingsErrors::new(errors)) }
    }

    /// These settings with paths that start from `folder`, where they are relative still.
    #[must_use]
    pub(super) fn absolute_from(mut self, folder: &Path) -> Self {
        for entry in self.entries.values_mut() {
            entry.value = entry.value.take().map(|value| value.absolute_from(folder));
        }
        self
    }

    /// These settings with what `next` changes in keys that a running process can change; other keys keep their value.
    #[must_use]
    pub fn adopting(&self, next: &Self) -> Self {
        let of = |tree: &Self, change| {
            let entries = tree.entries.clone().into_iter();
            entries.filter(move |(_, entry)| entry.key.change == change)
        };
        let entries = of(self, Change::Restart).chain(of(next, Change::Reload)).collect();
        Self { schema: self.schema, entries, tables: self.tables.adopting(&next.tables, self.schema) }
    }

    /// The declaration the settings follow.
    #[must_use]
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Every key with its path, in the order of the schema; named tables by name, lists by number.
    pub fn entries(&self) -> impl Iterator<Item = (String, &Entry)> {
        self.declared().into_iter().map(|(path, _)| {
            let entry = &self.entries[&path];
            (path, entry)
        })
    }

    /// The names of the tables in `[name.NAME]`, sorted.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &str> {
        self.tables.named.get(name).into_iter().flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// How many tables `[[name]]` has.
    #[must_use]
    pub fn listed(&self, name: &str) -> usize {
        self.tables.listed.get(name).map_or(0, Vec::len)
    }

    /// The value at `path`.
    ///
    /// # Panics
    ///
    /// When the schema has no such key: the structs are declared with it.
    #[must_use]
    pub fn value(&self, path: &str) -> Option<&SettingValue> {
        self.entries.get(path).expect("the path is in the schema").value.as_ref()
    }

    /// The word at `path`, of a key that is set by one of a few.
    ///
    /// # Panics
    ///
    /// When it is not.
    #[must_use]
    pub fn word(&self, path: &str) -> &'static str {
        match self.value(path) {
            Some(SettingValue::Choice(word)) => word,
            other => wrong_kind(path, other),
        }
    }

    /// The error for a setting that does not go with others: where it stands, or else its table.
    pub(super) fn unfit(&self, SettingMisfit { key, reason }: SettingMisfit) -> SettingError {
        let written = self.entries.get(&key).map(|entry| &entry.origin).filter(|origin| **origin != Origin::Default);
        let origin = written.or_else(|| self.tables.origin_of(&key)).cloned();
        SettingError::Unfit { origin, key, reason }
    }

    /// The keys whose paths begin with `prefix` and that were written, by what follows it, with where that is.
    pub(super) fn written_in(&self, prefix: &str) -> impl Iterator<Item = (String, Origin)> {
        let within = self.entries.range(prefix.to_owned()..);
        let within = within.map_while(move |(path, entry)| Some((path.strip_prefix(prefix)?, entry)));
        let written = within.filter(|(_, entry)| entry.origin != Origin::Default);
        written.map(|(rest, entry)| (rest.to_owned(), entry.origin.clone())).collect::<Vec<_>>().into_iter()
    }

    /// Where the named or numbered table at `path` stands.
    pub(super) fn table_origin(&self, path: &str) -> Option<&Origin> {
        self.tables.origin_of(path)
    }

    fn declared(&self) -> Vec<(String, &'static SettingKey)> {
        let mut declared = Vec::new();
        self.declare("", self.schema.table, &mut declared);
        declared
    }

    fn declare(&self, prefix: &str, table: &'static Table, declared: &mut Vec<(String, &'static SettingKey)>) {
        for item in table.items {
            let path = joined(prefix, item.name());
            match item {
                TableItem::Key(key) => declared.push((path, key)),
                TableItem::Table(_, table) => self.declare(&path, table, declared),
                TableItem::Named(named) => {
                    for name in self.named(&path) {
                        self.declare(&joined(&path, name), named.table, declared);
                    }
                }
                TableItem::List(list) => {
                    for number in 1..=self.listed(&path) {
                        self.declare(&numbered(&path, number), list.table, declared);
                    }
                }
            }
        }
    }

    fn missing(&self) -> impl Iterator<Item = SettingError> {
        self.entries().filter(|(_, entry)| entry.value.is_none() && entry.key.preset == Preset::Required).map(
            |(path, entry)| {
                let allowed = entry.key.kind.allowed();
                if let Some(origin) = self.tables.origin_of(&path) {
                    let name = entry.key.name;
                    let ways = format!("\"{name} = …\" in that table");
                    return SettingError::Missing { origin: Some(origin.clone()), key: path, ways, allowed };
                }
                let flag = entry.key.flag.map_or_else(String::new, |flag| format!("--{}, ", flag.name));
                let ways = format!("{flag}{}, or \"{path} = …\" in the configuration file", variable_of(&path));
                SettingError::Missing { origin: None, key: path, ways, allowed }
            },
        )
    }

    /// A default above a bound that was written is that bound: whoever wrote the bound has not asked for more.
    fn follow_bounds(&mut self) {
        for rule in self.schema.rules {
            let (lesser, bound) = (&self.entries[rule.lesser], &self.entries[rule.bound]);
            let (Origin::Default, Some(found), Some(most)) = (&lesser.origin, &lesser.value, &bound.value) else {
                continue;
            };
            if found.magnitude() > most.magnitude() {
                let most = most.clone();
                self.entries.get_mut(rule.lesser).expect("it was found").value = Some(most);
            }
        }
    }

    /// The rules that are broken, in so far as `errors` leaves the values known: a file that was not read, or a key that was
    /// misspelt, may have set any of them.
    fn contradictions(&self, errors: &[SettingError]) -> Vec<SettingError> {
        let hides_values =
            |error: &SettingError| error.key().is_none() || matches!(error, SettingError::UnknownKey { .. });
        if errors.iter().any(hides_values) {
            return Vec::new();
        }
        let is_known = |path: &str| errors.iter().all(|error| error.key() != Some(path));
        let rules = self.schema.rules.iter().filter(|rule| is_known(rule.lesser) && is_known(rule.bound));
        let broken = rules.filter_map(|rule| {
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
        });
        broken.collect()
    }
}

fn preset_of(key: &SettingKey, tables: &Tables) -> Option<SettingValue> {
    let text = match key.preset {
        Preset::Is(text) => text,
        Preset::Unless(text, list) if !tables.listed.contains_key(list) => text,
        Preset::Unless(..) | Preset::Absent | Preset::Required => return None,
    };
    Some(key.kind.parse_text(text).expect("a test holds every default to its kind"))
}
