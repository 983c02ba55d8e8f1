//! Loading as a whole: precedence, messages, and what is printed.

use std::{collections::BTreeMap, ffi::OsString, io, path::Path, time::Duration};

use control::settings::{Invocation, Loaded, SettingsErrors, SettingsSources, load};
use shardstored::settings::NodeSettings;

use super::*;

mod gateway;
mod messages;
mod shown;

const FILE: &str = "etc/corelane.toml";

/// What a case is loaded from; the file is named by a flag unless it is empty.
#[derive(Clone, Copy, Default)]
struct Case<'a> {
    arguments: &'a [&'a str],
    environment: &'a [(&'a str, &'a str)],
    file: &'a str,
}

impl Case<'_> {
    fn invoke<T: Settings>(&self) -> Result<Invocation<T>, SettingsErrors> {
        let mut arguments: Vec<OsString> = self.arguments.iter().map(OsString::from).collect();
        if !self.file.is_empty() {
            arguments.extend(["--config".into(), FILE.into()]);
        }
        let text = self.file.to_owned();
        load(&SettingsSources {
            arguments,
            environment: self.environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            files: &|file: &Path| {
                if file == Path::new(FILE) { Ok(text.clone()) } else { Err(io::ErrorKind::NotFound.into()) }
            },
        })
    }

    fn loaded<T: Settings>(&self) -> Loaded<T> {
        match self.invoke() {
            Ok(Invocation::Serve(loaded)) => *loaded,
            Ok(Invocation::Check(..)) => panic!("no check was asked for"),
            Ok(Invocation::Print(text)) => panic!("nothing was to be printed: {text}"),
            Err(errors) => panic!("the settings are valid: {errors}"),
        }
    }

    fn printed<T: Settings>(&self) -> String {
        match self.invoke::<T>() {
            Ok(Invocation::Print(text)) => text,
            Ok(Invocation::Serve(_) | Invocation::Check(..)) => panic!("something was to be printed"),
            Err(errors) => panic!("the settings are valid: {errors}"),
        }
    }

    fn refused<T: Settings>(&self) -> SettingsErrors {
        self.invoke::<T>().err().expect("the settings are invalid")
    }
}

fn tcp(text: &str) -> ListenAddress {
    ListenAddress::Tcp(text.parse().expect("an address"))
}

/// Who writes a bound has not asked for the default that is above it.
#[test]
fn a_default_follows_a_bound_that_was_written() {
    let file = "[limits]\nheader_bytes = \"4KiB\"\nbody_memory_bytes = \"1MiB\"\n";
    let limits = Case { file, ..Case::default() }.loaded::<EdgeSettings>().settings.limits;
    assert_eq!((limits.target_bytes, limits.body_bytes), (4 << 10, 1 << 20));
    let file = "node_id = 1\ntopology = \"t\"\n[limits]\nvalue_bytes = \"512KiB\"\nbytes_per_connection = \"128KiB\"\n";
    let limits = Case { file, ..Case::default() }.loaded::<NodeSettings>().settings.limits;
    assert_eq!(limits.frame_bytes, 128 << 10);
}

#[test]
fn the_edge_needs_no_configuration() {
    let settings = Case::default().loaded::<EdgeSettings>().settings;
    assert_eq!(settings.listen, [tcp("127.0.0.1:8080")]);
    assert_eq!(settings.admin, tcp("127.0.0.1:9180"));
    assert_eq!(settings.cores, Cores::Auto);
    assert_eq!(settings.accept_steering, AcceptSteering::Hash);
    assert_eq!(settings.memory, GIB);
    assert_eq!(settings.topology, None);
    assert!(settings.cache_status);
    assert_eq!(settings.edge_ttl, Duration::from_secs(1));
    assert_eq!(settings.drain_timeout, Duration::from_secs(30));
    assert_eq!(settings.limits.header_bytes as u64, 16 * KIB);
    assert_eq!(settings.limits.idle_timeout, Duration::from_secs(75));
    assert_eq!(settings.upstream.breaker_probe_time, Duration::from_millis(250));
    let default = KeyspaceSettings { ttl: Duration::ZERO, value_bytes_max: 64 << 20 };
    assert_eq!(settings.keyspace, BTreeMap::from([("default".to_owned(), default)]));
}

