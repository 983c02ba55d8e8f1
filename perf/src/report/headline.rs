//! What a scenario showed, in sentences that need no other page.
//!
//! **Invariants**: a comparison says how sure it is: of how many rounds, and whether they agree.

use super::figures::{count, spread, us};
use super::section::{Section, Server, cpu, latency, rate};

/// Rounds from which on a ratio is more than an indication.
const ROUNDS_MIN: usize = 5;

/// One sentence on speed, one for each comparison, one on how sure it is.
pub(super) fn sentences(section: &Section) -> Vec<String> {
    let subject = section.subject();
    let mut all = vec![alone(subject)];
    all.extend(
        section.servers.iter().filter(|server| server.name != subject.name).filter_map(|other| beside(subject, other)),
    );
    all.push(sureness(section));
    all
}

fn alone(server: &Server) -> String {
    let name = &server.name;
    let median =
        |figure: fn(&crate::run::outcome::Outcome) -> Option<f64>| server.spread(figure).map(|spread| spread.median);
    let mut text = match server.spread(cpu) {
        Some(cost) => format!("{name} spends {} of CPU on a request.", spread(Some(cost), us)),
        None if server.valid().next().is_some() => {
            format!("{name}: what a request costs is not known, as the server runs on another host.")
        }
        None => {
            return format!("{name} had no valid run, so there is nothing to tell about it; the reasons are below.");
        }
    };
    if let Some(rate) = median(rate) {
        text.push_str(&format!(" It answered {} requests/s", count(rate)));
        let latency = [
            median(|run| Some(latency(run)?.p50_us)),
            median(|run| Some(latency(run)?.p99_us)),
            median(|run| Some(latency(run)?.p999_us)),
        ];
        if let [Some(p50), Some(p99), Some(p999)] = latency {
            text.push_str(&format!(
                "; half of them within {}, 99 of 100 within {}, 999 of 1000 within {}",
                us(p50),
                us(p99),
                us(p999)
            ));
        }
        text.push('.');
    }
    text
}

/// The subject's CPU time beside another server's.
fn beside(subject: &Server, other: &Server) -> Option<String> {
    let (ratio, _) = subject.ratio(other, cpu)?;
    let name = if other.name == "floor" { "the floor (a bare loop that only receives and sends)" } else { &other.name };
    let range = if ratio.min < ratio.max { format!(" ({:.3} to {:.3})", ratio.min, ratio.max) } else { String::new() };
    let less_or_more = if ratio.median < 1.0 {
        format!("{:.0} % less CPU", (1.0 - ratio.median) * 100.0)
    } else {
        format!("{:.0} % more CPU", (ratio.median - 1.0) * 100.0)
    };
    let agree =
        if ratio.min < 1.0 && ratio.max > 1.0 { "; the rounds do not agree which of the two needs less" } else { "" };
    Some(format!("That is {:.3} times what {name} needs{range}: {less_or_more}{agree}.", ratio.median))
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
    let fewest = section
        .servers
        .iter()
        .map(|server| server.runs.iter().filter(|run| cpu(&run.outcome).is_some() || run.outcome.valid).count())
        .min();
    match fewest.unwrap_or(0) {
        _ if section.servers.len() == 1 => text.push_str(". There is no other server to compare with"),
        _ if !section.has_rounds => text.push_str(
            ". These runs were not taken in turns, so the host may have changed between them: an indication only",
        ),
        rounds if rounds < ROUNDS_MIN => {
            text.push_str(&format!(". With fewer than {ROUNDS_MIN} rounds of every server this is an indication only"));
        }
        _ => {}
    }
    text + "."
}
