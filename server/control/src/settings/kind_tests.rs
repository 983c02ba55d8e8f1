//! What each kind accepts and refuses, as flags and as TOML.

use super::*;

const SIZE: Kind = Kind::Bytes { min: 1024, max: 4096 };
const TIME: Kind = Kind::Duration { min: Duration::from_millis(10), max: Duration::from_secs(10) };
const COUNT: Kind = Kind::Count { min: 1, max: 9 };
const WORD: Kind = Kind::Choice(&["hash", "cpu"]);
const TEXT: Kind = Kind::Text { bytes_max: 3 };
const LIST: Kind = Kind::Texts { count_max: 2, bytes_max: 3 };
const MAP: Kind = Kind::TextMap { count_max: 2, bytes_max: 3 };
const FILE: Kind = Kind::Content { bytes_max: 3 };

/// Kind, text, and how the accepted value is written again; `None` when it is refused.
const TEXTS: &[(Kind, &str, Option<&str>)] = &[
    (SIZE, "1KiB", Some("1KiB")),
    (SIZE, "4KiB", Some("4KiB")),
    (SIZE, "2000B", Some("2000B")),
    (SIZE, "1023B", None),
    (SIZE, "4097B", None),
    (SIZE, "2048", None),
    (TIME, "10ms", Some("10ms")),
    (TIME, "10000ms", Some("10s")),
    (TIME, "9999us", None),
    (TIME, "10001ms", None),
    (TIME, "5", None),
    (COUNT, "1", Some("1")),
    (COUNT, "9", Some("9")),
    (COUNT, "0", None),
    (COUNT, "10", None),
    (COUNT, "1B", None),
    (Kind::Bool, "true", Some("true")),
    (Kind::Bool, "false", Some("false")),
    (Kind::Bool, "yes", None),
    (Kind::Bool, "True", None),
    (Kind::Address, "127.0.0.1:1", Some("127.0.0.1:1")),
    (Kind::Address, "unix:/run/a", Some("unix:/run/a")),
    (Kind::Address, "localhost:1", None),
    (Kind::Addresses, "127.0.0.1:1,[::1]:2", Some("127.0.0.1:1,[::1]:2")),
    (Kind::Addresses, "127.0.0.1:1,127.0.0.1:1", None),
    (Kind::Addresses, "127.0.0.1:1,", None),
    (Kind::Addresses, "", None),
    (Kind::Cores, "auto", Some("auto")),
    (Kind::Cores, "profile", Some("profile")),
    (Kind::Cores, "0", Some("0")),
    (Kind::Cores, "0-2,8", Some("0,1,2,8")),
    (Kind::Cores, "8191", Some("8191")),
    (Kind::Cores, "8192", None),
    (Kind::Cores, "0-8191", None),
    (Kind::Cores, "3-1", None),
    (Kind::Cores, "0,0", None),
    (Kind::Cores, "0-2,1", None),
    (Kind::Cores, "-1", None),
    (Kind::Cores, "1-", None),
    (Kind::Cores, "", None),
    (Kind::Cores, "all", None),
    (Kind::ControlCpu, "auto", Some("auto")),
    (Kind::ControlCpu, "8191", Some("8191")),
    (Kind::ControlCpu, "8192", None),
    (Kind::ControlCpu, "profile", None),
    (Kind::ControlCpu, "0,1", None),
    (WORD, "hash", Some("hash")),
    (WORD, "cpu", Some("cpu")),
    (WORD, "CPU", None),
    (WORD, "", None),
    (Kind::Path, "a/b", Some("a/b")),
    (Kind::Path, "", None),
    (Kind::Path, "a\0b", None),
    (TEXT, "abc", Some("abc")),
    (TEXT, "abcd", None),
    (TEXT, "", None),
    (LIST, "a,bc", Some("a,bc")),
    (LIST, "a,b,c", None),
    (LIST, "a,a", None),
    (LIST, "abcd", None),
    (LIST, "a,", None),
    (MAP, "a=b", None),
    (FILE, "a/b", Some("a/b")),
    (FILE, "", None),
    (FILE, "a\0b", None),
];

