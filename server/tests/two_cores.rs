//! A server of two data cores: whichever core has a client's connection answers for both shards.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use support::answer::Answer;
use support::client::Client;
use support::server::{Plan, Server};

const KEYS: usize = 64;
/// Enough that both cores have some: the kernel spreads them by their ports.
const CLIENTS: usize = 24;

fn request(method: &str, key: usize, fields: &str, body: &str) -> String {
    let length = if method == "PUT" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    format!("{method} /v1/kv/default/key-{key} HTTP/1.1\r\nHost: h\r\n{fields}{length}\r\n{body}")
}

fn detail(answer: &Answer) -> &str {
    answer.field("cache-status").and_then(|status| status.split_once("detail=")).map_or("", |(_, detail)| detail)
}

fn hops(server: &Server) -> u64 {
    server.metric("corelane_store_hops_total")
}

fn value(key: usize, round: usize) -> String {
    format!("value {key} of round {round} ").repeat(1 + key % 20)
}

#[test]
fn reads_of_both_shards_need_no_message_and_are_never_old() {
    let server = Server::start(&Plan { config: "memory = \"64MiB\"\n", cores: Some("0-1"), ..Plan::default() });
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.address)).collect();
    let (mut own, mut core) = (0, 0);
    for round in 0..4 {
        let mut versions = Vec::new();
        for key in 0..KEYS {
            let stored = clients[key % CLIENTS].ask(&request("PUT", key, "", &value(key, round)));
            assert!(matches!(stored.status, 201 | 204), "{stored:?}");
            versions.push(stored.field("etag").unwrap().to_owned());
        }
        let before = hops(&server);
        for client in &mut clients {
            for (key, version) in versions.iter().enumerate() {
                let found = client.ask(&request("GET", key, "", ""));
                // Values of all rounds have one length: an answer's head that is used again must be of this version.
                assert_eq!(found.field("etag").unwrap(), version);
                assert_eq!((found.status, found.body), (200, value(key, round).into_bytes()));
            }
            for key in 0..8 {
                let part = client.ask(&request("GET", key, "Range: bytes=2-5\r\n", ""));
                assert_eq!((part.status, &part.body[..]), (206, &value(key, round).as_bytes()[2..6]));
                let etag = part.field("etag").unwrap().to_owned();
                let known = client.ask(&request("GET", key, &format!("If-None-Match: {etag}\r\n"), ""));
                assert_eq!(known.status, 304);
                match detail(&part) {
                    "own" => own += 1,
                    "core" => core += 1,
                    other => panic!("answered from {other:?}"),
                }
                assert_eq!(client.ask(&request("GET", 1_000 + key, "", "")).status, 404);
            }
        }
        assert_eq!(hops(&server), before, "no read asks another core");
    }
    assert!(own > 50 && core > 50, "both ways were gone: {own} own, {core} of the other core");
}

#[test]
fn reads_are_counted_by_the_core_that_they_say_they_came_from() {
    let server = Server::start(&Plan { config: "memory = \"64MiB\"\n", cores: Some("0-1"), ..Plan::default() });
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.address)).collect();
    let (mut own, mut core) = (0, 0);
    for key in 0..KEYS {
        assert_eq!(clients[0].ask(&request("PUT", key, "", "value")).status, 201);
        match detail(&clients[key % CLIENTS].ask(&request("GET", key, "", ""))) {
            "own" => own += 1,
            "core" => core += 1,
            other => panic!("answered from {other:?}"),
        }
    }
    let counted = |source: &str| -> u64 {
        let of_core = |id| server.metric(&format!("corelane_kv_reads_total{{core=\"{id}\",source=\"{source}\"}}"));
        of_core(0) + of_core(1)
    };
    assert_eq!((counted("own_core"), counted("other_core")), (own, core));
    assert!(own > 0 && core > 0, "both ways were gone: {own} own, {core} of the other core");
}

#[test]
fn a_large_value_of_the_other_core_is_the_owners_to_send() {
    let server = Server::start(&Plan { config: "memory = \"64MiB\"\n", cores: Some("0-1"), ..Plan::default() });
    let large = "0123456789abcdef".repeat(6_000);
    let mut client = Client::connect(server.address);
    // The seed is another at each start: that all of so many keys are the core's own will not be seen.
    for key in 0..KEYS {
        assert_eq!(client.ask(&request("PUT", key, "", &large)).status, 201);
        assert_eq!(client.ask(&request("GET", key, "", "")).body, large.as_bytes());
        if hops(&server) > 0 {
            return;
        }
    }
    panic!("none of {KEYS} keys was the other core's to send");
}

/// What is known of a value is enough for these, however large it is and whichever core has it.
#[test]
fn answers_without_bytes_move_none() {
    let server = Server::start(&Plan { config: "memory = \"256MiB\"\n", cores: Some("0-1"), ..Plan::default() });
    let large = "0123456789abcdef".repeat(200_000);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.address)).collect();
    let stored: Vec<Answer> = (0..8).map(|key| clients[0].ask(&request("PUT", key, "", &large))).collect();
    let before = hops(&server);
    for client in &mut clients {
        for (key, stored) in stored.iter().enumerate() {
            let etag = stored.field("etag").unwrap();
            let head = client.ask(&request("HEAD", key, "", ""));
            assert_eq!((head.status, head.field("content-length")), (200, Some("3200000")));
            assert_eq!(head.field("etag"), Some(etag));
            let cases = [
                (format!("If-None-Match: {etag}\r\n"), 304),
                ("If-Match: \"1\"\r\n".to_owned(), 412),
                ("Range: bytes=3200000-\r\n".to_owned(), 416),
            ];
            for (fields, status) in cases {
                assert_eq!(client.ask(&request("GET", key, &fields, "")).status, status, "{fields}");
            }
        }
    }
    assert_eq!(hops(&server), before, "no answer without bytes asks another core");
    for (key, stored) in stored.iter().enumerate() {
        let part = clients[key].ask(&request("GET", key, "Range: bytes=1000000-1000003\r\n", ""));
        assert_eq!((part.status, &part.body[..]), (206, &large.as_bytes()[1_000_000..1_000_004]));
        // With two tags the version is read first, and then written on condition of it.
        let fields = format!("If-Match: \"1\", {}\r\n", stored.field("etag").unwrap());
        assert_eq!(clients[key].ask(&request("DELETE", key, &fields, "")).status, 204);
    }
}

