//! A committed file of figures that later ones are judged by: what was measured, when, at which commit, and under which conditions.
//!
//! ```text
//!  # what they are, and who writes the file
//!  taken, commit
//!  [conditions]      what the figures depend on beside the code
//!  [ratios]          or [instructions]: a figure by name
//! ```
//!
//! **Not** what is allowed; whoever compares decides.
//!
//! **Invariants**: what [`Baseline::text`] writes, [`Baseline::parse`] reads back, to its digits. An error names file and line.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::files::write_whole;

/// One figure of a file.
pub trait Figure: Copy + DeserializeOwned {
    /// What stands at the head of the file, in lines that begin with `#`.
    const PREAMBLE: &str;
    /// The table of the figures; `WrittenBaseline` knows it too.
    const TABLE: &str;
    /// The argument that writes the file.
    const FLAG: &str;

    /// What is wrong with it, if anything is.
    fn fault(self) -> Option<&'static str>;
    /// The value as it stands in the file.
    fn toml(self) -> String;
}

/// What a file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline<C, F> {
    /// When it was taken, UTC.
    pub taken: String,
    /// The commit it was taken at. With `+dirty`: before the commit that brought it here.
    pub commit: String,
    /// What the figures depend on beside the code.
    pub conditions: C,
    /// By name.
    pub figures: BTreeMap<String, F>,
}

/// The same as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBaseline<C, F> {
    taken: String,
    commit: String,
    conditions: C,
    #[serde(alias = "ratios", alias = "instructions")]
    figures: BTreeMap<String, Spanned<F>>,
}

impl<C: DeserializeOwned + Serialize, F: Figure> Baseline<C, F> {
    /// Reads a file.
    ///
    /// # Errors
    /// The operator's: the file is not there, or what is wrong in it and in which line.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("{} could not be read; run in the repository's root, or take one with {}", path.display(), F::FLAG)
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// What the text of a file says.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let written: WrittenBaseline<C, F> = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            anyhow!("{file}:{line}: {}", error.message())
        })?;
        let mut figures = BTreeMap::new();
        for (name, spanned) in written.figures {
            let (line, figure) = (line_of(spanned.span().start), *spanned.get_ref());
            if let Some(fault) = figure.fault() {
                bail!("{file}:{line}: {name}: {fault}");
            }
            figures.insert(name, figure);
        }
        Ok(Self { taken: written.taken, commit: written.commit, conditions: written.conditions, figures })
    }

    /// The file.
    ///
    /// # Errors
    /// The conditions cannot be written as TOML.
    pub fn text(&self) -> Result<String> {
        let Self { taken, commit, conditions, figures } = self;
        let conditions = toml::to_string(conditions).context("the conditions cannot be written")?;
        let mut text = format!("{}taken = {taken:?}\ncommit = {commit:?}\n", F::PREAMBLE);
        text += &format!("\n[conditions]\n{conditions}\n[{}]\n", F::TABLE);
        for (name, figure) in figures {
            text += &format!("{name:?} = {}\n", figure.toml());
        }
        Ok(text)
    }

    /// Each condition that differs: its name, what it is here, and what it is in `other`.
    pub fn differences(&self, other: &C) -> Vec<(String, String, String)> {
        let table = |conditions: &C| toml::Table::try_from(conditions).unwrap_or_default();
        let (ours, mut theirs) = (table(&self.conditions), table(other));
        let text = |value: toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let pairs = ours.into_iter().filter_map(|(name, value)| {
            let (ours, theirs) = (text(value), text(theirs.remove(&name)?));
            (ours != theirs).then_some((name, ours, theirs))
        });
        pairs.collect()
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The operator's: it cannot be written there.
    pub fn write(&self, file: &Path) -> Result<()> {
        write_whole(file, self.text()?.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Conditions {
        cpu: String,
        cpus: usize,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
    struct Share(f64);

    impl Figure for Share {
        const PREAMBLE: &str = "# Shares.\n";
        const TABLE: &str = "ratios";
        const FLAG: &str = "--accept";

        fn fault(self) -> Option<&'static str> {
            (!(0.0..=1.0).contains(&self.0)).then_some("a share is from 0 to 1")
        }

        fn toml(self) -> String {
            format!("{:.2}", self.0)
        }
    }

    fn baseline() -> Baseline<Conditions, Share> {
        Baseline {
            taken: "2026-11-24 15:00 UTC".to_owned(),
            commit: "0123456789ab+dirty".to_owned(),
            conditions: Conditions { cpu: "Xeon".to_owned(), cpus: 2 },
            figures: [("hit, nginx".to_owned(), Share(0.75)), ("hit, h2o".to_owned(), Share(0.5))].into(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_errors_name_file_and_line() {
        let text = baseline().text().expect("it can be written");
        assert_eq!(Baseline::parse(&text, "f").expect("it was written so"), baseline());
        for (from, to, error) in [
            ("\"hit, nginx\" = 0.75", "\"hit, nginx\" = 1.75", "b.toml:11: hit, nginx: a share is from 0 to 1"),
            ("\"hit, nginx\" = 0.75", "\"hit, nginx\" = nan", "b.toml:11: hit, nginx: a share"),
            ("\"hit, nginx\" = 0.75", "\"hit, nginx\" = 7 5", "b.toml:11: "),
            ("cpus = 2", "cups = 2", "b.toml:7: unknown field `cups`"),
            ("commit = \"0123456789ab+dirty\"\n", "", "missing field `commit`"),
        ] {
            let broken = text.replace(from, to);
            assert_ne!(broken, text, "{from}");
            let found = Baseline::<Conditions, Share>::parse(&broken, "b.toml").expect_err(to).to_string();
            assert!(found.starts_with("b.toml:") && found.contains(error), "{to}: {found}");
        }
    }

    #[test]
    fn conditions_that_differ_are_named() {
        let other = Conditions { cpus: 4, ..baseline().conditions };
        assert_eq!(baseline().differences(&other), [("cpus".to_owned(), "2".to_owned(), "4".to_owned())]);
        assert_eq!(baseline().differences(&baseline().conditions), []);
    }
}
