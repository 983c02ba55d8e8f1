//! What must hold for the schema of a binary, and for settings made of any bytes: the body of the fuzz target `settings`.
//!
//! The first lines of the input, up to an empty one, are flags (they begin with `--`) and environment variables
//! (`NAME=VALUE`); the rest is the configuration file. Without an empty line all of it is the file.
//!
//! **Not**: part of what a binary does; its tests and fuzz targets call this.
//!
//! **Invariants**: no panic; a refusal has one line for each of its errors; what is accepted prints as a file that reads
//! back as the same settings.
//!
//! **Source**: the promises of [`super`] and of docs/config.md.

use std::{collections::BTreeSet, ffi::OsString, fmt::Debug, mem::discriminant, path::Path};

use super::{
    Invocation, Settings, SettingsSources, load,
    schema::{Preset, Schema, SettingKey, Table, TableItem, variable_of},
};

/// Checks a schema: names are unique, keys are documented, defaults are allowed and keep the rules.
///
/// # Panics
///
/// When something is wrong with it.
pub fn schema(schema: &Schema) {
    table(schema.table, true);
    let mut variables = BTreeSet::new();
    for (path, _) in schema.keys() {
        assert!(variables.insert(variable_of(&path)), "{path} shares its variable");
        assert!(!["config", "include"].contains(&path.as_str()), "{path} names files");
    }
    rules(schema);
}

fn table(table: &Table, is_outermost: bool) {
    let mut names = BTreeSet::new();
    let mut rank_before = 0;
    for item in table.items {
        assert!(names.insert(item.name()), "{} twice", item.name());
        let rank = match item {
            TableItem::Key(declared) => {
                key(declared);
                0
            }
            TableItem::Table(_, inner) => {
                self::table(inner, false);
                1
            }
            TableItem::Named(named) => {
                self::table(named.table, false);
                2
            }
            TableItem::List(list) => {
                self::table(list.table, false);
                2
            }
        };
        assert!(rank >= rank_before, "{} stands too late: TOML could not say it there", item.name());
        assert!(rank < 2 || is_outermost, "{} is in no outermost table", item.name());
        rank_before = rank;
    }
}

fn key(key: &SettingKey) {
    if let Preset::Is(text) | Preset::Unless(text, _) = key.preset {
        assert!(key.kind.parse_text(text).is_some(), "{}: {text} is not {}", key.name, key.kind.allowed());
    }
    if let Some(flag) = key.flag {
        assert_eq!(flag.name, key.name.replace('_', "-"), "a flag is named like its key");
    }
    assert!(!key.doc().is_empty() && !key.doc().contains(['|', '\n']), "{} has a sentence of help", key.name);
}

fn rules(schema: &Schema) {
    for rule in schema.rules {
        let lesser = schema.key(rule.lesser).expect("the rule names a key");
        let bound = schema.key(rule.bound).expect("the rule names a key");
        assert_eq!(discriminant(&lesser.kind), discriminant(&bound.kind), "{}", rule.lesser);
        let (Preset::Is(small), Preset::Is(large)) = (lesser.preset, bound.preset) else {
            panic!("{} and {} have defaults", rule.lesser, rule.bound)
        };
        let magnitude = |key: &SettingKey, text| key.kind.parse_text(text).and_then(|value| value.magnitude());
        assert!(magnitude(lesser, small).is_some());
        assert!(magnitude(lesser, small) <= magnitude(bound, large), "{}", rule.lesser);
    }
}

/// Checks the loader of `T` on the input.
///
/// # Panics
///
/// When a promise of the loader does not hold.
pub fn settings<T: Settings + PartialEq + Debug>(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (head, file) = text.split_once("\n\n").unwrap_or(("", &text));
    let (flags, variables): (Vec<&str>, Vec<&str>) = head.lines().partition(|line| line.starts_with("--"));
    let mut arguments: Vec<OsString> = flags.into_iter().map(OsString::from).collect();
    arguments.push("--config=/fuzz.toml".into());
    let environment = variables.iter().filter_map(|line| line.split_once('='));
    let environment = environment.map(|(name, value)| (name.into(), value.into())).collect();
    match load::<T>(&SettingsSources { arguments, environment, files: &|_: &Path| Ok(file.to_owned()) }) {
        Ok(Invocation::Serve(loaded) | Invocation::Check(loaded, _)) => {
            let printed = loaded.effective.to_toml();
            assert_eq!(reloaded::<T>(&printed), loaded.settings, "{printed}");
            assert!(loaded.effective.to_json().is_object());
        }
        Ok(Invocation::Print(text)) => assert!(text.ends_with('\n')),
        Err(errors) => assert_eq!(errors.to_string().lines().count(), errors.errors().len(), "{errors}"),
    }
}

fn reloaded<T: Settings>(printed: &str) -> T {
    let arguments = vec!["--config=/printed.toml".into()];
    match load::<T>(&SettingsSources { arguments, environment: Vec::new(), files: &|_: &Path| Ok(printed.to_owned()) })
    {
        Ok(Invocation::Serve(loaded)) => loaded.settings,
        Ok(Invocation::Check(..)) => panic!("a file cannot ask for a check"),
        Ok(Invocation::Print(text)) => panic!("nothing was asked to be printed: {text}"),
        Err(errors) => panic!("printed settings are valid: {errors}\n{printed}"),
    }
}
