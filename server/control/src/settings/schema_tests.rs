//! Names of tables.

use super::*;

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
