//! The package for Debian and Ubuntu: the release's folder under /opt, and links to it where a distribution looks.
//!
//! **Not**: a package by Debian's policy; it brings its own layout, so that a host updated by dpkg and one updated by corectl
//! look the same.
//!
//! **Invariants**: the package starts and restarts nothing. Its bytes depend on the files and the commit's time alone.
//!
//! **Source**: deb(5), deb-control(5), dpkg-deb(1).

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use corelane_release::manifest::{FileMode, MANIFEST_FILE, NAME};
use corelane_release::pack::{ReleaseFiles, ReleaseIdentity};
use corelane_release::sum::Sha256Sum;

use super::{debian_arch, output_of};
use crate::packages;

/// Where a host keeps releases.
const RELEASES: &str = "opt/corelane/releases";

/// Folders of a release whose files a distribution looks for elsewhere: from, to.
const LINKED: [(&str, &str); 7] = [
    ("bin/", "usr/bin/"),
    ("lib/", "usr/lib/"),
    ("share/man/", "usr/share/man/"),
    ("share/bash-completion/", "usr/share/bash-completion/"),
    ("share/zsh/", "usr/share/zsh/"),
    ("share/fish/", "usr/share/fish/"),
    ("share/doc/", "usr/share/doc/"),
];

/// Scripts of the package; `@DIGEST@` stands for what the release is called.
const SCRIPTS: [(&str, &str); 3] = [
    ("postinst", include_str!("../../../release/packaging/deb/postinst")),
    ("prerm", include_str!("../../../release/packaging/deb/prerm")),
    ("postrm", include_str!("../../../release/packaging/deb/postrm")),
];

/// How the package is compressed.
#[derive(Clone, Copy)]
pub(super) enum Compression {
    /// As small as dpkg of any age can read.
    Xz,
    /// Not at all, which is fastest.
    None,
}

/// What a package is made of.
pub(super) struct Parts<'a> {
    pub(super) identity: &'a ReleaseIdentity,
    pub(super) files: &'a ReleaseFiles,
    pub(super) manifest: &'a [u8],
}

impl Parts<'_> {
    /// Writes the package into `out`; it is put together in a folder of `target`.
    pub(super) fn build(&self, out: &Path, target: &Path, compression: Compression) -> Result<PathBuf> {
        packages::ensure_packager_installed()?;
        let root = target.join("release-deb");
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("{} could not be removed", root.display()))?;
        }
        self.stage(&Staging { root: root.clone(), time: self.identity.commit_time })?;
        let arch = debian_arch(self.identity)?;
        let package = out.join(format!("{NAME}_{}_{arch}.deb", self.identity.version));
        let mut command = Command::new("dpkg-deb");
        command.arg(match compression {
            Compression::Xz => "-Zxz",
            Compression::None => "-Znone",
        });
        // One thread: several divide the text differently.
        command.args(["--root-owner-group", "--threads-max=1", "--build"]).arg(&root).arg(&package);
        output_of(command.env("SOURCE_DATE_EPOCH", self.identity.commit_time.to_string()))?;
        fs::remove_dir_all(&root).with_context(|| format!("{} could not be removed", root.display()))?;
        Ok(package)
    }

    fn stage(&self, staging: &Staging) -> Result<()> {
        let Self { identity, files, manifest } = *self;
        let digest = Sha256Sum::of(manifest);
        let mut bytes = manifest.len();
        for (path, (mode, content)) in files {
            staging.write(&format!("{RELEASES}/{digest}/{path}"), content, mode.bits())?;
            bytes += content.len();
            if let Some((from, to)) = LINKED.iter().find(|(from, _)| path.as_str().starts_with(from)) {
                staging.link(&path.as_str().replacen(from, to, 1), &format!("/opt/corelane/current/{path}"))?;
            }
        }
        staging.write(&format!("{RELEASES}/{digest}/{MANIFEST_FILE}"), manifest, FileMode::Data.bits())?;
        let control = control(identity, debian_arch(identity)?, bytes, &needs(files));
        staging.write("DEBIAN/control", control.as_bytes(), FileMode::Data.bits())?;
        for (name, text) in SCRIPTS {
            let text = text.replace("@DIGEST@", &digest.to_string());
            staging.write(&format!("DEBIAN/{name}"), text.as_bytes(), FileMode::Program.bits())?;
        }
        Ok(())
    }
}