/// Kind, TOML expression, and how the accepted value is written again; `None` when it is refused.
const EXPRESSIONS: &[(Kind, &str, Option<&str>)] = &[
    (SIZE, "\"1KiB\"", Some("1KiB")),
    (SIZE, "2048", None),
    (TIME, "'10ms'", Some("10ms")),
    (TIME, "1.5", None),
    (COUNT, "9", Some("9")),
    (COUNT, "0x9", Some("9")),
    (COUNT, "-1", None),
    (COUNT, "\"9\"", None),
    (COUNT, "9.0", None),
    (Kind::Bool, "true", Some("true")),
    (Kind::Bool, "\"true\"", None),
    (Kind::Bool, "1", None),
    (Kind::Address, "\"127.0.0.1:1\"", Some("127.0.0.1:1")),
    (Kind::Address, "[\"127.0.0.1:1\"]", None),
    (Kind::Addresses, "[\"127.0.0.1:1\", \"[::1]:2\"]", Some("127.0.0.1:1,[::1]:2")),
    (Kind::Addresses, "\"127.0.0.1:1\"", Some("127.0.0.1:1")),
    (Kind::Addresses, "[]", None),
    (Kind::Addresses, "[8080]", None),
    (Kind::Addresses, "[\"127.0.0.1:1,127.0.0.1:2\"]", None),
    (Kind::Cores, "[0, 2, 4]", Some("0,2,4")),
    (Kind::Cores, "\"0-1\"", Some("0,1")),
    (Kind::Cores, "[]", None),
    (Kind::Cores, "[0, 0]", None),
    (Kind::Cores, "[-1]", None),
    (Kind::Cores, "[65536]", None),
    (Kind::Cores, "[\"0\"]", None),
    (Kind::Cores, "4", None),
    (WORD, "\"cpu\"", Some("cpu")),
    (WORD, "true", None),
    (Kind::Path, "\"a\"", Some("a")),
    (Kind::Path, "{ a = 1 }", None),
    (Kind::Path, "1979-05-27", None),
    (TEXT, "\"abc\"", Some("abc")),
    (LIST, "[\"a\", \"bc\"]", Some("a,bc")),
    (LIST, "\"a,bc\"", Some("a,bc")),
    (LIST, "[\"a,b\"]", None),
    (LIST, "[1]", None),
    (LIST, "[]", None),
    (MAP, "{ b = \"1\", a = \"\" }", Some("a=,b=1")),
    (MAP, "{}", None),
    (MAP, "{ a = 1 }", None),
    (MAP, "{ a = \"1234\" }", None),
    (MAP, "{ abcd = \"1\" }", None),
    (MAP, "{ a = \"\", b = \"\", c = \"\" }", None),
    (MAP, "\"a\"", None),
    (FILE, "\"a\"", Some("a")),
    (FILE, "[\"a\"]", None),
];

#[test]
fn texts_are_accepted_within_their_range() {
    for (kind, text, expected) in TEXTS {
        let value = kind.parse_text(text);
        assert_eq!(value.as_ref().map(SettingValue::to_string).as_deref(), *expected, "{kind:?} {text:?}");
    }
}

#[test]
fn toml_is_accepted_in_the_type_of_its_kind() {
    for (kind, expression, expected) in EXPRESSIONS {
        let item: toml_edit::Value = expression.parse().expect("the case is TOML");
        let value = kind.parse_toml(&item);
        assert_eq!(value.as_ref().map(SettingValue::to_string).as_deref(), *expected, "{kind:?} {expression}");
    }
}

#[test]
fn accepted_values_are_read_back_from_their_own_toml() {
    for (kind, text, _) in TEXTS {
        let Some(value) = kind.parse_text(text) else { continue };
        let item: toml_edit::Value = value.to_toml().parse().expect("a value writes TOML");
        assert_eq!(kind.parse_toml(&item), Some(value), "{kind:?} {text:?}");
    }
}

#[test]
fn lists_and_maps_are_read_back_from_their_own_toml() {
    for (kind, expression, _) in EXPRESSIONS {
        let item: toml_edit::Value = expression.parse().expect("the case is TOML");
        let Some(value) = kind.parse_toml(&item) else { continue };
        let again: toml_edit::Value = value.to_toml().parse().expect("a value writes TOML");
        assert_eq!(kind.parse_toml(&again), Some(value), "{kind:?} {expression}");
    }
}

#[test]
fn lists_have_a_bound() {
    let addresses = |count: usize| (0..count).map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
    assert!(Kind::Addresses.parse_text(&addresses(LISTEN_ADDRESSES_MAX)).is_some());
    assert!(Kind::Addresses.parse_text(&addresses(LISTEN_ADDRESSES_MAX + 1)).is_none());
    assert!(Kind::Cores.parse_text(&format!("0-{}", CORES_MAX - 1)).is_some());
    assert!(Kind::Cores.parse_text(&format!("0-{CORES_MAX}")).is_none());
}
