//! `coreperf run` as its users have it: the binary against a server of this process, its files, its exit status, its errors.
//!
//! The host may be busy while this runs, so whether a run was valid is asserted only where it must not be.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a test that serves over plain sockets, from threads"
)]

#[path = "support/agent.rs"]
mod agent;
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use agent::AgentProcess;
use support::{Folder, coreperf, result, text};

/// Answers every request with this body, for as long as the test runs.
fn serve(body: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap(), body));
        }
    });
    address
}

fn answer(mut stream: TcpStream, body: &str) {
    stream.set_nodelay(true).unwrap();
    let (mut buffer, mut partial) = ([0; 4096], Vec::new());
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        partial.extend_from_slice(&buffer[..count]);
        while let Some(end) = partial.windows(4).position(|window| window == b"\r\n\r\n") {
            partial.drain(..end + 4);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn short(address: SocketAddr, more: &str) -> String {
    format!("url = \"http://{address}/k\"\nrate = 500\nconnections = 4\nwarmup = \"1s\"\nduration = \"1s\"\n{more}")
}

fn reasons(result: &Value) -> String {
    result["invalid_reasons"].to_string()
}

#[test]
fn a_run_writes_its_result_and_its_latencies() {
    let folder = Folder::new("result");
    let scenario = folder.scenario(&short(serve("hello"), "title = \"five hundred\"\n"));
    let output = coreperf(&scenario, &folder.0).output().unwrap();
    let result = result(&folder.0);
    let valid = result["valid"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!valid)), "{}", text(&output));
    assert_eq!(valid, result["latency"].is_object(), "percentiles are told of valid runs only");
    assert_eq!(valid, result["invalid_reasons"].as_array().unwrap().is_empty());
    assert!((350.0..650.0).contains(&result["rate_due"].as_f64().unwrap()), "{result}");
    assert_eq!(result["requests_due"], result["requests_answered"]);
    assert_eq!((&result["errors"]["total"], &result["partial"]), (&0.into(), &false.into()));
    assert!(result["host"]["kernel"].is_string() && result["commit"].is_string());
    // The server is this process: it is found by who listens.
    assert!(result["cpu_us_per_request"]["total"].as_f64().unwrap() > 0.0);
    let timeline = result["timeline"].as_array().unwrap();
    assert!(timeline.len() >= 2);
    for moment in timeline {
        let cpus = moment["cpu_busy"].as_array().unwrap();
        assert!(
            cpus.iter().any(|busy| busy.as_f64().is_some_and(|busy| busy > 0.0)),
            "this test is busy itself: {moment}"
        );
        for share in ["generator_busy", "server_busy_user", "server_busy_system", "server_busy_softirq"] {
            assert!(moment[share].as_f64().is_some_and(|share| (0.0..=64.0).contains(&share)), "{share}: {moment}");
        }
    }
    assert!(result["server_memory_bytes"].as_u64().unwrap() > 4096 && result["softnet_dropped"].is_u64());
    let log = std::fs::read(folder.0.join("latency.hlog")).unwrap();
    assert!(log.starts_with(b"#"), "an interval log");
    assert!(text(&output).contains("five hundred"));
}

#[test]
fn wrong_answers_make_a_run_invalid() {
    let folder = Folder::new("wrong");
    let expect = "[values]\nbytes = 5\n[expect]\nbody = \"value\"\n";
    let output = coreperf(&folder.scenario(&short(serve("wrong"), expect)), &folder.0).output().unwrap();
    let result = result(&folder.0);
    assert_eq!(output.status.code(), Some(1));
    assert!(result["valid"] == false && reasons(&result).contains("body"), "{}", reasons(&result));
    let kinds = result["invalid_kinds"].as_array().unwrap();
    assert!(kinds.contains(&"errors".into()), "{kinds:?}");
    assert_eq!(kinds.len(), result["invalid_reasons"].as_array().unwrap().len(), "one for each text");
    assert!(text(&output).contains("NOT VALID") && !text(&output).contains("latency from"), "{}", text(&output));
}

