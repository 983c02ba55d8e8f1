//! The effective settings as text: TOML with the origin of each line for `--print-config`, JSON for `/v1/config`.
//!
//! **Not**: a place where a secret is written. **Invariants**: the TOML reads back as the same settings, secrets excepted.
//!
//! **Source**: TOML 1.0; docs/config.md for the shape of the JSON.

use std::fmt::Write as _;

use serde_json::{Map, json};

use super::{
    schema::Secrecy,
    tree::{Entry, SettingsTree},
};

/// What is shown in place of a secret that is set.
const REDACTED: &str = "(redacted)";

impl SettingsTree {
    /// The settings as a configuration file; each line says where its value came from.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut section = String::new();
        for (path, entry) in self.entries() {
            let (table, name) = path.rsplit_once('.').unwrap_or(("", &path));
            if table != section {
                table.clone_into(&mut section);
                write!(text, "\n{}\n", header(table)).expect("a string grows");
            }
            let line = match (&entry.value, entry.key.secrecy) {
                (None, _) => format!("# {name} is not set"),
                (Some(_), Secrecy::Secret) => format!("{name} = \"{REDACTED}\""),
                (Some(value), Secrecy::Shown) => format!("{name} = {}", value.to_toml()),
            };
            writeln!(text, "{line}  # from: {}", entry.origin).expect("a string grows");
        }
        text
    }

    /// The settings as JSON: `{"limits.idle_timeout": {"value": "75s", "from": "default", "change": "reload"}, …}`; a value
    /// that is not set is null, a secret that is set is `"(redacted)"`. `change` says what a new value needs to take effect.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let shown = |entry: &Entry| match (&entry.value, entry.key.secrecy) {
            (None, _) => serde_json::Value::Null,
            (Some(_), Secrecy::Secret) => REDACTED.into(),
            (Some(value), Secrecy::Shown) => value.to_json(),
        };
        let entries = self.entries().map(|(path, entry)| {
            let change = entry.key.change.word();
            let shown = json!({ "value": shown(entry), "from": entry.origin.to_string(), "change": change });
            (path, shown)
        });
        serde_json::Value::Object(entries.collect::<Map<_, _>>())
    }
}

/// The line a table begins with: `[limits]`, `[keyspace.users]`, `[[listener]]` for `listener[1]`, and `[listener.tls]` for a
/// table in that.
fn header(table: &str) -> String {
    match table.split_once('[') {
        None => format!("[{table}]"),
        Some((list, rest)) => match rest.split_once("].") {
            None => format!("[[{list}]]"),
            Some((_, inner)) => format!("[{list}.{inner}]"),
        },
    }
}
