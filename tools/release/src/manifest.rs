//! The manifest: all that is said about a release, and what its signature covers.
//!
//! ```json
//! { "format": 1, "name": "corelane", "version": "0.1.0", "commit": "…40 digits…", "commit_time": 1700000000,
//!   "target": "x86_64-unknown-linux-gnu",
//!   "archive": { "file": "corelane-0.1.0-x86_64-unknown-linux-gnu.tar.zst", "bytes": 4100000, "sha256": "…" },
//!   "files": [ { "path": "bin/corelane", "mode": "0755", "bytes": 1900000, "sha256": "…" }, … ] }
//! ```
//!
//! **Invariants**: files are sorted by path and none is there twice; no file lies where another needs a folder; no file
//! has a name that an installed release keeps for itself.

use std::collections::BTreeSet;
use std::path::Path;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::ReleaseError;
use crate::path::ReleasePath;
use crate::sum::Sha256Sum;

/// The only format that there is.
pub const FORMAT: u32 = 1;

/// What is released.
pub const NAME: &str = "corelane";

/// The manifest's name in the folder of an installed release.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The signature's name there.
pub const SIGNATURE_FILE: &str = "manifest.json.minisig";

/// What is appended to a file's name for the name of its signature.
pub const SIGNATURE_SUFFIX: &str = ".minisig";

/// Largest manifest in bytes: thousands of files.
pub const MANIFEST_BYTES_MAX: u64 = 1024 * 1024;

/// Most files of a release.
pub const FILES_MAX: usize = 4096;

/// Largest archive, and most bytes of all its files: what a host can be made to write.
pub const RELEASE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// A release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseManifest {
    /// [`FORMAT`].
    pub format: u32,
    /// [`NAME`].
    pub name: String,
    /// The version.
    pub version: Version,
    /// The commit, 40 hexadecimal digits, with `-dirty` when files differed from it.
    pub commit: String,
    /// When the commit was made, in seconds since 1970.
    pub commit_time: u64,
    /// The kind of machine, as the compiler names it.
    pub target: String,
    /// The archive.
    pub archive: ReleaseArchive,
    /// The files.
    pub files: Vec<ReleaseFile>,
}

/// The archive of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseArchive {
    /// Its name, in the folder of the manifest.
    pub file: ReleasePath,
    /// Its size.
    pub bytes: u64,
    /// Its sum.
    pub sha256: Sha256Sum,
}

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseFile {
    /// Where it is.
    pub path: ReleasePath,
    /// Its mode.
    pub mode: FileMode,
    /// Its size.
    pub bytes: u64,
    /// Its sum.
    pub sha256: Sha256Sum,
}

/// The mode of a file: read by all, written by its owner, and either a program or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileMode {
    /// A program.
    #[serde(rename = "0755")]
    Program,
    /// Anything else.
    #[serde(rename = "0644")]
    Data,
}

impl FileMode {
    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Program => 0o755,
            Self::Data => 0o644,
        }
    }
}

