//! What a scenario showed, in sentences that need no other page.
//!
//! **Invariants**: a comparison says how sure it is: of how many rounds, and whether they agree.

use super::figures::{count, spread, us};
use super::section::{Section, Server, cpu, latency, rate};
use crate::run::outcome::Outcome;

/// Rounds from which on a ratio is more than an indication.
pub(super) const ROUNDS_MIN: usize = 5;

/// What a scenario showed.
pub(super) struct Headline {
    /// What a request costs.
    pub(super) cost: String,
    /// That beside each other server, one sentence each.
    pub(super) beside: Vec<String>,
    /// How many requests were answered, and how quickly.
    pub(super) speed: String,
    /// Of how many runs that is, and what it is worth.
    pub(super) sureness: String,
}

impl Headline {
    pub(super) fn of(section: &Section) -> Self {
        let subject = section.subject();
        let others = section.servers.iter().filter(|server| server.name != subject.name);
        Self {
            cost: cost(subject),
            beside: others.filter_map(|other| beside(subject, other)).collect(),
            speed: speed(subject),
            sureness: sureness(section),
        }
    }
}

fn cost(server: &Server) -> String {
    let name = &server.name;
    match server.spread(cpu) {
        Some(cost) => format!("{name} spends {} of CPU time on a request.", spread(Some(cost), us)),
        None if server.valid().next().is_some() => {
            format!("What a request costs {name} is not known, as it runs on another host.")
        }
        None => format!("{name} had no valid run, so there is nothing to tell about it; the reasons are below."),
    }
}

fn speed(server: &Server) -> String {
    let median = |figure: fn(&Outcome) -> Option<f64>| server.spread(figure).map(|spread| spread.median);
    let Some(rate) = median(rate) else { return String::new() };
    let latency = [
        median(|run| Some(latency(run)?.p50_us)),
        median(|run| Some(latency(run)?.p99_us)),
        median(|run| Some(latency(run)?.p999_us)),
    ];
    // In a closed loop the latencies are not what users would see, so they do not belong up here.
    let is_open = server.runs.iter().all(|run| run.outcome.scenario.rate.is_some());
    match latency {
        [Some(p50), Some(p99), Some(p999)] if is_open => format!(
            "It answered {} requests/s: half of them within {}, 99 of 100 within {}, 999 of 1000 within {}.",
            count(rate),
            us(p50),
            us(p99),
            us(p999)
        ),
        _ => format!("It answered {} requests/s.", count(rate)),
    }
}

/// The subject's CPU time beside another server's.
fn beside(subject: &Server, other: &Server) -> Option<String> {
    let (ratio, _) = subject.ratio(other, cpu)?;
    let name = if other.name == "floor" {
        "the floor (a bare loop that does nothing but receive and send)"
    } else {
        &other.name
    };
    let range = if ratio.min < ratio.max { format!(" ({:.3} to {:.3})", ratio.min, ratio.max) } else { String::new() };
    let change = (ratio.median - 1.0) * 100.0;
    let less_or_more = if change < 0.0 { "less" } else { "more" };
    let agree =
        if ratio.min < 1.0 && ratio.max > 1.0 { "; the rounds do not agree which of the two needs less" } else { "" };
    Some(format!(
        "That is {:.3} times{range} what {name} needs: {:.0} % {less_or_more}{agree}.",
        ratio.median,
        change.abs()
    ))
}

fn sureness(section: &Section) -> String {
    let all = section.runs().count();
    let valid = section.runs().filter(|run| run.outcome.valid).count();
    let cpu_only = section.runs().filter(|run| !run.outcome.valid && cpu(&run.outcome).is_some()).count();
    let mut text = format!("{valid} of {all} runs were valid");
    if cpu_only > 0 {
        text.push_str(&format!(
            "; of {cpu_only} more the CPU time counts, since only the load generator was at its limit"
        ));
    }
    let few: Vec<&str> = section
        .servers
        .iter()
        .filter(|server| counted(server) < ROUNDS_MIN)
        .map(|server| server.name.as_str())
        .collect();
    if section.servers.len() == 1 {
        text.push_str(". There is no other server to compare with");
    } else if !section.has_rounds {
        text.push_str(
            ". These runs were not taken in turns, so the host may have changed between them: an indication only",
        );
    } else if !few.is_empty() {
        let names = few.join(", ");
        text.push_str(&format!(
            ". Fewer than {ROUNDS_MIN} rounds count for {names}: what is said of them is an indication only"
        ));
    }
    text + "."
}

/// Runs of a server that can be believed, at least as far as their CPU time goes.
pub(super) fn counted(server: &Server) -> usize {
    server.runs.iter().filter(|run| cpu(&run.outcome).is_some() || run.outcome.valid).count()
}
