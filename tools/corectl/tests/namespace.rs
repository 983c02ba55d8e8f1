//! The real kernel in network namespaces of the tests' own: real writes, real timers, a real kill.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use support::netns::{NIC, Namespace};
use support::timer::await_timer;

/// A plan that changes sysctls, queues, offloads, XPS and timers of a namespace with two workers.
const APPLY: &[&str] = &[
    "apply",
    "--profile",
    "throughput",
    "--only",
    "net",
    "--set",
    "nic.channels=2",
    "--set",
    "nic.feature.gro=on",
    "--set",
    "nic.feature.tso=off",
];

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn run(namespace: &Namespace, arguments: &[&str], status: i32) -> String {
    let output = namespace.tune(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", text(&output));
    text(&output)
}

#[test]
fn a_change_is_written_verified_confirmed_and_rolled_back() {
    let namespace = Namespace::new();
    let before = namespace.values();
    let said = run(&namespace, APPLY, 0);
    assert!(said.contains("takes itself back in"), "{said}");
    assert_eq!(namespace.shell("cat /proc/sys/net/core/somaxconn").trim(), "65535");
    let queues = namespace.shell(&format!("ls -d /sys/class/net/{NIC}/queues/rx-* | wc -l"));
    assert_eq!(queues.trim(), "2");
    assert!(namespace.shell(&format!("ethtool -k {NIC}")).contains("tcp-segmentation-offload: off"));
    run(&namespace, &["verify"], 0);
    assert!(run(&namespace, &["status"], 3).starts_with("pending"));
    run(&namespace, &["confirm"], 0);
    assert!(run(&namespace, &["status"], 0).starts_with("confirmed"));
    let said = run(&namespace, APPLY, 0);
    assert!(said.contains("Nothing was changed. ") && !said.contains("takes itself back"), "{said}");
    run(&namespace, &["confirm"], 0);

    namespace.shell("echo 100 > /proc/sys/net/core/somaxconn");
    let metrics = namespace.folder.path().join("tune.prom");
    let said = run(&namespace, &["status", "--metrics", metrics.to_str().unwrap()], 1);
    assert!(said.contains("drifted: net.core.somaxconn is 100, not 65535"), "{said}");
    let metrics = std::fs::read_to_string(metrics).unwrap();
    assert!(metrics.contains("corelane_tune_drifted_settings 1\n"), "{metrics}");
    assert!(metrics.contains("corelane_tune_drift{knob=\"net.core.somaxconn\",target=\"\"} 1\n"), "{metrics}");

    run(&namespace, &["rollback"], 0);
    assert_eq!(namespace.values(), before);
    run(&namespace, &["rollback"], 2);
}

#[test]
fn what_nobody_confirms_takes_itself_back() {
    let namespace = Namespace::new();
    let before = namespace.values();
    run(&namespace, &[APPLY, &["--revert-after", "5s"]].concat(), 0);
    assert_ne!(namespace.values(), before);
    // The process that applied has ended; nobody calls corectl any more.
    await_timer(&namespace.folder.path().join("state/pending.json"));
    assert_eq!(namespace.values(), before);
    assert!(run(&namespace, &["status"], 0).starts_with("untouched"));
    let said = run(&namespace, &["confirm"], 2);
    assert!(said.contains("the last change went back ") && said.contains("--revert-after"), "{said}");
}

#[test]
fn the_host_outside_is_refused() {
    let namespace = Namespace::new();
    let before = namespace.values();
    for only in [&[][..], &["--only", "irq"], &["--only", "net,irq"]] {
        let said = run(&namespace, &[&["apply", "--profile", "safe"], only].concat(), 2);
        assert!(
            said.contains("would be changed for the host outside of it: use --only net, --only filter or both"),
            "{said}"
        );
    }
    assert_eq!(namespace.values(), before);
}

#[test]
fn a_corectl_that_is_killed_while_it_writes_is_recovered_by_the_next() {
    let namespace = Namespace::new();
    let before = namespace.values();
    // An ethtool that does what it should, and then kills whoever called it: in the middle of a write.
    let folder = namespace.folder.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let script = "#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nethtool \"$@\"; code=$?\ncase $1 in -K) kill -9 $PPID;; esac\nexit $code\n";
    let program = folder.join("ethtool");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display());
    let killed = namespace.tune(APPLY).env("PATH", path).output().unwrap();
    assert!(!killed.status.success(), "{}", text(&killed));
    assert_ne!(namespace.values(), before);
    let said = run(&namespace, &["status"], 0);
    assert!(said.contains("interrupted while it was written: every value is back as before"), "{said}");
    assert_eq!(namespace.values(), before);
}

