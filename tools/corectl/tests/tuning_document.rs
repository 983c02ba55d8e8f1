//! docs/tuning.md is what the declarations say.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use corectl::reference::refreshed;

#[test]
fn the_document_is_up_to_date() {
    let path = support::file("../../../docs/tuning.md");
    let found = std::fs::read_to_string(&path).unwrap();
    let expected = refreshed(&found).expect("docs/tuning.md has all markers");
    assert_eq!(support::golden_difference(&path, &expected), None, "docs/tuning.md is out of date");
}

#[test]
fn a_missing_marker_is_reported() {
    assert_eq!(refreshed("# Tuning\n"), None);
}
