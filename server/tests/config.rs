//! The settings of both binaries: docs/config.md holds what they declare, each knows the other's keys, and the seeds of the
//! fuzz target keep the loader's promises.

use std::{collections::BTreeSet, fs, path::Path};

use control::settings::{Settings, check, reference::refreshed, schema::Schema};
use corelane::settings::EdgeSettings;
use shardstored::settings::NodeSettings;

/// Folder of the workspace, seen from this crate.
const WORKSPACE: &str = "..";

const SCHEMAS: [&Schema; 2] = [EdgeSettings::SCHEMA, NodeSettings::SCHEMA];

#[test]
fn the_reference_is_up_to_date() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join(WORKSPACE).join("docs/config.md");
    let found = fs::read_to_string(&document).expect("docs/config.md is readable");
    let expected = refreshed(&found, &SCHEMAS).expect("docs/config.md has all markers");
    if found != expected {
        let written = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config.md");
        fs::write(&written, expected).expect("the target folder is writable");
        panic!(
            "docs/config.md is out of date; bring it up to date with: cp {} {}",
            written.display(),
            document.display()
        );
    }
}

#[test]
fn the_schemas_are_sound() {
    SCHEMAS.into_iter().for_each(check::schema);
}

#[test]
fn each_binary_knows_the_keys_that_only_the_other_has() {
    let paths = |schema: &Schema| schema.keys().into_iter().map(|(path, _)| path).collect::<BTreeSet<String>>();
    for (schema, other) in [(SCHEMAS[0], SCHEMAS[1]), (SCHEMAS[1], SCHEMAS[0])] {
        let [relative] = schema.relatives else { panic!("the product has two binaries") };
        assert_eq!(relative.program, other.program);
        let expected = &paths(other) - &paths(schema);
        let known: BTreeSet<String> = relative.keys.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(known, expected, "{}", schema.program);
    }
}

#[test]
fn keys_of_both_binaries_are_of_one_kind() {
    for (path, key) in SCHEMAS[0].keys() {
        let Some(twin) = SCHEMAS[1].key(&path) else { continue };
        assert_eq!((key.kind, key.flag, key.change), (twin.kind, twin.flag, twin.change), "{path}");
    }
}

#[test]
fn the_seeds_hold() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("control/fuzz/seeds/settings");
    let mut count = 0;
    for entry in fs::read_dir(seeds).expect("the seeds are committed") {
        let input = fs::read(entry.expect("an entry").path()).expect("a readable seed");
        // Every seed cut short is an input of its own.
        for end in 0..=input.len() {
            check::settings::<EdgeSettings>(&input[..end]);
            check::settings::<NodeSettings>(&input[..end]);
        }
        count += 1;
    }
    assert!(count >= 5, "only {count} seeds");
}