#[test]
fn two_at_a_time_are_refused() {
    let namespace = Namespace::new();
    let before = namespace.values();
    run(&namespace, APPLY, 0);
    assert!(run(&namespace, APPLY, 2).contains("a change waits for"));
    run(&namespace, &["rollback"], 0);
    assert_eq!(namespace.values(), before);
}

#[test]
fn a_card_that_has_another_name_now_is_found() {
    let namespace = Namespace::new();
    let before = namespace.values();
    run(&namespace, APPLY, 0);
    namespace.shell(&format!("ip link set {NIC} down && ip link set {NIC} name lan0"));
    assert!(run(&namespace, &["rollback"], 0).starts_with("taken back"));
    namespace.shell(&format!("ip link set lan0 name {NIC} && ip link set {NIC} up"));
    assert_eq!(namespace.values(), before);
}

#[test]
fn a_card_that_is_gone_is_said() {
    let namespace = Namespace::new();
    run(&namespace, APPLY, 0);
    namespace.shell(&format!("ip link del {NIC}"));
    let said = run(&namespace, &["rollback"], 0);
    assert!(said.contains(&format!("nothing of them could be put back: {NIC}")), "{said}");
}

#[test]
fn a_change_of_another_network_is_not_touched() {
    let (namespace, other) = (Namespace::new(), Namespace::new());
    run(&namespace, APPLY, 0);
    run(&namespace, &["confirm"], 0);
    let (changed, foreign) = (namespace.values(), other.values());
    let state = namespace.folder.path().join("state");
    let mut command = other.command(env!("CARGO_BIN_EXE_corectl"));
    let output = command.arg("tune").arg("--state").arg(state).arg("rollback").output().unwrap();
    let said = text(&output);
    assert!(
        output.status.code() == Some(2) && said.contains("holds a change of the network namespace net:["),
        "{said}"
    );
    assert_eq!((namespace.values(), other.values()), (changed, foreign));
    run(&namespace, &["rollback"], 0);
}

/// Bytes that a pipe takes without a reader (pipe(7)).
const PIPE_BYTES: usize = 65_536;

#[test]
fn a_terminal_that_takes_no_text_keeps_nothing_from_going_back() {
    let namespace = Namespace::new();
    let before = namespace.values();
    let plan = run(&namespace, &[&["plan"], &APPLY[1..]].concat(), 0);
    let (_unread, mut output) = std::io::pipe().unwrap();
    // Room for the plan, and for nothing after it.
    std::io::Write::write_all(&mut output, &vec![b' '; PIPE_BYTES - plan.len()]).unwrap();
    let mut blocked = namespace.tune(&[APPLY, &["--revert-after", "5s"]].concat()).stdout(output).spawn().unwrap();
    let pending = namespace.folder.path().join("state/pending.json");
    support::timer::await_change(&pending);
    await_timer(&pending);
    assert_eq!(namespace.values(), before);
    assert!(blocked.try_wait().unwrap().is_none(), "it still waits for its reader");
    blocked.kill().unwrap();
    blocked.wait().unwrap();
}

#[test]
fn nobody_else_can_hold_the_lock() {
    let namespace = Namespace::new();
    let state = namespace.folder.path().join("state");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("lock"), "").unwrap();
    std::fs::set_permissions(state.join("lock"), std::fs::Permissions::from_mode(0o644)).unwrap();
    run(&namespace, &["status"], 0);
    assert_eq!(std::fs::metadata(state.join("lock")).unwrap().permissions().mode() & 0o777, 0o600);
}
