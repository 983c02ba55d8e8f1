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

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use perf_basis::baseline::{self, Figure};
use perf_basis::judge::{ComparisonVerdict, Estimate, ROUNDS_MIN};
use serde::{Deserialize, Serialize};

use super::changes::{ChangeFate, FigureChange, any, changes, differences, named, table};
use crate::report::section::{self, ReportSection, cpu};
use crate::results::{FoundResult, under};

/// Whose ratios these are.
const SUBJECT: &str = "corelane";

/// Where the baseline lies unless told otherwise.
const BASELINE: &str = "perf/baselines/ratios.toml";

/// The committed ratios, by `scenario, loop, server`.
type RatioBaseline = baseline::Baseline<RatioConditions, Ratio>;

/// What a ratio depends on beside the programs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RatioConditions {
    cpu: String,
    cpus: usize,
    kernel: String,
}

impl RatioConditions {
    /// Whether ratios of the two may be judged by each other: caches and clocks of another CPU favour other programs.
    fn is_comparable(&self, other: &Self) -> bool {
        self.cpu == other.cpu && self.cpus == other.cpus
    }
}

/// What Corelane needs for a request, divided by what another server does.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
struct Ratio(Estimate);

impl Figure for Ratio {
    const PREAMBLE: &str = "\
# CPU per request, Corelane's divided by each other server's: the median of alternating rounds, and how far a round lies from it.
# Written by `coreperf gate --ratios DIR --accept` on a quiet host: do not edit. A change that moves these figures brings this file
# with it, and its commit says why.
";
    const TABLE: &str = "ratios";
    const FLAG: &str = "--accept";

    fn fault(self) -> Option<&'static str> {
        let Estimate { ratio, noise, .. } = self.0;
        let is_sound = ratio.is_finite() && ratio > 0.0 && (0.0..10.0).contains(&noise);
        (!is_sound).then_some("a ratio is above 0, and its noise from 0 to 10")
    }

    fn toml(self) -> String {
        let Estimate { ratio, noise, rounds } = self.0;
        format!("{{ ratio = {ratio:.4}, noise = {noise:.4}, rounds = {rounds} }}")
    }
}

