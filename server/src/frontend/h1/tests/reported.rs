//! What the admin listener says after requests.

use serde_json::Value;

use super::*;

/// The page at a path, after a client has done these steps, which end with an answer of the edge.
fn page_after(steps: &[Step], path: &'static str) -> String {
    let text = run(&[steps, &[Step::Ask(path)]].concat());
    text.rsplit_once("\r\n\r\n").expect("a head").1.to_owned()
}

/// Four requests on one connection: a write, two hits, one that is absent.
fn requests() -> Vec<Step> {
    let absent = "GET /v1/kv/default/absent HTTP/1.1\r\nHost: h\r\n\r\n";
    vec![Step::Send(PUT), Step::Send(GET), Step::Send(GET), Step::Send(absent), Step::Heads(4)]
}

fn status_after(steps: &[Step]) -> Value {
    serde_json::from_str(&page_after(steps, "/v1/status")).expect("JSON")
}

#[test]
fn the_status_counts_what_clients_have_asked() {
    let status = status_after(&requests());
    let totals = &status["totals"];
    let counts = ["requests", "errors", "connections"].map(|name| totals[name].as_u64().expect("a count"));
    assert_eq!(counts, [4, 0, 1], "{totals}");
    let ratio = totals["hit_ratio"].as_f64().expect("a ratio");
    assert!((ratio - 2.0 / 3.0).abs() < 1e-3, "two of three reads: {totals}");
    assert_eq!(totals["memory_limit_bytes"], 64 << 20);
    assert!(totals["memory_used_bytes"].as_u64().is_some_and(|bytes| bytes > 0 && bytes < 64 << 20), "{totals}");
    assert_eq!(status["cores"][0]["id"], 0);
    assert_eq!(status["cores"][0]["http"]["responses"]["2xx"], 3);
    assert_eq!(status["cores"][0]["kv"]["reads"]["own_core"], 2);
    assert_eq!((&status["state"], &status["mode"]), (&"serving".into(), &"embedded".into()));
    let names: Vec<_> = status["latency"].as_array().expect("latencies").iter().map(|one| &one["name"]).collect();
    assert!(names.contains(&&Value::from("http request: write")), "a write is always measured: {names:?}");
}

#[test]
fn errors_are_counted_as_such() {
    let malformed = "PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nX y: z\r\n\r\n";
    let status = status_after(&[Step::Send(malformed), Step::Closed]);
    assert_eq!(
        (&status["totals"]["requests"], &status["totals"]["errors"]),
        (&0.into(), &0.into()),
        "a refused head is the client's"
    );
    assert_eq!(status["totals"]["hit_ratio"], Value::Null);
}

#[test]
fn all_pages_are_there() {
    for (path, part) in [
        ("/metrics", "corelane_http_requests_total{core=\"0\"} 4"),
        ("/metrics", "corelane_config_generation 1"),
        ("/readyz", "\"ready\": true"),
        ("/v1/config", "\"value\": \"64MiB\",\n    \"from\": \"flag"),
        ("/v1/debug/key/default/a", "\"slot\": 3365"),
    ] {
        let page = page_after(&requests(), path);
        assert!(page.contains(part), "{path} has no {part}: {page}");
    }
    assert!(page_after(&requests(), "/v1/debug/key/nobody/a").contains("unknown-keyspace"));
}

#[test]
fn hot_keys_are_shown_for_a_window_that_has_ended_until_the_next_ends() {
    // One round in 61 is sampled.
    let rounds: Vec<_> = (1..=122).flat_map(|count| [Step::Send(GET), Step::Heads(count)]).collect();
    for (seconds, samples) in [(1, 0), (6, 2), (8, 2), (11, 0)] {
        let wait = Step::Wait(Duration::from_secs(seconds));
        let status = status_after(&[&rounds[..], &[wait]].concat());
        assert_eq!(status["hot_keys"]["samples"], samples, "{seconds} s later: {}", status["hot_keys"]);
    }
}
