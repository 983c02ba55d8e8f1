//! A committed file of figures that later ones are judged by: what was measured, when, at which commit, and under which conditions.
//!
//! ```text
//!  # what they are, and who writes the file
//!  taken, commit
//!  [conditions]      what the figures depend on beside the code
//!  [ratios]          or [instructions]: a figure by name
//! ```
//!
//! **Not** what is allowed; that is the judgements' of `counts` and `ratios`.
//!
//! **Invariants**: what [`Baseline::text`] writes, [`Baseline::parse`] reads back, to its digits. An error names file and line.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::results::write_whole;

/// One figure of a file.
pub(crate) trait Figure: Copy + DeserializeOwned {
    /// What stands at the head of the file, in lines that begin with `#`.
    const PREAMBLE: &str;
    /// The table of the figures; [`Written`] knows it too.
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
pub(crate) struct Baseline<C, F> {
    /// When it was taken, UTC.
    pub(crate) taken: String,
    /// The commit it was taken at. With `+dirty`: before the commit that brought it here.
    pub(crate) commit: String,
    /// What the figures depend on beside the code.
    pub(crate) conditions: C,
    /// By name.
    pub(crate) figures: BTreeMap<String, F>,
}

/// The same as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<C, F> {
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
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("{} could not be read; run in the repository's root, or take one with {}", path.display(), F::FLAG)
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// What the text of a file says.
    pub(crate) fn parse(text: &str, file: &str) -> Result<Self> {
        let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let written: Written<C, F> = toml::from_str(text).map_err(|error| {
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
    pub(crate) fn text(&self) -> Result<String> {
        let Self { taken, commit, conditions, figures } = self;
        let conditions = toml::to_string(conditions).context("the conditions cannot be written")?;
        let mut text = format!("{}taken = {taken:?}\ncommit = {commit:?}\n", F::PREAMBLE);
        text += &format!("\n[conditions]\n{conditions}\n[{}]\n", F::TABLE);
        for (name, figure) in figures {
            text += &format!("{name:?} = {}\n", figure.toml());
        }
        Ok(text)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The operator's: it cannot be written there.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        write_whole(file, self.text()?.as_bytes())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Reads back what is written, and finds each of the mistakes: what to replace by what, and what the error must say.
    pub(crate) fn holds<C, F>(baseline: &Baseline<C, F>, mistakes: &[(&str, &str, &str)])
    where
        C: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug,
        F: Figure + PartialEq + std::fmt::Debug,
    {
        let text = baseline.text().expect("it can be written");
        assert_eq!(&Baseline::<C, F>::parse(&text, "f").expect("it was written so"), baseline);
        for (from, to, error) in mistakes {
            let broken = text.replace(from, to);
            assert_ne!(broken, text, "{from}");
            let found = Baseline::<C, F>::parse(&broken, "b.toml").expect_err(to).to_string();
            assert!(found.starts_with("b.toml:") && found.contains(error), "{to}: {found}");
        }
    }
}
