//! docs/config.md holds what the schemas declare.

use std::{fs, path::Path};

use control::settings::reference::refreshed;

/// Folder of the workspace, seen from this crate.
const WORKSPACE: &str = "../..";

#[test]
fn the_reference_is_up_to_date() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join(WORKSPACE).join("docs/config.md");
    let found = fs::read_to_string(&document).expect("docs/config.md is readable");
    let expected = refreshed(&found).expect("docs/config.md has all markers");
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
