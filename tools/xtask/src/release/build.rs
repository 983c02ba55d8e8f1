//! The build: which commit, with which flags, and programs that know no path of this machine.
//!
//! **Invariants**: flags of the environment and of a configuration of cargo are replaced, so that they cannot change what is
//! built. A program in which a path of this machine is found is no release.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use corelane_release::pack::ReleaseIdentity;

use super::metadata::Metadata;
use super::output_of;
use crate::child;
use crate::steps::Outcome;
use corelane_lab::poll::Stop;

/// The packages whose programs are released; each has one program of its name. The last is there from the day it exists.
pub(super) const PACKAGES: [&str; 4] = ["corelane", "shardstored", "coreperf", "corectl"];

/// Building with whole-program optimisation takes minutes on two cores.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Between flags in `CARGO_ENCODED_RUSTFLAGS`, so that paths may have spaces.
const SEPARATOR: &str = "\u{1f}";

/// What paths of the source are called in a program: in messages of panics.
const SOURCE: &str = "/corelane";

/// A clone of the project at one commit.
pub(super) struct SourceTree {
    pub(super) root: PathBuf,
    pub(super) target_folder: PathBuf,
    commit: String,
    changed: bool,
    commit_time: u64,
    compiler: Compiler,
}

/// What builds it.
struct Compiler {
    target: String,
    commit: String,
    sysroot: PathBuf,
}

/// The programs by name.
pub(super) type Programs = BTreeMap<String, Vec<u8>>;

impl SourceTree {
    /// Asks git, cargo and the compiler.
    pub(super) fn read(root: &Path, target_folder: PathBuf) -> Result<Self> {
        let git = |arguments: &[&str]| output_of(Command::new("git").args(arguments).current_dir(root));
        let commit = git(&["rev-parse", "HEAD"]).context("a release is made of a commit")?;
        let changed = !git(&["status", "--porcelain"])?.is_empty();
        let commit_time = git(&["show", "-s", "--format=%ct", "HEAD"])?.parse().context("git says no time")?;
        Ok(Self { root: root.into(), target_folder, commit, changed, commit_time, compiler: Compiler::read()? })
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.changed
    }

    /// The kind of machine that is built for.
    pub(super) fn target(&self) -> &str {
        &self.compiler.target
    }

    pub(super) fn identity(&self) -> Result<ReleaseIdentity> {
        let mark = if self.changed { "-dirty" } else { "" };
        Ok(ReleaseIdentity {
            version: env!("CARGO_PKG_VERSION").parse().context("the workspace's version")?,
            commit: format!("{}{mark}", self.commit),
            commit_time: self.commit_time,
            target: self.compiler.target.clone(),
        })
    }

    /// Builds the programs, stripped, with the profile `dist`.
    pub(super) fn build(&self, metadata: &Metadata, stop: &Stop) -> Result<Programs> {
        let packages: Vec<&str> = metadata.released().collect();
        let mut command = Command::new("cargo");
        command.current_dir(&self.root).args([
            "build",
            "--profile",
            "dist",
            "--locked",
            "--target",
            &self.compiler.target,
        ]);
        // A folder of its own: other flags than a developer's build must not make that one anew.
        let folder = self.target_folder.join("release-build");
        command.arg("--target-dir").arg(&folder);
        for package in &packages {
            command.args(["--bin", package]);
        }
        command
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags()?.join(SEPARATOR))
            .env("CARGO_PROFILE_DIST_STRIP", "symbols");
        command.env("SOURCE_DATE_EPOCH", self.commit_time.to_string()).env_remove("RUSTFLAGS");
        let (outcome, _) = child::run_step(&mut command, BUILD_LIMIT, stop)?;
        ensure!(matches!(outcome, Outcome::Passed), "the build failed: {outcome:?}");
        let built = folder.join(&self.compiler.target).join("dist");
        packages.into_iter().map(|package| Ok((package.to_owned(), self.program(&built.join(package))?))).collect()
    }

    /// Makes pages and completions in a folder of the target and reads them: by path below `share`.
    pub(super) fn manual(&self, stop: &Stop) -> Result<BTreeMap<String, Vec<u8>>> {
        let folder = self.target_folder.join("release-manual");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{} could not be removed", folder.display()))?;
        }
        let mut command = Command::new("cargo");
        command.current_dir(&self.root).args(["run", "--quiet", "--locked", "--package", "manual", "--target-dir"]);
        command.arg(&self.target_folder).arg("--").arg(&folder);
        let (outcome, _) = child::run_step(&mut command, BUILD_LIMIT, stop)?;
        ensure!(matches!(outcome, Outcome::Passed), "the manual could not be made: {outcome:?}");
        let mut files = BTreeMap::new();
        read_folder(&folder, "", &mut files)?;
        Ok(files)
    }

    fn program(&self, path: &Path) -> Result<Vec<u8>> {
        let bytes = fs::read(path).with_context(|| format!("{} could not be read", path.display()))?;
        for (folder, _) in self.remapped()? {
            if let Some(found) = path_in(&bytes, &folder) {
                bail!("{}: has a path of this machine in it, {found}; remap it in tools/xtask", path.display());
            }
        }
        Ok(bytes)
    }

    fn flags(&self) -> Result<Vec<String>> {
        let remapped = self.remapped()?.into_iter();
        // Where several fit, the compiler takes the last one: what lies deeper must come later.
        Ok(remapped.map(|(from, to)| format!("--remap-path-prefix={from}={to}")).collect())
    }

    /// Folders of this machine, and what they are called in a program; those that lie in others after them.
    fn remapped(&self) -> Result<Vec<(String, String)>> {
        let home = env::var("HOME").unwrap_or_default();
        let cargo = env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
        let text = |path: &Path| path.to_str().map(String::from).context("a path is not UTF-8");
        let library = text(&self.compiler.sysroot.join("lib/rustlib/src/rust"))?;
        let mut folders = vec![
            (cargo, "/cargo".to_owned()),
            (library, format!("/rustc/{}", self.compiler.commit)),
            (text(&self.root)?, SOURCE.to_owned()),
            (text(&self.target_folder)?, format!("{SOURCE}/target")),
        ];
        folders.retain(|(folder, _)| folder.len() > 1);
        folders.sort_by_key(|(folder, _)| folder.len());
        Ok(folders)
    }
}

