//! Fake hosts from a few lines of TOML, hosts that fail, and folders of a test's own.
#![allow(dead_code, reason = "every test file uses a part of it")]

pub(crate) mod drivers;
pub(crate) mod failing;
pub(crate) mod lab;
pub(crate) mod machine;
pub(crate) mod netns;
pub(crate) mod timer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that is removed at the end.
pub(crate) struct OwnFolder(PathBuf);

static NEXT: AtomicU32 = AtomicU32::new(0);

impl OwnFolder {
    pub(crate) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("corectl-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        OwnFolder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How to take a text for a file of the project that differs from it; nothing when it does not.
pub(crate) fn golden_difference(path: &Path, found: &str) -> Option<String> {
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if expected == found {
        return None;
    }
    let name = path.file_name().unwrap().to_str().unwrap();
    let written = std::env::temp_dir().join(format!("corectl-golden-{name}"));
    std::fs::write(&written, found).unwrap();
    Some(format!("cp {} {}", written.display(), path.display()))
}

/// A file of this crate's tests.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}
