//! What is printed: effective settings, JSON, verdict, help, version; and that secrets are not.

use super::*;

#[test]
fn print_config_says_where_each_value_came_from() {
    let text = Case {
        arguments: &["--print-config", "--memory=2GiB"],
        environment: &[("CORELANE_LIMITS_IDLE_TIMEOUT", "60s")],
        file: "\ncores = [1, 3]\n[keyspace.users]\nttl = \"10s\"\n",
    }
    .printed::<EdgeSettings>();
    for line in [
        "listen = [\"127.0.0.1:8080\"]  # from: default",
        "cores = [1, 3]  # from: file etc/corelane.toml:2",
        "memory = \"2GiB\"  # from: flag --memory",
        "# topology is not set  # from: default",
        "cache_status = true  # from: default",
        "[limits]",
        "header_count = 100  # from: default",
        "idle_timeout = \"1m\"  # from: env CORELANE_LIMITS_IDLE_TIMEOUT",
        "[keyspace.default]",
        "[keyspace.users]",
        "ttl = \"10s\"  # from: file etc/corelane.toml:4",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn printed_settings_read_back_as_the_same() {
    let case = Case {
        arguments: &["--listen", "127.0.0.1:1,unix:/run/a b.sock", "--topology", "/odd \"name\"\\.toml"],
        environment: &[("CORELANE_ACCEPT_STEERING", "cpu"), ("CORELANE_UPSTREAM_REQUEST_TIMEOUT", "1500us")],
        file: "[keyspace.a-b]\nvalue_bytes_max = '1000B'\n",
    };
    let first = case.loaded::<EdgeSettings>();
    let printed = first.effective.to_toml();
    let second = Case { file: &printed, ..Case::default() }.loaded::<EdgeSettings>();
    assert_eq!(first.settings, second.settings, "{printed}");

    let node = Case { arguments: &["--node-id", "9", "--topology", "/t"], ..Case::default() }.loaded::<NodeSettings>();
    let printed = node.effective.to_toml();
    assert_eq!(Case { file: &printed, ..Case::default() }.loaded::<NodeSettings>().settings, node.settings);
}

#[test]
fn json_has_a_value_and_an_origin_for_every_key() {
    let effective = Case { arguments: &["--cores", "0,1"], ..Case::default() }.loaded::<EdgeSettings>().effective;
    let json = effective.to_json();
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(effective.entries().count()));
    for (key, value, from) in [
        ("cores", serde_json::json!([0, 1]), "flag --cores"),
        ("listen", serde_json::json!(["127.0.0.1:8080"]), "default"),
        ("memory", serde_json::json!("1GiB"), "default"),
        ("topology", serde_json::Value::Null, "default"),
        ("cache_status", serde_json::json!(true), "default"),
        ("limits.header_count", serde_json::json!(100), "default"),
        ("keyspace.default.ttl", serde_json::json!("0s"), "default"),
    ] {
        assert_eq!(json[key]["value"], value, "{key}");
        assert_eq!(json[key]["from"], from, "{key}");
    }
}

#[test]
fn check_gives_the_settings_but_serves_nothing() {
    let case = Case { arguments: &["--check", "--memory", "2GiB"], ..Case::default() };
    let Ok(Invocation::Check(loaded, None)) = case.invoke::<EdgeSettings>() else { panic!("a check was asked for") };
    assert_eq!(loaded.settings.memory, 2 << 30);
    assert_eq!(case.refused::<NodeSettings>().errors().len(), 2);
}

#[test]
fn help_names_flag_variable_and_default() {
    for help in ["--help", "-h"] {
        let text = Case { arguments: &[help, "--memory", "nonsense"], ..Case::default() }.printed::<EdgeSettings>();
        for words in ["Usage: corelane [OPTIONS]", "--memory <SIZE>", "[env: CORELANE_MEMORY]", "[default: 1GiB]"] {
            assert!(text.contains(words), "{words:?} is not in\n{text}");
        }
        assert!(!text.contains("--node-id"), "a flag of shardstored in the help of corelane");
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    }
    let version = Case { arguments: &["--version"], ..Case::default() };
    assert_eq!(version.printed::<NodeSettings>(), format!("shardstored {}\n", control::build::VERSION));
}

static SECRETIVE: Schema = Schema {
    program: "secretive",
    about: "A binary with a secret.",
    table: Secretive::TABLE,
    rules: &[],
    relatives: &[],
    explains: false,
};

settings! {
    /// Settings with a secret.
    struct Secretive {
        /// A secret.
        token: Option<String> = SettingKey::new(Kind::Text { bytes_max: 8 }).secret(),
    }
}

impl Settings for Secretive {
    const SCHEMA: &'static Schema = &SECRETIVE;
}

#[test]
fn a_secret_is_used_and_never_shown() {
    let set = Case { file: "token = \"hunter2\"", ..Case::default() };
    let loaded = set.loaded::<Secretive>();
    assert_eq!(loaded.settings.token.as_deref(), Some("hunter2"));
    let print = Case { arguments: &["--print-config"], ..set };
    let wrong_file = Case { file: "token = \"hunter2-too-long\"", ..Case::default() };
    let wrong_variable = Case { environment: &[("CORELANE_TOKEN", "hunter2-too-long")], ..Case::default() };
    let shown = [
        print.printed::<Secretive>(),
        loaded.effective.to_json().to_string(),
        wrong_file.refused::<Secretive>().to_string(),
        wrong_variable.refused::<Secretive>().to_string(),
    ];
    for text in &shown {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(shown[0].contains("token = \"(redacted)\"  # from: file etc/corelane.toml:1"), "{}", shown[0]);
    assert_eq!(
        shown[2], "etc/corelane.toml:1: token: found a secret, allowed: text of 1 to 8 bytes",
        "a secret's message still says what is allowed"
    );
}
