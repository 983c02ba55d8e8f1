//! `coreperf gate`: the pure paths take no more instructions than the committed baseline says.
//!
//! ```text
//!  coreperf-paths ──callgrind──▶ counts ─┬─ judge ──▶ table, exit status
//!  perf/baselines/instructions.toml ─────┘
//! ```
//!
//! Counts are exact: a busy host, its clock rate and its caches do not move them, so that 2 % more is seen where no
//! measurement of time would. They say nothing of what an instruction costs; that is what `wrk` and `run` measure.
//!
//! **Not**: wall-clock time; what a request costs beside other servers is judged by `ratios`, under the same verb.
//!
//! **Invariants**: counts of another architecture are not compared. Under another compiler, C library or valgrind a count
//! that grew still fails, since nobody can say which of them it was: the report names what differs.

mod callgrind;
mod conditions;
mod judge;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::ratios;
use crate::system::fingerprint;
use crate::system::scratch::Scratch;
use conditions::{Baseline, Conditions};
use judge::{Judged, TOLERANCE, Verdict, judge};
use perf_basis::table::Table;

/// What precedes the compiler's own name in a program it built.
const COMPILER_MARK: &[u8] = b"rustc version ";

/// Longest name of a compiler that is looked for, in bytes.
const COMPILER_BYTES_MAX: usize = 80;

/// Where the counts lie unless told otherwise.
const BASELINE: &str = "perf/baselines/instructions.toml";

/// What to count and what to compare it with.
#[derive(Args)]
pub(crate) struct Options {
    /// File of the baselines; left out: instructions.toml or ratios.toml of perf/baselines
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Judge the ratios of CPU per request in these folders of coreperf peers instead of counting instructions
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = ["update", "program", "keep"])]
    ratios: Vec<PathBuf>,
    /// Write the ratios to the file of the baselines, instead of judging them; on a quiet host
    #[arg(long, requires = "ratios")]
    accept: bool,
    /// Write what is counted to the file of the baselines, instead of judging it
    #[arg(long)]
    update: bool,
    /// The program that is counted; left out: coreperf-paths beside this program
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Keep callgrind's files in this folder, for callgrind_annotate
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

/// Runs the verb. Exit status 1 when a count grew, or a path and its baseline do not belong together.
///
/// # Errors
/// valgrind or the program is missing, the baselines cannot be read, or they are of another architecture.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if !options.ratios.is_empty() {
        return ratios::run(&options.ratios, options.baseline.as_deref(), options.accept);
    }
    let baseline = options.baseline.as_deref().unwrap_or(Path::new(BASELINE));
    let program = match &options.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().context("where this program lies is unknown")?.with_file_name("coreperf-paths"),
    };
    // Read before anything is counted, so that a mistake in it is told at once.
    let before = if options.update { None } else { Some(Baseline::read(baseline)?) };
    let now = count_all(&program, options.keep.as_deref())?;
    let Some(before) = before else { return update(baseline, &now) };
    let (ours, theirs) = (now.conditions.architecture(), before.conditions.architecture());
    if ours != theirs {
        bail!("the baselines are of {theirs}, and this is {ours}: instructions of the two cannot be compared");
    }
    let judged = judge(&before.figures, &now.counts);
    print!("{}", report(&judged, &before, &now));
    let fails = judged.iter().any(|judged| judged.verdict.fails());
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What was counted, in the program's order, and under which conditions.
struct Counts {
    conditions: Conditions,
    counts: Vec<(String, f64)>,
}

fn count_all(program: &Path, keep: Option<&Path>) -> Result<Counts> {
    let scratch = Scratch::new("gate")?;
    let folder = keep.unwrap_or(scratch.folder());
    std::fs::create_dir_all(folder).with_context(|| format!("{} could not be created", folder.display()))?;
    let mut conditions =
        Conditions { compiler: compiler_of(program)?, processor: String::new(), libc: libc(), valgrind: String::new() };
    let mut counts = Vec::new();
    for path in callgrind::paths(program)? {
        let counted = callgrind::count(program, &path.name, folder)?;
        eprintln!("{:<18} {:>8.1}  {}", path.name, counted.instructions, path.what);
        conditions.processor = counted.processor;
        conditions.valgrind = counted.valgrind;
        counts.push((path.name, counted.instructions));
    }
    Ok(Counts { conditions, counts })
}

