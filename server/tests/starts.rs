//! Starts of the real binary: what must not stop one, what must, and what is said.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::client::Client;
use support::server::{Addresses, Plan, Running, Server, Waiting, lines, own_folder, program, signal};

const READYZ: &str = "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n";

fn corelane() -> Command {
    program(env!("CARGO_BIN_EXE_corelane"))
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn variables_of_others_stop_no_start_and_a_misspelt_one_is_told() {
    let service = [("CORELANE_PORT", "tcp://10.0.0.1:8080"), ("CORELANE_SERVICE_HOST", "10.0.0.1")];
    let checked = corelane().arg("--check").envs(service).output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let misspelt = corelane().arg("--check").env("CORELANE_MEMROY", "1GiB").output().unwrap();
    assert_eq!(misspelt.status.code(), Some(2));
    assert!(said(&misspelt).contains("did you mean \"CORELANE_MEMORY\"?"), "{}", said(&misspelt));

    let addresses = Addresses::own();
    let mut command = corelane();
    command.args(addresses.flags()).args(["--cores=0", "--memory=64MiB"]).envs(service).env("CORELANE_MEMROY", "1GiB");
    let mut server = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    let log = lines(server.0.stderr.take().unwrap());
    addresses.await_ready();
    let line = log.recv_timeout(support::PATIENCE).unwrap();
    assert!(line.contains("warning") && line.contains("did you mean \"CORELANE_MEMORY\"?"), "{line}");
}

#[test]
fn a_check_refuses_what_a_start_refuses() {
    for (flags, part) in [
        (["--cores=4000", "--memory=64MiB"], "cores: found 4000, allowed: the CPUs of this process"),
        (["--memory=1MiB", "--cores=0"], "memory"),
    ] {
        for check in [&["--check"][..], &[]] {
            let output = corelane().args(flags).args(check).args(Addresses::own().flags()).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{flags:?}");
            assert!(said(&output).contains(part), "{}", said(&output));
        }
    }
}

#[test]
fn a_full_standard_output_is_a_message_and_a_status() {
    for flag in ["--help", "--check", "--print-config"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = corelane().arg(flag).stdout(Stdio::from(full)).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flag}");
        assert!(said(&output).contains("cannot write to standard output"), "{}", said(&output));
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = corelane().arg("--no-such-flag").stderr(Stdio::from(full)).status().unwrap();
    assert_eq!(status.code(), Some(2), "nothing can be said, but the status");
}

#[test]
fn signals_that_mean_nothing_end_nothing() {
    let mut server = Server::start(&Plan { config: "memory = \"64MiB\"\n", ..Plan::default() });
    for name in ["USR1", "USR2", "XFSZ", "PIPE"] {
        server.signal(name);
        assert_eq!(Client::connect(server.admin).ask(READYZ).status, 200, "{name}");
    }
    server.terminate();
    assert_eq!(server.await_exit(support::PATIENCE), 0);
}

/// A file system that does not answer: paths with `/hangs/` in them are never opened and never looked at.
const HANGING: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>
#define WAIT(path) while (path && strstr(path, "/hangs/")) pause()
int open64(const char *path, int flags, int mode) {
    WAIT(path);
    return ((int (*)(const char *, int, int))dlsym(RTLD_NEXT, "open64"))(path, flags, mode);
}
int statx(int folder, const char *path, int flags, unsigned mask, void *found) {
    WAIT(path);
    return ((int (*)(int, const char *, int, unsigned, void *))dlsym(RTLD_NEXT, "statx"))(folder, path, flags, mask, found);
}
"#;

#[test]
fn a_file_system_that_hangs_is_named_within_a_deadline() {
    let folder = own_folder();
    let (library, hangs) = (folder.join("hanging.so"), folder.join("hangs"));
    let mut compiler = program("cc")
        .args(["-shared", "-fPIC", "-x", "c", "-o"])
        .arg(&library)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    compiler.stdin.take().unwrap().write_all(HANGING.as_bytes()).unwrap();
    assert!(compiler.wait().unwrap().success());
    std::fs::create_dir(&hangs).unwrap();
    let included = folder.join("includes.toml");
    std::fs::write(&included, "include = [\"hangs/*.toml\"]\n").unwrap();
    std::fs::write(hangs.join("a.toml"), "memory = \"64MiB\"\n").unwrap();
    let logging = folder.join("logging.toml");
    std::fs::write(&logging, format!("[access_log]\npath = \"{}\"\n", hangs.join("log").display())).unwrap();
    let of = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    let topology = hangs.join("topology.toml");
    std::fs::write(&topology, "cluster = \"c\"\nepoch = 1\n[[node]]\nid = 1\naddress = \"127.0.0.1:1\"\n").unwrap();
    let cases = [
        (of("config", &hangs.join("a.toml")), hangs.join("a.toml")),
        (of("config", &included), hangs.join("a.toml")),
        (of("topology", &topology), topology),
        (of("config", &logging), hangs.join("log")),
        (format!("--listen=unix:{}", hangs.join("s").display()), hangs.join("s")),
    ];
    let start = |flag: &String, check: &[&str]| {
        let mut command = corelane();
        command.env("LD_PRELOAD", &library).args(["--cores=0", "--admin=127.0.0.1:0"]).arg(flag).args(check);
        if !flag.starts_with("--listen") {
            command.arg("--listen=127.0.0.1:0");
        }
        Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    };
    // All at once: each takes as long as a start waits.
    let starts: Vec<_> =
        cases.iter().flat_map(|(flag, path)| [(start(flag, &[]), path), (start(flag, &["--check"]), path)]).collect();
    for (mut server, path) in starts {
        let log = lines(server.0.stderr.take().unwrap());
        assert_eq!(server.await_end(), Some(75), "{}", path.display());
        await_line(&log, &format!("{}: its file system has not answered for 5 s", path.display()));
    }
    let _ = std::fs::remove_dir_all(folder);
}

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// Arguments of a server that listens at a path.
fn arguments_at(path: &Path) -> Vec<String> {
    let listen = format!("--listen=unix:{}", path.display());
    vec!["--cores=0".into(), "--memory=64MiB".into(), listen, format!("--admin=unix:{}.admin", path.display())]
}

/// A server that listens at a path, with its log.
fn at_path(path: &Path) -> (Running, std::sync::mpsc::Receiver<String>) {
    started(corelane().args(arguments_at(path)))
}

/// The same with a umask, and with further arguments.
fn at_path_under(umask: &str, path: &Path, further: &[&str]) -> (Running, std::sync::mpsc::Receiver<String>) {
    let mut shell = program("sh");
    shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_corelane")]);
    started(shell.args(arguments_at(path)).args(further))
}

fn started(command: &mut Command) -> (Running, std::sync::mpsc::Receiver<String>) {
    let mut server = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    let log = lines(server.0.stderr.take().unwrap());
    (server, log)
}

fn await_line(log: &std::sync::mpsc::Receiver<String>, part: &str) {
    let mut seen = Vec::new();
    while !seen.last().is_some_and(|line: &String| line.contains(part)) {
        seen.push(log.recv_timeout(support::PATIENCE).unwrap_or_else(|error| panic!("{part}: {error}: {seen:#?}")));
    }
}

#[test]
fn a_socket_left_by_a_kill_is_taken_over_a_live_one_is_not_and_a_clean_stop_leaves_none() {
    let folder = own_folder();
    let path = folder.join("s");
    for _ in 0..8 {
        let (mut server, log) = at_path(&path);
        await_line(&log, "event=serving");
        signal(server.0.id(), "KILL");
        server.0.wait().unwrap();
        assert!(is_socket(&path), "it is left behind");
    }
    let (mut server, log) = at_path(&path);
    await_line(&log, "event=serving");
    let (mut second, refusal) = at_path(&path);
    await_line(&refusal, "is in use by another process");
    assert_eq!(second.await_end(), Some(75));
    assert!(is_socket(&path), "the living one keeps its socket");
    signal(server.0.id(), "TERM");
    assert_eq!(server.await_end(), Some(0));
    for left in [&path, &folder.join("s.admin")] {
        assert!(!left.exists(), "{}", left.display());
    }
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn what_is_no_socket_is_said_to_be_none_and_left_alone() {
    let folder = own_folder();
    let path = folder.join("s");
    std::fs::write(&path, "a file of somebody").unwrap();
    let (mut server, refusal) = at_path(&path);
    await_line(&refusal, "what lies at this path is not a socket");
    assert_eq!(server.await_end(), Some(2));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file of somebody");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn the_files_of_unix_sockets_have_the_modes_that_are_set() {
    let folder = own_folder();
    let path = folder.join("s");
    let listed = folder.join("listed");
    let config = folder.join("corelane.toml");
    let text = format!(
        "listen_mode = \"0660\"\nadmin_mode = \"0600\"\n[[listener]]\naddress = \"unix:{}\"\n",
        listed.display()
    );
    std::fs::write(&config, text).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    {
        // Under this umask a file of 0660 would be one of 0600.
        let (_server, log) = at_path_under("077", &path, &["--config", config.to_str().unwrap()]);
        await_line(&log, "event=serving");
        assert_eq!([&path, &listed, &folder.join("s.admin")].map(|path| mode(path)), [0o660, 0o660, 0o600]);
    }
    let (_server, log) = at_path_under("027", &path, &[]);
    await_line(&log, "event=serving");
    assert_eq!(mode(&path), 0o750, "without a setting it is the umask's");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn both_wildcards_share_a_port() {
    let addresses = Addresses::own();
    // No two living processes have the same id; another program may still have the port.
    let port = 20_000 + std::process::id() % 10_000;
    let listen = format!("--listen=0.0.0.0:{port},[::]:{port}");
    let mut command = corelane();
    command.args(["--cores=0", "--memory=64MiB", &listen]).arg(format!("--admin={}", addresses.admin));
    let _server = Running(command.spawn().unwrap());
    addresses.await_ready();
    for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        let answer = Client::connect(address.parse().unwrap()).ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(answer.status, 200, "{address}");
    }
}

#[test]
fn all_cores_share_the_port_that_the_kernel_chose() {
    let mut command = corelane();
    command.args(["--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--memory=64MiB"]);
    let mut server = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    let log = lines(server.0.stderr.take().unwrap());
    let started = loop {
        let line = log.recv_timeout(support::PATIENCE).unwrap();
        if line.contains("event=started") {
            break line;
        }
    };
    let address = started.split(" listen=").nth(1).unwrap().split(' ').next().unwrap();
    await_line(&log, "event=serving");
    let address: std::net::SocketAddr = address.parse().unwrap();
    assert_eq!(Client::connect(address).ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    // proc(5), net/tcp: local address and port in hexadecimal; state 0A listens.
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let place = format!(" 0100007F:{:04X} 00000000:0000 0A ", address.port());
    let cores = started.split(" cores=").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(sockets.matches(&place).count().to_string(), cores, "every core listens on {address}");
}

#[test]
fn a_start_that_fails_has_acknowledged_nothing() {
    let first = Server::start(&Plan { config: "memory = \"64MiB\"\n", ..Plan::default() });
    let listen = Addresses::own().listen;
    let mut command = corelane();
    command.args(["--cores=0", "--memory=64MiB"]).arg(format!("--listen={listen}"));
    command.arg(format!("--admin={}", first.admin)).stderr(Stdio::null());
    let mut second = Running(command.spawn().unwrap());
    let waiting = Waiting::begin();
    let (mut connected, mut status) = (0, None);
    while status.is_none() {
        if let Ok(socket) = support::client::Socket::connect(listen) {
            connected += 1;
            let mut client = Client::on(socket);
            client.try_send(b"PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
            let answer = client.answer();
            assert!(answer.is_err(), "{answer:?}");
        }
        status = second.0.try_wait().unwrap();
        waiting.go_on(|| "the second server does not end".to_owned());
        std::thread::yield_now();
    }
    assert_eq!(status.unwrap().code(), Some(75));
    assert!(connected > 0, "there was time for a client to come");
}

/// The server with this limit on open files, set by a shell, as a service manager does.
fn with_open_files(limit: &str, addresses: Addresses) -> (Running, std::sync::mpsc::Receiver<String>) {
    let mut command = program("sh");
    let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_corelane"), "--cores=0", "--memory=64MiB"]);
    let mut server = Running(command.args(addresses.flags()).stderr(Stdio::piped()).spawn().unwrap());
    let log = lines(server.0.stderr.take().unwrap());
    (server, log)
}

#[test]
fn the_limit_on_open_files_is_raised_told_and_kept_from_clients() {
    let addresses = Addresses::own();
    let (server, log) = with_open_files("-Sn 300", addresses);
    await_line(&log, "event=open_files");
    let soft = std::fs::read_to_string(format!("/proc/{}/limits", server.0.id())).unwrap();
    let line = soft.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "soft is hard: {line}");

    let addresses = Addresses::own();
    let (_server, log) = with_open_files("-n 600", addresses);
    await_line(&log, "level=warn event=open_files limit=600 found=600");
    addresses.await_ready();
    let mut clients: Vec<Client> = (0..120).map(|_| Client::connect(addresses.listen)).collect();
    let mut status_of = |client: &mut Client| {
        client.try_send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        client.answer().unwrap().status
    };
    let statuses: Vec<u16> = clients.iter_mut().map(&mut status_of).collect();
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!((50..110).contains(&served), "{served} are served");
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "the others are shed: {statuses:?}");
    assert_eq!(Client::connect(addresses.admin).ask(READYZ).status, 200);
}

#[test]
fn a_limit_that_leaves_no_connection_is_refused() {
    let (mut server, log) = with_open_files("-n 200", Addresses::own());
    await_line(&log, "the limit on open files is 200");
    assert_eq!(server.await_end(), Some(2));
    let mut check = program("sh");
    check.args(["-c", "ulimit -n 200 && exec \"$0\" --check --cores=0", env!("CARGO_BIN_EXE_corelane")]);
    let checked = check.output().unwrap();
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.code() == Some(2) && said.contains("the limit on open files is 200"), "{said}");
}
