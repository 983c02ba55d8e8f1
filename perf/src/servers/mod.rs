//! The servers under test, each pinned to the server CPU by its own means, on ports chosen at run time.
//!
//! | server | is |
//! |---|---|
//! | floor | `coreperf floor`: the bare ring loop |
//! | corelane | the product with no configuration but its addresses and its core |
//! | nginx | one worker that answers 128 bytes from its configuration, as fast as nginx can be made to |
//! | nginx, Varnish for many keys | caches in front of an origin ([`caches`]) |
//! | shardstored | one node that owns every slot |
//! | cluster | `corelane` in front of one `shardstored`: without edge copies every request asks the node, with them what is absent |
//!
//! **Invariants**: a server that is returned accepts requests. Environment variables do not reach Corelane.

mod caches;
pub(crate) mod client;
mod key_value;
pub(crate) mod peers;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::system::child::Child;
use crate::system::cpu::CpuTime;
use crate::system::cpus::Cpus;
use crate::system::scratch::ScratchFolder;
use crate::system::stop::StopSignal;
use client::{accepts, is_ready};

/// From start to the first request: reserving memory and connecting to a node takes well under a second.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// Path of the value that loads of one key read.
pub(crate) const KEY_PATH: &str = "/v1/kv/default/k";

/// Bytes of every value and of every body, as the gates state.
pub(crate) const VALUE_BYTES: usize = 128;

/// Longest body in a configuration of nginx: its buffer for a parameter has 4 KiB.
const INLINE_BYTES_MAX: usize = 2048;

/// Where and with what everything runs.
pub(crate) struct TestBed {
    /// Folder of the programs.
    pub(crate) binaries: PathBuf,
    /// Where configurations, scripts and logs go.
    pub(crate) scratch: ScratchFolder,
    /// CPU of the servers.
    pub(crate) server_cpu: usize,
    /// CPU of the load generator.
    pub(crate) client_cpu: usize,
    /// Ends the measurement early.
    pub(crate) stop: StopSignal,
}

/// Processes that together answer requests at one address.
pub(crate) struct TestServer {
    /// As the table calls it.
    pub(crate) name: &'static str,
    /// Where it serves.
    pub(crate) address: SocketAddr,
    /// Ended in this order, the edge before its node.
    pub(crate) children: Vec<Child>,
    /// Who has the values that it has not: its node, or the origin.
    pub(crate) behind: Option<SocketAddr>,
    /// What they keep outside the test bed's folder; gone after them.
    pub(crate) _files: Option<ScratchFolder>,
}

impl TestServer {
    /// CPU time of all its processes so far.
    pub(crate) fn cpu_time(&self) -> Result<CpuTime> {
        self.children.iter().try_fold(CpuTime::default(), |total, child| {
            let time = CpuTime::of_tree(child.id());
            Ok(total + time.with_context(|| format!("{} is gone:\n{}", self.name, child.output_end()))?)
        })
    }
}

impl TestBed {
    /// A bed on these CPUs, with the programs of a folder: the one that this program lies in, unless another is given.
    pub(crate) fn new(purpose: &str, cpus: &Cpus, binaries: Option<&Path>) -> Result<Self> {
        cpus.check()?;
        let own = std::env::current_exe().context("this program could not be found again")?;
        let binaries = binaries.or(own.parent()).context("this program lies in no folder")?.to_owned();
        let (scratch, stop) = (ScratchFolder::new(purpose)?, StopSignal::on_signals()?);
        Ok(Self { binaries, scratch, server_cpu: cpus.server, client_cpu: cpus.clients[0], stop })
    }

    /// Starts the bare ring loop.
    pub(crate) fn start_floor(&self, body_bytes: usize) -> Result<TestServer> {
        self.start_floor_with(body_bytes, &[])
    }

