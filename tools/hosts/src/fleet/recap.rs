//! What a run of ansible-playbook came to, host by host.
//!
//! ```text
//!  PLAY RECAP *****
//!  edge-1   : ok=12   changed=5    unreachable=0    failed=0    skipped=3    rescued=0    ignored=0
//! ```
//!
//! **Source**: ansible.builtin.default, the callback that prints it; ansible-core 2.19.

use std::collections::{BTreeMap, BTreeSet};

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

/// What was changed, or would be, by host: task and heading of the difference, one for each.
pub(crate) type Announcement = BTreeMap<String, BTreeSet<(String, String)>>;

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

    /// What the run, which was given `--diff`, has changed or would have.
    pub(crate) fn announced(&self) -> Announcement {
        let (mut found, mut task, mut headings) = (Announcement::new(), String::new(), Vec::new());
        for line in self.text.lines() {
            if let Some(name) = line.strip_prefix("TASK [") {
                task = name.trim_end_matches([' ', '*', ']']).to_owned();
                headings.clear();
            } else if let Some(heading) = line.strip_prefix("+++ ") {
                headings.push(heading.to_owned());
            } else if let Some(host) = line.strip_prefix("changed: [").and_then(|rest| rest.split([' ', ']']).next()) {
                let of_host = found.entry(host.to_owned()).or_default();
                // A difference is printed right before the host whose it is.
                let headings = if headings.is_empty() { vec![String::new()] } else { std::mem::take(&mut headings) };
                of_host.extend(headings.into_iter().map(|heading| (task.clone(), heading)));
            } else if line.starts_with("ok: [") || line.starts_with("skipping: [") {
                headings.clear();
            }
        }
        found
    }

    /// The rows of a run that was good.
    ///
    /// # Errors
    /// It was not; the error has what was printed.
    pub(crate) fn success(&self) -> Result<BTreeMap<String, HostRecap>> {
        ensure!(self.status == Some(0), "ansible-playbook: status {:?}\n{}", self.status, self.text);
        Ok(self.recap())
    }

    /// Checks that the run was refused, with all of `words` in one line, and changed nothing anywhere.
    ///
    /// # Errors
    /// It was not.
    pub(crate) fn refused(&self, words: &[&str]) -> Result<()> {
        ensure!(self.status == Some(2), "it was not refused: status {:?}\n{}", self.status, self.text);
        self.says(words)?;
        for (host, recap) in self.recap() {
            ensure!(recap.changed == 0, "{host} was changed before the refusal\n{}", self.text);
        }
        Ok(())
    }

    /// Checks that the run has a line that begins with the first of `words` and has all of them. The recap does not count: it names all hosts.
    ///
    /// # Errors
    /// It has none.
    pub(crate) fn says(&self, words: &[&str]) -> Result<()> {
        let said = self.text.rsplit_once("PLAY RECAP").map_or(self.text.as_str(), |(said, _)| said);
        let found =
            lines(said).iter().any(|line| line.starts_with(words[0]) && words.iter().all(|word| line.contains(word)));
        ensure!(found, "no line says {words:?}\n{}", self.text);
        Ok(())
    }
}

/// The lines of what was printed, without what YAML puts around them: an item of a list is one line, however it was wrapped.
fn lines(printed: &str) -> Vec<String> {
    let (mut found, mut indent_of_item) = (Vec::<String>::new(), None);
    for line in printed.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        match (text.strip_prefix("- "), found.last_mut()) {
            (Some(item), _) => {
                indent_of_item = Some(indent);
                found.push(item.trim_start_matches(['\'', '"']).to_owned());
            }
            (None, Some(last)) if !text.is_empty() && indent_of_item.is_some_and(|of_item| indent > of_item) => {
                last.push(' ');
                last.push_str(text);
            }
            _ => {
                indent_of_item = None;
                found.push(text.to_owned());
            }
        }
    }
    found
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
    fn items_are_read_as_one_line() {
        const PRINTED: &str = "\
    msg:
    - 'edge-1: refused: it ends with text=\"this release
        crashes\" and more'
    - edge-2: updated
edge-3: not an item
    and another line
";
        let run = PlayRun { status: Some(0), text: PRINTED.to_owned() };
        assert!(run.says(&["edge-1: refused: ", "this release crashes", "and more"]).is_ok());
        assert!(run.says(&["edge-2: updated"]).is_ok());
        assert!(run.says(&["edge-1: refused: ", "edge-2"]).is_err());
        assert!(run.says(&["edge-3: ", "another line"]).is_err());
    }

    #[test]
    fn what_would_change_is_read() {
        const PRINTED: &str = "\
TASK [server : Settings] ***
--- before: /etc/corelane.toml
+++ after: /etc/corelane.toml
@@ -1 +1 @@
+memory
changed: [edge-1]
ok: [edge-2]

TASK [server : Start] ***
changed: [edge-1]
";
        let found = PlayRun { status: Some(0), text: PRINTED.to_owned() }.announced();
        let pair = |task: &str, heading: &str| (task.to_owned(), heading.to_owned());
        let changes = [pair("server : Settings", "after: /etc/corelane.toml"), pair("server : Start", "")];
        assert_eq!(found, Announcement::from([("edge-1".to_owned(), changes.into())]));
    }

    #[test]
    fn a_refusal_names_what_is_wrong_and_comes_before_any_change() {
        let said = format!("    edge-1: corelane_profile: found 'fast'\n    edge-2: corelane_zone: not set\n{PRINTED}");
        let refused = PlayRun { status: Some(2), text: said.replace("changed=5", "changed=0") };
        assert!(refused.refused(&["edge-1: corelane_profile: ", "fast"]).is_ok());
        // On another line; a part of a line; only in the recap.
        assert!(refused.refused(&["edge-1: corelane_profile: ", "not set"]).is_err());
        assert!(refused.refused(&["corelane_profile: "]).is_err());
        assert!(refused.refused(&["node-1"]).is_err());
        assert!(PlayRun { status: Some(2), text: said }.refused(&["edge-1: corelane_profile: "]).is_err());
        assert!(PlayRun { status: Some(0), ..refused }.refused(&["edge-1: corelane_profile: "]).is_err());
    }
}
