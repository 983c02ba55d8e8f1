//! The page as a whole: the answer first, then each scenario, then what the words mean and what it ran on.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::charts::{self, COURSES};
use super::first;
use super::heat;
use super::section::{ReportSection, ServerRun, cpu};
use super::tables;
use crate::run::outcome::Outcome;

/// What servers are, for those who do not know them.
const SERVERS: [(&str, &str); 10] = [
    ("corelane", "this project's server: it looks the value up in its cache and checks the request"),
    ("floor", "a bare loop that does nothing but receive and send: what the kernel alone costs on this host"),
    ("nginx", "a web server that answers from its configuration and looks nothing up"),
    ("haproxy", "a proxy that answers from its configuration and looks nothing up"),
    ("varnish", "a web cache that answers from memory"),
    ("h2o", "a web server that answers from a file it keeps open"),
    ("shardstored", "this project's node: it keeps values in memory and speaks the shard protocol"),
    ("redis", "a key-value server that keeps values in memory"),
    ("valkey", "a key-value server that keeps values in memory, made from redis"),
    ("memcached", "a key-value cache in memory"),
];

const WORDS: [(&str, &str); 6] = [
    (
        "CPU per request",
        "the processor time that the server used, its own and the kernel's on its behalf, divided by its answers. It hardly depends on how fast the client is, so it compares servers best",
    ),
    (
        "round",
        "one run against every server in turn. Ratios are formed within a round, so that what changes on the host changes for both sides",
    ),
    (
        "p50, p99, p99.9",
        "latencies that 50, 99 and 99.9 of 100 requests did not exceed, counted from the instant a request was due",
    ),
    (
        "valid",
        "the load generator kept its times, answers were right, and nothing else used the CPUs. Of a run that was not valid no latency is shown, only why",
    ),
    (
        "user, system, softirq",
        "time in the server's own code; in the kernel for it; in the kernel's network interrupts",
    ),
    (
        "closed loop",
        "a scenario without a rate: each connection asks again when it has its answer. That finds what a server can do, but its latencies hide what waits; with a rate they do not",
    ),
];

/// The page.
pub(super) fn of(sections: &[ReportSection]) -> String {
    let is_shown = |name: &str| sections.iter().any(|section| section.server(name).is_some());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "How fast is it?" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                (first::draw(sections))
                @for (index, section) in sections.iter().enumerate() { (one(index, section)) }
                (tables::hosts(sections))
                h2 id="words" { "What the words mean" }
                dl {
                    @for (word, meaning) in SERVERS.iter().filter(|(name, _)| is_shown(name)).chain(&WORDS) {
                        dt { (word) }
                        dd { (meaning) "." }
                    }
                }
            }
        }
    };
    page.into_string()
}

/// What a section is called.
pub(super) fn name(section: &ReportSection) -> String {
    if section.name.is_empty() { section.title() } else { format!("{} ({})", section.title(), section.name) }
}

fn one(index: usize, section: &ReportSection) -> Markup {
    let is_closed = section.runs().any(|run| run.outcome.scenario.rate.is_none());
    html! {
        section {
            h2 id={ "s" (index) } { (name(section)) }
            div.lead { (first::answer(section).unwrap_or_else(|| "What a request costs is not known.".to_owned())) }
            p.soft { (valid(section)) ": " (first::sure(section)) "." }
            @if is_closed {
                p.soft {
                    "This is a closed loop: it finds how much a server can do. Its latencies hide what would have waited, and are \
                     not what users see."
                }
            }
            h3 { "CPU time per request" }
            (charts::cpu(section))
            (tables::servers(section))
            (tables::ratios(section))
            h3 { "Latency by percentile" }
            (charts::percentiles(section))
            h3 { "Over time" }
            @for course in &COURSES { (charts::course(section, course)) }
            (heat::draw(section))
            (not_valid(section))
            (tables::runs(section))
            (tables::scenario(section))
        }
    }
}

/// How many runs there are, and of which nothing but the latencies is lost.
fn valid(section: &ReportSection) -> String {
    let count = |of: fn(&Outcome) -> bool| section.runs().filter(|run| of(&run.outcome)).count();
    let cpu_only = count(|run| !run.valid && cpu(run).is_some());
    let text = format!("{} of {} runs were valid", count(|run| run.valid), count(|_| true));
    if cpu_only == 0 {
        return text;
    }
    text + &format!("; of {cpu_only} more the CPU time counts, since only the load generator was at its limit")
}

/// Runs that were not valid, each with its reasons.
fn not_valid(section: &ReportSection) -> Markup {
    let mut lines: Vec<String> = Vec::new();
    for server in &section.servers {
        let invalid: Vec<&ServerRun> = server.runs.iter().filter(|run| !run.outcome.valid).collect();
        // The same reason in many rounds is one line.
        let mut reasons: Vec<String> = invalid.iter().map(|run| run.outcome.invalid_reasons.line()).collect();
        reasons.sort();
        reasons.dedup();
        for reason in reasons {
            let has = |run: &&&ServerRun| run.outcome.invalid_reasons.line() == reason;
            let rounds: Vec<String> = invalid.iter().filter(has).map(|run| run.round.to_string()).collect();
            let rounds = if section.has_rounds { format!(", round {}", rounds.join(", ")) } else { String::new() };
            lines.push(format!("{}{rounds}: {reason}", server.name));
        }
    }
    html! {
        @if !lines.is_empty() {
            h3 { "Runs that were not valid" }
            ul { @for line in &lines { li.bad { (line) } } }
        }
    }
}
