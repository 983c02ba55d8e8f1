//! The page as a whole: the answer first, then each scenario, then what the words mean and what it ran on.

use super::charts::{self, COURSES};
use super::first;
use super::headline::Headline;
use super::heat;
use super::markup::Html;
use super::section::{Run, Section};
use super::tables;

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
pub(super) fn of(sections: &[Section]) -> String {
    let mut html = Html::default();
    html.open("html", "lang=\"en\"").open("head", "");
    html.leaf("meta", "charset=\"utf-8\"");
    html.leaf("meta", "name=\"viewport\" content=\"width=device-width, initial-scale=1\"");
    html.element("title", "", "How fast is it?").style(include_str!("style.css")).close();
    html.open("body", "");
    first::draw(&mut html, sections);
    for (index, section) in sections.iter().enumerate() {
        one(&mut html, index, section);
    }
    tables::hosts(&mut html, sections);
    words(&mut html, sections);
    html.close().close();
    html.finish()
}

/// What a section is called.
pub(super) fn name(section: &Section) -> String {
    if section.name.is_empty() { section.title() } else { format!("{} ({})", section.title(), section.name) }
}

fn one(html: &mut Html, index: usize, section: &Section) {
    html.open("section", "").element("h2", format_args!("id=\"s{index}\""), name(section));
    let Headline { cost, beside, speed, sureness } = Headline::of(section);
    html.open("div", "class=\"lead\"").text(cost);
    if !beside.is_empty() {
        html.open("ul", "");
        for sentence in beside {
            html.element("li", "", sentence);
        }
        html.close();
    }
    html.text(" ").text(speed).close();
    html.element("p", "class=\"soft\"", sureness);
    if section.runs().any(|run| run.outcome.scenario.rate.is_none()) {
        html.element("p", "class=\"soft\"", "This is a closed loop: it finds how much a server can do. Its latencies hide what would have waited, and are not what users see.");
    }
    charts::bars(html, &format!("s{index}-cpu"), section);
    tables::servers(html, section);
    tables::ratios(html, section);
    html.element("h3", "", "Latency by percentile");
    charts::percentiles(html, &format!("s{index}-percentiles"), section);
    html.element("h3", "", "Over time");
    for course in &COURSES {
        charts::course(html, &format!("s{index}-{}", course.id), section, course);
    }
    heat::draw(html, &format!("s{index}-heat"), section);
    html.element("h3", "", "CPU time by kind");
    charts::kinds(html, &format!("s{index}-kinds"), section);
    not_valid(html, section);
    tables::runs(html, section);
    tables::scenario(html, section);
    html.close();
}

/// Runs that were not valid, each with its reasons.
fn not_valid(html: &mut Html, section: &Section) {
    if section.runs().all(|run| run.outcome.valid) {
        return;
    }
    html.element("h3", "", "Runs that were not valid").open("ul", "");
    for server in &section.servers {
        let invalid: Vec<&Run> = server.runs.iter().filter(|run| !run.outcome.valid).collect();
        // The same reason in many rounds is one line.
        let mut reasons: Vec<String> = invalid.iter().map(|run| run.outcome.invalid_reasons.line()).collect();
        reasons.sort();
        reasons.dedup();
        for reason in reasons {
            let has = |run: &&&Run| run.outcome.invalid_reasons.line() == reason;
            let rounds: Vec<String> = invalid.iter().filter(has).map(|run| run.round.to_string()).collect();
            html.open("li", "class=\"bad\"").text(&server.name);
            if section.has_rounds {
                html.text(", round ").text(rounds.join(", "));
            }
            html.text(": ").text(&reason).close();
        }
    }
    html.close();
}

fn words(html: &mut Html, sections: &[Section]) {
    html.element("h2", "id=\"words\"", "What the words mean").open("dl", "");
    let is_shown = |name: &str| sections.iter().any(|section| section.server(name).is_some());
    for (word, meaning) in SERVERS.iter().filter(|(name, _)| is_shown(name)).chain(&WORDS) {
        html.element("dt", "", word).element("dd", "", format_args!("{meaning}."));
    }
    html.close();
}
