//! Which files a release has, and where.
//!
//! ```text
//!  bin/                  programs            share/man/                        pages, made of the declarations of flags and keys
//!  lib/systemd/system/   units               share/bash-completion/completions, share/zsh/site-functions,
//!  lib/sysusers.d/       the user                share/fish/vendor_completions.d
//!  lib/tmpfiles.d/       folders             share/doc/corelane/               README.md, LICENSE, CHANGELOG.md, sbom.cdx.json, LICENCES
//!  share/corelane/       example configuration
//! ```
//!
//! **Invariants**: the same paths below any prefix, so that a package of a distribution can link to them.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use corelane_release::manifest::FileMode;
use corelane_release::pack::{ReleaseFiles, ReleaseIdentity};
use corelane_release::path::ReleasePath;

use super::build::{Programs, SourceTree};
use super::metadata::Metadata;
use super::{licences, output_of, sbom};

/// Files of the project, and where they go.
const COPIED: &[(&str, &str)] = &[
    ("tools/release/packaging/systemd/corelane.service", "lib/systemd/system/corelane.service"),
    ("tools/release/packaging/systemd/shardstored.service", "lib/systemd/system/shardstored.service"),
    ("tools/release/packaging/systemd/corelane.slice", "lib/systemd/system/corelane.slice"),
    ("tools/release/packaging/systemd/corelane-tune.service", "lib/systemd/system/corelane-tune.service"),
    ("tools/release/packaging/systemd/sysusers.conf", "lib/sysusers.d/corelane.conf"),
    ("tools/release/packaging/systemd/tmpfiles.conf", "lib/tmpfiles.d/corelane.conf"),
    ("tools/release/packaging/config/corelane.toml", "share/corelane/corelane.toml"),
    ("tools/release/packaging/config/shardstored.toml", "share/corelane/shardstored.toml"),
    ("tools/release/packaging/config/topology.toml", "share/corelane/topology.toml"),
    ("tools/release/packaging/README.md", "share/doc/corelane/README.md"),
    ("LICENSE", "share/doc/corelane/LICENSE"),
    ("CHANGELOG.md", "share/doc/corelane/CHANGELOG.md"),
    ("docs/operations.md", "share/doc/corelane/operations.md"),
    ("docs/topology.md", "share/doc/corelane/topology.md"),
    ("docs/tuning.md", "share/doc/corelane/tuning.md"),
];

/// All files of a release.
pub(super) fn files(
    tree: &SourceTree,
    identity: &ReleaseIdentity,
    metadata: &Metadata,
    programs: &Programs,
    manual: BTreeMap<String, Vec<u8>>,
) -> Result<ReleaseFiles> {
    let mut files = ReleaseFiles::new();
    for (name, bytes) in programs {
        files.insert(ReleasePath::new(format!("bin/{name}"))?, (FileMode::Program, bytes.clone()));
    }
    let mut add = |path: &str, bytes: Vec<u8>| -> Result<()> {
        files.insert(ReleasePath::new(path)?, (FileMode::Data, bytes));
        Ok(())
    };
    for (from, to) in COPIED {
        add(to, fs::read(tree.root.join(from)).with_context(|| format!("{from} could not be read"))?)?;
    }
    for (path, bytes) in manual {
        add(&format!("share/{path}"), bytes)?;
    }
    let mut git = Command::new("git");
    git.args(["show", "-s", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "HEAD"]);
    let time = output_of(git.env("TZ", "UTC").current_dir(&tree.root))?;
    add("share/doc/corelane/sbom.cdx.json", sbom::bill(identity, metadata, &time)?.into_bytes())?;
    add("share/doc/corelane/LICENCES", licences::text(metadata)?.into_bytes())?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_there() {
        let root = crate::workspace::root().expect("tests run in the workspace");
        for (from, to) in COPIED {
            assert!(root.join(from).is_file(), "{from}");
            ReleasePath::new(*to).expect("a plain path");
        }
    }
}
