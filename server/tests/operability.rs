//! What service managers, balancers and operators rely on, against the real binary.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use support::PATIENCE;
use support::client::Client;
use support::process_control::{HeldThread, Manager, order};
use support::server::{Addresses, Plan, Running, Server, Waiting, own_folder, program};

const READYZ: &str = "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n";

fn status(server: &Server) -> serde_json::Value {
    let page = Client::connect(server.admin).ask("GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n");
    serde_json::from_slice(&page.body).unwrap()
}

/// The CPUs of each thread of a process, as the kernel lists them, by the thread's name.
fn cpus_by_thread(process: u32) -> BTreeMap<String, String> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of_thread = |folder: &Path| {
        let status = std::fs::read_to_string(folder.join("status")).ok()?;
        let value = |name: &str| status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
        Some((value("Name:")?, value("Cpus_allowed_list:")?))
    };
    // One that ends meanwhile has no status any more.
    threads.filter_map(|thread| of_thread(&thread.unwrap().path())).collect()
}

#[test]
fn threads_have_the_cpus_of_the_map_of_cores() {
    let allowed = reactor::cpu::allowed().unwrap();
    // On a host with one CPU everything shares it, which the map may say where nothing else exists.
    let (control, data) = (allowed[0], *allowed.last().unwrap());
    let folder = own_folder();
    let map = folder.join("cores.toml");
    let text = format!("version = 1\ncontrol_cpu = {control}\n[[core]]\ncpu = {data}\nnuma_node = 0\n");
    std::fs::write(&map, text).unwrap();
    let config = format!("memory = \"64MiB\"\ncores_map = \"{}\"\n", map.display());
    let server = Server::start(&Plan { config: &config, cores: Some("profile"), ..Plan::default() });
    let waiting = Waiting::begin();
    for (cpu, name) in
        [(data, "core-0"), (control, "control"), (control, "log"), (control, "files-config"), (control, "access-log")]
    {
        // A thread names itself a moment after it has started.
        while !cpus_by_thread(server.process()).contains_key(name) {
            waiting.go_on(|| format!("no thread {name}: {:?}", cpus_by_thread(server.process())));
        }
        assert_eq!(cpus_by_thread(server.process())[name], cpu.to_string(), "{name}");
    }
    assert_eq!(status(&server)["control_cpu"], control);
    let _ = std::fs::remove_dir_all(folder);
}

/// A server that a manager has started.
fn managed(manager: &Path, watchdog_us: &str, addresses: &Addresses) -> Running {
    let mut command = program(env!("CARGO_BIN_EXE_corelane"));
    command.args(addresses.flags()).args(["--cores=0", "--memory=64MiB"]).stderr(Stdio::null());
    command.env("NOTIFY_SOCKET", manager).env("WATCHDOG_USEC", watchdog_us).env_remove("WATCHDOG_PID");
    Running(command.spawn().unwrap())
}