impl Compiler {
    fn read() -> Result<Self> {
        let text = output_of(Command::new("rustc").arg("-vV"))?;
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            value.map(String::from).with_context(|| format!("rustc -vV has no {name}"))
        };
        let sysroot = output_of(Command::new("rustc").args(["--print", "sysroot"]))?.into();
        Ok(Self { target: field("host:")?, commit: field("commit-hash:")?, sysroot })
    }
}

/// Programs that were built otherwise, from the folder they are in.
pub(super) fn built(metadata: &Metadata, folder: &Path) -> Result<Programs> {
    let read = |package: &str| {
        let path = folder.join(package);
        let bytes = fs::read(&path).with_context(|| format!("{} could not be read", path.display()))?;
        Ok((package.to_owned(), bytes))
    };
    metadata.released().map(read).collect()
}

/// All files below `folder`, by their paths in it, with `prefix` in front.
fn read_folder(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{} could not be read", folder.display()))? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read_folder(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// The first text in `bytes` that is `folder` or a path below it.
fn path_in(bytes: &[u8], folder: &str) -> Option<String> {
    let is_of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@~".contains(&byte);
    let needle = folder.as_bytes();
    let at = memchr::memmem::find_iter(bytes, needle).find(|at| {
        let before = at.checked_sub(1).map(|before| bytes[before]);
        let after = bytes.get(at + needle.len()).copied();
        !before.is_some_and(is_of_path) && after.is_none_or(|after| after == b'/' || !is_of_path(after))
    })?;
    let end = bytes[at..].iter().position(|byte| !is_of_path(*byte)).map_or(bytes.len(), |length| at + length);
    Some(String::from_utf8_lossy(&bytes[at..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_machine_are_found_as_whole_paths() {
        let found = |bytes: &[u8]| path_in(bytes, "/src/own");
        assert_eq!(found(b"\0at /src/own/main.rs:1\0"), Some("/src/own/main.rs".to_owned()));
        assert_eq!(found(b"/src/own"), Some("/src/own".to_owned()));
        for fine in [&b"/corelane/src/own/main.rs"[..], b"/src/owner/a", b"", b"a/src/own"] {
            assert_eq!(found(fine), None, "{fine:?}");
        }
        assert_eq!(found(b"x/src/own /src/own/b"), Some("/src/own/b".to_owned()));
    }

    #[test]
    fn deeper_folders_are_remapped_last() {
        let root = crate::workspace::root().expect("tests run in the workspace");
        let tree = SourceTree::read(&root, root.join("target")).expect("a clone");
        let lengths: Vec<usize> = tree.remapped().expect("UTF-8").iter().map(|(folder, _)| folder.len()).collect();
        assert!(lengths.is_sorted() && lengths.len() >= 3, "{lengths:?}");
    }
}
