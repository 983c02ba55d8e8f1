//! HAProxy in front of the edges, in the bridge's namespace.
//!
//! **Source**: HAProxy 2.6, configuration manual.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use corelane_lab::child::ChildProcess;

use super::{HOSTS, Role};

/// Where clients connect.
pub(crate) const ADDRESS: &str = "127.0.0.1:8000";

/// It looks at readiness every half second and asks another edge where one cannot be reached.
const CONFIG: &str = "\
global
    stats socket unix@FOLDER/haproxy.sock mode 600 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 10s
    option redispatch 1
    retries 3
frontend all
    bind ADDRESS
    default_backend edges
backend edges
    balance roundrobin
    option httpchk GET /readyz
    default-server check port 9180 inter 500ms fall 1 rise 1
";

/// A running HAProxy.
pub(crate) struct Balancer {
    _child: ChildProcess,
}

impl Balancer {
    /// Starts it. Edges that do not serve yet are found once they do.
    pub(super) fn start(folder: &Path, namespace: &str) -> Result<Self> {
        let mut config = CONFIG.replace("FOLDER", &folder.display().to_string()).replace("ADDRESS", ADDRESS);
        for host in HOSTS.iter().filter(|host| host.role == Role::Edge) {
            let _ = writeln!(config, "    server {} 198.18.0.{}:8080", host.name, host.number);
        }
        let path = folder.join("haproxy.cfg");
        fs::write(&path, config).with_context(|| path.display().to_string())?;
        let log = fs::File::create(folder.join("haproxy.log")).context("no file for the log of HAProxy")?;
        let mut command = in_namespace(namespace, "haproxy");
        command.args(["-db", "-f"]).arg(path).stdout(log.try_clone()?).stderr(log);
        Ok(Self { _child: ChildProcess::start(&mut command)? })
    }
}

/// A command that runs a program in the bridge's namespace, and ends it with this tool.
pub(super) fn in_namespace(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "setpriv", "--pdeathsig", "KILL", "--", program]);
    command
}
