//! The pure paths take no more instructions than the committed baseline says.
//!
//! ```text
//!  coreperf-paths ──callgrind──▶ counts ─┬─ judge ──▶ table, exit status
//!  perf/baselines/instructions.toml ─────┘
//! ```
//!
//! Counts are exact: a busy host, its clock rate and its caches do not move them, so that 2 % more is seen where no
//! measurement of time would. They say nothing of what an instruction costs; that is what `run` and `peers` measure.
//!
//! **Not**: wall-clock time; what a request costs beside other servers is judged by `ratios`, under the same verb.
//!
//! **Invariants**: counts of another architecture are not compared. Under another compiler, C library or valgrind a count
//! that grew still fails, since nobody can say which of them it was: the report names what differs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use perf_basis::baseline::{self, Figure};
use perf_basis::judge::ComparisonVerdict;
use serde::{Deserialize, Serialize};

use super::callgrind;
use super::changes::{ChangeFate, FigureChange, any, changes, differences, named, table};
use crate::system::fingerprint;
use crate::system::scratch::ScratchFolder;

/// Share by which a count may differ from its baseline. The counts are exact; this is for what a change elsewhere does to the
/// compiler's choices.
const TOLERANCE: f64 = 0.02;

/// Where the counts lie unless told otherwise.
const BASELINE: &str = "perf/baselines/instructions.toml";

/// What precedes the compiler's own name in a program it built.
const COMPILER_MARK: &[u8] = b"rustc version ";

/// Longest name of a compiler that is looked for, in bytes.
const COMPILER_BYTES_MAX: usize = 80;

/// The committed counts: instructions per time, by path.
type CountBaseline = baseline::Baseline<CountConditions, Count>;

/// What a count depends on beside the code.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CountConditions {
    /// The compiler that built the counted program, as it says itself.
    compiler: String,
    /// Architecture, what the code was built for, and what libraries that choose code by processor find under valgrind.
    processor: String,
    /// The C library: copying and comparing memory is its code.
    libc: String,
    /// What counted.
    valgrind: String,
}

impl CountConditions {
    /// The architecture: counts of another one have nothing to do with these.
    fn architecture(&self) -> &str {
        self.processor.split(',').next().unwrap_or_default()
    }
}

