//! What is running: program, version, commit, build profile.
//!
//! **Not** reading the program on the control thread: a thread does, once, when the digest is first asked for.
//!
//! **Source**: the build script of this crate.

use std::fs::File;
use std::io;
use std::sync::OnceLock;
use std::thread::Builder;

use sha2::{Digest as _, Sha256};

/// The version of the workspace, its commit and the build profile, as `--version` prints them.
pub const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("CORELANE_BUILD_COMMIT"), ", ", env!("CORELANE_BUILD_PROFILE"), ")");

/// What is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// The binary's name.
    pub program: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Twelve digits of its commit, with `-dirty` when files differed from it; `unknown` without git.
    pub commit: &'static str,
    /// `release` or `debug`.
    pub profile: &'static str,
}

impl Build {
    /// This build of a program.
    #[must_use]
    pub const fn of(program: &'static str) -> Self {
        Build {
            program,
            version: env!("CARGO_PKG_VERSION"),
            commit: env!("CORELANE_BUILD_COMMIT"),
            profile: env!("CORELANE_BUILD_PROFILE"),
        }
    }
}

/// The SHA-256 of the program that runs, in hexadecimal, as the manifest of its release has it. `None` until it is known, which is
/// soon after it was first asked for.
#[must_use]
pub fn digest() -> Option<&'static str> {
    static DIGEST: OnceLock<String> = OnceLock::new();
    static BEGUN: OnceLock<()> = OnceLock::new();
    BEGUN.get_or_init(|| {
        let read = || {
            // What cannot be read stays unknown.
            if let Ok(sum) = File::open("/proc/self/exe").and_then(sum_of) {
                let _ = DIGEST.set(sum);
            }
        };
        // Without a thread it stays unknown, too.
        let _ = Builder::new().name("digest".to_owned()).spawn(read);
    });
    DIGEST.get().map(String::as_str)
}

fn sum_of(mut program: File) -> io::Result<String> {
    let mut hash = HashWriter(Sha256::new());
    io::copy(&mut program, &mut hash)?;
    Ok(hash.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Hashes what is written to it.
struct HashWriter(Sha256);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_named_by_its_sum() {
        let path = std::env::temp_dir().join(format!("corelane-sum-{}", std::process::id()));
        std::fs::write(&path, "abc").expect("a file");
        let sum = sum_of(File::open(&path).expect("it is there")).expect("it can be read");
        std::fs::remove_file(&path).expect("it goes");
        // FIPS 180-2, appendix B.1.
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_build_names_its_commit_or_says_that_it_is_unknown() {
        let Build { version, commit, profile, .. } = Build::of("x");
        let digits = commit.strip_suffix("-dirty").unwrap_or(commit);
        let is_commit = digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(commit == "unknown" || is_commit, "{commit}");
        assert_eq!(VERSION, format!("{version} ({commit}, {profile})"));
    }
}
