//! What is read first: how fast, compared with what, how sure, for somebody who never saw the project.
//!
//! **Not** all there is to tell; the sections below do that.
//!
//! **Invariants**: no figure without how sure it is; what could not be believed is said before any figure.

use maud::{Markup, html};

use super::figures::{count, us};
use super::page::name;
use super::section::{ReportSection, ReportServer, counted, cpu, latency, rate};
use crate::run::outcome::Outcome;
use perf_basis::judge::{ROUNDS_MIN, Spread};

/// The head of the page, and with several scenarios a table of them.
pub(super) fn draw(sections: &[ReportSection]) -> Markup {
    let Some(first) = sections.first() else { return html! {} };
    // What is surest comes first: of the most rounds, and of those beside the most servers.
    let sureness = |section: &&ReportSection| (counted(section.subject()), compared(section).count());
    let mut best: Vec<&ReportSection> = sections.iter().collect();
    best.sort_by_key(|section| std::cmp::Reverse(sureness(section)));
    let answered = best.into_iter().find_map(|section| Some((section, answer(section)?)));
    let others = others(sections);
    html! {
        h1 { "How fast is " (first.subject().name) "?" }
        @if let Some((section, text)) = answered {
            p.lead { strong { (text) } " That is for “" (section.title()) "”; " (sure(section)) "." }
        } @else {
            p.lead.bad { "There is nothing to tell: no run can be believed. The reasons are below." }
        }
        p.soft { (context(&first.subject().runs[0].outcome, &others)) }
        @if sections.len() > 1 { (table(sections, &others)) }
    }
}

/// Servers beside which the subject's CPU time is known.
fn compared(section: &ReportSection) -> impl Iterator<Item = &ReportServer> {
    let subject = section.subject();
    section.servers.iter().filter(move |other| other.name != subject.name && subject.ratio(other, cpu).is_some())
}

/// Names of all servers that are compared with, in the order of the page.
fn others(sections: &[ReportSection]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for section in sections {
        for server in compared(section) {
            if !names.contains(&server.name.as_str()) {
                names.push(&server.name);
            }
        }
    }
    names
}

/// How fast, and compared with whom, in a sentence; none if the subject has no figure.
pub(super) fn answer(section: &ReportSection) -> Option<String> {
    let subject = section.subject();
    let cost = subject.spread(cpu)?.median;
    let mut text = format!("A request costs {} {} of CPU time", subject.name, us(cost));
    let beside: Vec<String> = section.servers.iter().filter_map(|other| beside(subject, other)).collect();
    if !beside.is_empty() {
        text += &format!(": {}", beside.join("; "));
    }
    Some(text + ".")
}

fn beside(subject: &ReportServer, other: &ReportServer) -> Option<String> {
    let (ratio, _) = subject.ratio(other, cpu).filter(|_| subject.name != other.name)?;
    let name = if other.name == "floor" { "the least that is possible here (the floor)" } else { &other.name };
    Some(format!("{} than {name}", change(ratio.median)))
}

/// A ratio as a change: `11 % less`.
fn change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    let word = if percent < 0.0 { "less" } else { "more" };
    if percent.abs() < 0.5 {
        "as much, within half a percent,".to_owned()
    } else {
        format!("{:.0} % {word}", percent.abs())
    }
}

/// Where and how it was measured.
fn context(outcome: &Outcome, others: &[&str]) -> String {
    let host = &outcome.host;
    let how = if others.is_empty() {
        "A load generator asked one server."
    } else {
        "A load generator asked each server in turn, round after round, on the same CPU of the same host, so that what changed \
         there changed for all of them."
    };
    let day = outcome.started.split('T').next().unwrap_or_default();
    format!(
        "{how} Measured on {day} on {} ({} CPUs, Linux {}), at commit {}. CPU time is compared because it hardly depends on how \
         fast the client is.",
        host.cpu, host.cpus, host.kernel, outcome.commit
    )
}

/// How sure a scenario's figures are.
pub(super) fn sure(section: &ReportSection) -> String {
    let rounds = counted(section.subject());
    let others = || section.servers.iter().filter(|server| server.name != section.subject().name);
    let ratios: Vec<Spread> = others().filter_map(|other| Some(section.subject().ratio(other, cpu)?.0)).collect();
    let (one, all) = ("round", section.subject().runs.len());
    let begin = format!("{rounds} of {all} {one}s count");
    match rounds {
        0 => "no run can be believed".to_owned(),
        _ if !section.has_rounds => format!("{begin}, not taken in turns: an indication only"),
        1..ROUNDS_MIN => format!("{begin}: an indication only"),
        _ if ratios.iter().all(|ratio| ratio.min >= 1.0 || ratio.max <= 1.0) => {
            format!("{begin}, and all agree who needs less")
        }
        _ => format!("{begin}, and they do not all agree who needs less"),
    }
}

/// All scenarios, one in a row.
fn table(sections: &[ReportSection], others: &[&str]) -> Markup {
    html! {
        div.wide {
            table.first {
                thead {
                    tr {
                        @for head in ["what is asked", "how sure"] { th.l scope="col" { (head) } }
                        @for head in ["CPU per request", "requests/s", "99 of 100 within"] { th scope="col" { (head) } }
                        @for other in others { th scope="col" { "than " (other) } }
                    }
                }
                tbody { @for (index, section) in sections.iter().enumerate() { (row(index, section, others)) } }
            }
        }
        p.soft {
            "Medians of the rounds; in brackets the extremes. than …: how much less or more CPU time a request costs than with that \
             server. –: nothing that can be believed."
            @if others.contains(&"floor") {
                " floor: a bare loop that receives and sends and does nothing else, below which no server can get on this host."
            }
        }
    }
}

fn row(index: usize, section: &ReportSection, others: &[&str]) -> Markup {
    let subject = section.subject();
    let median = |figure: fn(&Outcome) -> Option<f64>, shown: fn(f64) -> String| {
        subject.spread(figure).map_or_else(|| "–".to_owned(), |spread| shown(spread.median))
    };
    // In a closed loop latencies hide what waits, and do not belong up here.
    let is_open = subject.runs.iter().all(|run| run.outcome.scenario.rate.is_some());
    let p99 = if is_open { median(|run| Some(latency(run)?.p99_us), us) } else { "–".to_owned() };
    let ratio = |other: &str| Some(subject.ratio(section.server(other)?, cpu)?.0);
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    html! {
        tr {
            td.l { a href={ "#s" (index) } { (name(section)) } }
            td.l { (sure(section)) }
            @for cell in [median(cpu, us), median(rate, count), p99] { td { (cell) } }
            @for other in others {
                td {
                    @match ratio(other) {
                        Some(ratio) => {
                            (change(ratio.median))
                            @if ratio.min < ratio.max {
                                small { (format!("({:+.0} to {:+.0} %)", percent(ratio.min), percent(ratio.max))) }
                            }
                        }
                        None => "–",
                    }
                }
            }
        }
    }
}
