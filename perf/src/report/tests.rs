//! The page of a small folder of results, made here.

use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::{page, section};
use crate::results::{log, under};
use crate::run::scenario::Scenario;
use crate::system::scratch::ScratchFolder;

/// A result as `run` writes it.
pub(crate) fn result(title: &str, cpu: f64, reasons: &[&str]) -> Value {
    let mut scenario = Scenario::parse("url = \"http://127.0.0.1:1/\"\nrate = 10\n").expect("it is right");
    scenario.title = title.to_owned();
    let times = json!({"p50_us": 1234.0, "p90_us": 1300.0, "p99_us": 7654.0, "p999_us": 8642.0, "max_us": 9753.0, "mean_us": 1.0});
    let errors = json!({"total": 0, "unanswered": 0, "connect": 0, "closed": 0, "timed_out": 0, "status": 0, "body": 0, "malformed": 0});
    let sample = |measured: bool| {
        json!({"measured": measured, "due": 10, "sent": 10, "answered": 10, "failed": 0, "p50_us": 1.0,
        "p99_us": 7654.0, "p999_us": 9.0, "server_cpu_us_per_request": cpu})
    };
    json!({
        "schema": 1, "title": title, "valid": reasons.is_empty(), "invalid_reasons": reasons, "partial": false,
        "started": "2026-01-01T00:00:00Z", "seconds_measured": 2.0, "rate_due": 10.0, "rate_answered": 10.0,
        "requests_due": 20, "requests_answered": 20, "body_bytes_per_second": 1.0,
        "latency": if reasons.is_empty() { times.clone() } else { Value::Null }, "lateness": times,
        "waited_for_connection": 0.0, "errors": errors, "statuses": [[200, 20]],
        "cpu_us_per_request": {"user": cpu / 4.0, "system": cpu * 0.75, "softirq": 0.1, "total": cpu},
        "server_busy": 0.5, "context_switches_per_request": 0.1, "generator_cpus": [1], "generator_busy": 0.3,
        "generator_us_per_request": 2.0, "timeline": [sample(false), sample(true), sample(true)],
        "scenario": scenario,
        "host": {"name": "h", "cpu": "c", "cpus": 2, "kernel": "k", "command_line": "", "governor": null, "mitigations": [],
            "nics": [], "sysctls": [], "load_before": ""},
        "commit": "0123456789ab"
    })
}

/// Writes a result with 20 latencies, the first of `from_us`, each a microsecond longer than the one before.
pub(crate) fn write(folder: &Path, result: &Value, from_us: u64) {
    std::fs::create_dir_all(folder).expect("the temporary folder is writable");
    std::fs::write(folder.join("result.json"), result.to_string()).expect("the temporary folder is writable");
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 100_000_000_000, 3).expect("the bounds make sense");
    (0..20).for_each(|index| histogram.saturating_record((from_us + index) * 1000));
    let bytes = log::write(&histogram, Duration::from_secs(2), "test").expect("it is small");
    std::fs::write(folder.join("latency.hlog"), bytes).expect("the temporary folder is writable");
}

fn page_of(scratch: &ScratchFolder) -> String {
    page::of(&section::of(&under(&[scratch.folder().to_owned()]).expect("there are results")).expect("they are whole"))
}

#[test]
fn two_servers_in_two_rounds_one_of_them_not_valid() {
    let scratch = ScratchFolder::new("report-peers").expect("the temporary folder is writable");
    let folder = |path: &str| scratch.path("hit").join(path);
    write(&folder("corelane/1"), &result("Hits", 3.0, &[]), 100);
    write(&folder("nginx/1"), &result("Hits", 4.0, &[]), 100);
    let mut bad = result("Hits", 99.0, &["it was <i>interrupted</i>"]);
    // Even if it had percentiles, they would not be shown.
    bad["latency"] =
        json!({"p50_us": 1.0, "p90_us": 1.0, "p99_us": 4242.0, "p999_us": 1.0, "max_us": 4343.0, "mean_us": 1.0});
    bad["timeline"][1]["p99_us"] = json!(4242.0);
    write(&folder("corelane/2"), &bad, 4_000_000);
    write(&folder("nginx/2"), &result("Hits", 8.0, &[]), 100);
    let page = page_of(&scratch);
    assert!(page.contains("corelane 3.00 µs of CPU time: 25 % less than nginx."), "the ratio of the only common round");
    assert!(page.contains("it was &lt;i&gt;interrupted&lt;/i&gt;"), "the reason is shown");
    for gone in ["4.24 ms", "4.34 ms", "99.0 µs", "<i>"] {
        assert!(!page.contains(gone), "{gone} is of the run that was not valid");
    }
    assert!(page.contains("7.65 ms") && page.contains("3 of 4 runs were valid") && page.contains("1 of 2"));
    assert!(page.contains("an indication only") && !page.contains("NaN") && !page.contains("inf\""));
}

