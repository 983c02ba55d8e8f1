//! What an operator reads when the settings are refused, to the letter.

use control::settings::SettingError;

use super::*;

/// A line of an edge's file, and the whole message. The line stands second in the file.
const LINES: &[(&str, &str)] = &[
    (
        "memory = 1024",
        "etc/corelane.toml:2: memory: found 1024, allowed: a size from 16MiB to 16TiB, a whole number with a unit \
         (B, KiB, MiB, GiB, TiB, KB, MB, GB, TB)",
    ),
    (
        "edge_ttl = \"2h\"",
        "etc/corelane.toml:2: edge_ttl: found \"2h\", allowed: a duration from 0s to 1h, a whole number with a unit \
         (ns, us, ms, s, m, h, d)",
    ),
    ("region = 64", "etc/corelane.toml:2: region: found 64, allowed: a count from 0 to 63, without a unit"),
    ("cache_status = \"no\"", "etc/corelane.toml:2: cache_status: found \"no\", allowed: true or false"),
    ("accept_steering = 'rss'", "etc/corelane.toml:2: accept_steering: found 'rss', allowed: \"hash\" or \"cpu\""),
    (
        "admin = \":9180\"",
        "etc/corelane.toml:2: admin: found \":9180\", allowed: an IP address with a port, or \"unix:/absolute/path\"",
    ),
    (
        "admin = \"0.0.0.0:8080\"",
        "etc/corelane.toml:2: admin: 0.0.0.0:8080 cannot be used: listen takes it, which listens on 127.0.0.1:8080 (default); \
         name another port",
    ),
    (
        "listen = []",
        "etc/corelane.toml:2: listen: found [], allowed: 1 to 64 different addresses, each an IP address with a port \
         (\"127.0.0.1:8080\") or \"unix:/absolute/path\"",
    ),
    (
        "cores = [0, 0]",
        "etc/corelane.toml:2: cores: found [0, 0], allowed: \"auto\", \"profile\", or 1 to 256 different CPUs numbered 0 to 8191 \
         ([0, 2, 4] or \"0-3,8\")",
    ),
    ("topology = ''", "etc/corelane.toml:2: topology: found '', allowed: a path, not empty, at most 4095 bytes"),
    ("memroy = \"1GiB\"", "etc/corelane.toml:2: memroy: unknown key; did you mean \"memory\"?"),
    ("header_count = 9", "etc/corelane.toml:2: header_count: unknown key; did you mean \"limits.header_count\"?"),
    (
        "limits.heder_count = 9",
        "etc/corelane.toml:2: limits.heder_count: unknown key; did you mean \"limits.header_count\"?",
    ),
    ("[limit]", "etc/corelane.toml:2: limit: unknown key; did you mean \"limits\"?"),
    ("[[limits]]", "etc/corelane.toml:2: limits: found a table, allowed: a table [limits]"),
    ("limits = 3", "etc/corelane.toml:2: limits: found 3, allowed: a table [limits]"),
    (
        "[memory]",
        "etc/corelane.toml:2: memory: found a table, allowed: a size from 16MiB to 16TiB, a whole number with a \
         unit (B, KiB, MiB, GiB, TiB, KB, MB, GB, TB)",
    ),
    ("node_id = 1", "etc/corelane.toml:2: node_id: unknown key; it is a key of shardstored, not of corelane"),
    ("colour = 1", "etc/corelane.toml:2: colour: unknown key; docs/config.md lists the keys of corelane"),
    (
        "\"limits.idle_timeout\" = '9s'",
        "etc/corelane.toml:2: \"limits.idle_timeout\": unknown key; did you mean \"limits.idle_timeout\"?",
    ),
    (
        "keyspace.'a.ttl' = 1",
        "etc/corelane.toml:2: keyspace.\"a.ttl\": found the name \"\"a.ttl\"\", allowed: names of 1 to 63 bytes of a-z, 0-9, \
         \"_\" and \"-\"",
    ),
    ("keyspace = 1", "etc/corelane.toml:2: keyspace: found 1, allowed: a table [keyspace]"),
    ("keyspace.a = 1", "etc/corelane.toml:2: keyspace.a: found 1, allowed: a table [keyspace.a]"),
    ("keyspace.a.tll = '1s'", "etc/corelane.toml:2: keyspace.a.tll: unknown key; did you mean \"keyspace.a.ttl\"?"),
    (
        "keyspace.Users.ttl = '1s'",
        "etc/corelane.toml:2: keyspace.Users: found the name \"Users\", allowed: names of 1 to 63 bytes of a-z, 0-9, \
         \"_\" and \"-\"",
    ),
    (
        "keyspace.a.value_bytes_max = '65MiB'",
        "etc/corelane.toml:2: keyspace.a.value_bytes_max: found '65MiB', allowed: a size from 1B to 64MiB, a whole number with a \
         unit (B, KiB, MiB, GiB, TiB, KB, MB, GB, TB)",
    ),
    (
        "limits.target_bytes = '17KiB'",
        "etc/corelane.toml:2: limits.target_bytes: found 17KiB, allowed: at most limits.header_bytes, which is 16KiB \
         (default)",
    ),
];

