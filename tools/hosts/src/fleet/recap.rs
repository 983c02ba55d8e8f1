//! What a run of ansible-playbook came to, host by host.
//!
//! ```text
//!  PLAY RECAP *****
//!  edge-1   : ok=12   changed=5    unreachable=0    failed=0    skipped=3    rescued=0    ignored=0
//! ```
//!
//! **Source**: ansible.builtin.default, the callback that prints it; ansible-core 2.19.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

/// A row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostRecap {
    /// Tasks that were run and are as wanted, those that changed something among them.
    pub(crate) ok: u32,
    pub(crate) changed: u32,
    pub(crate) unreachable: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
    pub(crate) rescued: u32,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlayRun {
    /// 0 good, 2 a host failed, 4 a host is unreachable; None where a signal or the time limit ended it.
    pub(crate) status: Option<i32>,
    /// All that was printed.
    pub(crate) text: String,
}

impl PlayRun {
    /// The rows; none where there is no recap.
    pub(crate) fn recap(&self) -> BTreeMap<String, HostRecap> {
        let rows = self.text.rsplit_once("PLAY RECAP").map_or("", |(_, rows)| rows);
        rows.lines().filter_map(row).collect()
    }

    /// The rows of a run that was good.
    ///
    /// # Errors
    /// It was not; the error has what was printed.
    pub(crate) fn success(&self) -> Result<BTreeMap<String, HostRecap>> {
        ensure!(self.status == Some(0), "ansible-playbook: status {:?}\n{}", self.status, self.text);
        Ok(self.recap())
    }

    /// Checks that the run was refused with each of `words` in one of its messages, and changed nothing anywhere.
    ///
    /// # Errors
    /// It was not.
    pub(crate) fn refused(&self, words: &[&str]) -> Result<()> {
        ensure!(self.status == Some(2), "it was not refused: status {:?}\n{}", self.status, self.text);
        for word in words {
            ensure!(self.text.contains(word), "the refusal does not say {word:?}\n{}", self.text);
        }
        for (host, recap) in self.recap() {
            ensure!(recap.changed == 0, "{host} was changed before the refusal\n{}", self.text);
        }
        Ok(())
    }
}

fn row(line: &str) -> Option<(String, HostRecap)> {
    let (host, counts) = line.split_once(" : ")?;
    let count = |name: &str| {
        let found = counts.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        found.with_context(|| name.to_owned()).and_then(|count| Ok(count.parse::<u32>()?)).ok()
    };
    let recap = HostRecap {
        ok: count("ok")?,
        changed: count("changed")?,
        unreachable: count("unreachable")?,
        failed: count("failed")?,
        skipped: count("skipped")?,
        rescued: count("rescued")?,
    };
    Some((host.trim().to_owned(), recap))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
TASK [PLAY RECAP is not this]
PLAY RECAP *********************************************************************
edge-1                     : ok=12   changed=5    unreachable=0    failed=0    skipped=3    rescued=1    ignored=0
node-1                     : ok=2    changed=0    unreachable=1    failed=0    skipped=0    rescued=0    ignored=0

";

    #[test]
    fn rows_are_read() {
        let run = PlayRun { status: Some(4), text: PRINTED.to_owned() };
        let recap = run.recap();
        let edge = HostRecap { ok: 12, changed: 5, skipped: 3, rescued: 1, ..HostRecap::default() };
        assert_eq!(recap["edge-1"], edge);
        assert_eq!(recap["node-1"], HostRecap { ok: 2, unreachable: 1, ..HostRecap::default() });
        assert_eq!(recap.len(), 2);
        assert!(run.success().unwrap_err().to_string().contains("status Some(4)"));
    }

    #[test]
    fn a_refusal_names_what_is_wrong_and_comes_before_any_change() {
        let unchanged = PRINTED.replace("changed=5", "changed=0");
        let refused = PlayRun { status: Some(2), text: unchanged };
        assert!(refused.refused(&["edge-1"]).is_ok());
        assert!(refused.refused(&["edge-9"]).is_err());
        assert!(PlayRun { status: Some(2), text: PRINTED.to_owned() }.refused(&["edge-1"]).is_err());
        assert!(PlayRun { status: Some(0), ..refused }.refused(&["edge-1"]).is_err());
    }
}
