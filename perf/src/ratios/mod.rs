//! `coreperf gate --ratios`: what a request costs Corelane beside other servers is what the committed baseline says.
//!
//! ```text
//!  coreperf peers --out DIR ─▶ results ─▶ ratio and noise of each scenario and server ─┬─ judge ─▶ table, exit status
//!                                         perf/baselines/ratios.toml ─────────────────┘
//! ```
//!
//! Ratios are formed round by round, so that what changes on the host changes for both sides of one. What differs all the same is
//! their noise; a ratio fails only beyond what the noise of both measurements allows.
//!
//! **Not** in the test suite: this is wall-clock time, and holds on a quiet host only. `cargo xtask perf` has it.
//!
//! **Invariants**: figures of another CPU are shown and not judged; what could not be judged is named.

mod judge;
mod ratio;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::report::section::{self, Section, cpu};
use crate::results::{Found, under};
use judge::{Judged, ROUNDS_MIN, Verdict, judge};
use perf_basis::table::Table;
use ratio::{Baseline, Conditions, Ratio};

/// Whose ratios these are.
const SUBJECT: &str = "corelane";

/// Where the baseline lies unless told otherwise.
const BASELINE: &str = "perf/baselines/ratios.toml";

/// Judges the results in `folders`, or writes what they show to the baseline. Exit status 1 when a ratio grew beyond its noise.
///
/// # Errors
/// The operator's: a folder has no results of Corelane beside another server, or the baseline cannot be read or written.
pub(crate) fn run(folders: &[PathBuf], baseline: Option<&Path>, accept: bool) -> Result<ExitCode> {
    let file = baseline.unwrap_or(Path::new(BASELINE));
    let before = if accept { None } else { Some(Baseline::read(file)?) };
    let found = under(folders)?;
    let now = measured(&found)?;
    let Some(before) = before else { return take(file, now) };
    let judged = judge(&before, &now);
    print!("{}", report(&judged, &before, &now));
    let fails = judged.iter().any(|judged| judged.verdict == Verdict::Grew);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What results show, as a baseline would have it.
fn measured(found: &[Found]) -> Result<Baseline> {
    let sections = section::of(found)?;
    let figures: BTreeMap<String, Ratio> = sections.iter().flat_map(ratios_of).collect();
    ensure!(
        !figures.is_empty(),
        "no results of {SUBJECT} beside another server in the same rounds; take them with: coreperf peers … --out DIR"
    );
    let first = &found.first().context("there is no result")?.outcome;
    let conditions =
        Conditions { cpu: first.host.cpu.clone(), cpus: first.host.cpus, kernel: first.host.kernel.clone() };
    Ok(Baseline { taken: first.started.clone(), commit: first.commit.clone(), conditions, figures })
}

/// The ratios of one scenario, by `scenario, loop, server`.
fn ratios_of(section: &Section) -> Vec<(String, Ratio)> {
    let Some(subject) = section.server(SUBJECT).filter(|_| section.has_rounds) else { return Vec::new() };
    // Scenarios of one name from several folders are told apart by their folders; here by their loop.
    let scenario = section.name.rsplit('/').next().unwrap_or_default();
    let is_closed = subject.runs.first().is_some_and(|run| run.outcome.scenario.rate.is_none());
    let kind = if is_closed { "closed" } else { "open" };
    let others = section.servers.iter().filter(|server| server.name != SUBJECT);
    let ratio = |other: &section::Server| {
        let ratio = Ratio::of(&subject.ratios(other, cpu))?;
        Some((format!("{scenario}, {kind}, {}", other.name), ratio))
    };
    others.filter_map(ratio).collect()
}

fn take(file: &Path, mut now: Baseline) -> Result<ExitCode> {
    let all = now.figures.len();
    now.figures.retain(|name, ratio| {
        let is_enough = ratio.rounds >= ROUNDS_MIN;
        if !is_enough {
            println!(
                "{name}: left out, for {} of its rounds can be believed, and {ROUNDS_MIN} are needed",
                ratio.rounds
            );
        }
        is_enough
    });
    ensure!(
        !now.figures.is_empty(),
        "none of {all} ratios has {ROUNDS_MIN} rounds that can be believed; quiet the host, or measure with more --rounds"
    );
    now.write(file)?;
    println!("{} is written; commit it with the change that moved the ratios, and say why they moved", file.display());
    Ok(ExitCode::SUCCESS)
}

fn report(judged: &[Judged], before: &Baseline, now: &Baseline) -> String {
    let mut table = Table::new(["scenario, loop, server", "baseline", "now", "rounds", "change", "allowed", "verdict"]);
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:+.1} %", share * 100.0));
    for judged in judged {
        let shown = |ratio: Option<Ratio>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.3}", ratio.ratio));
        let rounds = judged.now.map_or_else(|| "-".to_owned(), |ratio| ratio.rounds.to_string());
        table.add([
            judged.name.clone(),
            shown(judged.before),
            shown(judged.now),
            rounds,
            percent(judged.change()),
            percent(judged.allowed),
            judged.verdict.words().to_owned(),
        ]);
    }
    let mut text = table.render();
    let _ = writeln!(
        text,
        "\nCPU per request, {SUBJECT}'s divided by the server's; less is better. Baseline of {} at commit {}.",
        before.taken, before.commit
    );
    for (name, then, now) in before.conditions.differences(&now.conditions) {
        let _ = writeln!(text, "The {name} differs: the baseline's is {then:?}, this is {now:?}.");
    }
    text + &advice(judged)
}

