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
    schema::{Change, Schema, SettingKey, TableItem, VARIABLE_PREFIX, variable_of},
    value::SettingValue,
};

/// The variable that names the configuration file.
const CONFIG_VARIABLE: &str = "CORELANE_CONFIG";

/// The tables an operator has written that are not always there, by the name of what they belong to.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    /// Those of each `[name.NAME]`, with where they stand.
    pub(super) named: BTreeMap<String, BTreeMap<String, Origin>>,
    /// Those of each `[[name]]`, in order.
    pub(super) listed: BTreeMap<String, Vec<Origin>>,
}

impl Tables {
    /// Those that exist without being written.
    pub(super) fn always(schema: &Schema) -> Self {
        let mut tables = Self::default();
        for item in schema.table.items {
            if let TableItem::Named(named) = item {
                let always = named.always.iter().map(|name| ((*name).to_owned(), Origin::Default));
                tables.named.insert(named.name.to_owned(), always.collect());
            }
        }
        tables
    }

    pub(super) fn add(&mut self, other: Self) {
        for (name, tables) in other.named {
            self.named.entry(name).or_default().extend(tables);
        }
        self.listed.extend(other.listed);
    }

    /// Where the named or numbered table stands that the path leads into.
    pub(super) fn origin_of(&self, path: &str) -> Option<&Origin> {
        let mut parts = path.split('.');
        let first = parts.next()?;
        if let Some(tables) = self.named.get(first) {
            return tables.get(parts.next()?);
        }
        let (list, number) = first.strip_suffix(']')?.split_once('[')?;
        self.listed.get(list)?.get(number.parse::<usize>().ok()?.checked_sub(1)?)
    }

    /// Those of `next`, but for lists that a running process keeps.
    pub(super) fn adopting(&self, next: &Self, schema: &Schema) -> Self {
        let mut adopted = next.clone();
        for item in schema.table.items {
            if let TableItem::List(list) = item
                && list.change == Change::Restart
            {
                adopted.listed.remove(list.name);
                adopted.listed.extend(self.listed.get(list.name).map(|kept| (list.name.to_owned(), kept.clone())));
            }
        }
        adopted
    }
}

/// What one source says.
#[derive(Debug, Default)]
pub(super) struct SettingsLayer {
    /// The keys that are set, by path.
    pub(super) set: BTreeMap<String, (SettingValue, Origin)>,
    /// The tables it mentions that are not always there.
    pub(super) tables: Tables,
    /// What is wrong with it.
    pub(super) errors: Vec<SettingError>,
}

impl SettingsLayer {
    /// Sets the key from a text, or notes why not. Text that is not UTF-8 is allowed for no key: the file could not say it.
    pub(super) fn read_text(&mut self, key: &SettingKey, path: &str, text: &OsStr, origin: Origin) {
        match text.to_str().and_then(|text| key.kind.parse_text(text)) {
            Some(value) => {
                self.set.insert(path.to_owned(), (value, origin));
            }
            None => {
                let found = format!("\"{}\"", text.to_string_lossy());
                self.errors.push(SettingError::invalid(key, path, origin, &found));
            }
        }
    }
}

/// What the environment says.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// The keys that are set.
    pub(super) layer: SettingsLayer,
    /// The configuration file, where one is named.
    pub(super) config: Option<PathBuf>,
    /// Variables of the product that it does not have.
    pub(super) unknown: Vec<SettingError>,
}

/// Reads the variables of the product; all others are passed over.
///
/// A variable of another binary of the product is passed over too, since one environment file often serves both, and so is what
/// Kubernetes sets for a service of the product's name. Any other variable with the product's prefix is told of: a misspelt one would
/// otherwise be without effect and without a word; but it may be somebody else's, so that it stops nothing.
pub(super) fn read_environment(schema: &Schema, variables: &[(OsString, OsString)]) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(VARIABLE_PREFIX)) else { continue };
        if name == CONFIG_VARIABLE {
            environment.config = Some(PathBuf::from(value));
        } else if let Some((path, key)) = schema.key_of_variable(name) {
            environment.layer.read_text(key, &path, value, Origin::Environment(name.to_owned()));
        } else if !schema.is_variable_of_relative(name) && !is_service_link(name, value) {
            environment.unknown.push(unknown_variable(schema, name));
        }
    }
    environment.unknown.sort_by(|one, other| one.key().cmp(&other.key()));
    // The order of the variables in a process is arbitrary; the order of messages is not.
    environment.layer.errors.sort_by(|one, other| one.key().cmp(&other.key()));
    environment
}

/// Whether Kubernetes sets such a variable for a service whose name begins with the product's (documentation of Kubernetes, "Service",
/// "Environment variables").
fn is_service_link(name: &str, value: &OsStr) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.to_string_lossy().starts_with(scheme));
    let is_part = |part: &str| name.ends_with(part);
    (is_url && name.contains("_PORT"))
        || is_part("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || ["_TCP", "_UDP", "_SCTP"]
            .iter()
            .any(|protocol| ["_ADDR", "_PORT", "_PROTO"].iter().any(|part| is_part(&format!("{protocol}{part}"))))
}

fn unknown_variable(schema: &Schema, name: &str) -> SettingError {
    let variables = |(path, key): (String, &SettingKey)| {
        let variable = variable_of(&path);
        let section = path.strip_suffix(key.name).unwrap_or_default();
        let former = key.former.map(|former| (variable_of(&format!("{section}{former}")), variable.clone()));
        [(variable.clone(), variable)].into_iter().chain(former)
    };
    let config = (CONFIG_VARIABLE.to_owned(), CONFIG_VARIABLE.to_owned());
    let known: Vec<(String, String)> = schema.keys().into_iter().flat_map(variables).chain([config]).collect();
    let hint = nearest(name, &known).map_or_else(
        || format!("unset it, or see docs/config.md for the variables of {}", schema.program),
        |near| format!("did you mean \"{near}\"?"),
    );
    SettingError::UnknownKey { origin: Origin::Environment(shortened(name)), key: shortened(name), hint }
}

/// The error for a path of the file that leads nowhere.
pub(super) fn unknown_key(schema: &Schema, path: &str, origin: Origin) -> SettingError {
    let known = schema.candidates(path);
    let other = schema.relatives.iter().find(|other| other.keys.contains(&path));
    let hint = match (other, nearest(path, &known)) {
        (Some(other), _) => format!("it is a key of {}, not of {}", other.program, schema.program),
        (None, Some(near)) => format!("did you mean \"{near}\"?"),
        (None, None) => format!("docs/config.md lists the keys of {}", schema.program),
    };
    SettingError::UnknownKey { origin, key: shortened(path), hint }
}