impl ReleaseManifest {
    /// Reads and checks a manifest; `path` is for the messages.
    ///
    /// # Errors
    /// The maker's: it is not JSON, lacks something, or breaks an invariant.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, ReleaseError> {
        let wrong = |reason: String| ReleaseError::Manifest { path: path.into(), reason };
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        match manifest.fault() {
            None => Ok(manifest),
            Some(reason) => Err(wrong(reason)),
        }
    }

    /// As it is written and signed.
    ///
    /// # Errors
    /// The maker's: it breaks an invariant.
    pub fn to_json(&self) -> Result<String, ReleaseError> {
        if let Some(reason) = self.fault() {
            return Err(ReleaseError::Manifest { path: MANIFEST_FILE.into(), reason });
        }
        let text = serde_json::to_string_pretty(self).expect("all that a manifest holds can be written as JSON");
        Ok(text + "\n")
    }

    /// Whether this release is older than `other`: by version, and by the time of its commit where the versions are equal.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        (&self.version, self.commit_time) < (&other.version, other.commit_time)
    }

    fn fault(&self) -> Option<String> {
        let commit = self.commit.strip_suffix("-dirty").unwrap_or(&self.commit);
        let total = self.files.iter().try_fold(0_u64, |total, file| total.checked_add(file.bytes));
        if self.format != FORMAT {
            return Some(format!("format {}, and this program reads format {FORMAT}", self.format));
        }
        if self.name != NAME {
            return Some(format!("name {:?} is not {NAME:?}", self.name));
        }
        if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(format!("commit {:?} is not 40 hexadecimal digits", self.commit));
        }
        if self.archive.file.folders().next().is_some() {
            return Some(format!("archive {}: it must lie beside the manifest", self.archive.file));
        }
        if self.files.is_empty() || self.files.len() > FILES_MAX {
            return Some(format!("{} files, allowed: 1 to {FILES_MAX}", self.files.len()));
        }
        if self.archive.bytes > RELEASE_BYTES_MAX || total.is_none_or(|total| total > RELEASE_BYTES_MAX) {
            return Some(format!("more than {RELEASE_BYTES_MAX} bytes"));
        }
        self.fault_of_files()
    }

    fn fault_of_files(&self) -> Option<String> {
        let is_sorted = |pair: &[ReleaseFile]| pair[0].path < pair[1].path;
        if let Some(pair) = self.files.windows(2).find(|pair| !is_sorted(pair)) {
            return Some(format!("{}: named twice, or not in order", pair[1].path));
        }
        let paths: BTreeSet<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        let reserved = [MANIFEST_FILE, SIGNATURE_FILE].into_iter().find(|name| paths.contains(name));
        let below_file = self.files.iter().find(|file| file.path.folders().any(|folder| paths.contains(folder)));
        match (reserved, below_file) {
            (Some(name), _) => Some(format!("{name}: an installed release keeps its manifest under this name")),
            (_, Some(file)) => Some(format!("{}: lies below another file", file.path)),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A manifest of files with these paths, each empty.
    pub(crate) fn manifest_of(paths: &[&str]) -> ReleaseManifest {
        let file = |path: &&str| ReleaseFile {
            path: ReleasePath::new(*path).unwrap(),
            mode: FileMode::Data,
            bytes: 0,
            sha256: Sha256Sum::of(b""),
        };
        ReleaseManifest {
            format: FORMAT,
            name: NAME.to_owned(),
            version: Version::new(0, 1, 0),
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            commit_time: 1_700_000_000,
            target: "x86_64-unknown-linux-gnu".to_owned(),
            archive: ReleaseArchive {
                file: ReleasePath::new("a.tar.zst").unwrap(),
                bytes: 0,
                sha256: Sha256Sum::of(b""),
            },
            files: paths.iter().map(file).collect(),
        }
    }

    #[test]
    fn a_manifest_reads_as_it_was_written() {
        let manifest = manifest_of(&["a", "b/c"]);
        let text = manifest.to_json().unwrap();
        assert_eq!(ReleaseManifest::parse(text.as_bytes(), Path::new("m")).unwrap(), manifest);
        assert!(text.contains("\"mode\": \"0644\"") && text.ends_with("}\n"), "{text}");
    }

    #[test]
    fn faults_are_named() {
        type Fault = fn(&mut ReleaseManifest);
        let cases: [(&str, Fault); 9] = [
            ("format 2", |m| m.format = 2),
            ("name \"other\"", |m| m.name = "other".to_owned()),
            ("commit \"main\"", |m| m.commit = "main".to_owned()),
            ("archive x/a.tar.zst", |m| m.archive.file = ReleasePath::new("x/a.tar.zst").unwrap()),
            ("0 files", |m| m.files.clear()),
            ("more than", |m| m.files[0].bytes = u64::MAX),
            ("a: named twice", |m| m.files = manifest_of(&["a", "a"]).files),
            ("manifest.json: an installed", |m| m.files = manifest_of(&["manifest.json"]).files),
            ("a/b: lies below", |m| m.files = manifest_of(&["a", "a/b"]).files),
        ];
        for (expected, change) in cases {
            let mut manifest = manifest_of(&["a", "b"]);
            change(&mut manifest);
            let written = manifest.to_json().expect_err(expected).to_string();
            let read = serde_json::to_vec(&manifest).unwrap();
            let read = ReleaseManifest::parse(&read, Path::new("m")).expect_err(expected).to_string();
            assert!(written.contains(expected) && read.contains(expected), "{written}\n{read}");
        }
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused_when_the_manifest_is_read() {
        let text = manifest_of(&["a"]).to_json().unwrap().replace("\"path\": \"a\"", "\"path\": \"../a\"");
        let error = ReleaseManifest::parse(text.as_bytes(), Path::new("m.json")).expect_err("it goes up").to_string();
        assert!(error.starts_with("m.json: ") && error.contains("\"../a\": leads out"), "{error}");
    }

    #[test]
    fn age_goes_by_version_and_then_by_commit() {
        let of = |minor, commit_time| ReleaseManifest {
            version: Version::new(0, minor, 0),
            commit_time,
            ..manifest_of(&["a"])
        };
        for (wanted, current, older) in
            [((1, 9), (2, 1), true), ((2, 1), (1, 9), false), ((1, 1), (1, 2), true), ((1, 1), (1, 1), false)]
        {
            assert_eq!(
                of(wanted.0, wanted.1).is_older_than(&of(current.0, current.1)),
                older,
                "{wanted:?} {current:?}"
            );
        }
    }
}