    /// Starts the bare ring loop with so many nanoseconds of work for each request, in steps of so many.
    pub(crate) fn start_floor_with_work(
        &self,
        body_bytes: usize,
        (work_ns, step_ns): (u64, f64),
    ) -> Result<TestServer> {
        let (work_ns, step_ns) = (work_ns.to_string(), step_ns.to_string());
        self.start_floor_with(body_bytes, &["--work-ns", &work_ns, "--step-ns", &step_ns])
    }

    fn start_floor_with(&self, body_bytes: usize, more: &[&str]) -> Result<TestServer> {
        let [address] = free_addresses()?;
        let own = std::env::current_exe().context("this program could not be found again")?;
        let mut command = Command::new(own);
        command.arg("floor").args(["--cpu", &self.server_cpu.to_string(), "--listen", &address.to_string()]);
        command.args(["--body-bytes", &body_bytes.to_string()]).args(more);
        self.serve("floor", &mut command, address, accepts)
    }

    /// Starts nginx with one worker and without everything that costs it time.
    pub(crate) fn start_nginx(&self, body_bytes: usize) -> Result<TestServer> {
        let [address] = free_addresses()?;
        let configuration =
            self.scratch.write("nginx.conf", &self.nginx_configuration(address, &self.nginx_location(body_bytes)?))?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(self.scratch.folder()).args(["-e", "stderr", "-c"]).arg(configuration);
        self.serve("nginx", &mut command, address, accepts)
    }

    /// What nginx answers: small bodies from its configuration, which is fastest; large ones from a file, which it sends without
    /// copying.
    fn nginx_location(&self, body_bytes: usize) -> Result<String> {
        let body = "x".repeat(body_bytes);
        if body_bytes <= INLINE_BYTES_MAX {
            return Ok(format!("return 200 \"{body}\";"));
        }
        self.scratch.write("body", &body)?;
        Ok(format!("root {}; rewrite ^ /body break;", self.scratch.folder().display()))
    }

