//! The loop over a connection's requests, in the simulated world: an edge of one core, and a client of a few lines.
#![expect(clippy::disallowed_types, reason = "a client's notes cross to the test; the simulation has one thread")]

mod memory;
mod recorded;
mod reported;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::reload::ConfigSource;
use reactor::sim::{NetworkOptions, World};
use reactor::{Address, CoreId, CoreSpec, Host, Instant, Reactor, Signal};

use crate::access_log::AccessLogPort;
use crate::plan::EdgePlan;
use crate::settings::EdgeSettings;

const ADDRESS: &str = "10.0.0.1:8080";
const ADMIN_ADDRESS: &str = "10.0.0.1:9180";

/// What a client does, one after another.
#[derive(Clone)]
enum Step {
    Send(&'static str),
    /// Until responses of so many head ends have come.
    Heads(usize),
    /// Asks the admin listener for a page.
    Ask(&'static str),
    /// Tells the edge to end, and waits until it drains.
    Drain,
    /// Until the edge closes.
    Closed,
    /// So long.
    Wait(Duration),
}

fn plan(access_log: Option<AccessLogPort>) -> EdgePlan {
    plan_with(access_log, &[("CORELANE_ACCESS_LOG_PATH", "access.log")])
}

/// With these variables.
fn plan_with(access_log: Option<AccessLogPort>, environment: &[(&str, &str)]) -> EdgePlan {
    let flags = [
        format!("--listen={ADDRESS}"),
        format!("--admin={ADMIN_ADDRESS}"),
        "--memory=64MiB".to_owned(),
        "--plaintext=allow".to_owned(),
    ];
    let arguments = flags.iter().map(Into::into).collect();
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let files = |_: &Path| unreachable!("no file is named");
    let config = ConfigSource::<EdgeSettings>::new(arguments, environment, Box::new(files));
    EdgePlan {
        loaded: config.load_to_serve().expect("settings"),
        config,
        topology: None,
        cpus: vec![None],
        process: control::context::ProcessContext::default(),
        incarnation: 1,
        hash_seed: 1,
        descriptors: None,
        log: Box::new(std::io::sink()),
        usage: None,
        host_memory: None,
        security: control::security::SecurityAtStart::none(),
        access_log,
        key_log: None,
        names: None,
        acme: None,
    }
}

/// What a client has received, whether it has done its steps, and when it did the last.
#[derive(Default)]
struct Notes(Mutex<(String, bool, Instant)>);

impl Notes {
    fn change<T>(&self, change: impl FnOnce(&mut (String, bool, Instant)) -> T) -> T {
        change(&mut self.0.lock().expect("nobody panics with it"))
    }
}

/// Everything that the edge sends to a client that does these steps.
fn run(steps: &[Step]) -> String {
    run_with(steps, None)
}

/// The same, with its responses recorded.
fn run_with(steps: &[Step], access_log: Option<AccessLogPort>) -> String {
    run_plan(steps, plan(access_log)).0
}

/// The same of an edge with a plan, and how long its client took.
fn run_plan(steps: &[Step], plan: EdgePlan) -> (String, Duration) {
    let mut world = World::new(1, NetworkOptions::default());
    let (edge, client) = (world.add_process("edge"), world.add_process("client"));
    crate::plan::start(&mut world.host(edge), plan).expect("the edge starts");
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
    notes.change(|notes| (notes.0.clone(), notes.2.since(Instant::default())))
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
                Step::Ask(path) => {
                    let page = ask_admin(reactor, path).await;
                    notes.change(|notes| notes.0.push_str(&page));
                }
                Step::Wait(time) => reactor.sleep(*time).await,
                Step::Drain => {}
            }
        }
        notes.change(|notes| (notes.1, notes.2) = (true, reactor.now()));
        if index == 0 && !parts[1].is_empty() {
            // The edge learns of its end meanwhile; an idle connection has a second.
            reactor.sleep(Duration::from_millis(200)).await;
        }
    }
}

/// The whole response of the admin listener.
async fn ask_admin(reactor: &Reactor, path: &str) -> String {
    let address = Address::Tcp(ADMIN_ADDRESS.parse().expect("an address"));
    let connection = reactor.connect(&address, reactor.now() + Duration::from_secs(1)).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    connection.write().extend_from_slice(request.as_bytes());
    let mut page = String::new();
    while let Ok(Some(received)) = connection.receive().await {
        page.push_str(&String::from_utf8_lossy(&received));
    }
    page
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
fn an_idle_connection_ends_soon_after_a_drain_begins() {
    let alone = run_plan(&[Step::Send(GET), Step::Heads(1), Step::Closed], plan(None)).1;
    assert!(alone >= Duration::from_secs(75) && alone < Duration::from_secs(77), "{alone:?}");
    let drained = run_plan(&[Step::Send(GET), Step::Heads(1), Step::Drain, Step::Closed], plan(None)).1;
    assert!(drained >= Duration::from_millis(200) && drained < Duration::from_secs(3), "{drained:?}");
}

#[test]
fn a_head_under_way_keeps_its_time_when_a_drain_begins() {
    let rest: &'static str = &GET[20..];
    let text =
        run(&[Step::Send(GET), Step::Heads(1), Step::Send(&GET[..20]), Step::Drain, Step::Send(rest), Step::Closed]);
    assert_eq!(statuses(&text), ["404", "404"]);
    let (text, time) =
        run_plan(&[Step::Send(GET), Step::Heads(1), Step::Send(&GET[..20]), Step::Drain, Step::Closed], plan(None));
    assert_eq!(statuses(&text), ["404", "408"]);
    assert!(time >= Duration::from_secs(10), "{time:?}: the time for a head");
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
