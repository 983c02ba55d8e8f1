//! HAProxy in front of the edges, in the bridge's namespace. It looks at admin listeners as the operator `balancer` of the cluster.
//!
//! **Source**: HAProxy 2.6, configuration manual.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use corelane_lab::child::ChildProcess;

use super::{HOSTS, Role};

/// Where clients connect.
pub(crate) const ADDRESS: &str = "127.0.0.1:8000";

/// It looks at readiness four times a second and asks another edge where one cannot be reached.
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
    default-server check port 9180 inter 250ms fall 1 rise 1 CHECK_TLS
";

/// Added to the checks once the cluster has certificates. Not verified: HAProxy 2.6 takes no other authorities while it runs.
const CHECK_TLS: &str = "check-ssl verify none crt FOLDER/balancer.pem";

/// Its answer lists all servers with some hundred bytes each.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A running HAProxy.
pub(crate) struct Balancer {
    child: ChildProcess,
    folder: PathBuf,
    namespace: String,
}

impl Balancer {
    /// Starts it. Edges that do not serve yet are found once they do.
    pub(super) fn start(folder: &Path, namespace: &str) -> Result<Self> {
        let child = started(folder, namespace, "")?;
        Ok(Self { child, folder: folder.to_path_buf(), namespace: namespace.to_owned() })
    }

    /// Starts it anew, with a certificate of the cluster's authority, whose folder is `pki`.
    ///
    /// # Errors
    /// There is none for it.
    pub(crate) fn identify(&mut self, pki: &Path) -> Result<()> {
        self.write_certificate(pki)?;
        self.child.kill();
        self.child = started(&self.folder, &self.namespace, CHECK_TLS)?;
        Ok(())
    }

    /// Gives it the certificate that the folder `pki` has by now. No connection ends.
    ///
    /// # Errors
    /// There is none, or HAProxy does not take it.
    pub(crate) fn renew(&self, pki: &Path) -> Result<()> {
        let pem = self.write_certificate(pki)?;
        let file = self.folder.join("balancer.pem");
        // An empty line ends a payload.
        let lines: Vec<_> = pem.lines().filter(|line| !line.is_empty()).collect();
        let said = self.ask(&format!("set ssl cert {} <<\n{}\n\n", file.display(), lines.join("\n")))?;
        let done = self.ask(&format!("commit ssl cert {}\n", file.display()))?;
        ensure!(done.contains("Success"), "HAProxy does not take its certificate: {said}{done}");
        Ok(())
    }

    fn write_certificate(&self, pki: &Path) -> Result<String> {
        let read = |name: &str| fs::read_to_string(pki.join(name)).with_context(|| name.to_owned());
        let pem = read("operator-balancer.pem")? + &read("operator-balancer.key")?;
        fs::write(self.folder.join("balancer.pem"), &pem).context("balancer.pem")?;
        Ok(pem)
    }

    fn ask(&self, question: &str) -> Result<String> {
        let mut stream = UnixStream::connect(self.folder.join("haproxy.sock")).context("the socket of HAProxy")?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.write_all(question.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("the answer of HAProxy")?;
        Ok(answer)
    }

    /// Whether it sends requests to an edge.
    ///
    /// # Errors
    /// It does not answer, or knows no such edge.
    pub(crate) fn uses(&self, edge: &str) -> Result<bool> {
        let table = self.ask("show stat\n")?;
        is_up(&table, edge).with_context(|| format!("HAProxy does not know {edge}\n{table}"))
    }
}

fn started(folder: &Path, namespace: &str, checks: &str) -> Result<ChildProcess> {
    let config = CONFIG.replace("CHECK_TLS", checks).replace("ADDRESS", ADDRESS);
    let mut config = config.replace("FOLDER", &folder.display().to_string());
    for host in HOSTS.iter().filter(|host| host.role == Role::Edge) {
        let _ = writeln!(config, "    server {} 198.18.0.{}:8080", host.name, host.number);
    }
    let path = folder.join("haproxy.cfg");
    fs::write(&path, config).with_context(|| path.display().to_string())?;
    let log = fs::File::create(folder.join("haproxy.log")).context("no file for the log of HAProxy")?;
    let mut command = in_namespace(namespace, "haproxy");
    command.args(["-db", "-f"]).arg(path).stdout(log.try_clone()?).stderr(log);
    ChildProcess::start(&mut command)
}

/// Whether the state of a server is UP, in HAProxy's table of commas; None where it has no such row.
fn is_up(table: &str, server: &str) -> Option<bool> {
    let state = table.lines().next()?.split(',').position(|name| name == "status")?;
    let row = table.lines().find(|row| row.split(',').nth(1) == Some(server))?;
    Some(row.split(',').nth(state)?.starts_with("UP"))
}

/// A command that runs a program in the bridge's namespace, and ends it with this tool.
pub(super) fn in_namespace(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "setpriv", "--pdeathsig", "KILL", "--", program]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_server_is_read() {
        let table = "# pxname,svname,qcur,status,weight,\nedges,edge-1,0,UP,1,\nedges,edge-2,0,DOWN 1/2,1,\n";
        assert_eq!(is_up(table, "edge-1"), Some(true));
        assert_eq!(is_up(table, "edge-2"), Some(false));
        assert_eq!(is_up(table, "edge-3"), None);
    }
}