    fn nginx_configuration(&self, address: SocketAddr, location: &str) -> String {
        let folder = self.scratch.folder().display();
        let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("  {kind}_temp_path {folder}/{kind};\n"))
            .concat();
        format!(
            "daemon off;\nworker_processes 1;\nworker_cpu_affinity 1{zeros};\npid {folder}/nginx.pid;\n\
             error_log stderr crit;\nevents {{ worker_connections 4096; use epoll; }}\nhttp {{\n{places}  \
             access_log off;\n  sendfile on;\n  tcp_nopush on;\n  open_file_cache max=10;\n  keepalive_requests 1000000000;\n  keepalive_timeout 600;\n  tcp_nodelay on;\n  \
             server {{ listen {address} reuseport; location / {{ {location} }} }}\n}}\n",
            zeros = "0".repeat(self.server_cpu),
        )
    }

    /// Starts Corelane as its own store.
    pub(crate) fn start_corelane(&self) -> Result<TestServer> {
        Ok(self.start_corelane_on(&[self.server_cpu])?.0)
    }

    /// Starts Corelane as its own store with a data core on each of some CPUs; returns the address of its admin listener as well.
    pub(crate) fn start_corelane_on(&self, cpus: &[usize]) -> Result<(TestServer, SocketAddr)> {
        let [address, admin] = free_addresses()?;
        let mut command = self.program("corelane", cpus, address, admin);
        Ok((self.serve("corelane", &mut command, address, |_| is_ready(admin))?, admin))
    }

    /// Starts one node that owns every slot.
    pub(crate) fn start_shardstored(&self) -> Result<TestServer> {
        Ok(self.start_node()?.0)
    }

    /// Starts one edge in front of one node, both on the server CPU; it keeps copies for `edge_ttl`.
    pub(crate) fn start_cluster(&self, edge_ttl: &str) -> Result<TestServer> {
        let (node, topology) = self.start_node()?;
        let [address, admin] = free_addresses()?;
        let mut command = self.corelane("corelane", address, admin);
        command.args(["--edge-ttl", edge_ttl, "--topology"]).arg(&topology);
        let mut edge = self.serve("corelane + node", &mut command, address, |_| is_ready(admin))?;
        edge.behind = Some(node.address);
        edge.children.extend(node.children);
        Ok(edge)
    }

    /// A node, and the file of the topology that it is all of.
    fn start_node(&self) -> Result<(TestServer, PathBuf)> {
        let [address, admin] = free_addresses()?;
        let topology = format!("cluster = \"perf\"\nepoch = 1\n\n[[node]]\nid = 1\naddress = \"{address}\"\n");
        let topology = self.scratch.write("topology.toml", &topology)?;
        let mut command = self.corelane("shardstored", address, admin);
        command.args(["--node-id", "1", "--topology"]).arg(&topology);
        Ok((self.serve("shardstored", &mut command, address, |_| is_ready(admin))?, topology))
    }

    fn corelane(&self, program: &str, address: SocketAddr, admin: SocketAddr) -> Command {
        self.program(program, &[self.server_cpu], address, admin)
    }

    fn program(&self, program: &str, cpus: &[usize], address: SocketAddr, admin: SocketAddr) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        let cores = cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let (listen, admin) = (address.to_string(), admin.to_string());
        command.env_clear().args(["--cores", &cores, "--listen", &listen, "--admin", &admin]);
        command
    }

    /// Starts a server of one process, of which `is_ready` tells whether it serves.
    pub(crate) fn serve(
        &self,
        name: &'static str,
        command: &mut Command,
        address: SocketAddr,
        is_ready: impl Fn(SocketAddr) -> bool,
    ) -> Result<TestServer> {
        let mut child = Child::start(command, &self.scratch.path(&format!("{name}.log")))?;
        let ready = self.stop.until(READY_LIMIT, || match child.exited() {
            Some(status) => Some(Err(status)),
            None => is_ready(address).then_some(Ok(())),
        });
        self.stop.check()?;
        match ready {
            Some(Ok(())) => Ok(TestServer { name, address, children: vec![child], behind: None, _files: None }),
            Some(Err(status)) => bail!("{name} ended before it served ({status}):\n{}", child.output_end()),
            None => bail!("{name} did not serve within {} s:\n{}", READY_LIMIT.as_secs(), child.output_end()),
        }
    }
}

/// Fails in a debug build, whose floor is no floor.
pub(crate) fn ensure_optimized(verb: &str) -> Result<()> {
    ensure!(!cfg!(debug_assertions), "this is a debug build; use: cargo run --profile dist --bin coreperf -- {verb}");
    Ok(())
}

/// Addresses on loopback that nobody uses now, all different.
pub(crate) fn free_addresses<const COUNT: usize>() -> Result<[SocketAddr; COUNT]> {
    // All are held until all are known, so that none is handed out twice.
    let mut held = Vec::with_capacity(COUNT);
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); COUNT];
    for address in &mut addresses {
        let listener = TcpListener::bind(*address).context("no free port on loopback")?;
        *address = listener.local_addr().context("a bound socket has no address")?;
        held.push(listener);
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_addresses_differ() {
        let [first, second] = free_addresses().expect("loopback has free ports");
        assert_ne!(first, second);
        assert!(first.port() != 0 && !accepts(first));
    }

    #[test]
    fn nginx_is_pinned_and_answers_the_right_length() {
        let bed = TestBed {
            binaries: PathBuf::new(),
            scratch: ScratchFolder::new("nginx-configuration").expect("the temporary folder is writable"),
            server_cpu: 3,
            client_cpu: 0,
            stop: StopSignal::never(),
        };
        let location = bed.nginx_location(VALUE_BYTES).expect("it is short");
        let text = bed.nginx_configuration(SocketAddr::from((Ipv4Addr::LOCALHOST, 8070)), &location);
        assert!(text.contains("worker_cpu_affinity 1000;") && text.contains("listen 127.0.0.1:8070 reuseport"));
        let body = text.split('"').nth(1).expect("the body is quoted");
        assert_eq!(body.len(), VALUE_BYTES);
    }
}
