//! Counting: `coreperf-paths` under valgrind's callgrind, and what callgrind writes about it.
//!
//! ```text
//!  instructions per time = (total of 2N times - total of N times) / N
//! ```
//!
//! Loading, set-up and end are the same in both runs and cancel out.
//!
//! **Invariants**: the counted program sees no environment but `PATH`, and arguments of the same length in both runs; nothing
//! but the counted work makes its totals differ.
//!
//! **Source**: the callgrind format (valgrind manual, chapter 13).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// How often a path is done in the shorter run: whole rounds over the keys of its cache, and four digits as twice as many.
const TIMES: u64 = 2000;

/// A way of the product that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PurePath {
    pub(crate) name: String,
    /// What it does, in a few words.
    pub(crate) what: String,
}

/// What counting one path found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CountedPath {
    /// Instructions per time.
    pub(crate) instructions: f64,
    /// What the program said of the processor it saw.
    pub(crate) processor: String,
    /// Version of valgrind.
    pub(crate) valgrind: String,
}

/// The paths that the program has, in its order.
pub(crate) fn paths(program: &Path) -> Result<Vec<PurePath>> {
    let output = Command::new(program).output().with_context(|| {
        format!("{} could not be started; build it: cargo build --profile dist -p coreperf", program.display())
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let paths: Option<Vec<PurePath>> = text.lines().map(path_in_line).collect();
    let paths = paths.filter(|paths| output.status.success() && !paths.is_empty());
    paths.with_context(|| format!("{} does not list its paths; build it anew", program.display()))
}

fn path_in_line(line: &str) -> Option<PurePath> {
    let (name, what) = line.split_once('\t')?;
    Some(PurePath { name: name.to_owned(), what: what.to_owned() })
}

/// Counts one path. What callgrind writes goes to `folder`, for `callgrind_annotate`.
pub(crate) fn count(program: &Path, path: &str, folder: &Path) -> Result<CountedPath> {
    let (fewer, _) = total_of(program, path, TIMES, folder)?;
    let (more, processor) = total_of(program, path, 2 * TIMES, folder)?;
    ensure!(more.instructions > fewer.instructions, "{path}: doing it more often took no more instructions");
    let per_time = (more.instructions - fewer.instructions) as f64 / TIMES as f64;
    // To tenths, as the file has it: what is read back is what was counted.
    let instructions = (per_time * 10.0).round() / 10.0;
    Ok(CountedPath { instructions, processor, valgrind: more.creator })
}

/// One run: what callgrind counted, and what the program said.
fn total_of(program: &Path, path: &str, times: u64, folder: &Path) -> Result<(Total, String)> {
    let file = folder.join(format!("{path}.{times}.callgrind"));
    let mut command = Command::new(valgrind()?);
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", file.display()));
    command.arg(program).arg(path).arg(times.to_string());
    // Libraries read variables, and the kernel copies all of them onto the stack: alignments follow from their length.
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    let output = command.output().context("valgrind could not be started")?;
    if !output.status.success() {
        bail!("{path} under valgrind: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let text = std::fs::read_to_string(&file).with_context(|| format!("{} could not be read", file.display()))?;
    let total = Total::in_output(&text).with_context(|| format!("{} is not callgrind's output", file.display()))?;
    Ok((total, String::from_utf8_lossy(&output.stdout).trim().to_owned()))
}

/// Where valgrind lies. Looked for here, since the counted program gets a `PATH` that does not depend on whose it is.
fn valgrind() -> Result<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join("valgrind")).find(|path| path.is_file());
    found.context("there is no valgrind in PATH; its package is called valgrind")
}

/// What is needed of a file of callgrind's.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Total {
    /// Instructions of the whole run.
    instructions: u64,
    /// Who wrote the file, with version.
    creator: String,
}

impl Total {
    /// Reads the fields before and behind the costs of single lines.
    fn in_output(text: &str) -> Result<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let events = field("events").context("it has no line `events:`")?;
        // Several events would stand in one line; only one is asked for.
        ensure!(events.trim() == "Ir", "its events are {events:?}, not instructions (Ir) alone");
        let totals = field("totals").context("it has no line `totals:`: the run was cut off")?;
        let instructions = totals.trim().parse().with_context(|| format!("totals: {totals:?} is no number"))?;
        Ok(Self { instructions, creator: field("creator").unwrap_or("unknown").trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "# callgrind format\nversion: 1\ncreator: callgrind-3.19.0\npid: 1\ncmd:  paths x 2000\npart: 1\n\n\
        desc: I1 cache: \n\npositions: line\nevents: Ir\nsummary: 126388\n\n\nob=(1) /bin/paths\nfn=(1) main\n\
        16 3\ncalls=1 20 \n16 126385\n\ntotals: 126389\n";

    #[test]
    fn the_total_is_found_among_the_costs() {
        let total = Total::in_output(WHOLE).unwrap();
        assert_eq!(total, Total { instructions: 126_389, creator: "callgrind-3.19.0".into() });
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        for (from, to, why) in [
            ("totals: 126389\n", "", "the run was cut off"),
            ("totals: 126389", "totals: many", "\"many\" is no number"),
            ("events: Ir", "events: Ir Dr Dw", "\"Ir Dr Dw\", not instructions (Ir) alone"),
            ("events: Ir\n", "", "no line `events:`"),
        ] {
            let error = Total::in_output(&WHOLE.replace(from, to)).unwrap_err();
            assert!(format!("{error:#}").contains(why), "{from:?} as {to:?}: {error:#}");
        }
    }

    #[test]
    fn paths_are_a_name_and_a_text() {
        let path = PurePath { name: "a-b".into(), what: "does c".into() };
        assert_eq!(path_in_line("a-b\tdoes c"), Some(path));
        assert_eq!(path_in_line("a-b does c"), None);
    }
}