#[test]
fn a_node_needs_an_id_and_a_topology() {
    let settings = Case { arguments: &["--node-id", "7", "--topology", "t.toml"], ..Case::default() }
        .loaded::<NodeSettings>()
        .settings;
    assert_eq!(settings.node_id, 7);
    assert_eq!(settings.topology, Path::new("t.toml"));
    assert_eq!(settings.listen, [tcp("127.0.0.1:7401")]);
    assert_eq!(settings.admin, tcp("127.0.0.1:9280"));
    assert_eq!(settings.limits.requests_per_connection, 256);
    assert_eq!(u64::from(settings.limits.bytes_per_connection), 4 * MIB);
}

#[test]
fn a_file_sets_every_shape_of_value() {
    let file = r#"
        listen = ["127.0.0.1:80", "unix:/run/corelane.sock"]
        cores = [0, 2]
        accept_steering = "cpu"
        cache_status = false
        upstream.request_timeout = "250ms"
        limits = { header_count = 50 }
        [keyspace.default]
        ttl = "1m"
        [keyspace.users]
        value_bytes_max = "1KiB"
    "#;
    let settings = Case { file, ..Case::default() }.loaded::<EdgeSettings>().settings;
    assert_eq!(settings.listen, [tcp("127.0.0.1:80"), ListenAddress::Unix("/run/corelane.sock".into())]);
    assert_eq!(settings.cores, Cores::Cpus(vec![0, 2]));
    assert_eq!(settings.accept_steering, AcceptSteering::Cpu);
    assert!(!settings.cache_status);
    assert_eq!(settings.upstream.request_timeout, Duration::from_millis(250));
    assert_eq!(settings.limits.header_count, 50);
    assert_eq!(settings.keyspace["default"].ttl, Duration::from_secs(60));
    assert_eq!(settings.keyspace["users"].ttl, Duration::ZERO);
    assert_eq!(settings.keyspace["users"].value_bytes_max, 1024);
}

#[test]
fn flags_win_over_environment_over_file_over_default() {
    let all = Case {
        arguments: &["--memory", "4GiB"],
        environment: &[("CORELANE_MEMORY", "3GiB"), ("HOME", "/"), ("MEMORY", "x")],
        file: "memory = \"2GiB\"",
    };
    for (case, memory, origin) in [
        (all, 4 * GIB, "flag --memory"),
        (Case { arguments: &[], ..all }, 3 * GIB, "env CORELANE_MEMORY"),
        (Case { arguments: &[], environment: &[], ..all }, 2 * GIB, "file etc/corelane.toml:1"),
        (Case::default(), GIB, "default"),
    ] {
        let loaded = case.loaded::<EdgeSettings>();
        assert_eq!(loaded.settings.memory, memory, "{origin}");
        let (_, entry) = loaded.effective.entries().find(|(path, _)| path == "memory").expect("a key");
        assert_eq!(entry.origin.to_string(), origin);
    }
}

#[test]
fn a_repeated_flag_makes_a_list() {
    let arguments = &["--listen", "127.0.0.1:1", "--listen=127.0.0.1:2,127.0.0.1:3", "--cores", "0-1"];
    let settings = Case { arguments, ..Case::default() }.loaded::<EdgeSettings>().settings;
    assert_eq!(settings.listen, [tcp("127.0.0.1:1"), tcp("127.0.0.1:2"), tcp("127.0.0.1:3")]);
    assert_eq!(settings.cores, Cores::Cpus(vec![0, 1]));
}

#[test]
fn paths_are_relative_to_whoever_names_them() {
    let from_file = Case { file: "topology = \"t.toml\"", ..Case::default() };
    assert_eq!(from_file.loaded::<EdgeSettings>().settings.topology.as_deref(), Some(Path::new("etc/t.toml")));
    let absolute = Case { file: "topology = \"/t.toml\"", ..Case::default() };
    assert_eq!(absolute.loaded::<EdgeSettings>().settings.topology.as_deref(), Some(Path::new("/t.toml")));
    let from_flag = Case { arguments: &["--topology", "t.toml"], ..Case::default() };
    assert_eq!(from_flag.loaded::<EdgeSettings>().settings.topology.as_deref(), Some(Path::new("t.toml")));
}

#[test]
fn the_environment_may_name_the_file_and_a_flag_wins() {
    let environment = &[("CORELANE_CONFIG", "elsewhere.toml")];
    let errors = Case { environment, ..Case::default() }.refused::<EdgeSettings>();
    assert_eq!(
        errors.to_string(),
        "elsewhere.toml: cannot be read: entity not found; it was named by env CORELANE_CONFIG"
    );
    let named = Case { environment, file: "memory = \"2GiB\"", ..Case::default() };
    assert_eq!(named.loaded::<EdgeSettings>().settings.memory, 2 * GIB);
}