#[test]
fn a_plain_run_has_a_page_and_what_others_wrote_is_text() {
    let scratch = ScratchFolder::new("report-plain").expect("the temporary folder is writable");
    let hostile = "</title><script>alert('x')</script>\" & more";
    write(&scratch.path("one"), &result(hostile, 3.0, &[]), 100);
    let page = page_of(&scratch);
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert('x')"));
    assert!(page.contains("not taken in turns: an indication only") && page.contains("<svg"));
    for outside in ["http-equiv", "src=", "@import", "<link", "url("] {
        assert!(!page.contains(outside), "{outside} leads elsewhere");
    }
}

/// A run that only the generator's limit spoilt still tells what a request costs, but no latency.
#[test]
fn a_busy_generator_leaves_the_cpu_time() {
    let scratch = ScratchFolder::new("report-busy").expect("the temporary folder is writable");
    let mut busy = result("Hits", 3.0, &["it was at its limit"]);
    busy["invalid_kinds"] = json!(["generator_busy"]);
    write(&scratch.path("hit").join("corelane/1"), &busy, 100);
    write(&scratch.path("hit").join("floor/1"), &result("Hits", 2.0, &[]), 100);
    let page = page_of(&scratch);
    assert!(
        page.contains("corelane 3.00 µs of CPU time: 50 % more than the least")
            && page.contains("of 1 more the CPU time")
    );
    let percentiles = page.split("<h3>Latency by percentile</h3>").nth(1).expect("it has a heading");
    let percentiles = percentiles.split("<h3>Over time</h3>").next().expect("another heading follows");
    assert!(percentiles.contains(">\nfloor\n<") && !percentiles.contains(">\ncorelane\n<"), "{percentiles}");
}

/// The first thing on the page: how fast, compared with what, how sure.
#[test]
fn the_answer_comes_first() {
    let scratch = ScratchFolder::new("report-first").expect("the temporary folder is writable");
    for round in 1..=5 {
        let folder = |path: &str| scratch.path(path).join(round.to_string());
        write(&folder("hit/corelane"), &result("Hits", 3.0, &[]), 100);
        write(&folder("hit/floor"), &result("Hits", 2.5, &[]), 100);
        write(&folder("hit/nginx"), &result("Hits", 4.0, &[]), 100);
        write(&folder("put/corelane"), &result("Puts", 3.0, &["the host was busy"]), 100);
    }
    let page = page_of(&scratch);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not on the page"));
    let answer = at(
        "A request costs corelane 3.00 µs of CPU time: 20 % more than the least that is possible here (the floor); \
                     25 % less than nginx.",
    );
    let sure = at("5 of 5 rounds count, and all agree who needs less");
    assert!(answer < sure && sure < at("Measured on 2026-01-01") && sure < at("<h2"), "in this order");
    assert!(at("no run can be believed") < at("<h2"), "what failed is on the first screen too");
    // Few rounds, or rounds that do not agree, are called so.
    write(&scratch.path("hit/nginx/5"), &result("Hits", 2.0, &[]), 100);
    assert!(page_of(&scratch).contains("and they do not all agree who needs less"));
    (3..=5).for_each(|round| {
        std::fs::remove_dir_all(scratch.path("hit/corelane").join(round.to_string())).expect("it is there");
    });
    assert!(page_of(&scratch).contains("2 of 2 rounds count: an indication only"));
}

#[test]
fn a_page_without_a_valid_run_says_so_first() {
    let scratch = ScratchFolder::new("report-none").expect("the temporary folder is writable");
    write(&scratch.path("hit/corelane/1"), &result("Hits", 3.0, &["the host was busy"]), 100);
    let page = page_of(&scratch);
    assert!(page.contains("There is nothing to tell") && !page.contains("3.00 µs"));
}

#[test]
fn cpus_and_memory_are_shown_where_they_are_known() {
    let scratch = ScratchFolder::new("report-cpus").expect("the temporary folder is writable");
    let mut known = result("Hits", 3.0, &[]);
    known["server_cpus"] = json!([0]);
    known["server_memory_bytes"] = json!(14_889_779);
    (known["softnet_dropped"], known["softnet_squeezed"]) = (json!(7), json!(2));
    for sample in known["timeline"].as_array_mut().expect("a list") {
        sample["cpu_busy"] = json!([0.75, 1.0]);
        sample["generator_busy"] = json!(0.5);
    }
    write(&scratch.path("hit/corelane/1"), &known, 100);
    let page = page_of(&scratch);
    for part in [
        "CPU 0 (server's)",
        "CPU 1 (generator's)",
        "second 2: 75 % busy",
        "14.2 MiB",
        "dropped 7 packets in these runs, and left some for later 2 times",
    ] {
        assert!(page.contains(part), "{part}");
    }
    write(&scratch.path("hit/corelane/2"), &result("Hits", 3.0, &[]), 100);
    assert!(page_of(&scratch).contains("is not known of all runs"));
}