/// A tree that becomes a package: modes and times do not depend on who makes it when.
struct Staging {
    root: PathBuf,
    time: u64,
}

impl Staging {
    fn write(&self, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let path = self.place(path)?;
        fs::write(&path, bytes).with_context(|| format!("{} could not be written", path.display()))?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        File::options().append(true).open(&path)?.set_modified(UNIX_EPOCH + Duration::from_secs(self.time))?;
        Ok(())
    }

    /// dpkg-deb lowers times that are later than the commit's, a new link's for one.
    fn link(&self, path: &str, to: &str) -> Result<()> {
        let path = self.place(path)?;
        symlink(to, &path).with_context(|| format!("{} could not be made", path.display()))
    }

    /// Makes the folders above `path`.
    fn place(&self, path: &str) -> Result<PathBuf> {
        let path = self.root.join(path);
        let above: Vec<&Path> = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root)).collect();
        for folder in above.into_iter().rev().filter(|folder| !folder.exists()) {
            fs::create_dir(folder).with_context(|| format!("{} could not be made", folder.display()))?;
            fs::set_permissions(folder, Permissions::from_mode(0o755))?;
        }
        Ok(path)
    }
}

fn control(identity: &ReleaseIdentity, arch: &str, bytes: usize, needs: &str) -> String {
    format!(
        "Package: {NAME}\nVersion: {}\nArchitecture: {arch}\nMaintainer: {}\nInstalled-Size: {}\nDepends: {needs}\n\
         Recommends: systemd (>= 252)\nSection: web\nPriority: optional\nHomepage: {}\n\
         Description: HTTP cache and key-value server for bare metal\n \
         The edge (corelane), the node (shardstored), the load generator (coreperf)\n and the host's tool (corectl), with \
         units, manual pages and completions.\n .\n Commit {}.\n",
        // A hyphen begins Debian's own revision; a tilde sorts before the release, as a pre-release must.
        identity.version.to_string().replace('-', "~"),
        "The Corelane authors <corelane@users.noreply.github.com>",
        bytes.div_ceil(1024),
        env!("CARGO_PKG_REPOSITORY"),
        identity.commit,
    )
}

/// What the programs are linked to at run time: the C library of the newest symbol that any of them asks for, and what
/// unwinds.
fn needs(files: &ReleaseFiles) -> String {
    let programs = || files.values().filter(|(mode, _)| *mode == FileMode::Program).map(|(_, bytes)| bytes.as_slice());
    let newest = programs().flat_map(glibc_versions).max().unwrap_or((2, 34));
    let unwinds = programs().any(|bytes| memchr::memmem::find(bytes, b"libgcc_s.so.1\0").is_some());
    format!("libc6 (>= {}.{}){}", newest.0, newest.1, if unwinds { ", libgcc-s1" } else { "" })
}

/// The versions of glibc's symbols that a program names: `GLIBC_2.34`.
fn glibc_versions(bytes: &[u8]) -> Vec<(u32, u32)> {
    let version = |at: usize| {
        let rest = &bytes[at + b"GLIBC_".len()..];
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (major, minor) = std::str::from_utf8(&rest[..end]).ok()?.split_once('.')?;
        // A third number is that of an old symbol.
        Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
    };
    memchr::memmem::find_iter(bytes, b"GLIBC_").filter_map(version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbol_says_which_library_is_needed() {
        let program = b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_PRIVATE\0GLIBC_2.9\0".to_vec();
        assert_eq!(glibc_versions(&program).into_iter().max(), Some((2, 34)));
        let path = corelane_release::path::ReleasePath::new("bin/a").expect("plain");
        let with = |mode, bytes| needs(&[(path.clone(), (mode, bytes))].into());
        assert_eq!(with(FileMode::Program, program.clone()), "libc6 (>= 2.34)");
        assert_eq!(with(FileMode::Program, [&program[..], b"libgcc_s.so.1\0"].concat()), "libc6 (>= 2.34), libgcc-s1");
    }

    #[test]
    fn the_scripts_of_the_package_are_scripts() {
        for (name, text) in SCRIPTS {
            let parsed = Command::new("sh").args(["-n", "-c", text]).output().expect("sh exists");
            assert!(text.starts_with("#!/bin/sh\nset -e\n") && parsed.status.success(), "{name}: {parsed:?}");
        }
    }
}
