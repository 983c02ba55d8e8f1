//! Which commit is built: for `--version`, `build_info` and `/v1/status`. Without git, as in a tarball, it is "unknown".

use std::path::Path;
use std::process::Command;

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script by the environment")]
fn main() {
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=CORELANE_BUILD_PROFILE={}", if release { "release" } else { "debug" });
    println!("cargo:rustc-env=CORELANE_BUILD_COMMIT={}", commit(release).unwrap_or_else(|| "unknown".to_owned()));
}

/// The commit, marked when files differ from it. A debug build is not made anew for every edit, so its mark may be old.
fn commit(release: bool) -> Option<String> {
    // A source tree inside somebody else's repository is not that repository's commit.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if !Path::new(&top).join("server/control/build.rs").exists() {
        return None;
    }
    for file in ["HEAD", "logs/HEAD"].into_iter().chain(release.then_some("index")) {
        println!("cargo:rerun-if-changed={}", git(&["rev-parse", "--path-format=absolute", "--git-path", file])?);
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}-dirty") })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}