/// Counts the paths of `program`, and judges them by the baseline or writes it. Exit status 1 when a count grew, or a path and
/// its baseline do not belong together.
pub(super) fn run(
    baseline: Option<&Path>,
    program: Option<&Path>,
    keep: Option<&Path>,
    updates: bool,
) -> Result<ExitCode> {
    let file = baseline.unwrap_or(Path::new(BASELINE));
    let program = match program {
        Some(program) => program.to_owned(),
        None => std::env::current_exe().context("where this program lies is unknown")?.with_file_name("coreperf-paths"),
    };
    // Read before anything is counted, so that a mistake in it is told at once.
    let before = if updates { None } else { Some(CountBaseline::read(file)?) };
    let now = count_all(&program, keep)?;
    let Some(before) = before else {
        now.write(file)?;
        println!(
            "{} is written; commit it with the change that moved the counts, and say why they moved",
            file.display()
        );
        return Ok(ExitCode::SUCCESS);
    };
    let (ours, theirs) = (now.conditions.architecture(), before.conditions.architecture());
    if ours != theirs {
        bail!("the baselines are of {theirs}, and this is {ours}: instructions of the two cannot be compared");
    }
    let changes = judge(&before, &now);
    print!("{}", report(&changes, &before, &now));
    let fails =
        [ChangeFate::Judged(ComparisonVerdict::Slower), ChangeFate::NoBaseline, ChangeFate::NotMeasured].into_iter();
    Ok(if fails.into_iter().any(|fate| any(&changes, fate)) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn judge(before: &CountBaseline, now: &CountBaseline) -> Vec<FigureChange> {
    changes(
        &before.figures,
        &now.figures,
        |count| count.0,
        |before, now| (Some(TOLERANCE), ChangeFate::Judged(ComparisonVerdict::of_change(before.0, now.0, TOLERANCE))),
    )
}

fn count_all(program: &Path, keep: Option<&Path>) -> Result<CountBaseline> {
    let scratch = ScratchFolder::new("gate")?;
    let folder = keep.unwrap_or(scratch.folder());
    std::fs::create_dir_all(folder).with_context(|| format!("{} could not be created", folder.display()))?;
    let mut conditions = CountConditions {
        compiler: compiler_of(program)?,
        processor: String::new(),
        libc: libc(),
        valgrind: String::new(),
    };
    let mut figures = BTreeMap::new();
    for path in callgrind::paths(program)? {
        let counted = callgrind::count(program, &path.name, folder)?;
        eprintln!("{:<18} {:>8.1}  {}", path.name, counted.instructions, path.what);
        conditions.processor = counted.processor;
        conditions.valgrind = counted.valgrind;
        figures.insert(path.name, Count(counted.instructions));
    }
    let taken = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    Ok(CountBaseline { taken, commit: fingerprint::commit(), conditions, figures })
}

/// The table, what differs, and what to do.
fn report(changes: &[FigureChange], before: &CountBaseline, now: &CountBaseline) -> String {
    let differing = before.differences(&now.conditions);
    let mut text = table("path", changes, 1);
    let _ = writeln!(text, "\nInstructions per time; baseline of {} at commit {}.", before.taken, before.commit);
    text + &differences(&differing) + &advice(changes, !differing.is_empty())
}

fn advice(changes: &[FigureChange], conditions_differ: bool) -> String {
    let mut text = String::new();
    let percent = TOLERANCE * 100.0;
    if let Some(grew) = named(changes, ChangeFate::Judged(ComparisonVerdict::Slower)) {
        let _ = writeln!(
            text,
            "FAILED: more than {percent:.0} % over the baseline: {grew}.\n\
            `coreperf gate --keep FOLDER` leaves files for callgrind_annotate, which names the functions. If it must be:\n\
            `coreperf gate --update`, commit {BASELINE} with the change, and say why in its message."
        );
        if conditions_differ {
            text.push_str(
                "What differs may be why, and not the change: count the commit before it here as well, and if it has grown as\n\
                much, bring the baseline up to date in a commit of its own.\n",
            );
        }
    }
    if let Some(shrank) = named(changes, ChangeFate::Judged(ComparisonVerdict::Faster)) {
        let _ = writeln!(
            text,
            "More than {percent:.0} % below the baseline: {shrank}. Run `coreperf gate --update` and commit the file with the\n\
            change; until then, growing back goes unseen."
        );
    }
    for (fate, what) in
        [(ChangeFate::NoBaseline, "have no baseline"), (ChangeFate::NotMeasured, "have a baseline and no such path")]
    {
        if let Some(names) = named(changes, fate) {
            let _ = writeln!(text, "FAILED: these {what}: {names}. Run `coreperf gate --update`.");
        }
    }
    if text.is_empty() {
        let _ = writeln!(text, "Every count is within {percent:.0} % of its baseline.");
    }
    text
}

/// Instructions per time.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
struct Count(f64);

impl Figure for Count {
    const PREAMBLE: &str = "\
# Instructions per time of the pure paths, counted by callgrind. Written by `coreperf gate --update`: do not edit.
# A change that moves these numbers brings this file with it, and its commit says why.
";
    const TABLE: &str = "instructions";
    const FLAG: &str = "--update";

    fn fault(self) -> Option<&'static str> {
        (!self.0.is_finite() || self.0 <= 0.0).then_some("a count of instructions is above 0")
    }

    fn toml(self) -> String {
        format!("{:.1}", self.0)
    }
}

/// The compiler that built a program, as the program itself has it: the one installed may be another.
fn compiler_of(program: &Path) -> Result<String> {
    let bytes = std::fs::read(program).with_context(|| {
        format!("{} could not be read; build it: cargo build --profile dist -p coreperf", program.display())
    })?;
    Ok(compiler_in(&bytes).unwrap_or_else(|| "unknown".to_owned()))
}

fn compiler_in(bytes: &[u8]) -> Option<String> {
    // The mark may be part of another text, such as this program's own: a version begins with a digit.
    memchr::memmem::find_iter(bytes, COMPILER_MARK).find_map(|at| {
        let at = at + COMPILER_MARK.len();
        let rest = &bytes[at..bytes.len().min(at + COMPILER_BYTES_MAX)];
        let name = &rest[..=memchr::memchr(b')', rest)?];
        let text = std::str::from_utf8(name).ok()?;
        name[0].is_ascii_digit().then(|| format!("rustc {text}"))
    })
}

/// Name and version of the C library; "unknown" where nothing tells it.
fn libc() -> String {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok();
    let text = output.filter(|output| output.status.success()).map(|output| output.stdout);
    text.map_or_else(|| "unknown".to_owned(), |text| String::from_utf8_lossy(&text).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(compiler: &str, figures: &[(&str, f64)]) -> CountBaseline {
        CountBaseline {
            taken: "2026-11-24 15:00 UTC".into(),
            commit: "0123456789ab".into(),
            conditions: CountConditions {
                compiler: compiler.into(),
                processor: "x86_64, built for [], finds []".into(),
                libc: "glibc 2.36".into(),
                valgrind: "callgrind-3.19.0".into(),
            },
            figures: figures.iter().map(|(name, count)| ((*name).to_owned(), Count(*count))).collect(),
        }
    }

    #[test]
    fn a_count_may_differ_by_two_percent() {
        for (now, expected) in [
            (1000.0, ComparisonVerdict::CannotTell),
            (1020.0, ComparisonVerdict::CannotTell),
            (1020.5, ComparisonVerdict::Slower),
            (980.0, ComparisonVerdict::CannotTell),
            (979.5, ComparisonVerdict::Faster),
        ] {
            let changes = judge(&counts("rustc 1", &[("a", 1000.0)]), &counts("rustc 1", &[("a", now)]));
            assert_eq!(changes[0].fate, ChangeFate::Judged(expected), "{now}");
        }
    }

    #[test]
    fn the_report_names_the_path_the_figures_and_what_to_do() {
        let grew = [("a", 1100.0), ("b", 500.0)];
        for (compiler, now, said, unsaid) in [
            ("rustc 1", &[("a", 1000.0), ("b", 501.0)][..], &["Every count is within 2 %", "+0.20 %"][..], "FAILED"),
            ("rustc 1", &grew[..], &["+10.00 %", "FAILED", "over the baseline: a.", "--update"][..], "differs"),
            ("rustc 2", &grew[..], &["FAILED", "compiler differs", "\"rustc 2\"", "may be why"][..], "Every"),
            ("rustc 1", &[("a", 900.0), ("b", 500.0)][..], &["shrank", "below the baseline: a."][..], "FAILED"),
            ("rustc 1", &[("a", 1000.0), ("c", 1.0)][..], &["no baseline: c.", "no such path: b."][..], "Every"),
        ] {
            let (before, now) = (counts("rustc 1", &[("a", 1000.0), ("b", 500.0)]), counts(compiler, now));
            let text = report(&judge(&before, &now), &before, &now);
            assert!(said.iter().all(|part| text.contains(part)), "{said:?} in\n{text}");
            assert!(!text.contains(unsaid), "{unsaid:?} not in\n{text}");
        }
    }

    /// What is committed can be read, and is written as it stands but for its date.
    #[test]
    fn the_committed_baseline_is_read_and_written_as_it_is() {
        let text = include_str!("../../baselines/instructions.toml");
        let baseline = CountBaseline::parse(text, BASELINE).expect("it is committed");
        assert_eq!(baseline.text().expect("it can be written"), text);
    }

    #[test]
    fn the_compiler_is_found_in_a_program() {
        for (bytes, expected) in [
            (
                &b"\x7fELF\0rustc version 1.95.0 (59807616e 2026-04-14)\0more"[..],
                Some("rustc 1.95.0 (59807616e 2026-04-14)"),
            ),
            (b"rustc version unknown(rustc version 1.2.3 (a)", Some("rustc 1.2.3 (a)")),
            (b"rustc version cut off", None),
            (b"GCC: (Debian 12.2.0) 12.2.0", None),
        ] {
            assert_eq!(compiler_in(bytes).as_deref(), expected);
        }
        // The compiler that built this very test is in it.
        let own = std::env::current_exe().unwrap();
        assert!(compiler_of(&own).unwrap().starts_with("rustc 1."));
    }
}