#[test]
fn one_environment_serves_both_binaries() {
    let environment = &[("CORELANE_NODE_ID", "3"), ("CORELANE_EDGE_TTL", "2s"), ("CORELANE_TOPOLOGY", "t")];
    let case = Case { environment, ..Case::default() };
    assert_eq!(case.loaded::<EdgeSettings>().settings.edge_ttl, Duration::from_secs(2));
    assert_eq!(case.loaded::<NodeSettings>().settings.node_id, 3);
}

/// What each key adds to the total, of a process with two data cores: the total without it is known, and it with it.
#[test]
fn every_part_of_the_memory_follows_its_key() {
    const USUAL: &str = "memory = \"64MiB\"\nlimits.body_memory_bytes = \"64MiB\"\nlimits.connection_memory_bytes = \"4MiB\"\n\
        limits.connections_per_core = 1024\n";
    let total = |replaced: &str, by: &str| {
        let text: &'static str = Box::leak(USUAL.replace(replaced, by).into_boxed_str());
        Case { file: text, ..Case::default() }.loaded::<EdgeSettings>().settings.memory_bound(2).total()
    };
    let usual = total("", "");
    assert_eq!(total("memory = \"64MiB\"", "memory = \"65MiB\"") - usual, MIB);
    assert_eq!(total("body_memory_bytes = \"64MiB\"", "body_memory_bytes = \"65MiB\"") - usual, 2 * 2 * MIB);
    assert_eq!(total("connection_memory_bytes = \"4MiB\"", "connection_memory_bytes = \"8MiB\"") - usual, 2 * 9 * MIB);
    assert_eq!(total("1024", "1025") - usual, 2 * memory::CONNECTION_BYTES);
    let with_nodes = total("limits.body", "topology = \"t\"\nlimits.body");
    assert_eq!(with_nodes - usual, 2 * 2 * 64 * MIB, "what comes from nodes, and what goes to them");
    assert_eq!(usual, 64 * MIB + 2 * (2 * 64 + 9) * MIB + 2 * 1024 * memory::CONNECTION_BYTES + fixed(2));
}

fn fixed(cores: u64) -> u64 {
    memory::PROCESS_BYTES + cores * memory::CORE_BYTES
}

#[test]
fn memory_is_taken_at_the_start_only_where_that_is_asked_for() {
    for (commit, bytes) in [("as-needed", 0), ("at-start", 64 * MIB)] {
        let text: &'static str =
            Box::leak(format!("memory = \"64MiB\"\nmemory_commit = \"{commit}\"\n").into_boxed_str());
        assert_eq!(Case { file: text, ..Case::default() }.loaded::<EdgeSettings>().settings.memory_at_start(), bytes);
    }
}

/// What a start asks the settings for, each with a value of its own.
#[test]
fn what_a_start_goes_by_is_what_was_set() {
    let file = "memory = \"96MiB\"\ntopology = \"/t.toml\"\ncommand_listen = \"127.0.0.1:9181\"\ncores = [1, 3]\ncores_map = \"/map.toml\"\n\
        control_cpu = 2\nupstream.connections_per_node = 5\n";
    let settings = Case { file, ..Case::default() }.loaded::<EdgeSettings>().settings;
    assert_eq!(settings.topology_file(), Some(Path::new("/t.toml")));
    assert_eq!(settings.command_listen(), Some(&tcp("127.0.0.1:9181")));
    assert_eq!(settings.memory(), 96 * MIB);
    let cpus = settings.cpus();
    assert_eq!((cpus.cores, cpus.map), (&Cores::Cpus(vec![1, 3]), Path::new("/map.toml")));
    assert_eq!(cpus.control, ControlCpu::Cpu(2));
    let node = |id: u32| format!("[[node]]\nid = {id}\naddress = \"10.0.0.{id}:7401\"\n");
    let nodes = [1, 2, 3].map(node).concat();
    let text = format!("cluster = \"c\"\nepoch = 1\n{nodes}[[assign]]\nslots = \"0-16383\"\nnode = 1\n");
    let topology = Topology::parse(&text).expect("a topology");
    assert_eq!(settings.node_connections_per_core(&topology), 3 * 5);
    let usual = Case::default().loaded::<EdgeSettings>().settings;
    assert_eq!((usual.topology_file(), usual.command_listen()), (None, None));
}

#[test]
fn cores_without_enough_memory_each_are_refused() {
    let settings = Case { file: "memory = \"64MiB\"", ..Case::default() }.loaded::<EdgeSettings>().settings;
    assert!(settings.check_start(1, None).is_ok());
    let fault = settings.check_start(1 << 20, None).expect_err("64 bytes for each");
    assert_eq!(fault.key, "memory");
}
