//! What corectl says to a user who may not do what was asked.
//!
//! **Invariants**: the program is that of a user who owns nothing: of nobody where root runs the tests, else of their own user.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// A user who owns nothing.
const NOBODY: u32 = 65_534;

/// Standard error of a call that could not be done.
fn refused(program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

#[test]
fn who_may_not_is_told_who_may() {
    let folder = std::env::temp_dir().join(format!("corectl-users-{}", std::process::id()));
    // Locks of others: nobody else may open them.
    for name in ["opt", "state"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    for lock in ["opt/.lock", "state/lock"] {
        fs::write(folder.join(lock), "").unwrap();
        fs::set_permissions(folder.join(lock), Permissions::from_mode(0o000)).unwrap();
    }
    // The folder of the build may be one that nobody else may enter.
    let program = folder.join("corectl");
    fs::copy(env!("CARGO_BIN_EXE_corectl"), &program).unwrap();
    for path in [&folder, &program] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let path = |name: &str| folder.join(name).display().to_string();
    let said = refused(&program, &["release", "rollback", "--root", &path("opt")]);
    assert!(said.contains("opt/.lock: only root installs releases and goes back: Permission denied"), "{said}");
    for verb in ["status", "verify", "confirm", "rollback"] {
        let said = refused(&program, &["tune", verb, "--state", &path("state")]);
        assert!(said.contains("state/lock: only root may look at and change what is tuned"), "{verb}: {said}");
    }
    fs::remove_dir_all(folder).unwrap();
}
