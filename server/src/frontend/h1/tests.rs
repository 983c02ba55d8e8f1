//! The loop over a connection's requests, in the simulated world: an edge of one core, and a client of a few lines.
#![expect(clippy::disallowed_types, reason = "a client's notes cross to the test; the simulation has one thread")]

mod memory;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::reload::ConfigSource;
use reactor::sim::{NetworkOptions, World};
use reactor::{Address, CoreId, CoreSpec, Host, Instant, Reactor, Signal};

use crate::access_log::{AccessLogPort, ClientAddress, collected};
use crate::exchange::origin::{Keeper, ResponseOrigin};
use crate::plan::EdgePlan;
use crate::settings::EdgeSettings;

const ADDRESS: &str = "10.0.0.1:8080";

/// What a client does, one after another.
#[derive(Clone)]
enum Step {
    Send(&'static str),
    /// Until responses of so many head ends have come.
    Heads(usize),
    /// Tells the edge to end, and waits until it drains.
    Drain,
    /// Until the edge closes.
    Closed,
}

fn plan(access_log: Option<AccessLogPort>) -> EdgePlan {
    plan_with(access_log, &[("CORELANE_ACCESS_LOG_PATH", "access.log")])
}

/// With these variables.
fn plan_with(access_log: Option<AccessLogPort>, environment: &[(&str, &str)]) -> EdgePlan {
    let flags = [format!("--listen={ADDRESS}"), "--admin=10.0.0.1:9180".to_owned(), "--memory=64MiB".to_owned()];
    let arguments = flags.iter().map(Into::into).collect();
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let files = |_: &Path| unreachable!("no file is named");
    let config = ConfigSource::<EdgeSettings>::new(arguments, environment, Box::new(files));
    EdgePlan {
        loaded: config.load_to_serve().expect("settings"),
        config,
        topology: None,
        cpus: vec![None],
        incarnation: 1,
        hash_seed: 1,
        descriptors: None,
        log: Box::new(std::io::sink()),
        usage: None,
        host_memory: None,
        access_log,
        names: None,
    }
}

#[derive(Default)]
struct Notes(Mutex<(String, bool)>);

impl Notes {
    fn change<T>(&self, change: impl FnOnce(&mut (String, bool)) -> T) -> T {
        change(&mut self.0.lock().expect("nobody panics with it"))
    }
}

/// Everything that the edge sends to a client that does these steps.
fn run(steps: &[Step]) -> String {
    run_with(steps, None)
}

/// The same, with its responses recorded.
fn run_with(steps: &[Step], access_log: Option<AccessLogPort>) -> String {
    let mut world = World::new(1, NetworkOptions::default());
    let (edge, client) = (world.add_process("edge"), world.add_process("client"));
    crate::plan::start(&mut world.host(edge), plan(access_log)).expect("the edge starts");
    let notes = Arc::new(Notes::default());
    let mut parts = steps.split(|step| matches!(step, Step::Drain));
    let (first, second) = (parts.next().unwrap_or_default().to_vec(), parts.next().unwrap_or_default().to_vec());
    let drains = second.len() + first.len() < steps.len();
    let noted = Arc::clone(&notes);
    let mut host = world.host(client);
    let doorbells = host.doorbells(1).expect("doorbells");
    let spec = CoreSpec { id: CoreId(0), cpu: None, name: "client".to_owned(), doorbells };
    let body = move |reactor: Reactor| {
        let spawning = reactor.clone();
        let task = async move { converse(&reactor, &[first, second], &noted).await };
        spawning.spawn(task).expect("room for a task");
    };
    host.start_core(spec, Box::new(body)).expect("the client starts");
    drop(host);
    let half = |notes: &Notes| notes.change(|notes| notes.1);
    assert!(world.run_until(Instant::default() + Duration::from_secs(300), |_| half(&notes)), "first part");
    if drains {
        notes.change(|notes| notes.1 = false);
        world.signal(edge, Signal::Terminate);
    }
    assert!(world.run_until(Instant::default() + Duration::from_secs(600), |_| half(&notes)), "second part");
    notes.change(|notes| notes.0.clone())
}

async fn converse(reactor: &Reactor, parts: &[Vec<Step>; 2], notes: &Notes) {
    let address = Address::Tcp(ADDRESS.parse().expect("an address"));
    let connection = loop {
        match reactor.connect(&address, reactor.now() + Duration::from_secs(1)).await {
            Ok(connection) => break connection,
            // The edge is starting.
            Err(_) => reactor.sleep(Duration::from_millis(10)).await,
        }
    };
    for (index, part) in parts.iter().enumerate() {
        for step in part {
            match step {
                Step::Send(text) => connection.write().extend_from_slice(text.as_bytes()),
                Step::Heads(count) => {
                    while notes.change(|notes| notes.0.matches("\r\n\r\n").count()) < *count {
                        let Ok(Some(received)) = connection.receive().await else { return };
                        notes.change(|notes| notes.0.push_str(&String::from_utf8_lossy(&received)));
                    }
                }
                Step::Closed => {
                    while let Ok(Some(received)) = connection.receive().await {
                        notes.change(|notes| notes.0.push_str(&String::from_utf8_lossy(&received)));
                    }
                }
                Step::Drain => {}
            }
        }
        notes.change(|notes| notes.1 = true);
        if index == 0 && !parts[1].is_empty() {
            // The edge learns of its end meanwhile; an idle connection has a second.
            reactor.sleep(Duration::from_millis(200)).await;
        }
    }
}

const GET: &str = "GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n\r\n";
const PUT: &str = "PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";

fn statuses(text: &str) -> Vec<&str> {
    text.match_indices("HTTP/1.1 ").map(|(at, start)| &text[at + start.len()..][..3]).collect()
}

#[test]
fn responses_come_in_the_order_of_requests() {
    let text = run(&[Step::Send(GET), Step::Send(PUT), Step::Send(GET), Step::Send(GET), Step::Heads(4)]);
    assert_eq!(statuses(&text), ["404", "201", "200", "200"]);
    assert!(!text.contains("Connection:"), "{text}");
}

#[test]
fn requests_that_are_read_ahead_are_answered_as_others_are() {
    let request = |line: &str| format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n");
    let get = |key: u32| request(&format!("GET /v1/kv/default/k{key}"));
    let put = |key: u32| format!("PUT /v1/kv/default/k{key} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n{key:05}");
    let mixed = [
        (get(1) + &get(2) + &request("HEAD /v1/kv/default/k1") + &get(9_999_999)),
        (get(3) + &request("DELETE /v1/kv/default/k3") + &get(3) + &put(3) + &get(3)),
        (request("GET /v1/kv/default/%6b4?x")
            + &request("GET /nowhere")
            + &get(5).repeat(40)
            + "GET / HTTP/1.1\r\nno\r\n"),
    ];
    let all: &'static str = mixed.concat().leak();
    let answers_with = |keys: u32| {
        let fill: &'static str = (1..=keys).map(put).collect::<String>().leak();
        let text = run(&[Step::Send(fill), Step::Heads(keys as usize), Step::Send(all), Step::Closed]);
        let responses = text.split("HTTP/1.1 ").skip(keys as usize + 1);
        let and_body = |text: &str| format!("{} {}", &text[..3], text.split_once("\r\n\r\n").expect("a head").1);
        responses.map(and_body).collect::<Vec<_>>()
    };
    // Nothing is read ahead where few keys are stored.
    let (few, many) = (answers_with(10), answers_with(2_500));
    assert_eq!(few, many);
    assert_eq!(few[..3], ["200 00001", "200 00002", "200 "]);
    assert_eq!(few.len(), 9 + 42 + 1);
}

#[test]
fn no_keep_alive_is_offered_while_the_server_drains() {
    for request in [GET, PUT, "DELETE /v1/kv/default/b HTTP/1.1\r\nHost: h\r\n\r\n"] {
        let text = run(&[Step::Send(GET), Step::Heads(1), Step::Drain, Step::Send(request), Step::Closed]);
        let (first, last) = text.split_at(text.rfind("HTTP/1.1 ").expect("a response"));
        assert_eq!(statuses(&text).len(), 2, "{text}");
        assert!(!first.contains("Connection:") && last.contains("\r\nConnection: close\r\n"), "{text}");
    }
}

#[test]
fn a_response_before_its_requests_body_is_the_last() {
    for request in [
        "PUT /v1/kv/nobody/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        "PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Range: bytes 0-4/9\r\n\r\nhello",
        "GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        "PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhellooo\r\n",
    ] {
        let text = run(&[Step::Send(request), Step::Send(GET), Step::Closed]);
        assert_eq!(statuses(&text).len(), 1, "{text}");
        assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    }
}

#[test]
fn a_head_or_a_body_that_stays_away_is_answered_408() {
    for request in [&GET[..20], &PUT[..PUT.len() - 1]] {
        let text = run(&[Step::Send(request), Step::Closed]);
        assert_eq!(statuses(&text), ["408"]);
        assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    }
}

#[test]
fn every_response_is_recorded_as_it_was() {
    let (port, mut records) = collected(1);
    let early = "PUT /v1/kv/nobody/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
    let steps = [GET, PUT, GET, early].map(Step::Send);
    let text = run_with(&[&steps[..], &[Step::Closed]].concat(), Some(port));
    assert_eq!(statuses(&text), ["404", "201", "200", "404"]);
    let records: Vec<_> = std::iter::from_fn(|| records[0].pop()).collect();
    let own = Keeper::OwnCore;
    let origins =
        [ResponseOrigin::Absent(own), ResponseOrigin::Written(own), ResponseOrigin::Hit(own), ResponseOrigin::Nobody];
    let bodies: Vec<&str> =
        text.split("\r\n\r\n").skip(1).map(|rest| rest.split("HTTP/1.1 ").next().unwrap()).collect();
    assert_eq!(records.len(), 4);
    for (index, record) in records.iter().enumerate() {
        let response = &record.response;
        assert_eq!(response.status.to_string(), statuses(&text)[index]);
        assert_eq!((response.sent_bytes, response.origin), (bodies[index].len() as u64, origins[index]));
        assert_eq!(response.received_bytes, if index == 1 { 5 } else { 0 });
        assert_eq!(record.connection_requests as usize, index + 1);
        assert!(matches!(record.client, ClientAddress::Tcp(_)), "the simulated network has peers, too: {record:?}");
    }
}

#[test]
fn without_a_port_nothing_is_recorded_whatever_the_settings_say() {
    assert_eq!(statuses(&run(&[Step::Send(GET), Step::Heads(1)])), ["404"]);
}

#[test]
fn a_head_that_never_ends_is_recorded_with_what_came_of_it() {
    let (port, mut records) = collected(1);
    run_with(&[Step::Send(&GET[..30]), Step::Closed], Some(port));
    let record = records[0].pop().expect("its 408");
    assert_eq!((record.response.status, record.method(), record.uri()), (408, &b"GET"[..], &GET.as_bytes()[4..20]));
    assert!(record.duration_us >= 10_000_000, "{} us since its first byte", record.duration_us);
    assert!(records[0].pop().is_none());
}