#[test]
fn a_line_at_fault_is_named_with_what_is_allowed() {
    for (line, message) in LINES {
        let file = format!("# first line\n{line}\n");
        let errors = Case { file: &file, ..Case::default() }.refused::<EdgeSettings>();
        assert_eq!(errors.to_string(), *message, "{line}");
    }
}

#[test]
fn broken_toml_is_named_with_its_line() {
    for (file, line) in
        [("memory = \n", 1), ("[limits\n", 1), ("a = 1\nb = \"x\nc = 2\n", 2), ("region = 1\nregion = 2\n", 2)]
    {
        let errors = Case { file, ..Case::default() }.refused::<EdgeSettings>();
        assert!(matches!(errors.errors(), [SettingError::Syntax { .. }]), "{errors}");
        assert_eq!(errors.errors()[0].line(), Some(line), "{errors}");
        assert!(errors.to_string().starts_with(&format!("{FILE}:{line}: not valid TOML: ")), "{errors}");
    }
}

/// Values and rules that are wrong are reported together, but no rule about a value that is not known.
#[test]
fn rules_are_checked_between_the_values_that_are_known() {
    let broken = "limits.target_bytes: found 17KiB";
    let cases: [(&str, &[&str]); 4] = [
        ("region = 64\nlimits.target_bytes = '17KiB'\n", &["region: found 64", broken]),
        ("limits.header_bytes = 1\nlimits.target_bytes = '17KiB'\n", &["limits.header_bytes: found 1"]),
        ("limits.heder_bytes = '32KiB'\nlimits.target_bytes = '17KiB'\n", &["limits.heder_bytes: unknown key"]),
        ("keyspace.A.ttl = '1s'\nlimits.target_bytes = '17KiB'\n", &["keyspace.A: found the name \"A\"", broken]),
    ];
    for (file, expected) in cases {
        let errors = Case { file, ..Case::default() }.refused::<EdgeSettings>().to_string();
        assert_eq!(errors.lines().count(), expected.len(), "{errors}");
        for (line, part) in errors.lines().zip(expected) {
            assert!(line.contains(part), "{line} has {part}");
        }
    }
}

#[test]
fn all_that_is_wrong_is_reported_at_once_and_in_order() {
    let errors = Case {
        arguments: &["--memory", "1"],
        environment: &[("CORELANE_REGION", "x"), ("CORELANE_ADMIN", "")],
        file: "[keyspace.default]\nttl = 5\n[limits]\nidle_timeout = 5\nidle = 1\nheader_count = 1\n",
    }
    .refused::<EdgeSettings>();
    let text = errors.to_string();
    let heads: Vec<&str> = text.lines().map(|line| line.split(", allowed").next().unwrap_or(line)).collect();
    let expected = [
        "flag --memory: memory: found \"1\"",
        "env CORELANE_ADMIN: admin: found \"\"",
        "env CORELANE_REGION: region: found \"x\"",
        "etc/corelane.toml:2: keyspace.default.ttl: found 5",
        "etc/corelane.toml:4: limits.idle_timeout: found 5",
        "etc/corelane.toml:5: limits.idle: unknown key; did you mean \"limits.idle_timeout\"?",
        "etc/corelane.toml:6: limits.header_count: found 1",
    ];
    assert_eq!(heads, expected);
}