fn update(file: &Path, now: &Counts) -> Result<ExitCode> {
    let date =
        Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output().context("date could not be started")?;
    let taken = Baseline {
        taken: String::from_utf8_lossy(&date.stdout).trim().to_owned(),
        commit: fingerprint::commit(),
        conditions: now.conditions.clone(),
        figures: now.counts.iter().cloned().collect::<BTreeMap<_, _>>(),
    };
    taken.write(file)?;
    println!("{} is written; commit it with the change that moved the counts, and say why they moved", file.display());
    Ok(ExitCode::SUCCESS)
}

/// The table, what differs, and what to do.
fn report(judged: &[Judged], before: &Baseline, now: &Counts) -> String {
    let mut table = Table::new(["path", "baseline", "now", "change", "verdict"]);
    let count = |count: Option<f64>| count.map_or_else(|| "-".to_owned(), |count| format!("{count:.1}"));
    for judged in judged {
        let change = judged.change_percent().map_or_else(|| "-".to_owned(), |percent| format!("{percent:+.2} %"));
        let verdict = words(judged.verdict).to_owned();
        table.add([judged.path.clone(), count(judged.before), count(judged.now), change, verdict]);
    }
    let mut text = table.render();
    let _ = writeln!(text, "\nInstructions per time; baseline of {} at commit {}.", before.taken, before.commit);
    let differences = before.conditions.differences(&now.conditions);
    for (name, then, now) in &differences {
        let _ = writeln!(text, "The {name} differs: the baseline's is {then:?}, this is {now:?}.");
    }
    text.push_str(&advice(judged, !differences.is_empty()));
    text
}

const fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Same => "same",
        Verdict::Grew => "GREW",
        Verdict::Shrank => "shrank",
        Verdict::New => "NO BASELINE",
        Verdict::Gone => "NO SUCH PATH",
    }
}

fn advice(judged: &[Judged], conditions_differ: bool) -> String {
    let named = |verdict| {
        let named = judged.iter().filter(|judged| judged.verdict == verdict);
        named.map(|judged| judged.path.as_str()).collect::<Vec<_>>().join(", ")
    };
    let mut text = String::new();
    let percent = TOLERANCE * 100.0;
    let (grew, shrank) = (named(Verdict::Grew), named(Verdict::Shrank));
    if !grew.is_empty() {
        let _ = writeln!(
            text,
            "FAILED: more than {percent:.0} % over the baseline: {grew}.\n\
            `coreperf gate --keep FOLDER` leaves files for callgrind_annotate, which names the functions. If it must be:\n\
            `coreperf gate --update`, commit perf/baselines/instructions.toml with the change, and say why in its message."
        );
    }
    if !grew.is_empty() && conditions_differ {
        text.push_str(
            "What differs may be why, and not the change: count the commit before it here as well, and if it has grown as\n\
            much, bring the baseline up to date in a commit of its own.\n",
        );
    }
    if !shrank.is_empty() {
        let _ = writeln!(
            text,
            "More than {percent:.0} % below the baseline: {shrank}. Run `coreperf gate --update` and commit the file with the\n\
            change; until then, growing back goes unseen."
        );
    }
    let (new, gone) = (named(Verdict::New), named(Verdict::Gone));
    if !(new.is_empty() && gone.is_empty()) {
        let both = [new, gone].into_iter().filter(|names| !names.is_empty()).collect::<Vec<_>>().join(", ");
        let _ =
            writeln!(text, "FAILED: paths and baselines do not belong together: {both}. Run `coreperf gate --update`.");
    }
    if text.is_empty() {
        let _ = writeln!(text, "Every count is within {percent:.0} % of its baseline.");
    }
    text
}

/// The compiler that built a program, as the program itself has it: the one installed may be another.
fn compiler_of(program: &Path) -> Result<String> {
    let bytes = std::fs::read(program).with_context(|| {
        format!("{} could not be read; build it: cargo build --release -p coreperf", program.display())
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
mod tests;
