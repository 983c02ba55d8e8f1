//! What must hold for the schema of every binary.

use std::{collections::BTreeSet, mem::discriminant};

use super::*;
use crate::settings::{edge, node};

const SCHEMAS: [&Schema; 2] = [&edge::SCHEMA, &node::SCHEMA];

fn all_keys(schema: &Schema) -> impl Iterator<Item = &'static Key> {
    schema.keys.iter().chain(schema.family.iter().flat_map(|family| family.keys))
}

#[test]
fn defaults_are_allowed_by_their_kinds() {
    for key in SCHEMAS.into_iter().flat_map(all_keys) {
        if let Preset::Is(text) = key.preset {
            assert!(key.kind.parse_text(text).is_some(), "{}: {text} is not {}", key.path, key.kind.allowed());
        }
    }
}

#[test]
fn paths_flags_and_variables_are_unique() {
    for schema in SCHEMAS {
        let mut paths = BTreeSet::new();
        let mut variables = BTreeSet::new();
        for key in schema.keys {
            assert!(paths.insert(key.path), "{} twice", key.path);
            assert!(variables.insert(variable_of(key.path)), "{} shares its variable", key.path);
            assert_ne!(key.path, "config", "the variable of the file's name");
            if let Some(flag) = key.flag {
                assert_eq!(flag.name, key.path.replace('_', "-"), "a flag is named like its key");
            }
        }
    }
}

#[test]
fn keys_stand_by_section_and_are_documented() {
    for schema in SCHEMAS {
        let sections: Vec<&str> =
            schema.keys.iter().map(|key| key.path.split_once('.').map_or("", |(section, _)| section)).collect();
        let mut runs = sections.clone();
        runs.dedup();
        let distinct: BTreeSet<&str> = sections.iter().copied().collect();
        assert_eq!(runs.len(), distinct.len(), "a section's keys stand together in {}", schema.program);
        assert_eq!(sections.first(), Some(&""), "keys of no section come first: TOML could not say them later");
    }
    for key in SCHEMAS.into_iter().flat_map(all_keys) {
        assert!(!key.doc.is_empty() && !key.doc.ends_with('.') && !key.doc.contains(['|', '\n']), "{}", key.path);
    }
}

#[test]
fn rules_compare_keys_of_one_kind_whose_defaults_obey() {
    for schema in SCHEMAS {
        for rule in schema.rules {
            let lesser = schema.key(rule.lesser).expect("the rule names a key");
            let bound = schema.key(rule.bound).expect("the rule names a key");
            assert_eq!(discriminant(&lesser.kind), discriminant(&bound.kind), "{}", rule.lesser);
            let (Preset::Is(small), Preset::Is(large)) = (lesser.preset, bound.preset) else {
                panic!("{} and {} have defaults", rule.lesser, rule.bound)
            };
            let magnitude = |key: &Key, text| key.kind.parse_text(text).and_then(|value| value.magnitude());
            assert!(magnitude(lesser, small).is_some());
            assert!(magnitude(lesser, small) <= magnitude(bound, large), "{}", rule.lesser);
        }
    }
}

#[test]
fn keys_of_both_binaries_are_of_one_kind() {
    for key in edge::SCHEMA.keys {
        if let Some(twin) = node::SCHEMA.key(key.path) {
            assert_eq!(key.kind, twin.kind, "{}", key.path);
            assert_eq!(key.flag, twin.flag, "{}", key.path);
        }
    }
}

#[test]
fn table_names_have_a_narrow_alphabet() {
    let longest = "x".repeat(TABLE_NAME_BYTES_MAX);
    let too_long = "x".repeat(TABLE_NAME_BYTES_MAX + 1);
    for (name, allowed) in [
        ("default", true),
        ("a-b_9", true),
        (longest.as_str(), true),
        ("", false),
        ("A", false),
        ("a.b", false),
        ("a/b", false),
        ("{a}", false),
        ("é", false),
        (too_long.as_str(), false),
    ] {
        assert_eq!(is_table_name(name), allowed, "{name:?}");
    }
}