#[test]
fn a_process_control_is_told_of_start_reload_and_end() {
    let folder = own_folder();
    let path = folder.join("notify");
    let mut manager = Manager::at(&path);
    let addresses = Addresses::own();
    let mut server = managed(&path, "0", &addresses);
    let first = manager.next();
    assert!(first.starts_with("READY=1\nSTATUS=Serving: 0 connections"), "{first}");
    assert_eq!(Client::connect(addresses.admin).ask(READYZ).status, 200, "it is ready when it says so");
    server.signal("HUP");
    manager.expect_reload();
    server.signal("TERM");
    let stopping = manager.expect("STOPPING=1\n");
    assert!(stopping.contains("\nEXTEND_TIMEOUT_USEC=35000000\nSTATUS=Ending"), "{stopping}");
    assert_eq!(server.await_end(), Some(0));
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn a_data_core_that_stands_still_ends_the_signs_of_life() {
    let folder = own_folder();
    let path = folder.join("notify");
    let mut manager = Manager::at(&path);
    let addresses = Addresses::own();
    let server = managed(&path, "400000", &addresses);
    manager.expect("READY=1");
    manager.expect("WATCHDOG=1");
    let held = HeldThread::hold(server.0.id(), "core-0");
    // The control thread runs on; the last sign of life is of the time before its beats were missed.
    let waiting = Waiting::begin();
    while !readiness(addresses.admin).starts_with("HTTP/1.1 503 ") {
        waiting.go_on(|| "the process is ready without its core".to_owned());
    }
    manager.arrived();
    // Two of the control thread's seconds: signs of life would come every 0.2 s.
    for _ in 0..2 {
        let before = silence(addresses.admin);
        let waiting = Waiting::begin();
        while silence(addresses.admin) == before {
            waiting.go_on(|| "the control thread does not run".to_owned());
        }
    }
    let arrived = manager.arrived();
    assert!(!arrived.iter().any(|message| message.starts_with("WATCHDOG")), "{arrived:?}");
    drop(held);
    manager.expect("WATCHDOG=1");
    let _ = std::fs::remove_dir_all(folder);
}

/// What `/readyz` answers, head and body.
fn readiness(admin: SocketAddr) -> String {
    let mut client = Client::connect(admin);
    client.send(READYZ.as_bytes());
    // It is no problem of the request's, and has the reasons as they are.
    let _ = client.answer();
    String::from_utf8(client.received).unwrap()
}

/// For how long the held core has not answered, as the control thread counts it.
fn silence(admin: SocketAddr) -> String {
    let answer = readiness(admin);
    answer[answer.find("has not answered for").unwrap_or_else(|| panic!("{answer}"))..].to_owned()
}

const PUT: &str = "PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";
const GET: &str = "GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn a_drain_by_request_is_told_everywhere_lasts_over_a_reload_and_can_be_taken_back() {
    let folder = own_folder();
    let socket = folder.join("command");
    let config = format!("memory = \"64MiB\"\nlame_duck = \"1h\"\ncommand_listen = \"unix:{}\"\n", socket.display());
    let mut server = Server::start(&Plan { config: &config, ..Plan::default() });
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600, "the owner alone commands");
    let refused = Client::connect(server.admin).ask("POST /v1/drain HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(refused.status, 403, "not where it is scraped");
    assert_eq!(Client::connect(server.admin).ask(READYZ).status, 200);

    let mut client = Client::connect(server.address);
    assert!(client.ask(PUT).status < 300);
    let (code, answer) = order(&socket, "/v1/drain");
    assert_eq!((code, &answer["drain"]["cause"], &answer["connections"]), (200, &"request".into(), &1.into()));
    server.await_event("drain_requested");
    let unready = readiness(server.admin);
    let since = answer["drain"]["since"].as_str().unwrap();
    assert!(
        unready.starts_with("HTTP/1.1 503 ") && unready.contains(&format!("draining by request since {since}")),
        "{unready}"
    );
    assert_eq!(status(&server)["drain"]["since"], since);
    assert!(server.metric("corelane_drain_start_time_seconds") > 1_700_000_000);
    assert!(!client.ask(GET).closes(), "in the first half of its time connections stay");
    let mut late = Client::connect(server.address);
    assert_eq!(late.ask(GET).status, 200, "whoever connects is served");

    // With half of a second the second half has begun.
    server.write("corelane.toml", &config.replace("1h", "1s"));
    server.signal("HUP");
    server.await_event("closing_connections");
    assert_eq!(status(&server)["drain"]["since"], since, "a reload ends no drain");
    for client in [&mut client, &mut late] {
        let waiting = Waiting::begin();
        loop {
            let answer = client.ask(GET);
            assert_eq!(answer.status, 200);
            if answer.closes() {
                break;
            }
            waiting.go_on(|| "responses do not end their connections".to_owned());
        }
        client.end().unwrap();
    }
    assert_eq!(Client::connect(server.address).ask(GET).status, 200, "connections are still taken");

    let (code, answer) = order(&socket, "/v1/undrain");
    assert_eq!((code, &answer["drain"]), (200, &serde_json::Value::Null));
    server.await_event("drain_withdrawn");
    server.await_event("keeping_connections");
    assert_eq!(Client::connect(server.admin).ask(READYZ).status, 200);
    assert_eq!(server.metric("corelane_drain_start_time_seconds"), 0);
    let waiting = Waiting::begin();
    while Client::connect(server.address).ask(GET).closes() {
        waiting.go_on(|| "responses still end their connections".to_owned());
    }
    server.terminate();
    assert_eq!(server.await_exit(PATIENCE), 0);
    assert!(!socket.exists(), "a clean stop removes its sockets");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn a_lame_duck_takes_connections_after_the_signal_and_cannot_be_undrained() {
    let folder = own_folder();
    let socket = folder.join("command");
    let config = format!("memory = \"64MiB\"\nlame_duck = \"1h\"\ncommand_listen = \"unix:{}\"\n", socket.display());
    let mut server = Server::start(&Plan { config: &config, ..Plan::default() });
    let mut client = Client::connect(server.address);
    client.ask(PUT);
    server.terminate();
    let line = server.await_event("lame_duck");
    assert!(line.contains("connections=1") && line.contains("seconds=3600"), "{line}");
    assert!(readiness(server.admin).contains("draining by signal since"), "{}", readiness(server.admin));
    assert_eq!((client.ask(GET).status, Client::connect(server.address).ask(GET).status), (200, 200));
    assert_eq!(status(&server)["state"], "lame-duck");
    assert_eq!(order(&socket, "/v1/undrain").0, 409);
    assert_eq!(order(&socket, "/v1/drain").1["drain"]["cause"], "signal");
    // A second signal: whoever sends it does not want to wait.
    server.terminate();
    server.await_event("draining");
    assert_eq!(server.await_exit(PATIENCE), 0);
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn commands_come_from_this_host_only() {
    for check in [&["--check"][..], &[]] {
        let mut command = program(env!("CARGO_BIN_EXE_corelane"));
        command
            .args(Addresses::own().flags())
            .args(["--cores=0", "--memory=64MiB", "--command-listen=0.0.0.0:9181"])
            .args(check);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("command_listen: 0.0.0.0:9181 cannot be used: others than this host"), "{said}");
    }
}

#[test]
fn a_check_finds_addresses_that_a_start_could_not_use() {
    let check = |listen: &str| {
        let mut command = program(env!("CARGO_BIN_EXE_corelane"));
        let output = command.args(["--check", "--cores=0", "--memory=64MiB", "--listen", listen]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = check("192.0.2.1:8080");
    assert!(code == Some(75) && said.contains("listen: 192.0.2.1:8080 cannot be used: cannot listen on"), "{said}");
    let (code, said) = check("unix:/nonexistent/s");
    assert!(code == Some(2) && said.contains("listen: unix:/nonexistent/s cannot be used"), "{said}");
    assert!(said.contains("; make the folder /nonexistent, or name another path"), "{said}");
    let server = Server::start(&Plan { config: "memory = \"64MiB\"\n", ..Plan::default() });
    let (code, said) = check(&server.address.to_string());
    assert_eq!(code, Some(0), "whoever runs there may be the one that is restarted: {said}");
    assert_eq!(Client::connect(server.admin).ask(READYZ).status, 200);
}

#[test]
fn a_check_and_a_start_refuse_the_same_paths() {
    let folder = own_folder();
    std::fs::write(folder.join("file"), "").unwrap();
    std::fs::create_dir(folder.join("folder")).unwrap();
    for name in ["file", "folder"] {
        for key in ["--listen", "--admin", "--command-listen"] {
            let own = Addresses::own();
            for check in [&["--check"][..], &[]] {
                let mut command = program(env!("CARGO_BIN_EXE_corelane"));
                command.args(["--cores=0", "--memory=64MiB"]).args(check);
                let addresses = [("--listen", own.listen), ("--admin", own.admin)];
                command
                    .args(addresses.iter().filter(|(other, _)| *other != key).map(|(key, own)| format!("{key}={own}")));
                command.arg(format!("{key}=unix:{}", folder.join(name).display()));
                let output = command.output().unwrap();
                let said = String::from_utf8(output.stderr).unwrap();
                let is_refused = output.status.code() == Some(2) && said.contains("not a socket");
                assert!(is_refused, "{key} {name} {check:?} {:?}: {said}", output.status);
            }
        }
    }
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn a_limit_of_the_process_is_refused_for_good_and_found_by_a_check() {
    for (limit, name) in [("-f 0", "RLIMIT_FSIZE"), ("-v 400000", "RLIMIT_AS")] {
        for check in [Some("--check"), None] {
            let own = Addresses::own();
            let mut command = Command::new("sh");
            let addresses = [format!("--listen={}", own.listen), format!("--admin={}", own.admin)];
            command.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_corelane")]);
            command.args(["--cores=0", "--memory=128MiB"]).args(check).args(addresses);
            let output = command.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            let is_refused = output.status.code() == Some(2) && said.contains(name);
            assert!(is_refused, "{name} {check:?} {:?}: {said}", output.status);
        }
    }
}

#[test]
fn the_exit_status_says_whether_to_try_again() {
    let taken = Addresses::own();
    #[expect(clippy::disallowed_types, reason = "somebody else who listens")]
    let _others = [taken.listen, taken.admin].map(|address| std::net::TcpListener::bind(address).unwrap());
    let own = Addresses::own();
    let at = |listen: String, admin: String| [format!("--listen={listen}"), format!("--admin={admin}")];
    let (listen, admin) = (own.listen.to_string(), own.admin.to_string());
    // TEST-NET-1, which no host has (RFC 5737).
    let nowhere = "192.0.2.1:8080".to_owned();
    for (addresses, more, status, part) in [
        (at(taken.listen.to_string(), admin.clone()), "--memory=64MiB", 75, "listen: "),
        (at(listen.clone(), taken.admin.to_string()), "--memory=64MiB", 75, "admin: "),
        (at(nowhere, admin.clone()), "--memory=64MiB", 75, "listen: cannot listen on 192.0.2.1:8080"),
        (at(listen.clone(), admin.clone()), "--memory=1000GiB", 2, "memory: 1000GiB cannot be used"),
        (at("unix:/proc/s".to_owned(), admin.clone()), "--memory=64MiB", 2, "listen: cannot listen on"),
        (at(listen.clone(), admin.clone()), "--topology=/nonexistent", 2, "/nonexistent: cannot read the topology"),
        (at(listen, admin), "--cores=8000", 2, "cores: found 8000"),
    ] {
        let mut command = program(env!("CARGO_BIN_EXE_corelane"));
        command.args(&addresses).arg("--cores=0").env("CORELANE_MEMORY_COMMIT", "as-needed");
        if more == "--memory=1000GiB" {
            command.env("CORELANE_MEMORY_COMMIT", "at-start");
        }
        if more.starts_with("--cores") {
            command = program(env!("CARGO_BIN_EXE_corelane"));
            command.args(&addresses);
        }
        let output = command.arg(more).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(status) && said.contains(part), "{more} {:?}: {said}", output.status);
    }
}