/// Judges the results in `folders`, or writes what they show to the baseline. Exit status 1 when a ratio grew beyond its noise.
pub(super) fn run(folders: &[PathBuf], baseline: Option<&Path>, accept: bool) -> Result<ExitCode> {
    let file = baseline.unwrap_or(Path::new(BASELINE));
    let before = if accept { None } else { Some(RatioBaseline::read(file)?) };
    let found = under(folders)?;
    let now = measured(&found)?;
    let Some(before) = before else { return take(file, now) };
    let changes = judge(&before, &now);
    print!("{}", report(&changes, &before, &now));
    Ok(if any(&changes, ChangeFate::Judged(ComparisonVerdict::Slower)) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What results show, as a baseline would have it.
fn measured(found: &[FoundResult]) -> Result<RatioBaseline> {
    let sections = section::of(found)?;
    let figures: BTreeMap<String, Ratio> = sections.iter().flat_map(ratios_of).collect();
    ensure!(
        !figures.is_empty(),
        "no results of {SUBJECT} beside another server in the same rounds; take them with: coreperf peers … --out DIR"
    );
    let first = &found.first().context("there is no result")?.outcome;
    let conditions =
        RatioConditions { cpu: first.host.cpu.clone(), cpus: first.host.cpus, kernel: first.host.kernel.clone() };
    Ok(RatioBaseline { taken: first.started.clone(), commit: first.commit.clone(), conditions, figures })
}

/// The ratios of one scenario, by `scenario, loop, server`.
fn ratios_of(section: &ReportSection) -> Vec<(String, Ratio)> {
    let Some(subject) = section.server(SUBJECT).filter(|_| section.has_rounds) else { return Vec::new() };
    // Scenarios of one name from several folders are told apart by their folders; here by their loop.
    let scenario = section.name.rsplit('/').next().unwrap_or_default();
    let is_closed = subject.runs.first().is_some_and(|run| run.outcome.scenario.rate.is_none());
    let kind = if is_closed { "closed" } else { "open" };
    let others = section.servers.iter().filter(|server| server.name != SUBJECT);
    let ratio = |other: &section::ReportServer| {
        let ratio = Ratio(Estimate::of(&subject.ratios(other, cpu))?);
        Some((format!("{scenario}, {kind}, {}", other.name), ratio))
    };
    others.filter_map(ratio).collect()
}

fn take(file: &Path, mut now: RatioBaseline) -> Result<ExitCode> {
    let all = now.figures.len();
    now.figures.retain(|name, ratio| {
        let is_enough = ratio.0.is_firm();
        if !is_enough {
            println!(
                "{name}: left out, for {} of its rounds can be believed, and {ROUNDS_MIN} are needed",
                ratio.0.rounds
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

fn judge(before: &RatioBaseline, now: &RatioBaseline) -> Vec<FigureChange> {
    let is_comparable = before.conditions.is_comparable(&now.conditions);
    changes(
        &before.figures,
        &now.figures,
        |ratio| ratio.0.ratio,
        |before, now| match now.0.since(&before.0) {
            _ if !is_comparable => (None, ChangeFate::OtherCpu),
            Some(comparison) => {
                (Some(comparison.interval.1 / comparison.ratio - 1.0), ChangeFate::Judged(comparison.verdict))
            }
            None => (None, ChangeFate::TooFewRounds),
        },
    )
}

fn report(changes: &[FigureChange], before: &RatioBaseline, now: &RatioBaseline) -> String {
    let mut text = table("scenario, loop, server", changes, 3);
    let _ = writeln!(
        text,
        "\nCPU per request, {SUBJECT}'s divided by the server's; less is better. Baseline of {} at commit {}.",
        before.taken, before.commit
    );
    text + &differences(&before.differences(&now.conditions)) + &advice(changes)
}

fn advice(changes: &[FigureChange]) -> String {
    let mut text = String::new();
    if let Some(grew) = named(changes, ChangeFate::Judged(ComparisonVerdict::Slower)) {
        let _ = writeln!(
            text,
            "FAILED: beyond what noise explains: {grew}. Measure again on a quiet host; `coreperf compare OLD NEW` says\n\
             whether the program has become slower. If it must be: --accept, commit the file with the change, and say why."
        );
    }
    if let Some(shrank) = named(changes, ChangeFate::Judged(ComparisonVerdict::Faster)) {
        let _ = writeln!(
            text,
            "Better than the baseline: {shrank}. Take it with --accept; until then, losing it goes unseen."
        );
    }
    for (fate, why) in [
        (ChangeFate::NoBaseline, "they have no baseline"),
        (ChangeFate::NotMeasured, "they were not measured"),
        (ChangeFate::TooFewRounds, "too few of their rounds can be believed"),
        (ChangeFate::OtherCpu, "the baseline is of another CPU; take one here with --accept"),
    ] {
        if let Some(names) = named(changes, fate) {
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
    use crate::system::scratch::ScratchFolder;

    /// Results of so many rounds, in which Corelane costs `ours` of nginx's 4 us.
    fn results(scratch: &ScratchFolder, name: &str, ours: f64, rounds: u32) -> PathBuf {
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
        let scratch = ScratchFolder::new("ratios").expect("the temporary folder is writable");
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
        let few = Ratio(Estimate { rounds: 2, ..enough.figures["hit, closed, nginx"].0 });
        some.figures.insert("hit, closed, varnish".to_owned(), few);
        take(&file, some).expect("one has enough");
        let taken = RatioBaseline::read(&file).expect("it was written");
        assert!(taken.figures.keys().eq(enough.figures.keys()), "{:?}", taken.figures);
    }

    #[test]
    fn what_is_not_judged_is_named() {
        let scratch = ScratchFolder::new("ratios-named").expect("the temporary folder is writable");
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

    #[test]
    fn another_cpu_is_not_judged_and_another_kernel_is() {
        let baseline = |ratio| RatioBaseline {
            taken: String::new(),
            commit: String::new(),
            conditions: RatioConditions { cpu: "c".to_owned(), cpus: 2, kernel: "k".to_owned() },
            figures: [("hit".to_owned(), Ratio(Estimate { ratio, noise: 0.0, rounds: 5 }))].into(),
        };
        let (before, mut now) = (baseline(1.0), baseline(2.0));
        now.conditions.kernel = "other".to_owned();
        assert_eq!(judge(&before, &now)[0].fate, ChangeFate::Judged(ComparisonVerdict::Slower));
        now.conditions.cpu = "other".to_owned();
        assert_eq!(judge(&before, &now)[0].fate, ChangeFate::OtherCpu);
    }

    #[test]
    fn the_committed_baseline_is_read_and_written_as_it_is() {
        let text = include_str!("../../baselines/ratios.toml");
        let baseline = RatioBaseline::parse(text, BASELINE).expect("it is committed");
        assert_eq!(baseline.text().expect("it can be written"), text);
        let broken = text.replace("rounds = 5", "rounds = -5");
        assert!(RatioBaseline::parse(&broken, "b.toml").is_err(), "rounds are not negative");
    }
}
