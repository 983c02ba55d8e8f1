//! The commands that the documentation gives a new user, each as it is written, on a host that has nothing but Debian.
//!
//! **Invariants**: nothing is added to the commands and none is left out. A document without commands fails.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{HostLab, MINUTE, SingleHost};

/// The section that is followed.
const HEADING: &str = "## A new host in five minutes\n";

/// What its title promises.
const PROMISED: Duration = Duration::from_secs(5 * 60);

/// Fewer would not be an installed, tuned and serving host.
const BLOCKS_MIN: usize = 3;

pub(super) fn run(setting: &HostLab) -> Result<()> {
    let page = fs::read_to_string(&setting.manual).with_context(|| format!("{}", setting.manual.display()))?;
    let blocks = commands(&page).with_context(|| format!("{} has no {HEADING:?}", setting.manual.display()))?;
    ensure!(blocks.len() >= BLOCKS_MIN, "only {} blocks of commands", blocks.len());
    let lab = SingleHost::start(setting, "five")?;
    lab.copy_package(setting)?;
    let began = Instant::now();
    for block in &blocks {
        let said = lab.host.must(&format!("cd /srv\n{block}"), 2 * MINUTE)?;
        println!("{}", indented(block, &said));
    }
    ensure!(began.elapsed() < PROMISED, "it took {} s", began.elapsed().as_secs());
    // What the section promises at its end, looked at from elsewhere.
    let listed = lab.host.must("corectl release list", MINUTE)?;
    ensure!(listed.starts_with("* "), "{listed}");
    ensure!(lab.host.property("corelane.service", "SubState")? == "running", "it does not run");
    lab.host.must("corectl tune status", MINUTE)?;
    Ok(())
}

/// The blocks of commands of the section.
fn commands(page: &str) -> Option<Vec<&str>> {
    let section = page.split_once(HEADING)?.1;
    let section = section.split("\n## ").next()?;
    Some(section.split("```sh\n").skip(1).filter_map(|block| block.split("```").next()).collect())
}

fn indented(block: &str, said: &str) -> String {
    let lines = block.lines().map(|line| format!("  $ {line}")).chain(said.lines().map(|line| format!("    {line}")));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_of_the_section_are_taken_and_no_others() {
        let page = format!(
            "## One\n```sh\nno\n```\n{HEADING}Text.\n```sh\na\nb\n```\n```toml\nx = 1\n```\n```sh\nc\n```\n## Next\n```sh\nno\n```\n"
        );
        assert_eq!(commands(&page), Some(vec!["a\nb\n", "c\n"]));
        assert_eq!(commands("## Other\n"), None);
    }

    #[test]
    fn the_document_has_the_section() {
        let page = include_str!("../../../../docs/operations.md");
        assert!(commands(page).is_some_and(|blocks| blocks.len() >= BLOCKS_MIN));
    }
}
