//! The tables of a page: servers side by side, the subject beside each peer, all runs, and what they ran on.
//!
//! **Invariants**: a run that was not valid has its reasons where the figures would be.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::figures::{bytes, count, ratio, spread, us};
use super::section::{self, ReportSection, ReportServer, ServerRun, cpu, latency, rate};
use crate::results::difference;
use crate::run::outcome::Outcome;

/// A table whose first column stands to the left.
fn table(heads: &[&str], rows: &Markup) -> Markup {
    html! {
        div.wide {
            table.runs[heads.len() > 10] {
                thead {
                    tr { @for (index, head) in heads.iter().enumerate() { th.l[index == 0] scope="col" { (head) } } }
                }
                tbody { (rows) }
            }
        }
    }
}

fn row(cells: &[String]) -> Markup {
    html! {
        tr {
            @for (index, cell) in cells.iter().enumerate() {
                td.l[index == 0] {
                    // The extremes stand below their median, so that columns stay narrow.
                    @match cell.split_once(" (").filter(|_| index > 0) {
                        Some((median, extremes)) => { (median) small { "(" (extremes) } }
                        None => (cell),
                    }
                }
            }
        }
    }
}

/// All servers, medians of their rounds.
pub(super) fn servers(section: &ReportSection) -> Markup {
    const HEADS: [&str; 9] =
        ["server", "valid runs", "CPU per request", "to the floor", "requests/s", "p50", "p99", "p99.9", "memory"];
    let floor = section.server("floor");
    let cells = |server: &ReportServer| {
        let time = |of: fn(&Outcome) -> Option<f64>| spread(server.spread(of), us);
        let to_floor = floor.and_then(|floor| server.ratio(floor, cpu)).map(|(ratio, _)| ratio);
        [
            server.name.clone(),
            format!("{} of {}", server.valid().count(), server.runs.len()),
            spread(server.spread(cpu), us),
            spread(to_floor, ratio),
            spread(server.spread(rate), count),
            time(|run| Some(latency(run)?.p50_us)),
            time(|run| Some(latency(run)?.p99_us)),
            time(|run| Some(latency(run)?.p999_us)),
            spread(server.spread(|run| Some(run.server_memory_bytes? as f64)), bytes),
        ]
    };
    html! {
        (table(&HEADS, &html! { @for server in &section.servers { (row(&cells(server))) } }))
        p.soft {
            "Medians of the rounds, in brackets the smallest and the largest. –: there is no run that can be believed as far as this \
             goes. memory: what the server's processes held at the end of a run. " (softnet(section))
        }
    }
}

/// What the host's network stack could not take, in a sentence.
fn softnet(section: &ReportSection) -> String {
    let sum =
        |count: fn(&Outcome) -> Option<u64>| -> Option<u64> { section.runs().map(|run| count(&run.outcome)).sum() };
    match (sum(|run| run.softnet_dropped), sum(|run| run.softnet_squeezed)) {
        (Some(0), Some(0)) => "The host's network stack dropped nothing in these runs.".to_owned(),
        (Some(dropped), Some(squeezed)) => format!(
            "The host's network stack dropped {dropped} packets in these runs, and left some for later {squeezed} times."
        ),
        _ => "What the host's network stack dropped is not known of all runs.".to_owned(),
    }
}

/// The subject's figures divided by each other server's.
pub(super) fn ratios(section: &ReportSection) -> Markup {
    const HEADS: [&str; 7] = ["divided by", "rounds", "CPU per request", "requests/s", "p50", "p99", "p99.9"];
    let subject = section.subject();
    let known = |other: &ReportServer| subject.ratio(other, cpu).or_else(|| subject.ratio(other, rate));
    let others = || section.servers.iter().filter(|server| server.name != subject.name && known(server).is_some());
    let cells = |other: &ReportServer| {
        let of =
            |figure: fn(&Outcome) -> Option<f64>| spread(subject.ratio(other, figure).map(|(ratio, _)| ratio), ratio);
        [
            other.name.clone(),
            known(other).map_or(0, |(_, rounds)| rounds).to_string(),
            of(cpu),
            of(rate),
            of(|run| Some(latency(run)?.p50_us)),
            of(|run| Some(latency(run)?.p99_us)),
            of(|run| Some(latency(run)?.p999_us)),
        ]
    };
    html! {
        @if others().next().is_some() {
            h3 { (subject.name) " beside each other server" }
            (table(&HEADS, &html! { @for other in others() { (row(&cells(other))) } }))
            p.soft {
                "Divided round by round, then the median. Below 1, for CPU and latencies: less than the other server. For requests/s \
                 above 1 is more."
            }
        }
    }
}