fn advice(judged: &[Judged]) -> String {
    let named = |verdict: Verdict| {
        let named = judged.iter().filter(|judged| judged.verdict == verdict);
        named.map(|judged| judged.name.as_str()).collect::<Vec<_>>().join("; ")
    };
    let mut text = String::new();
    let (grew, shrank) = (named(Verdict::Grew), named(Verdict::Shrank));
    if !grew.is_empty() {
        let _ = writeln!(
            text,
            "FAILED: beyond what noise explains: {grew}. Measure again on a quiet host; `coreperf compare OLD NEW` tells\n\
             whether the program has become slower. If it must be: --accept, commit the file with the change, and say why."
        );
    }
    if !shrank.is_empty() {
        let _ = writeln!(
            text,
            "Better than the baseline: {shrank}. Take it with --accept; until then, losing it goes unseen."
        );
    }
    for (verdict, why) in [
        (Verdict::NoBaseline, "they have no baseline"),
        (Verdict::NotMeasured, "they were not measured"),
        (Verdict::TooFew, "too few of their rounds can be believed"),
        (Verdict::OtherHost, "the baseline is of another CPU; take one here with --accept"),
    ] {
        let names = named(verdict);
        if !names.is_empty() {
            let _ = writeln!(text, "NOT JUDGED, since {why}: {names}.");
        }
    }
    if text.is_empty() {
        text.push_str("Every ratio is that of the baseline, within the noise of both.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::tests::{result, write};
    use crate::system::scratch::Scratch;

    /// Results of so many rounds, in which Corelane costs `ours` of nginx's 4 us.
    fn results(scratch: &Scratch, name: &str, ours: f64, rounds: u32) -> PathBuf {
        let folder = scratch.path(name);
        for round in 1..=rounds {
            // The host gets slower by a tenth each round, for both.
            let host = 1.0 + 0.1 * f64::from(round);
            for (server, cost) in [("corelane", 4.0 * ours), ("nginx", 4.0)] {
                let mut result = result("Hits", cost * host, &[]);
                result["scenario"]["rate"] = json!(null);
                write(&folder.join("hit").join(server).join(round.to_string()), &result, 100);
            }
        }
        folder
    }

    #[test]
    fn a_ratio_that_grew_fails_and_the_same_does_not() {
        let scratch = Scratch::new("ratios").expect("the temporary folder is writable");
        let file = scratch.path("ratios.toml");
        let gate = |folder: PathBuf, accept: bool| run(&[folder], Some(&file), accept);
        let missing = format!("{:#}", gate(results(&scratch, "first", 0.7, 5), false).expect_err("nothing was taken"));
        assert!(missing.contains("ratios.toml") && missing.contains("--accept"), "{missing}");
        assert_eq!(gate(scratch.path("first"), true).expect("it is taken"), ExitCode::SUCCESS);
        let text = std::fs::read_to_string(&file).expect("it was written");
        assert!(text.contains("\"hit, closed, nginx\"") && text.contains("ratio = 0.7"), "{text}");
        for (name, ours, expected) in
            [("same", 0.705, ExitCode::SUCCESS), ("better", 0.6, ExitCode::SUCCESS), ("worse", 0.74, ExitCode::FAILURE)]
        {
            assert_eq!(gate(results(&scratch, name, ours, 5), false).expect(name), expected, "{name}");
        }
        // Two rounds are too few to fail, and too few to be taken.
        assert_eq!(gate(results(&scratch, "few", 0.9, 2), false).expect("shown"), ExitCode::SUCCESS);
        let error = format!("{:#}", gate(scratch.path("few"), true).expect_err("too few"));
        assert!(error.contains("none of 1 ratios") && error.contains("--rounds"), "{error}");
        // What has enough is taken, and the rest is left out.
        let enough = measured(&under(&[scratch.path("same")]).expect("results")).expect("beside nginx");
        let mut some = enough.clone();
        let few = Ratio { rounds: 2, ..enough.figures["hit, closed, nginx"] };
        some.figures.insert("hit, closed, varnish".to_owned(), few);
        take(&file, some).expect("one has enough");
        let taken = Baseline::read(&file).expect("it was written");
        assert!(taken.figures.keys().eq(enough.figures.keys()), "{:?}", taken.figures);
    }

    #[test]
    fn what_is_not_judged_is_named() {
        let scratch = Scratch::new("ratios-named").expect("the temporary folder is writable");
        let now =
            measured(&under(&[results(&scratch, "a", 0.7, 5)]).expect("there are results")).expect("beside nginx");
        let mut before = now.clone();
        before.conditions.kernel = "older".to_owned();
        let ratio = before.figures.remove("hit, closed, nginx").expect("it was measured");
        before.figures.insert("hit, closed, h2o".to_owned(), ratio);
        let text = report(&judge(&before, &now), &before, &now);
        for part in [
            "since they have no baseline: hit, closed, nginx.",
            "since they were not measured: hit, closed, h2o.",
            "The kernel differs: the baseline's is \"older\"",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!text.contains("FAILED") && !text.contains("Every ratio"));
        let same = report(&judge(&now, &now), &now, &now);
        assert!(same.contains("Every ratio is that of the baseline"), "{same}");
    }
}
