//! The file of ratios: what was measured, when, at which commit, and where.
//!
//! **Not** what is allowed; that is the judgement's.
//!
//! **Invariants**: what [`Baseline::text`] writes, [`Baseline::parse`] reads back, to its digits. An error names file and line.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use toml::Spanned;

/// From the median of absolute deviations to the standard deviation of a normal distribution.
const DEVIATION_OF_MEDIAN: f64 = 1.4826;

/// The standard error of a median beside that of a mean, of a normal distribution: the root of pi / 2.
const ERROR_OF_MEDIAN: f64 = 1.2533;

/// What one server needs, divided by another's.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ratio {
    /// The median of the rounds.
    pub(super) ratio: f64,
    /// How far a round lies from it, as a share: a standard deviation that single disturbed rounds do not move.
    pub(super) noise: f64,
    /// Rounds that could be believed.
    pub(super) rounds: usize,
}

impl Ratio {
    /// Of the ratios of all rounds; none of no rounds.
    pub(super) fn of(rounds: &[f64]) -> Option<Self> {
        let ratio = median(rounds.to_vec())?;
        let deviations = rounds.iter().map(|round| (round / ratio).ln().abs()).collect();
        Some(Self { ratio, noise: DEVIATION_OF_MEDIAN * median(deviations)?, rounds: rounds.len() })
    }

    /// How far the median may be from the truth by chance, as a share: its standard error.
    pub(super) fn error(&self) -> f64 {
        ERROR_OF_MEDIAN * self.noise / (self.rounds.max(1) as f64).sqrt()
    }
}

fn median(values: Vec<f64>) -> Option<f64> {
    Some(crate::spread::Spread::of(values)?.median)
}

/// What a ratio depends on beside the programs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conditions {
    pub(super) cpu: String,
    pub(super) cpus: usize,
    pub(super) kernel: String,
}

impl Conditions {
    /// Whether ratios of the two may be judged by each other: caches and clocks of another CPU favour other programs.
    pub(super) fn is_comparable(&self, other: &Self) -> bool {
        self.cpu == other.cpu && self.cpus == other.cpus
    }

    /// Each condition that differs: its name, what it is in `self`, what it is in `other`.
    pub(super) fn differences(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let all = [
            ("CPU", self.cpu.clone(), other.cpu.clone()),
            ("number of CPUs", self.cpus.to_string(), other.cpus.to_string()),
            ("kernel", self.kernel.clone(), other.kernel.clone()),
        ];
        all.into_iter().filter(|(_, a, b)| a != b).collect()
    }
}

/// What a file of ratios says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Baseline {
    /// When the first of its runs began, UTC.
    pub(super) taken: String,
    pub(super) commit: String,
    pub(super) conditions: Conditions,
    /// By `scenario, loop, server`.
    pub(super) ratios: BTreeMap<String, Ratio>,
}

/// The same as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    taken: String,
    commit: String,
    conditions: Conditions,
    ratios: BTreeMap<String, Spanned<Ratio>>,
}

const PREAMBLE: &str = "\
# CPU per request, Corelane's divided by each other server's: the median of alternating rounds, and how far a round lies from it.
# Written by `coreperf gate --ratios DIR --accept` on a quiet host: do not edit. A change that moves these figures brings this file
# with it, and its commit says why.
";

impl Baseline {
    /// Reads a file of ratios.
    ///
    /// # Errors
    /// The operator's: the file is not there, or what is wrong in it and in which line.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("{} could not be read; run in the repository's root, or take one with --accept", path.display())
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    fn parse(text: &str, file: &str) -> Result<Self> {
        let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let written: Written = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            anyhow!("{file}:{line}: {}", error.message())
        })?;
        let mut ratios = BTreeMap::new();
        for (name, spanned) in written.ratios {
            let (line, ratio) = (line_of(spanned.span().start), *spanned.get_ref());
            let is_sound = ratio.ratio.is_finite() && ratio.ratio > 0.0 && (0.0..10.0).contains(&ratio.noise);
            if !is_sound {
                bail!("{file}:{line}: {name}: a ratio is above 0, and its noise from 0 to 10");
            }
            ratios.insert(name, ratio);
        }
        Ok(Self { taken: written.taken, commit: written.commit, conditions: written.conditions, ratios })
    }

    /// The file.
    pub(super) fn text(&self) -> String {
        let Self { taken, commit, conditions, ratios } = self;
        let Conditions { cpu, cpus, kernel } = conditions;
        let mut text = format!("{PREAMBLE}taken = {taken:?}\ncommit = {commit:?}\n");
        text += &format!("\n[conditions]\ncpu = {cpu:?}\ncpus = {cpus}\nkernel = {kernel:?}\n\n[ratios]\n");
        for (name, Ratio { ratio, noise, rounds }) in ratios {
            text += &format!("{name:?} = {{ ratio = {ratio:.4}, noise = {noise:.4}, rounds = {rounds} }}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline() -> Baseline {
        Baseline {
            taken: "2026-11-24T15:00:00Z".to_owned(),
            commit: "0123456789ab".to_owned(),
            conditions: Conditions { cpu: "Xeon".to_owned(), cpus: 2, kernel: "6.18".to_owned() },
            ratios: [("hit, closed, nginx".to_owned(), Ratio { ratio: 0.7125, noise: 0.0125, rounds: 5 })].into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Baseline::parse(&baseline().text(), "f").expect("it was written so"), baseline());
    }

    #[test]
    fn errors_name_file_and_line() {
        let text = baseline().text();
        for (from, to, error) in [
            ("ratio = 0.7125", "ratio = 0.0", "r.toml:13: hit, closed, nginx: a ratio is above 0"),
            ("noise = 0.0125", "noise = nan", "r.toml:13: hit, closed, nginx"),
            ("rounds = 5", "rounds = -5", "r.toml:13: "),
            ("cpus = 2", "cups = 2", "unknown field `cups`"),
            ("commit = \"0123456789ab\"\n", "", "missing field `commit`"),
        ] {
            let broken = text.replace(from, to);
            assert_ne!(broken, text, "{from}");
            let found = Baseline::parse(&broken, "r.toml").expect_err(to).to_string();
            assert!(found.starts_with("r.toml:") && found.contains(error), "{to}: {found}");
        }
    }

    /// A single disturbed round moves neither the ratio nor its noise by much.
    #[test]
    fn noise_is_that_of_most_rounds() {
        let calm = Ratio::of(&[0.99, 1.0, 1.01, 1.0, 0.995]).expect("there are rounds");
        let disturbed = Ratio::of(&[0.99, 1.0, 1.01, 1.0, 1.9]).expect("there are rounds");
        assert!((disturbed.noise - calm.noise).abs() < 0.01 && calm.noise > 0.005, "{calm:?} {disturbed:?}");
        // The middle one of the five deviations is that of 0.995.
        assert!((calm.noise - 1.4826 * 0.995f64.ln().abs()).abs() < 1e-9, "{calm:?}");
        assert_eq!((disturbed.ratio, disturbed.rounds), (1.0, 5));
        assert!((calm.error() - calm.noise * 1.2533 / 5f64.sqrt()).abs() < 1e-9);
        assert_eq!(Ratio::of(&[]), None);
    }
}
