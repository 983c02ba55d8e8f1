//! The state of a rollout as the controller has written it.
//!
//! **Not** its meaning: that is in `ansible/plugins/module_utils/corelane_rollout_state.py`.
//!
//! **Source**: docs/rollout.md, "When something breaks".

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What the file holds.
pub(crate) struct RolloutState(Value);

impl RolloutState {
    /// Reads the file of the last rollout in `folder`.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn last_in(folder: &Path) -> Result<Self> {
        let files = fs::read_dir(folder).with_context(|| format!("no rollout has begun: {}", folder.display()))?;
        let states =
            files.flatten().filter(|file| file.path().extension().is_some_and(|extension| extension == "json"));
        let last = states.max_by_key(|file| file.metadata().and_then(|metadata| metadata.modified()).ok());
        let path = last.context("no rollout has begun")?.path();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Self(serde_json::from_str(&text).with_context(|| text.clone())?))
    }

    /// Checks what the rollout came to: `done`, `rolled_back`, `halt`.
    ///
    /// # Errors
    /// It came to something else.
    pub(crate) fn decided(&self, wanted: &str) -> Result<()> {
        ensure!(self.0["decision"] == wanted, "the decision is not {wanted:?}\n{:#}", self.0);
        Ok(())
    }

    /// Checks what became of hosts, all of which must be named.
    ///
    /// # Errors
    /// Something else became of one.
    pub(crate) fn hosts_are(&self, wanted: &[(&str, &str)]) -> Result<()> {
        let found = self.0["hosts"].as_object().context("a state names hosts")?;
        for (host, state) in wanted {
            ensure!(
                found.get(*host).is_some_and(|host| host["state"] == *state),
                "{host} is not {state}\n{:#}",
                self.0
            );
        }
        Ok(())
    }

    /// Checks the last verdict: on which hosts, what it is, and words of its sentence.
    ///
    /// # Errors
    /// It is another one.
    pub(crate) fn last_verdict(&self, hosts: &[&str], verdict: &str, words: &[&str]) -> Result<()> {
        let last = self.0["verdicts"].as_array().and_then(|verdicts| verdicts.last()).context("nothing was judged")?;
        ensure!(last["hosts"] == serde_json::json!(hosts) && last["verdict"] == verdict, "another verdict\n{last:#}");
        let sentence = last["sentence"].as_str().unwrap_or_default();
        ensure!(words.iter().all(|word| sentence.contains(word)), "the sentence lacks one of {words:?}\n{last:#}");
        Ok(())
    }
}
