//! One source of settings, read and checked: the keys it sets, and what is wrong with it.
//!
//! **Not**: precedence between sources, which is [`super::tree`]'s.
//!
//! **Invariants**: a path is in `set` only with a value its key allows.
//!
//! **Source**: docs/config.md.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use super::{
    error::{SettingError, shortened},
    nearest::nearest,
    origin::Origin,
    schema::{Key, Schema, VARIABLE_PREFIX, variable_of},
    value::Value,
};

/// The variable that names the configuration file.
const CONFIG_VARIABLE: &str = "CORELANE_CONFIG";

/// What one source says.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// The keys that are set, by path.
    pub(super) set: BTreeMap<String, (Value, Origin)>,
    /// The names of the family tables it mentions.
    pub(super) tables: Vec<String>,
    /// What is wrong with it.
    pub(super) errors: Vec<SettingError>,
}

impl Layer {
    /// Sets the key from a text, or notes why not. Text that is not UTF-8 is allowed for no key: the file could not say it.
    pub(super) fn read_text(&mut self, key: &Key, text: &OsStr, origin: Origin) {
        match text.to_str().and_then(|text| key.kind.parse_text(text)) {
            Some(value) => {
                self.set.insert(key.path.to_owned(), (value, origin));
            }
            None => {
                let found = format!("\"{}\"", text.to_string_lossy());
                self.errors.push(SettingError::invalid(key, key.path, origin, &found));
            }
        }
    }
}

/// What the environment says.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// The keys that are set.
    pub(super) layer: Layer,
    /// The configuration file, where one is named.
    pub(super) config: Option<PathBuf>,
}

/// Reads the variables of the product; all others are passed over.
///
/// A variable of another binary of the product is passed over too, since one environment file often serves both. Any other
/// variable with the product's prefix is an error: a misspelt one would otherwise be without effect and without a word.
pub(super) fn read_environment(schema: &Schema, variables: &[(OsString, OsString)]) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(VARIABLE_PREFIX)) else { continue };
        if name == CONFIG_VARIABLE {
            environment.config = Some(PathBuf::from(value));
        } else if let Some(key) = schema.key_of_variable(name) {
            environment.layer.read_text(key, value, Origin::Environment(name.to_owned()));
        } else if !schema.is_variable_of_relative(name) {
            environment.layer.errors.push(unknown_variable(schema, name));
        }
    }
    // The order of the variables in a process is arbitrary; the order of messages is not.
    environment.layer.errors.sort_by(|one, other| one.key().cmp(&other.key()));
    environment
}

fn unknown_variable(schema: &Schema, name: &str) -> SettingError {
    let known: Vec<String> = schema.keys.iter().map(|key| variable_of(key.path)).collect();
    let hint = nearest(name, known.iter().map(String::as_str).chain([CONFIG_VARIABLE])).map_or_else(
        || format!("unset it, or see docs/config.md for the variables of {}", schema.program),
        |near| format!("did you mean \"{near}\"?"),
    );
    SettingError::UnknownKey { origin: Origin::Environment(shortened(name)), key: shortened(name), hint }
}

/// The error for a path of the file that leads nowhere.
pub(super) fn unknown_key(schema: &Schema, path: &str, origin: Origin) -> SettingError {
    let known = schema.paths_near(path);
    let other = schema.relatives.iter().find(|other| other.keys.contains(&path));
    let hint = match (other, nearest(path, known.iter().map(String::as_str))) {
        (Some(other), _) => format!("it is a key of {}, not of {}", other.program, schema.program),
        (None, Some(near)) => format!("did you mean \"{near}\"?"),
        (None, None) => format!("docs/config.md lists the keys of {}", schema.program),
    };
    SettingError::UnknownKey { origin, key: shortened(path), hint }
}
