//! Tables of settings with the place of each key, for those who have more to check than a kind can say.
//!
//! **Not**: keys with one place, whose origins the tree has.
//!
//! **Invariants**: where something was written makes no difference between two tables.
//!
//! **Source**: the rule of docs/config.md that every error names file, line and key.

use std::collections::BTreeMap;

use super::{
    declare::{Field, KeyGroup},
    error::Shown,
    origin::Origin,
    schema::{Table, joined},
    tree::SettingsTree,
};

/// A named or numbered table, or one that is always there, and where its keys were written.
#[derive(Clone, Debug)]
pub struct WrittenTable<T> {
    /// What it says.
    pub settings: T,
    /// Its path: `route[2]`.
    pub path: String,
    table: Origin,
    keys: BTreeMap<String, Origin>,
}

impl<T> WrittenTable<T> {
    /// Where the table stands, as a message begins with it.
    #[must_use]
    pub fn place(&self) -> String {
        Shown(&self.table).to_string()
    }

    /// Where a key of it stands, by its path in the table; where the table does, if the key is not written.
    #[must_use]
    pub fn place_of(&self, key: &str) -> String {
        self.keys.get(key).map_or_else(|| self.place(), |origin| Shown(origin).to_string())
    }
}

impl<T: PartialEq> PartialEq for WrittenTable<T> {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl<T: Eq> Eq for WrittenTable<T> {}

impl<T: KeyGroup> KeyGroup for WrittenTable<T> {
    const TABLE: &'static Table = T::TABLE;
}

impl<T: KeyGroup> Field for WrittenTable<T> {
    fn read(tree: &SettingsTree, path: &str) -> Self {
        let keys: BTreeMap<String, Origin> = tree.written_in(&joined(path, "")).collect();
        let first = keys.values().min().cloned();
        let table = tree.table_origin(path).cloned().or(first).unwrap_or(Origin::Default);
        Self { settings: T::read(tree, path), path: path.to_owned(), table, keys }
    }
}
