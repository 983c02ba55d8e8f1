//! The demonstration's certificates: `corectl pki`, as an operator calls it.
//!
//! **Not** kept: they go with the folder of the demonstration.
//!
//! **Source**: docs/tls.md.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::cluster::{CLUSTER, Member};

/// Makes an authority for the demonstration, a certificate for each process, and one for the edges' clients. The folder they are in.
///
/// # Errors
/// `corectl` cannot be started, or refuses; what it says is in the message.
pub(super) fn make(folder: &Path, binaries: &Path, members: &[Member]) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} could not be created", folder.display()))?;
    let pki = folder.join("pki");
    let corectl = |arguments: &[&str]| run(&binaries.join("corectl"), arguments, &pki);
    corectl(&["init", "--cluster", CLUSTER])?;
    for member in members {
        let (role, id) = member.role_and_id();
        corectl(&["issue", role, id, "--ip", "127.0.0.1"])?;
    }
    corectl(&["issue", "server", "web", "--name", "localhost", "--ip", "127.0.0.1"])?;
    Ok(pki)
}

fn run(corectl: &Path, arguments: &[&str], pki: &Path) -> Result<()> {
    let output = Command::new(corectl).arg("pki").args(arguments).arg("--dir").arg(pki).output();
    let output = output.with_context(|| format!("{} could not be started", corectl.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "corectl pki {} failed: {}", arguments.join(" "), said.trim());
    Ok(())
}
