//! What is running: program, version, commit, build profile.
//!
//! **Source**: the build script of this crate.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_names_its_commit_or_says_that_it_is_unknown() {
        let Build { version, commit, profile, .. } = Build::of("x");
        let digits = commit.strip_suffix("-dirty").unwrap_or(commit);
        let is_commit = digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(commit == "unknown" || is_commit, "{commit}");
        assert_eq!(VERSION, format!("{version} ({commit}, {profile})"));
    }
}
