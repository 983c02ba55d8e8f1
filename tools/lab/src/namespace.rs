//! A network namespace of a test's own: no address of it is in the host's network.
//!
//! **Invariants**: it is removed with its interfaces when it is dropped. One that a killed run left behind is removed by the
//! next: its name has the process that made it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::capture::capture;
use crate::poll::Stop;

/// `ip` answers in milliseconds.
const IP_LIMIT: Duration = Duration::from_secs(30);

/// A network namespace.
#[derive(Debug)]
pub struct TestNamespace {
    name: String,
}

impl TestNamespace {
    /// Makes one, `PREFIX-PROCESS`, with its loopback up.
    ///
    /// # Errors
    /// The operator's: it takes root, and a kernel with network namespaces.
    pub fn create(prefix: &str) -> Result<Self> {
        remove_orphans(prefix)?;
        let namespace = Self { name: format!("{prefix}-{}", std::process::id()) };
        ip(&["netns", "add", &namespace.name]).context("a network namespace could not be made")?;
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Runs `ip` in it.
    ///
    /// # Errors
    /// What `ip` wrote.
    pub fn ip(&self, arguments: &[&str]) -> Result<String> {
        ip(&[&["-n", &self.name], arguments].concat())
    }

    /// A command that runs a program in it. The program ends with the thread that starts it.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "setpriv", "--pdeathsig", "KILL", "--", program]);
        command
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            eprintln!("warning: {error:#}");
        }
    }
}

fn ip(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("ip");
    capture(command.args(arguments), IP_LIMIT, &Stop::never())?.success(&format!("ip {}", arguments.join(" ")))
}

fn remove_orphans(prefix: &str) -> Result<()> {
    let listed = ip(&["netns", "list"])?;
    for name in listed.lines().filter_map(|line| line.split_whitespace().next()) {
        let owner = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')?.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
            ip(&["netns", "del", name])?;
        }
    }
    Ok(())
}
