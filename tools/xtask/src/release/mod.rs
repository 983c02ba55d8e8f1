//! `cargo xtask release`: a commit becomes an archive, a package and what is needed to trust both.
//!
//! ```text
//!  DIR/corelane-VERSION-TARGET.tar.zst           programs, units, pages, completions, bill of materials, licences
//!  DIR/corelane-VERSION-TARGET.json              the manifest that names them; with --key its signature, .json.minisig
//!  DIR/corelane_VERSION_ARCH.deb                 the same files for dpkg; with --key its signature, .deb.minisig
//! ```
//!
//! **Not**: publishing, tagging, keeping keys.
//!
//! **Invariants**: what is written depends on the commit, the compiler and the target alone: neither on the folder, the
//! clock, the user nor the umask. A signature does not (minisign signs with fresh randomness), so it is beside the files.
//!
//! **Source**: reproducible-builds.org; minisign's format; CycloneDX 1.5; deb(5).

mod build;
mod debian;
mod fleet;
mod licences;
mod metadata;
mod reproduce;
mod sbom;
mod sign;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use corelane_release::bundle::{ARCHIVE_SUFFIX, MANIFEST_SUFFIX};
use corelane_release::pack::{ReleaseIdentity, pack};

use crate::workspace;
use build::SourceTree;
use corelane_lab::poll::Stop;
use debian::Compression;
pub(crate) use fleet::make_for_fleet;

/// What to make, and where.
#[derive(Clone, clap::Args)]
pub(crate) struct Options {
    /// Folder for what is made, relative to the workspace
    #[arg(long, value_name = "DIR", default_value = "target/release-files")]
    out: PathBuf,
    /// Sign with the secret key in this file (minisign -G makes one); asks for its password if it has one
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Also where files differ from the commit: for tries. The commit is marked, and the bytes cannot be made again
    #[arg(long)]
    allow_dirty: bool,
    /// Make the release of this commit a second time, in a clone in another folder, and compare every byte
    #[arg(long, conflicts_with = "allow_dirty")]
    check_reproducible: bool,
}

/// Runs the verb. Exit status 1 when a second build came to other bytes.
///
/// # Errors
/// The operator's: files differ from the commit, a tool is missing, the build failed.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let out = root.join(&options.out);
    let signer = options.key.as_deref().map(sign::Signer::read).transpose()?;
    let tree = SourceTree::read(root, workspace::target_folder(root)?)?;
    ensure!(
        options.allow_dirty || !tree.is_dirty(),
        "files differ from the commit, so nobody could make this release again; commit first, or try with --allow-dirty"
    );
    let made = make(&tree, &out, &stop)?;
    for file in &made {
        println!("{}  {}", corelane_release::sum::Sha256Sum::of(&fs::read(file)?), file.display());
    }
    match &signer {
        Some(signer) => signer.sign_all(&made)?,
        None => println!("not signed: hosts will refuse it; --key FILE signs it"),
    }
    if options.check_reproducible {
        return reproduce::check(root, &out, &made, &stop);
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds, packs and writes everything but signatures; returns the files.
fn make(tree: &SourceTree, out: &Path, stop: &Stop) -> Result<Vec<PathBuf>> {
    let metadata = metadata::Metadata::read(&tree.root, tree.target())?;
    let programs = tree.build(&metadata, stop)?;
    package(tree, &metadata, &programs, (out, Compression::Xz), stop)
}

/// Makes a package of programs that are built already, in `folder`, whatever their flags: for the lab, not for hosts. Returns the
/// package.
///
/// # Errors
/// The operator's: a program is missing, the disk is full.
pub(crate) fn make_for_lab(root: &Path, folder: &Path, out: &Path, stop: &Stop) -> Result<PathBuf> {
    let tree = SourceTree::read(root, workspace::target_folder(root)?)?;
    let metadata = metadata::Metadata::read(root, tree.target())?;
    let programs = build::built(&metadata, folder)?;
    let mut made = package(&tree, &metadata, &programs, (out, Compression::None), stop)?;
    made.pop().context("the package is made last")
}

/// Programs with the packages that contain them, for a build by hand.
pub(crate) fn packages_in(root: &Path) -> Result<Vec<&'static str>> {
    let tree = SourceTree::read(root, workspace::target_folder(root)?)?;
    Ok(metadata::Metadata::read(root, tree.target())?.released().collect())
}

fn package(
    tree: &SourceTree,
    metadata: &metadata::Metadata,
    programs: &build::Programs,
    (out, compression): (&Path, Compression),
    stop: &Stop,
) -> Result<Vec<PathBuf>> {
    let identity = tree.identity()?;
    let files = stage::files(tree, &identity, metadata, programs, tree.manual(stop)?)?;
    let (manifest, archive) = pack(&identity, &files)?;
    fs::create_dir_all(out).with_context(|| format!("{} could not be made", out.display()))?;
    let stem = identity.stem();
    let manifest_text = manifest.to_json()?;
    let archive_path = write(out, &format!("{stem}{ARCHIVE_SUFFIX}"), &archive)?;
    let manifest_path = write(out, &format!("{stem}{MANIFEST_SUFFIX}"), manifest_text.as_bytes())?;
    let parts = debian::Parts { identity: &identity, files: &files, manifest: manifest_text.as_bytes() };
    let package = parts.build(out, &tree.target_folder, compression)?;
    Ok(vec![archive_path, manifest_path, package])
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, bytes).with_context(|| format!("{} could not be written", path.display()))?;
    Ok(path)
}

/// What a command prints, without the end of its last line.
fn output_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program} could not be started"))?;
    ensure!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout).with_context(|| format!("{program} printed no UTF-8"))?.trim_end().to_owned())
}

/// `x86_64-unknown-linux-gnu` as Debian says it.
fn debian_arch(identity: &ReleaseIdentity) -> Result<&'static str> {
    match identity.target.split('-').next() {
        Some("x86_64") => Ok("amd64"),
        Some("aarch64") => Ok("arm64"),
        _ => anyhow::bail!("{}: no name for it in Debian is known here", identity.target),
    }
}
