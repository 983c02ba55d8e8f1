//! A maker with a key of its own, and a folder that plays the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use corelane_release::manifest::{FileMode, ReleaseManifest};
use corelane_release::pack::{ReleaseFiles, ReleaseIdentity, pack};
use corelane_release::path::ReleasePath;
use corelane_release::store::ReleaseStore;
use corelane_release::sum::Sha256Sum;
use minisign::KeyPair;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tar::{EntryType, Header};

static HOSTS: AtomicU32 = AtomicU32::new(0);

/// A host in a folder that goes with the test.
pub(crate) struct ReleaseHost(PathBuf);

impl ReleaseHost {
    pub(crate) fn new() -> Self {
        let name = format!("corelane-release-{}-{}", process::id(), HOSTS.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn store(&self) -> ReleaseStore {
        ReleaseStore::new(self.path("opt"), self.path("etc"))
    }
}

impl Drop for ReleaseHost {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The files of a release.
pub(crate) struct Made {
    pub(crate) manifest: PathBuf,
    pub(crate) signature: PathBuf,
    pub(crate) archive: PathBuf,
}

/// Whoever makes releases.
pub(crate) struct Maker(KeyPair);

impl Maker {
    pub(crate) fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().unwrap())
    }

    /// The file of the public key.
    pub(crate) fn public(&self, host: &ReleaseHost) -> PathBuf {
        let path = host.path("maker.pub");
        fs::write(&path, self.0.pk.to_box().unwrap().to_string()).unwrap();
        path
    }

    pub(crate) fn release(&self, host: &ReleaseHost, version: &str, commit_time: u64) -> Made {
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        self.release_for(host, version, commit_time, &target)
    }

    pub(crate) fn release_for(&self, host: &ReleaseHost, version: &str, commit_time: u64, target: &str) -> Made {
        let file = |name: &str, mode, text: String| (ReleasePath::new(name).unwrap(), (mode, text.into_bytes()));
        let files: ReleaseFiles = [
            file("bin/corelane", FileMode::Program, format!("program {version}")),
            file("etc/corelane.toml", FileMode::Data, format!("# {version}\n")),
        ]
        .into();
        let commit = "7123456789abcdef0123456789abcdef01234567".to_owned();
        let identity =
            ReleaseIdentity { version: version.parse().unwrap(), commit, commit_time, target: target.to_owned() };
        let (manifest, archive) = pack(&identity, &files).unwrap();
        let stem = host.path(&identity.stem());
        let with = |suffix: &str| PathBuf::from(format!("{}{suffix}", stem.display()));
        let made = Made { manifest: with(".json"), signature: with(".json.minisig"), archive: with(".tar.zst") };
        fs::write(&made.archive, archive).unwrap();
        fs::write(&made.manifest, manifest.to_json().unwrap()).unwrap();
        self.sign(&made.manifest);
        made
    }

    /// Another archive under the same manifest, which is changed and signed again.
    pub(crate) fn replace_archive(&self, made: &Made, archive: &[u8]) {
        let mut manifest = ReleaseManifest::parse(&fs::read(&made.manifest).unwrap(), &made.manifest).unwrap();
        manifest.archive.bytes = archive.len() as u64;
        manifest.archive.sha256 = Sha256Sum::of(archive);
        fs::write(&made.archive, archive).unwrap();
        fs::write(&made.manifest, manifest.to_json().unwrap()).unwrap();
        self.sign(&made.manifest);
    }

    pub(crate) fn sign(&self, manifest: &Path) {
        let signed = fs::read(manifest).unwrap();
        let signature = minisign::sign(None, &self.0.sk, signed.as_slice(), None, None).unwrap();
        fs::write(format!("{}.minisig", manifest.display()), signature.to_string()).unwrap();
    }
}

/// Changes the bytes of a file.
pub(crate) fn edit(path: &Path, change: fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// An entry of an archive with any name, which the tar library would not write.
pub(crate) fn entry(name: &str, kind: EntryType, content: &str) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    if kind == EntryType::Symlink || kind == EntryType::Link {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// The archive of these entries.
pub(crate) fn tar_zst(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.resize(tar.len() + 1024, 0);
    compress_to_vec(tar.as_slice(), CompressionLevel::Fastest)
}
