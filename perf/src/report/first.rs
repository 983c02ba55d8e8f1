//! What is read first: how fast, compared with what, how sure, for somebody who never saw the project.
//!
//! **Not** all there is to tell; the sections below do that.
//!
//! **Invariants**: no figure without how sure it is; what could not be believed is said before any figure.

use super::figures::{count, us};
use super::headline::{ROUNDS_MIN, counted};
use super::markup::Html;
use super::page::name;
use super::section::{Section, Server, cpu, latency, rate};
use crate::run::outcome::Outcome;
use perf_basis::judge::Spread;

/// Draws the head of the page, and with several scenarios a table of them.
pub(super) fn draw(html: &mut Html, sections: &[Section]) {
    let Some(first) = sections.first() else { return };
    html.element("h1", "", format_args!("How fast is {}?", first.subject().name));
    // What is surest comes first: of the most rounds, and of those beside the most servers.
    let sureness = |section: &&Section| (counted(section.subject()), compared(section).count());
    let mut best: Vec<&Section> = sections.iter().collect();
    best.sort_by_key(|section| std::cmp::Reverse(sureness(section)));
    let answered = best.into_iter().find_map(|section| Some((section, answer(section)?)));
    let others = others(sections);
    match answered {
        Some((section, text)) => {
            html.open("p", "class=\"lead\"").element("strong", "", text);
            html.text(format_args!(" That is for “{}”; {}.", section.title(), sure(section))).close();
        }
        None => {
            let text = "There is nothing to tell: no run can be believed. The reasons are below.";
            html.element("p", "class=\"lead bad\"", text);
        }
    }
    let outcome = &first.subject().runs[0].outcome;
    html.element("p", "class=\"soft\"", context(outcome, &others));
    if sections.len() > 1 {
        table(html, sections, &others);
    }
}

/// Servers beside which the subject's CPU time is known.
fn compared(section: &Section) -> impl Iterator<Item = &Server> {
    let subject = section.subject();
    section.servers.iter().filter(move |other| other.name != subject.name && subject.ratio(other, cpu).is_some())
}

/// Names of all servers that are compared with, in the order of the page.
fn others(sections: &[Section]) -> Vec<&str> {
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
fn answer(section: &Section) -> Option<String> {
    let subject = section.subject();
    let cost = subject.spread(cpu)?.median;
    let mut text = format!("A request costs {} {} of CPU time", subject.name, us(cost));
    let beside: Vec<String> = section.servers.iter().filter_map(|other| beside(subject, other)).collect();
    if !beside.is_empty() {
        text += &format!(": {}", beside.join("; "));
    }
    Some(text + ".")
}

fn beside(subject: &Server, other: &Server) -> Option<String> {
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
fn sure(section: &Section) -> String {
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
fn table(html: &mut Html, sections: &[Section], others: &[&str]) {
    html.open("div", "class=\"wide\"").open("table", "class=\"first\"").open("thead", "").open("tr", "");
    for head in ["what is asked", "how sure"] {
        html.element("th", "class=\"l\" scope=\"col\"", head);
    }
    for head in ["CPU per request", "requests/s", "99 of 100 within"] {
        html.element("th", "scope=\"col\"", head);
    }
    for other in others {
        html.element("th", "scope=\"col\"", format_args!("than {other}"));
    }
    html.close().close().open("tbody", "");
    for (index, section) in sections.iter().enumerate() {
        row(html, index, section, others);
    }
    html.close().close().close();
    let floor = if others.contains(&"floor") {
        " floor: a bare loop that receives and sends and does nothing else, below which no server can get on this host."
    } else {
        ""
    };
    let text = "Medians of the rounds; in brackets the extremes. than …: how much less or more CPU time a request costs than \
                with that server. –: nothing that can be believed.";
    html.element("p", "class=\"soft\"", format_args!("{text}{floor}"));
}

fn row(html: &mut Html, index: usize, section: &Section, others: &[&str]) {
    let subject = section.subject();
    let median = |figure: fn(&Outcome) -> Option<f64>, shown: fn(f64) -> String| {
        subject.spread(figure).map_or_else(|| "–".to_owned(), |spread| shown(spread.median))
    };
    // In a closed loop latencies hide what waits, and do not belong up here.
    let is_open = subject.runs.iter().all(|run| run.outcome.scenario.rate.is_some());
    let p99 = if is_open { median(|run| Some(latency(run)?.p99_us), us) } else { "–".to_owned() };
    html.open("tr", "").open("td", "class=\"l\"");
    html.element("a", format_args!("href=\"#s{index}\""), name(section)).close();
    html.element("td", "class=\"l\"", sure(section));
    for cell in [median(cpu, us), median(rate, count), p99] {
        html.element("td", "", cell);
    }
    for other in others {
        let ratio = section.server(other).and_then(|other| subject.ratio(other, cpu)).map(|(ratio, _)| ratio);
        html.open("td", "");
        match ratio {
            Some(ratio) if ratio.min < ratio.max => {
                let percent = |ratio: f64| (ratio - 1.0) * 100.0;
                let extremes = format!("({:+.0} to {:+.0} %)", percent(ratio.min), percent(ratio.max));
                html.text(change(ratio.median)).element("small", "", extremes)
            }
            Some(ratio) => html.text(change(ratio.median)),
            None => html.text("–"),
        };
        html.close();
    }
    html.close();
}
