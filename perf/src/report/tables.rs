//! The tables of a page: servers side by side, the subject beside each peer, all runs, and what they ran on.
//!
//! **Invariants**: a run that was not valid has its reasons where the figures would be.

use std::collections::BTreeMap;

use super::figures::{bytes, count, ratio, spread, us};
use super::markup::Html;
use super::section::{self, Run, Section, Server, cpu, latency, rate};
use crate::results::difference;
use crate::run::outcome::Outcome;

fn header(html: &mut Html, class: &str, names: &[&str]) {
    html.open("div", "class=\"wide\"")
        .open("table", format_args!("class=\"{class}\""))
        .open("thead", "")
        .open("tr", "");
    for (index, name) in names.iter().enumerate() {
        html.element("th", if index == 0 { "class=\"l\" scope=\"col\"" } else { "scope=\"col\"" }, name);
    }
    html.close().close().open("tbody", "");
}

fn end(html: &mut Html) {
    html.close().close().close();
}

fn row(html: &mut Html, cells: &[String]) {
    html.open("tr", "");
    for (index, cell) in cells.iter().enumerate() {
        html.open("td", if index == 0 { "class=\"l\"" } else { "" });
        // The extremes stand below their median, so that columns stay narrow.
        match cell.split_once(" (").filter(|_| index > 0) {
            Some((median, extremes)) => html.text(median).element("small", "", format_args!("({extremes}")),
            None => html.text(cell),
        };
        html.close();
    }
    html.close();
}

/// All servers, medians of their rounds.
pub(super) fn servers(html: &mut Html, section: &Section) {
    header(
        html,
        "",
        &["server", "valid runs", "CPU per request", "to the floor", "requests/s", "p50", "p99", "p99.9", "memory"],
    );
    let floor = section.server("floor");
    for server in &section.servers {
        let time = |of: fn(&Outcome) -> Option<f64>| spread(server.spread(of), us);
        let to_floor = floor.and_then(|floor| server.ratio(floor, cpu)).map(|(ratio, _)| ratio);
        row(
            html,
            &[
                server.name.clone(),
                format!("{} of {}", server.valid().count(), server.runs.len()),
                spread(server.spread(cpu), us),
                spread(to_floor, ratio),
                spread(server.spread(rate), count),
                time(|run| Some(latency(run)?.p50_us)),
                time(|run| Some(latency(run)?.p99_us)),
                time(|run| Some(latency(run)?.p999_us)),
                spread(server.spread(|run| Some(run.server_memory_bytes? as f64)), bytes),
            ],
        );
    }
    end(html);
    let text = "Medians of the rounds, in brackets the smallest and the largest. – : there is no run that can be believed as far as this goes. \
        memory: what the server's processes held at the end of a run. System calls per request are not measured: the kernel does not \
        count them.";
    html.element("p", "class=\"soft\"", format_args!("{text} {}", softnet(section)));
}

/// What the host's network stack could not take, in a sentence.
fn softnet(section: &Section) -> String {
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
pub(super) fn ratios(html: &mut Html, section: &Section) {
    let subject = section.subject();
    let has_ratio = |other: &Server| subject.ratio(other, cpu).or_else(|| subject.ratio(other, rate)).is_some();
    let is_other = |server: &&Server| server.name != subject.name && has_ratio(server);
    let others: Vec<&Server> = section.servers.iter().filter(is_other).collect();
    if others.is_empty() {
        return;
    }
    html.element("h3", "", format_args!("{} beside each other server", subject.name));
    header(html, "", &["divided by", "rounds", "CPU per request", "requests/s", "p50", "p99", "p99.9"]);
    for other in others {
        let of =
            |figure: fn(&Outcome) -> Option<f64>| spread(subject.ratio(other, figure).map(|(ratio, _)| ratio), ratio);
        let rounds = subject.ratio(other, cpu).or_else(|| subject.ratio(other, rate)).map_or(0, |(_, rounds)| rounds);
        row(
            html,
            &[
                other.name.clone(),
                rounds.to_string(),
                of(cpu),
                of(rate),
                of(|run| Some(latency(run)?.p50_us)),
                of(|run| Some(latency(run)?.p99_us)),
                of(|run| Some(latency(run)?.p999_us)),
            ],
        );
    }
    end(html);
    let text = "Divided round by round, then the median. Below 1, for CPU and latencies: less than the other server. For requests/s above 1 is more.";
    html.element("p", "class=\"soft\"", text);
}

/// Every run.
pub(super) fn runs(html: &mut Html, section: &Section) {
    html.element("h3", "", "All runs");
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
    header(html, "runs", &NAMES);
    for server in &section.servers {
        server.runs.iter().for_each(|run| one_run(html, server, run));
    }
    end(html);
}

fn one_run(html: &mut Html, server: &Server, run: &Run) {
    let outcome = &run.outcome;
    let Some(latency) = section::latency(outcome) else {
        html.open("tr", "");
        html.element("td", "class=\"l\"", &server.name).element("td", "", run.round).element(
            "td",
            "",
            &outcome.started,
        );
        html.open("td", "class=\"l bad\" colspan=\"16\"").text("Not valid; why stands above");
        if let Some(cost) = cpu(outcome) {
            html.text(format_args!(". CPU per request, which counts all the same: {}", us(cost)));
        }
        html.close().close();
        return;
    };
    let part = |of: fn(&crate::run::outcome::Cpu) -> f64| {
        outcome.cpu_us_per_request.as_ref().map_or_else(|| "–".to_owned(), |cpu| us(of(cpu)))
    };
    let share = |share: f64| format!("{:.0} %", share * 100.0);
    let per_request = |count: Option<f64>| count.map_or_else(|| "–".to_owned(), |count| format!("{count:.3}"));
    row(
        html,
        &[
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
        ],
    );
}

/// The scenario as a file would say it, and in what the servers were asked differently.
pub(super) fn scenario(html: &mut Html, section: &Section) {
    html.element("h3", "", "The scenario");
    let first = &section.subject().runs[0].outcome.scenario;
    html.element("pre", "", toml::to_string(first).unwrap_or_else(|error| format!("it cannot be shown: {error}")));
    let mut lines: Vec<String> = Vec::new();
    for run in section.servers.iter().flat_map(|server| server.runs.iter().map(move |run| (server, run))) {
        let (server, run) = run;
        for it in difference::of(first, &run.outcome.scenario) {
            let line = format!("{}: {} = {} instead of {}", server.name, it.key, it.second, it.first);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    if lines.is_empty() {
        return;
    }
    html.element("p", "", "Asked differently:").open("ul", "");
    for line in &lines {
        html.element("li", "", line);
    }
    html.close();
}

/// The hosts and commits of all runs.
pub(super) fn hosts(html: &mut Html, sections: &[Section]) {
    let mut hosts: BTreeMap<String, &Outcome> = BTreeMap::new();
    for run in sections.iter().flat_map(Section::runs) {
        let host = &run.outcome.host;
        hosts
            .entry(format!("{} {} {} {}", host.name, host.cpu, host.kernel, run.outcome.commit))
            .or_insert(&run.outcome);
    }
    html.element("h2", "id=\"host\"", "What it ran on");
    if hosts.len() > 1 {
        html.element("p", "class=\"bad\"", "The runs are of several hosts or commits; compare with care.");
    }
    for outcome in hosts.values() {
        let host = &outcome.host;
        let lines = |lines: &[String]| if lines.is_empty() { "not known".to_owned() } else { lines.join("; ") };
        html.open("dl", "");
        for (name, text) in [
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
        ] {
            html.element("dt", "", name).element("dd", "", text);
        }
        html.close();
    }
}
