//! `corectl tune ab` with coreperf and Corelane's edge, in namespaces of the tests' own.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use corectl::ab::{AbReport, AbResult};
use support::lab::{Lab, SERVER, built};
use support::netns::{NIC, Namespace};
use support::timer::await_timer;

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A program that stands before coreperf.
fn script(namespace: &Namespace, body: &str) -> PathBuf {
    let path = namespace.folder.path().join("coreperf.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Options that all of these need: two knobs, each with another value than it has.
fn ab(namespace: &Namespace, scenario: &Path, coreperf: &Path) -> Vec<String> {
    let words = ["ab", "--only", "net", "--max-risk", "perf", "--knob", "net.core.somaxconn", "--knob", "nic.rps"];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    let out = namespace.folder.path().join("ab");
    for (option, value) in [
        ("--set", "net.core.somaxconn=20000"),
        ("--set", "nic.rps=1"),
        ("--scenario", scenario.to_str().unwrap()),
        ("--coreperf", coreperf.to_str().unwrap()),
        ("--out", out.to_str().unwrap()),
        ("--rounds", "1"),
        ("--attempts", "1"),
    ] {
        words.extend([option.to_owned(), value.to_owned()]);
    }
    words
}

fn run(namespace: &Namespace, words: &[String]) -> Output {
    namespace.tune(&words.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap()
}

#[test]
fn values_are_a_and_b_while_they_are_measured_and_back_afterwards() {
    let mut lab = Lab::new();
    let agent = lab.agent();
    let before = lab.server.values();
    let log = lab.server.folder.path().join("seen");
    // What is in force when a run begins and when it ends, as another program sees it.
    let look = format!(
        "look() {{ echo \"$1 $(cat /proc/sys/net/core/somaxconn) $(cat /sys/class/net/{NIC}/queues/rx-0/rps_cpus)\" >> {}; }}\n\
         case $1 in run) ;; *) exec {coreperf} \"$@\";; esac\nlook \"$4\"\n{coreperf} \"$@\"\ncode=$?\nlook \"$4\"\nexit $code",
        log.display(),
        coreperf = built("coreperf").display()
    );
    let coreperf = script(&lab.server, &look);
    let mut words = ab(&lab.server, &lab.scenario(), &coreperf);
    let server = format!(
        "{} --cores 0 --listen {SERVER}:8080 --admin 127.0.0.1:9090 --memory 64MiB",
        built("corelane").display()
    );
    words.extend(["--agents".into(), agent, "--server".into(), server]);
    let output = run(&lab.server, &words);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(lab.server.values(), before);

    let seen = std::fs::read_to_string(&log).unwrap();
    let expected = [
        ("net.core.somaxconn", "a", "4096 0"),
        ("net.core.somaxconn", "b", "20000 0"),
        ("nic.rps", "a", "4096 0"),
        ("nic.rps", "b", "4096 1"),
    ];
    for (knob, side, values) in expected {
        let of_side: Vec<&str> = seen.lines().filter(|line| line.contains(&format!("{knob}/{side}/"))).collect();
        assert_eq!(of_side.len(), 4, "two runs, looked at twice each: {seen}");
        assert!(of_side.iter().all(|line| line.ends_with(values)), "{knob} {side}: {seen}");
    }
    let report = std::fs::read_to_string(lab.server.folder.path().join("ab/ab-safe.json")).unwrap();
    let report: AbReport = serde_json::from_str(&report).unwrap();
    for row in &report.rows {
        let AbResult::Tried { read_back, figures } = &row.result else { panic!("{row:?}") };
        assert_eq!((*read_back, figures.len()), (8, 3), "{row:?}");
        // One round is two pairs at most, and nothing is judged by so few.
        assert!(
            figures.iter().all(|judged| judged.gain.as_ref().is_err_and(|why| why.contains("it takes 8"))),
            "{row:?}"
        );
    }
    assert_eq!(report.rows[1].settings.len(), 4, "one for each queue");
    let table = std::fs::read_to_string(lab.server.folder.path().join("ab/ab-safe.md")).unwrap();
    assert!(table.contains("| `nic.rps` | safe | none | 0 |"), "{table}");
}

#[test]
fn an_ab_that_is_killed_is_taken_back_by_its_timer() {
    let namespace = Namespace::new();
    let before = namespace.values();
    let state = namespace.folder.path().join("state");
    // Ends whoever called it as soon as it is B.
    let body = "[ \"$(cat /proc/sys/net/core/somaxconn)\" = 20000 ] && kill -9 $PPID\n[ \"$1\" = run ] && echo '{}' > \"$4/result.json\"";
    let coreperf = script(&namespace, body);
    let mut words = ab(&namespace, Path::new("none.toml"), &coreperf);
    words.extend(["--run-timeout".into(), "1s".into()]);
    let output = run(&namespace, &words);
    assert_eq!(output.status.code(), None, "{}", text(&output));
    assert_eq!(namespace.shell("cat /proc/sys/net/core/somaxconn").trim(), "20000");
    await_timer(&state.join("pending.json"));
    assert_eq!(namespace.values(), before);
}

#[test]
fn a_signal_ends_it_and_puts_everything_back_at_once() {
    let namespace = Namespace::new();
    let before = namespace.values();
    let body = "[ \"$(cat /proc/sys/net/core/somaxconn)\" = 20000 ] && kill $PPID && exec sleep 600\n[ \"$1\" = run ] && echo '{}' > \"$4/result.json\"";
    let coreperf = script(&namespace, body);
    let output = run(&namespace, &ab(&namespace, Path::new("none.toml"), &coreperf));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("stopped by a signal"), "{}", text(&output));
    assert_eq!(namespace.values(), before);
    assert!(!namespace.folder.path().join("state/pending.json").exists());
}
