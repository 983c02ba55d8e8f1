//! The releases that a fleet is tested with: two good ones, and what each scenario breaks, signed with a key of the run.
//!
//! ```text
//!  DIR/key.pub                    DIR/NAME/corelane-VERSION-TARGET.{tar.zst,json,json.minisig}
//! ```
//!
//! **Not** for hosts outside a test: programs are built with whatever flags, and pages of the manual are left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use corelane_lab::capture::capture;
use corelane_lab::poll::Stop;
use corelane_release::bundle::{ARCHIVE_SUFFIX, MANIFEST_SUFFIX};
use corelane_release::manifest::FileMode;
use corelane_release::pack::{ReleaseFiles, ReleaseIdentity, pack};
use corelane_release::path::ReleasePath;

use super::build::{self, Programs, SourceTree};
use super::{metadata, sign, stage, write};
use crate::workspace;

/// A release of the test.
struct FleetRelease {
    name: &'static str,
    version: &'static str,
    change: ReleaseDifference,
}

/// What is other in a release than in the good one.
enum ReleaseDifference {
    Nothing,
    /// Programs of other sums that do the same.
    Programs,
    /// An impostor in the place of the edge, which is beside it, and what it starts.
    Impostor {
        program: &'static str,
        helper: Option<&'static str>,
    },
}

const RELEASES: &[FleetRelease] = &[
    FleetRelease { name: "good", version: "0.1.0", change: ReleaseDifference::Nothing },
    FleetRelease { name: "next", version: "0.1.1", change: ReleaseDifference::Programs },
    FleetRelease {
        name: "crashes",
        version: "0.1.2",
        change: ReleaseDifference::Impostor { program: "crashes.sh", helper: None },
    },
    FleetRelease { name: "wrong", version: "0.1.2", change: helped("wrong.py") },
    FleetRelease { name: "costly", version: "0.1.2", change: helped("costly.py") },
];

const fn helped(helper: &'static str) -> ReleaseDifference {
    ReleaseDifference::Impostor { program: "helped.sh", helper: Some(helper) }
}

/// Where impostors are.
const IMPOSTORS: &str = "tools/impostor";

/// Makes all of them in `out`, of programs that are built already.
///
/// # Errors
/// The operator's: a program is missing, the disk is full.
pub(crate) fn make_for_fleet(root: &Path, programs: &Path, out: &Path, stop: &Stop) -> Result<()> {
    let tree = SourceTree::read(root, workspace::target_folder(root)?)?;
    let metadata = metadata::Metadata::read(root, tree.target())?;
    fs::create_dir_all(out).with_context(|| format!("{} could not be made", out.display()))?;
    let programs = stripped(build::built(&metadata, programs)?, out, stop)?;
    let identity = tree.identity()?;
    let files = stage::files(&tree, &identity, &metadata, &programs, BTreeMap::new())?;
    let signer = sign::Signer::of_new_key(&out.join("key.pub"))?;
    for release in RELEASES {
        let mut files = files.clone();
        release.change.make(root, &mut files).with_context(|| release.name)?;
        let identity = ReleaseIdentity { version: release.version.parse()?, ..identity.clone() };
        let (manifest, archive) = pack(&identity, &files)?;
        let folder = out.join(release.name);
        fs::create_dir_all(&folder)?;
        write(&folder, &format!("{}{ARCHIVE_SUFFIX}", identity.stem()), &archive)?;
        let manifest =
            write(&folder, &format!("{}{MANIFEST_SUFFIX}", identity.stem()), manifest.to_json()?.as_bytes())?;
        signer.sign_all(&[manifest])?;
    }
    Ok(())
}

impl ReleaseDifference {
    fn make(&self, root: &Path, files: &mut ReleaseFiles) -> Result<()> {
        match self {
            Self::Nothing => {}
            Self::Programs => {
                for (path, (_, bytes)) in files.iter_mut() {
                    if path.as_str().starts_with("bin/") {
                        // What stands behind the end of an ELF file is not loaded.
                        bytes.extend_from_slice(b"next");
                    }
                }
            }
            Self::Impostor { program, helper } => {
                let read = |name: &str| fs::read(root.join(IMPOSTORS).join(name)).with_context(|| name.to_owned());
                let real = files.insert(ReleasePath::new("bin/corelane")?, (FileMode::Program, read(program)?));
                files.insert(ReleasePath::new("bin/corelane-real")?, real.context("there is no bin/corelane")?);
                if let Some(helper) = helper {
                    files.insert(ReleasePath::new("bin/impostor.py")?, (FileMode::Data, read(helper)?));
                }
            }
        }
        Ok(())
    }
}

/// Without what debuggers need: a fifth of the bytes, which go to every host.
fn stripped(programs: Programs, out: &Path, stop: &Stop) -> Result<Programs> {
    const LIMIT: Duration = Duration::from_secs(60);
    let path = out.join("stripped");
    let strip = |(name, bytes): (String, Vec<u8>)| {
        fs::write(&path, bytes)?;
        let captured = capture(Command::new("strip").arg(&path), LIMIT, stop)?;
        ensure!(captured.status == Some(0), "strip {name}: {}", captured.stderr);
        Ok((name, fs::read(&path)?))
    };
    let programs = programs.into_iter().map(strip).collect();
    fs::remove_file(&path)?;
    programs
}
