//! Where the workspace is, and which files belong to it.
//!
//! **Invariants**: paths are relative to the root and use `/`. Files git ignores are never listed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The folder of the workspace's `Cargo.toml`: the nearest one, from the current folder upwards, with `[workspace]`.
///
/// It is looked up when the tool runs, not fixed when it is built, so that one target folder can serve several clones.
///
/// # Errors
/// The operator's: the tool was started outside a clone of the project.
pub(crate) fn root() -> Result<PathBuf> {
    let start = std::env::current_dir().context("the current folder cannot be read")?;
    for folder in start.ancestors() {
        let manifest = folder.join("Cargo.toml");
        // The fuzz crates carry an empty [workspace] table of their own, so the table must list members.
        if std::fs::read_to_string(&manifest).is_ok_and(|text| text.contains("[workspace]") && text.contains("members"))
        {
            return Ok(folder.to_path_buf());
        }
    }
    bail!("{} is not inside the workspace; change to a clone of the project first", start.display())
}

/// Where cargo puts what it builds: `target` of the root, unless `CARGO_TARGET_DIR` or a configuration says otherwise.
///
/// # Errors
/// The operator's: cargo could not be started, or says nothing of it.
pub(crate) fn target_folder(root: &Path) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("cargo could not be started")?;
    let text = String::from_utf8(output.stdout).context("cargo metadata is not UTF-8")?;
    target_folder_in(&text).context("cargo metadata names no target folder")
}

/// The value of `target_directory`: a path, in JSON.
fn target_folder_in(metadata: &str) -> Option<PathBuf> {
    let rest = metadata.split_once("\"target_directory\":\"")?.1;
    let end = rest.match_indices('"').map(|(at, _)| at).find(|at| !rest[..*at].ends_with('\\'))?;
    Some(PathBuf::from(rest[..end].replace("\\\"", "\"").replace("\\\\", "\\")))
}

/// Every tracked file, and every untracked one that is not ignored, sorted.
///
/// # Errors
/// The operator's: git is not installed, or the folder is not a git work tree.
pub(crate) fn files(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(root)
        .output()
        .context("git could not be started; install git")?;
    ensure!(
        output.status.success(),
        "git ls-files failed in {}: {}",
        root.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let listed = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    // A tracked file that was deleted but not yet committed is still listed; it is no longer part of the tree.
    let mut files: Vec<String> =
        listed.split('\0').filter(|path| !path.is_empty() && root.join(path).is_file()).map(String::from).collect();
    files.sort();
    Ok(files)
}

/// The `Cargo.toml` of every fuzz crate (`…/fuzz/Cargo.toml`), relative to the root.
///
/// # Errors
/// As [`files`].
pub(crate) fn fuzz_manifests(root: &Path) -> Result<Vec<String>> {
    Ok(files(root)?.into_iter().filter(|path| path.ends_with("/fuzz/Cargo.toml")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_is_what_cargo_says() {
        let metadata = r#"{"packages":[],"target_directory":"/tmp/a \"b\"\\c","version":1}"#;
        assert_eq!(target_folder_in(metadata), Some(PathBuf::from("/tmp/a \"b\"\\c")));
        assert_eq!(target_folder_in("{}"), None);
    }
}