#[test]
fn what_cannot_be_run_says_why() {
    let folder = Folder::new("errors");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let serving = serve("x");
    for (scenario, expected) in [
        (short(nobody, ""), format!("nobody answers at {nobody}")),
        (short(serving, "rats = 7\n"), "rats".to_owned()),
        (short(serving, "cpus = [4095]\n"), "CPU 4095".to_owned()),
        ("\nurl = 1\n".to_owned(), "line 2".to_owned()),
    ] {
        let output = coreperf(&folder.scenario(&scenario), &folder.0).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains(&expected), "{expected}: {}", text(&output));
    }
    assert!(!folder.0.join("result.json").exists(), "nothing was measured");
}

/// Waits for a word of a child's progress.
fn wait_for(child: &mut Child, word: &str) {
    let mut seen = String::new();
    let (stderr, deadline) = (child.stderr.as_mut().unwrap(), Instant::now() + Duration::from_secs(60));
    let mut byte = [0];
    while !seen.contains(word) {
        assert!(Instant::now() < deadline && stderr.read(&mut byte).unwrap() == 1, "no {word} in: {seen}");
        seen.push(byte[0].into());
    }
}

#[test]
fn an_interrupted_run_keeps_what_it_measured() {
    let folder = Folder::new("interrupted");
    let long = short(serve("hello"), "").replace("duration = \"1s\"", "duration = \"600s\"");
    let mut child = coreperf(&folder.scenario(&long), &folder.0).spawn().unwrap();
    wait_for(&mut child, "measure");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let result = result(&folder.0);
    assert!(result["partial"] == true && reasons(&result).contains("interrupted"), "{}", reasons(&result));
    assert!(result["requests_answered"].as_u64().unwrap() > 0);
    assert!(result["seconds_measured"].as_f64().unwrap() < 60.0);
}

/// Two generators that spin on one CPU keep each other from it, and each says that it cannot be believed.
#[test]
fn an_overloaded_client_core_makes_a_run_invalid() {
    let folders = [Folder::new("crowded-a"), Folder::new("crowded-b")];
    let address = serve("hello");
    let long = short(address, "").replace("duration = \"1s\"", "duration = \"3s\"");
    let children = folders.each_ref().map(|folder| coreperf(&folder.scenario(&long), &folder.0).spawn().unwrap());
    for (folder, mut child) in folders.iter().zip(children) {
        assert_eq!(child.wait().unwrap().code(), Some(1));
        let result = result(&folder.0);
        let reasons = reasons(&result);
        // On a host that is busy besides, it may get its CPU in time on the whole, and yet be late.
        assert!(reasons.contains("the generator waited") || reasons.contains("the generator was late"), "{reasons}");
    }
}

#[test]
fn agents_share_a_run_and_a_lost_one_is_named() {
    let folder = Folder::new("agents");
    let agents = [AgentProcess::start(), AgentProcess::start()];
    let names = format!("{},{}", agents[0].1, agents[1].1);
    let scenario = folder.scenario(&short(serve("hello"), "arrivals = \"uniform\"\n"));
    let output = coreperf(&scenario, &folder.0).args(["--agents", &names]).output().unwrap();
    let found = result(&folder.0);
    assert!((450.0..550.0).contains(&found["rate_due"].as_f64().unwrap()), "half from each: {}", text(&output));
    assert_eq!(found["requests_due"], found["requests_answered"], "{}", text(&output));
    assert_eq!(found["partial"], false);

    let long = short(serve("hello"), "").replace("duration = \"1s\"", "duration = \"600s\"");
    let mut child = coreperf(&folder.scenario(&long), &folder.0).args(["--agents", &names]).spawn().unwrap();
    wait_for(&mut child, "measure");
    let [first, second] = agents;
    let lost = second.1;
    drop(second);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let found = result(&folder.0);
    assert!(reasons(&found).contains(&format!("agent {lost} was lost")), "{}", reasons(&found));
    assert!(found["requests_answered"].as_u64().unwrap() > 0, "the other one's share is kept");

    let output = coreperf(&scenario, &folder.0).args(["--agents", &names]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains(&format!("agent {lost}")), "{}", text(&output));
    drop(first);
}
