//! Programs that tests start: real clients and proxies.

use std::path::PathBuf;
use std::process::Command;

/// Where servers are installed; often not in an ordinary user's PATH.
const SYSTEM_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Where a program is.
///
/// # Panics
/// When it is not installed: a test that cannot run has not passed.
#[expect(clippy::disallowed_methods, reason = "where programs are is told by PATH alone")]
pub(crate) fn find(program: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut folders = path.split(':').chain(SYSTEM_FOLDERS.split(':'));
    let found = folders.find_map(|folder| Some(PathBuf::from(folder).join(program)).filter(|file| file.is_file()));
    found.unwrap_or_else(|| panic!("{program} is not installed: apt-get install {package} (or cargo xtask test)"))
}

/// Runs a command to its end; what it wrote to its standard output.
///
/// # Panics
/// When it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}\n{errors}", output.status);
    text
}
