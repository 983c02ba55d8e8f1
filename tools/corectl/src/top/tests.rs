//! Pictures of known samples.

use serde_json::json;

use super::*;

const BUCKETS: [&str; 3] = ["0.000004", "0.001", "+Inf"];

/// An edge of two cores that has served `seconds` at 1,000 requests/s on core 0 and 20,000 on core 1.
fn sample(seconds: u64) -> Sample {
    let core = |id: u64, rate: u64| {
        json!({
            "id": id,
            "http": {"requests": rate * seconds, "connections": 8},
            "cache": {"items": 1_000_000, "live_bytes": 300 << 20},
            "reactor": {"sent_bytes": rate * seconds * 512},
        })
    };
    let seen = |up: [bool; 2], error: Option<&str>| json!([{"core": 0, "up": up[0], "error": null}, {"core": 1, "up": up[1], "error": error}]);
    let node = |id: u64, up, error| json!({"id": id, "address": format!("10.0.0.{id}:7000"), "slots": 5461, "cores": seen(up, error)});
    let status = json!({
        "program": "corelane", "version": "0.1.0", "commit": "0123abc", "mode": "clustered", "state": "serving",
        "totals": {
            "uptime_seconds": seconds, "requests": 21_000 * seconds, "errors": 3 * seconds, "connections": 16, "items": 2_000_000,
            "hit_ratio": 0.5, "hit_ratio_recent": 0.957, "memory_used_bytes": 700 << 20, "memory_limit_bytes": 1 << 30,
        },
        "cores": [core(0, 1_000), core(1, 20_000)],
        "process": {"resident_bytes": 900 << 20, "cpu_seconds_by_thread": {"core-0": 0.1 * seconds as f64, "core-1": 0.95 * seconds as f64}},
        "topology": {"nodes": [node(1, [true, true], None), node(2, [true, false], Some("connection refused")), node(3, [false, false], None)]},
        "hot_keys": {"samples": 840, "window_seconds": 5, "keys": [
            {"key": "default/\u{1b}[31mfront", "cut": false, "share": 0.42}, {"key": "default/other", "cut": true, "share": 0.07},
        ]},
        "warnings": ["node_unreachable node=3 address=10.0.0.3:7000"],
    });
    let counts = [20_000 * seconds, 20_900 * seconds, 21_000 * seconds];
    let line = |(bound, count)| {
        format!("corelane_http_request_duration_seconds_bucket{{route=\"hit\",le=\"{bound}\"}} {count}\n")
    };
    let metrics: String = BUCKETS.into_iter().zip(counts).map(line).collect();
    Sample::of(status.to_string().as_bytes(), metrics.as_bytes()).unwrap()
}

fn picture(before: Option<&Sample>, columns: u16, lines: u16) -> String {
    let view = TopView::between(before, sample(120));
    let mut history = RateHistory::default();
    history.push(&view);
    drawn(&view, &history, columns, lines).unwrap()
}

#[test]
fn a_service_is_drawn() {
    let text = picture(Some(&sample(118)), 100, 40);
    for part in [
        "corelane 0.1.0 0123abc clustered  serving, up 2 min",
        "21.0 k requests/s   95.7 % hits   3 errors/s   16 connections",
        "cache ███████··· 700 MiB of 1.0 GiB, 2.00 M items, 900 MiB resident",
        "peak 21.0 k",
        "http_request hit",
        "≤ 4 us",
        "≤ 1.0 ms",
        "beyond",
        "█·········  10 %",
        "██████████  95 %",
        "20.0 k      9.8 MiB/s",
        "10.0.0.1:7000            5461    up",
        "up for 1 of 2 cores  connection refused",
        "down",
        "hottest keys, 840 samples in 5 s",
        "████······ 42.0 %  default/\u{fffd}[31mfront",
        "default/other…",
        "node_unreachable node=3",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "nothing that a client wrote steers the terminal");
}

#[test]
fn every_size_has_a_picture() {
    for (columns, lines) in [(1, 1), (20, 5), (40, 12), (300, 100)] {
        let text = picture(None, columns, lines);
        assert!(text.lines().count() <= usize::from(lines), "{text}");
    }
}

#[test]
fn a_process_that_was_started_anew_has_no_rates_of_the_one_before() {
    let view = TopView::between(Some(&sample(1_000)), sample(10));
    assert!((view.requests_per_s - 21_000.0).abs() < 1.0, "since its start: {}", view.requests_per_s);
    assert_eq!(view.latencies[0].1.count(), 210_000);
}

#[test]
fn answers_of_somebody_else_are_refused() {
    let refused = |status: &str| Sample::of(status.as_bytes(), b"").unwrap_err().to_string();
    assert!(refused("<html>").starts_with("/v1/status is not JSON"));
    assert!(refused("{}").contains("not the admin listener of corelane"));
    assert!(refused("{\"program\": \"corelane\"}").contains("`totals`"));
}

#[test]
fn a_node_is_drawn_by_its_operations() {
    let status = json!({
        "program": "shardstored", "version": "0.1.0", "node": 7, "state": "serving", "totals": {"uptime_seconds": 10.0, "requests": 300},
        "cores": [{"id": 0, "node": {"requests": {"get": 200, "set": 100}, "connections": 4}, "cache": {}}],
    });
    let view = TopView::between(None, Sample::of(status.to_string().as_bytes(), b"").unwrap());
    assert!((view.cores[0].requests_per_s - 30.0).abs() < 0.1);
    assert!(drawn(&view, &RateHistory::default(), 80, 24).unwrap().starts_with("shardstored node 7 0.1.0"));
}

#[test]
fn a_node_says_nothing_of_nodes_that_it_never_asks() {
    let nodes = |seen: serde_json::Value| {
        let node = |id: u64| json!({"id": id, "address": format!("10.0.0.{id}:7000"), "slots": 8192, "cores": seen});
        json!({"nodes": [node(1), node(2)]})
    };
    let drawn_of = |status: serde_json::Value| {
        let view = TopView::between(None, Sample::of(status.to_string().as_bytes(), b"").unwrap());
        drawn(&view, &RateHistory::default(), 80, 24).unwrap()
    };
    let totals = json!({"uptime_seconds": 10.0});
    let node = drawn_of(
        json!({"program": "shardstored", "node": 2, "state": "serving", "totals": totals, "topology": nodes(json!(null))}),
    );
    let row = |text: &str, id: &str| {
        let row = text.lines().find(|line| line.starts_with(id)).unwrap();
        row.split_whitespace().skip(3).map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!((row(&node, "1 ").as_str(), row(&node, "2 ").as_str()), ("", "this node"), "{node}");
    let edge =
        drawn_of(json!({"program": "corelane", "state": "serving", "totals": totals, "topology": nodes(json!([]))}));
    assert_eq!((row(&edge, "1 ").as_str(), row(&edge, "2 ").as_str()), ("not asked yet", "not asked yet"), "{edge}");
}