/// Every run.
pub(super) fn runs(section: &ReportSection) -> Markup {
    const NAMES: [&str; 19] = [
        "server",
        "round",
        "started",
        "due/s",
        "answered/s",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "hits",
        "user",
        "system",
        "softirq",
        "switches/request",
        "system calls/request",
        "interrupts/request",
        "server busy",
        "generator busy",
    ];
    let runs = section.servers.iter().flat_map(|server| server.runs.iter().map(move |run| (server, run)));
    html! {
        h3 { "All runs" }
        (table(&NAMES, &html! { @for (server, run) in runs { (one_run(server, run)) } }))
    }
}

fn one_run(server: &ReportServer, run: &ServerRun) -> Markup {
    let outcome = &run.outcome;
    let Some(latency) = section::latency(outcome) else {
        return html! {
            tr {
                td.l { (server.name) }
                td { (run.round) }
                td { (outcome.started) }
                td.l.bad colspan="16" {
                    "Not valid; why stands above"
                    @if let Some(cost) = cpu(outcome) { ". CPU per request, which counts all the same: " (us(cost)) }
                }
            }
        };
    };
    let part = |of: fn(&crate::run::outcome::CpuPerRequest) -> f64| {
        outcome.cpu_us_per_request.as_ref().map_or_else(|| "–".to_owned(), |cpu| us(of(cpu)))
    };
    let share = |share: f64| format!("{:.0} %", share * 100.0);
    let per_request = |count: Option<f64>| count.map_or_else(|| "–".to_owned(), |count| format!("{count:.3}"));
    row(&[
        server.name.clone(),
        run.round.to_string(),
        outcome.started.clone(),
        count(outcome.rate_due),
        count(outcome.rate_answered),
        us(latency.p50_us),
        us(latency.p90_us),
        us(latency.p99_us),
        us(latency.p999_us),
        us(latency.max_us),
        outcome.hit_ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{:.2} %", ratio * 100.0)),
        part(|cpu| cpu.user),
        part(|cpu| cpu.system),
        part(|cpu| cpu.softirq),
        per_request(outcome.context_switches_per_request),
        per_request(outcome.system_calls_per_request),
        per_request(outcome.interrupts_per_request),
        outcome.server_busy.map_or_else(|| "–".to_owned(), share),
        share(outcome.generator_busy),
    ])
}

/// The scenario as a file would say it, and in what the servers were asked differently.
pub(super) fn scenario(section: &ReportSection) -> Markup {
    let first = &section.subject().runs[0].outcome.scenario;
    let text = toml::to_string(first).unwrap_or_else(|error| format!("it cannot be shown: {error}"));
    let mut lines: Vec<String> = Vec::new();
    for (server, run) in section.servers.iter().flat_map(|server| server.runs.iter().map(move |run| (server, run))) {
        for it in difference::of(first, &run.outcome.scenario) {
            let line = format!("{}: {} = {} instead of {}", server.name, it.key, it.second, it.first);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    html! {
        h3 { "The scenario" }
        pre { (text) }
        @if !lines.is_empty() {
            p { "Asked differently:" }
            ul { @for line in &lines { li { (line) } } }
        }
    }
}

/// The hosts and commits of all runs.
pub(super) fn hosts(sections: &[ReportSection]) -> Markup {
    let mut hosts: BTreeMap<String, &Outcome> = BTreeMap::new();
    for run in sections.iter().flat_map(ReportSection::runs) {
        let host = &run.outcome.host;
        hosts
            .entry(format!("{} {} {} {}", host.name, host.cpu, host.kernel, run.outcome.commit))
            .or_insert(&run.outcome);
    }
    html! {
        h2 id="host" { "What it ran on" }
        @if hosts.len() > 1 {
            p.bad { "The runs are of several hosts or commits; compare with care." }
        }
        @for outcome in hosts.values() {
            dl { @for (name, text) in host(outcome) { dt { (name) } dd { (text) } } }
        }
    }
}

fn host(outcome: &Outcome) -> [(&'static str, String); 10] {
    let host = &outcome.host;
    let lines = |lines: &[String]| if lines.is_empty() { "not known".to_owned() } else { lines.join("; ") };
    [
        ("host", host.name.clone()),
        ("CPU", format!("{}, {} CPUs", host.cpu, host.cpus)),
        ("frequency governor", host.governor.clone().unwrap_or_else(|| "not known".to_owned())),
        ("kernel", host.kernel.clone()),
        ("kernel command line", host.command_line.clone()),
        ("mitigations of CPU weaknesses", lines(&host.mitigations)),
        ("kernel settings", lines(&host.sysctls)),
        ("network cards (Mbit/s)", lines(&host.nics)),
        ("load before the first run", host.load_before.clone()),
        ("commit", outcome.commit.clone()),
    ]
}
