//! An edge that orders certificates, and the authority that it orders them from.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use acme_directory::{DomainAddresses, ScriptedDirectory, trusted};

use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::server::{Addresses, Running, Waiting, lines, own_folder, program};

/// The port of the listener with TLS.
const TLS_PORT: u16 = 8443;

/// The domain that most tests order for.
pub(super) const DOMAIN: &str = "shop.example";

/// An authority, and where an edge is about to be.
pub(super) struct Rig {
    pub(super) directory: ScriptedDirectory,
    pub(super) folder: PathBuf,
    pub(super) addresses: Addresses,
    pub(super) tls: SocketAddr,
    /// Text of the configuration file.
    pub(super) config: String,
    /// CPUs of its data cores.
    pub(super) cores: &'static str,
}

/// A running edge.
pub(super) struct Edge {
    process: Running,
    log: std::sync::mpsc::Receiver<String>,
    pub(super) addresses: Addresses,
}

impl Rig {
    /// An edge whose certificate `default` is ordered for [`DOMAIN`], with `more` in its table.
    pub(super) fn new(more: &str) -> Self {
        let (addresses, folder) = (Addresses::own(), own_folder());
        let tls = SocketAddr::new(addresses.listen.ip(), TLS_PORT);
        let directory = ScriptedDirectory::start(DomainAddresses { http: addresses.listen, tls });
        let root = directory.root_file(&folder);
        let config = format!(
            "memory = \"64MiB\"\nlisten_tls = [\"{tls}\"]\n[acme]\ndirectory = \"{}\"\nagree_terms = true\nfolder = {:?}\nca = {root:?}\n\
             [certificate.default]\nacme = [\"{DOMAIN}\"]\n{more}",
            directory.url,
            folder.join("acme"),
        );
        Rig { directory, folder, addresses, tls, config, cores: "0" }
    }

    /// Starts the edge, and waits until it serves.
    pub(super) fn start(&self) -> Edge {
        std::fs::write(self.file(), &self.config).unwrap();
        let mut command = program(env!("CARGO_BIN_EXE_corelane"));
        command.args(self.addresses.flags()).args(["--cores", self.cores, "--config"]).arg(self.file());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = lines(child.stderr.take().unwrap());
        let edge = Edge { process: Running(child), log, addresses: self.addresses };
        edge.await_event("serving");
        edge
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.join("corelane.toml")
    }

    /// The certificate that a client gets who trusts the authority and asks for `domain`; `None` where he refuses it.
    pub(super) fn trusted(&self, domain: &str) -> Option<Vec<u8>> {
        trusted(self.tls, domain, &self.directory.root)
    }

    /// Waits until clients take the certificate for `domain`; it.
    pub(super) fn await_trusted(&self, domain: &str) -> Vec<u8> {
        let waiting = Waiting::begin();
        loop {
            if let Some(leaf) = self.trusted(domain) {
                return leaf;
            }
            waiting.go_on(|| format!("{domain} has no certificate that is trusted"));
        }
    }

    pub(super) fn stored(&self, file: &str) -> PathBuf {
        self.folder.join("acme/default").join(file)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Edge {
    /// Waits until the log tells of an event; the line.
    pub(super) fn await_event(&self, event: &str) -> String {
        let word = format!("event={event}");
        let mut seen = Vec::new();
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if line.split(' ').any(|part| part == word) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("no event {event}: {error}; the log: {seen:#?}"),
            }
        }
    }

    /// A page of the admin listener.
    pub(super) fn page(&self, path: &str) -> String {
        let answer = Client::connect(self.addresses.admin).ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status, 200, "{path}");
        String::from_utf8(answer.body).unwrap()
    }

    /// The value of one of its metrics.
    pub(super) fn metric(&self, series: &str) -> u64 {
        let page = self.page("/metrics");
        let line = page.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        let line = line.unwrap_or_else(|| panic!("no {series} in {page}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// What status says of certificates that are ordered.
    pub(super) fn orders(&self) -> serde_json::Value {
        let status: serde_json::Value = serde_json::from_str(&self.page("/v1/status")).unwrap();
        status["tls"]["acme"].clone()
    }

    pub(super) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Ends it as a crash would.
    pub(super) fn kill(mut self) {
        self.signal("KILL");
        self.process.await_end();
    }

    /// Ends it as an operator does; its exit status.
    pub(super) fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.process.await_end()
    }
}
