//! Other people's HTTP servers, each as fast as its documentation says it can be made on one core.
//!
//! | server | answers from |
//! |---|---|
//! | nginx | its configuration (`return`), which is faster than its cache |
//! | HAProxy | its configuration (`http-request return`) |
//! | Varnish | its cache in memory, filled once from an nginx |
//! | h2o | a small file, whose content and descriptor it keeps open |
//!
//! **Source**: the servers' manuals: HAProxy 2.6 (`nbthread`, `cpu-map`), varnishd(1), h2o's `file.dir`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::client::{BlockingClient, accepts};
use super::{KEY_PATH, TestBed, TestServer, free_addresses};

/// Whether a program can be run here.
pub(crate) fn is_installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers where only root's path leads.
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&folders).chain(system).any(|folder| folder.join(program).is_file())
}

fn body(bytes: usize) -> String {
    "x".repeat(bytes)
}

impl TestBed {
    /// A program bound to the server CPU with all its threads.
    pub(super) fn pinned(&self, program: &str) -> Command {
        let mut command = Command::new("taskset");
        command.args(["-c", &self.server_cpu.to_string(), program]);
        command
    }

    /// Starts HAProxy with one thread.
    pub(crate) fn start_haproxy(&self, body_bytes: usize) -> Result<TestServer> {
        let [address] = free_addresses()?;
        let text = format!(
            "global\n  nbthread 1\n  maxconn 4096\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 600s\n  \
             timeout server 600s\n  timeout http-keep-alive 600s\nfrontend all\n  bind {address}\n  \
             http-request return status 200 content-type text/plain string \"{}\"\n",
            body(body_bytes)
        );
        let configuration = self.scratch.write("haproxy.cfg", &text)?;
        let mut command = self.pinned("haproxy");
        command.arg("-db").arg("-f").arg(configuration);
        self.serve("haproxy", &mut command, address, accepts)
    }

    /// Starts Varnish with one pool of threads, and an nginx behind it that is asked once.
    pub(crate) fn start_varnish(&self, body_bytes: usize) -> Result<TestServer> {
        let behind = self.start_nginx(body_bytes)?;
        let [address] = free_addresses()?;
        let (host, port) = (behind.address.ip(), behind.address.port());
        let text = format!(
            "vcl 4.1;\nbackend default {{ .host = \"{host}\"; .port = \"{port}\"; }}\n\
             sub vcl_recv {{ return (hash); }}\nsub vcl_backend_response {{ set beresp.ttl = 1h; }}\n"
        );
        let configuration = self.scratch.write("varnish.vcl", &text)?;
        let mut command = self.pinned("varnishd");
        command.arg("-F").args(["-j", "none", "-a", &address.to_string(), "-s", "malloc,64m", "-p", "thread_pools=1"]);
        command.arg("-n").arg(self.scratch.path("varnish")).arg("-f").arg(configuration);
        let mut varnish = self.serve("varnish", &mut command, address, accepts)?;
        varnish.children.extend(behind.children);
        warm(address)?;
        Ok(varnish)
    }

    /// Starts h2o with one thread.
    pub(crate) fn start_h2o(&self, body_bytes: usize) -> Result<TestServer> {
        let [address] = free_addresses()?;
        let root = self.scratch.path("h2o");
        let file = root.join(KEY_PATH.trim_start_matches('/'));
        let folder = file.parent().context("a key has a folder")?;
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&file, body(body_bytes)))
            .with_context(|| format!("{} could not be written", file.display()))?;
        let text = format!(
            "num-threads: 1\nlisten:\n  host: {}\n  port: {}\nhttp1-request-timeout: 600\nhosts:\n  default:\n    paths:\n      \
             \"/\":\n        file.dir: {}\n",
            address.ip(),
            address.port(),
            root.display()
        );
        let configuration = self.scratch.write("h2o.conf", &text)?;
        let mut command = self.pinned("h2o");
        command.arg("-c").arg(configuration);
        self.serve("h2o", &mut command, address, accepts)
    }
}

/// Asks once, so that what follows is served from memory.
fn warm(address: SocketAddr) -> Result<()> {
    let status = BlockingClient::connect(address).and_then(|mut client| client.request("GET", KEY_PATH, ""));
    anyhow::ensure!(status.context("the cache could not be filled")? == 200, "the cache could not be filled");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_found() {
        assert!(is_installed("sh") && !is_installed("no-such-server"));
    }
}
