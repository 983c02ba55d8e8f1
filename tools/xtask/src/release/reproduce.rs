//! The proof: the same commit, cloned into another folder and built there, comes to the same bytes.
//!
//! **Invariants**: nothing of the first build is used by the second but cargo's store of sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use super::build::SourceTree;
use super::output_of;
use corelane_lab::poll::Stop;

/// Makes the release again, compares, and removes the clone. Exit status 1 where a byte differs.
pub(super) fn check(root: &Path, out: &Path, made: &[PathBuf], stop: &Stop) -> Result<ExitCode> {
    // A longer path than any developer's, and another depth.
    let folder = std::env::temp_dir().join(format!("corelane-again-{}", std::process::id())).join("in/another/folder");
    let clone = folder.join("clone");
    fs::create_dir_all(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
    println!("making it again in {}", clone.display());
    let outcome = clone_and_make(root, &clone, stop).and_then(|again| compare(out, made, &again));
    let temporary = folder.ancestors().nth(3).context("the folder has three above it")?;
    fs::remove_dir_all(temporary).with_context(|| format!("{} could not be removed", temporary.display()))?;
    let differing = outcome?;
    for name in &differing {
        println!("NOT reproducible: {name}");
    }
    if differing.is_empty() {
        println!("reproducible: {} files, every byte", made.len());
    }
    Ok(if differing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn clone_and_make(root: &Path, clone: &Path, stop: &Stop) -> Result<PathBuf> {
    output_of(Command::new("git").args(["clone", "--quiet", "--no-hardlinks"]).arg(root).arg(clone))?;
    let commit = output_of(Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root))?;
    output_of(Command::new("git").args(["checkout", "--quiet", "--detach", &commit]).current_dir(clone))?;
    let out = clone.join("made");
    super::make(&SourceTree::read(clone, clone.join("target"))?, &out, stop)?;
    Ok(out)
}

/// The names of the files that differ.
fn compare(out: &Path, made: &[PathBuf], again: &Path) -> Result<Vec<String>> {
    let mut differing = Vec::new();
    for file in made {
        let name = file.strip_prefix(out).context("what was made is in the folder for it")?;
        if fs::read(file)? != fs::read(again.join(name))? {
            differing.push(name.display().to_string());
        }
    }
    Ok(differing)
}
