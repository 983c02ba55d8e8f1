//! What the access log is told of responses.

use super::*;
use crate::access_log::{AccessRecord, ClientAddress, collected};
use crate::exchange::origin::{Keeper, ResponseOrigin};

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

/// What a client of an edge of so many cores receives, and what is recorded of it.
fn recorded(steps: &[Step], cores: u16) -> (String, Vec<AccessRecord>) {
    let (port, mut records) = collected(cores);
    let mut plan = plan(Some(port));
    plan.cpus = vec![None; usize::from(cores)];
    let text = run_plan(steps, plan).0;
    (text, records.iter_mut().flat_map(|records| std::iter::from_fn(|| records.pop())).collect())
}

#[test]
fn all_bytes_of_a_body_are_recorded_wherever_it_lies() {
    /// In the response's buffer; sent in place; of several pieces.
    const SIZES: [usize; 3] = [5, 40_000, 1_000_000];
    const KEYS: usize = 5;
    for cores in [1, 2] {
        let mut asked = String::new();
        for size in SIZES {
            for key in 0..KEYS {
                let value = "v".repeat(size);
                let target = format!("/v1/kv/default/{size}-{key} HTTP/1.1\r\nHost: h\r\n");
                asked += &format!("PUT {target}Content-Length: {size}\r\n\r\n{value}GET {target}\r\nHEAD {target}\r\n");
            }
        }
        let responses = SIZES.len() * KEYS * 3;
        let (text, records) = recorded(&[Step::Send(asked.leak()), Step::Heads(responses)], cores);
        assert_eq!(statuses(&text).len(), responses);
        assert_eq!(records.len(), responses);
        for (index, record) in records.iter().enumerate() {
            let size = SIZES[index / 3 / KEYS] as u64;
            let expected = [(201, size, 0), (200, 0, size), (200, 0, 0)][index % 3];
            let response = &record.response;
            assert_eq!(
                (response.status, response.received_bytes, response.sent_bytes),
                expected,
                "{index}, {cores} cores"
            );
        }
    }
}

#[test]
fn a_body_is_invited_while_responses_are_recorded() {
    let head = "PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let (text, records) = recorded(&[Step::Send(head), Step::Heads(1), Step::Send("hello"), Step::Heads(2)], 1);
    assert_eq!(statuses(&text), ["100", "201"]);
    let statuses: Vec<_> = records.iter().map(|record| record.response.status).collect();
    assert_eq!(statuses, [201], "what is interim is not a response of its own");
}

#[test]
fn what_is_refused_is_recorded_with_the_bytes_of_its_body() {
    let absent = "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n";
    let head = "HEAD /nowhere HTTP/1.1\r\nHost: h\r\n\r\n";
    let (text, records) =
        recorded(&[Step::Send(absent), Step::Send(head), Step::Send("GET / HTTP/1.1\r\nno\r\n\r\n"), Step::Closed], 1);
    assert_eq!(statuses(&text), ["404", "404", "400"]);
    let bodies: Vec<_> =
        text.split("\r\n\r\n").skip(1).map(|rest| rest.split("HTTP/1.1 ").next().unwrap().len() as u64).collect();
    let sent: Vec<_> = records.iter().map(|record| record.response.sent_bytes).collect();
    assert_eq!(sent, bodies);
    assert!(bodies[0] > 0 && bodies[1] == 0 && bodies[2] > 0, "{bodies:?}");
}

#[test]
fn a_client_of_http_2_is_told_to_go_and_recorded() {
    let (text, records) = recorded(&[Step::Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Step::Closed], 1);
    // SETTINGS, then GOAWAY (RFC 9113, sections 6.5 and 6.8).
    assert_eq!((text.as_bytes()[3], text.as_bytes()[12]), (4, 7), "{text:?}");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].response.sent_bytes, text.len() as u64);
}

/// What is recorded of a write, 299 hits and a refusal under these variables.
fn recorded_under(variables: &[(&str, &str)]) -> Vec<AccessRecord> {
    let (port, mut records) = collected(1);
    let variables = [&[("CORELANE_ACCESS_LOG_PATH", "access.log")], variables].concat();
    let refused: &'static str = "PUT /v1/kv/default/b HTTP/1.1\r\nHost: h\r\nContent-Length: 70000000\r\n\r\n";
    let hits: &'static str = (PUT.to_owned() + &GET.repeat(299)).leak();
    run_plan(&[Step::Send(hits), Step::Send(refused), Step::Closed], plan_with(Some(port), &variables));
    std::iter::from_fn(|| records[0].pop()).collect()
}

#[test]
fn a_sample_is_recorded_and_all_that_was_slow() {
    assert_eq!(recorded_under(&[]).len(), 301);
    let sample = recorded_under(&[("CORELANE_ACCESS_LOG_SAMPLE", "20"), ("CORELANE_ACCESS_LOG_SLOW", "0s")]);
    assert!((5..40).contains(&sample.len()), "{} of 301, one in 20", sample.len());
    assert!(sample.iter().all(|record| record.is_sampled));
    let slow = recorded_under(&[("CORELANE_ACCESS_LOG_SAMPLE", "1000000"), ("CORELANE_ACCESS_LOG_SLOW", "60s")]);
    assert!(slow.len() <= 1, "{}", slow.len());
}