#[test]
fn what_is_required_is_named_with_the_ways_to_set_it() {
    let errors = Case::default().refused::<NodeSettings>();
    assert_eq!(
        errors.to_string(),
        "node_id: not set, and it has no default; set it by --node-id, CORELANE_NODE_ID, or \"node_id = …\" in the \
         configuration file; allowed: a count from 1 to 65535, without a unit\n\
         topology: not set, and it has no default; set it by --topology, CORELANE_TOPOLOGY, or \"topology = …\" in the \
         configuration file; allowed: a path, not empty, at most 4095 bytes"
    );
    // A value that is there but wrong is not called missing as well.
    let errors =
        Case { arguments: &["--node-id", "0", "--topology", "t"], ..Case::default() }.refused::<NodeSettings>();
    assert_eq!(errors.errors().len(), 1, "{errors}");
}

#[test]
fn a_command_line_that_is_not_understood_is_told_alone() {
    for (arguments, message) in [
        (
            &["--memroy", "1GiB"][..],
            "command line: unexpected argument '--memroy' found; tip: a similar argument exists: '--memory'; see --help",
        ),
        (&["serve"], "command line: unexpected argument 'serve' found; see --help"),
        (&["--memory"], "command line: a value is required for '--memory <SIZE>' but none was supplied; see --help"),
        (
            &["--memory", "1GiB", "--memory", "2GiB"],
            "command line: the argument '--memory <SIZE>' cannot be used multiple times; see --help",
        ),
        (
            &["--against", "127.0.0.1:1"],
            "command line: the following required arguments were not provided: --check; see --help",
        ),
        (&["--node-id", "1"], "command line: unexpected argument '--node-id' found; see --help"),
    ] {
        let errors = Case { arguments, ..Case::default() }.refused::<EdgeSettings>();
        assert_eq!(errors.to_string(), message);
    }
}

#[test]
fn an_unreadable_file_does_not_hide_other_errors() {
    let case = Case { arguments: &["--config", "gone.toml", "--memory", "1"], ..Case::default() };
    let text = case.refused::<EdgeSettings>().to_string();
    assert_eq!(text.lines().count(), 2);
    assert!(text.ends_with("gone.toml: cannot be read: entity not found; it was named by flag --config"), "{text}");
}

#[test]
fn messages_stay_short_and_on_one_line() {
    let file = format!("memory = \"\"\"\n{}\"\"\"\n\"a\\nb\" = 1\n", "x".repeat(10_000));
    let errors = Case { file: &file, ..Case::default() }.refused::<EdgeSettings>();
    let text = errors.to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.lines().all(|line| line.len() < 400), "{text}");
}

#[test]
fn the_number_of_keyspaces_is_bounded() {
    let tables = |count: usize| (0..count).map(|index| format!("[keyspace.k{index}]\n")).collect::<String>();
    let most = tables(KEYSPACES_MAX);
    let settings = Case { file: &most, ..Case::default() }.loaded::<EdgeSettings>().settings;
    assert_eq!(settings.keyspace.len(), KEYSPACES_MAX + 1);
    let more = tables(KEYSPACES_MAX + 1);
    let errors = Case { file: &more, ..Case::default() }.refused::<EdgeSettings>();
    assert_eq!(
        errors.to_string(),
        "etc/corelane.toml:257: keyspace.k256: found one more, allowed: at most 256 such tables"
    );
}