/// Clients of either core that ask for large values of the other, and do not read: each costs the part that it is sent.
#[test]
fn clients_that_ask_for_large_values_and_do_not_read_cost_little() {
    const DEAF: usize = 96;
    let server = Server::start(&Plan { config: "memory = \"256MiB\"\n", cores: Some("0-1"), ..Plan::default() });
    let mut client = Client::connect(server.address);
    let large = "0123456789abcdef".repeat(500_000);
    for key in 0..4 {
        assert_eq!(client.ask(&request("PUT", key, "", &large)).status, 201);
        assert_eq!(client.ask(&request("GET", key, "", "")).body, large.as_bytes());
    }
    let before = server.resident_bytes();
    let mut deaf: Vec<Client> = (0..DEAF).map(|_| Client::connect(server.address)).collect();
    for (index, deaf) in deaf.iter_mut().enumerate() {
        deaf.send(request("GET", index % 4, "", "").as_bytes());
        assert_eq!(client.ask(&request("GET", 1_000, "", "")).status, 404);
    }
    // All are being answered: the head has come.
    for deaf in &deaf {
        assert_eq!(deaf.socket.peek(&mut [0]).unwrap(), 1);
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "{DEAF} clients that do not read cost {grown} bytes");
    drop(deaf);
    assert_eq!(client.ask(&request("GET", 0, "", "")).body, large.as_bytes());
}

#[test]
fn operators_see_where_a_key_is_and_how_it_fares() {
    let server = Server::start(&Plan { config: "memory = \"64MiB\"\n", cores: Some("0-1"), ..Plan::default() });
    let mut client = Client::connect(server.address);
    let page = |path: &str| {
        let answer =
            Client::connect(server.admin).ask(&format!("GET /v1/debug/key/{path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        (answer.status, serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap())
    };
    let mut cores = [0; 2];
    for key in 0..KEYS {
        let stored = client.ask(&request("PUT", key, "Cache-Control: max-age=100\r\n", &value(key, 0)));
        let etag = stored.field("etag").unwrap().trim_matches('"').to_owned();
        let (status, about) = page(&format!("default/key-{key}"));
        assert_eq!(status, 200, "{about}");
        cores[about["core"].as_u64().unwrap() as usize] += 1;
        assert!(about["slot"].as_u64().unwrap() < 16_384 && about["node"].is_null());
        let item = &about["item"];
        assert_eq!(item["version"].as_str().unwrap(), etag);
        assert_eq!(item["value_bytes"].as_u64().unwrap(), value(key, 0).len() as u64);
        assert_eq!((item["queue"].as_str().unwrap(), item["uses"].as_u64().unwrap()), ("small", 0));
        let (ttl_ms, age_ms) = (item["ttl_ms"].as_u64().unwrap(), item["segment_age_ms"].as_u64().unwrap());
        // Cores read the calendar by themselves, a few milliseconds apart.
        assert!((1..=100_100).contains(&ttl_ms) && age_ms < 100_000, "{about}");
    }
    assert!(cores[0] > 0 && cores[1] > 0, "{cores:?}");
    assert_eq!(page("default/absent"), (200, page("default/absent").1));
    assert!(page("default/absent").1["item"].is_null());
    for (path, status) in [("default", 404), ("default/", 400), ("nobody/key", 404), ("default/%zz", 400)] {
        assert_eq!(page(path).0, status, "{path}");
    }
}

/// Does something on one CPU.
fn on_cpu(cpu: usize, act: impl FnOnce()) {
    let before = sched_getaffinity(None).unwrap();
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    sched_setaffinity(None, &cpus).unwrap();
    act();
    sched_setaffinity(None, &before).unwrap();
}

/// Cores on CPUs in another order than their own: what a CPU has taken is accepted by the core on it, not by the one of its number.
#[test]
fn connections_are_steered_to_the_core_on_the_cpu_that_took_them() {
    for cores in ["0,1", "1,0"] {
        let config = "memory = \"64MiB\"\naccept_steering = \"cpu\"\n";
        let server = Server::start(&Plan { config, cores: Some(cores), ..Plan::default() });
        let accepted =
            |core: usize| server.metric(&format!("corelane_http_connections_accepted_total{{core=\"{core}\"}}"));
        for (core, cpu) in cores.split(',').enumerate() {
            // On loopback the CPU of the client takes its packets.
            let before = [accepted(0), accepted(1)];
            on_cpu(cpu.parse().unwrap(), || {
                let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.address)).collect();
                for mut client in clients {
                    assert_eq!(client.ask(&request("GET", 0, "", "")).status, 404);
                }
            });
            let after = [accepted(0), accepted(1)];
            assert_eq!(
                after[core] - before[core],
                CLIENTS as u64,
                "cores {cores}, CPU {cpu}: {before:?}, then {after:?}"
            );
        }
    }
}
