//! Key-value servers: ours, and other people's, each as fast as its documentation says it can be made on one core.
//!
//! | server | is |
//! |---|---|
//! | shardstored | one node that owns every slot, no configuration but its addresses, its core and a topology of itself |
//! | redis, valkey | `io-threads 1`, nothing written to disk (`save ""`, `appendonly no`) |
//! | memcached | `-t 1`, memory for every value of a scenario, items as large as its largest |
//!
//! All threads of each are bound to the server CPU.
//!
//! **Source**: redis.conf and valkey.conf; memcached(1).

use std::net::SocketAddr;

use anyhow::Result;

use super::client::accepts;
use super::{TestBed, TestServer, free_addresses};

/// Memory of memcached in MiB: all values of a scenario with room to spare, so that it evicts nothing that is expected.
const MEMCACHED_MIB: &str = "1024";

/// Largest item of memcached unless it is told otherwise, less the head of an item; raising it where it need not be changes
/// how its memory is cut.
const MEMCACHED_ITEM_BYTES: usize = (1 << 20) - 1024;

/// Connections at most, as for the web servers.
const CONNECTIONS: &str = "4096";

impl TestBed {
    /// Starts redis.
    pub(crate) fn start_redis(&self) -> Result<TestServer> {
        self.start_redis_like("redis", "redis-server")
    }

    /// Starts valkey, which is configured as redis is.
    pub(crate) fn start_valkey(&self) -> Result<TestServer> {
        self.start_redis_like("valkey", "valkey-server")
    }

    fn start_redis_like(&self, name: &'static str, program: &str) -> Result<TestServer> {
        let [address] = free_addresses()?;
        let mut command = self.pinned(program);
        let (host, port) = places(address);
        command.args(["--bind", &host, "--port", &port, "--maxclients", CONNECTIONS]);
        command.args(["--io-threads", "1", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
        command.arg("--dir").arg(self.scratch.folder());
        self.serve(name, &mut command, address, accepts)
    }

    /// Starts memcached for values of up to `value_bytes_max` bytes.
    pub(crate) fn start_memcached(&self, value_bytes_max: usize) -> Result<TestServer> {
        let [address] = free_addresses()?;
        let mut command = self.pinned("memcached");
        let (host, port) = places(address);
        command.args(["-l", &host, "-p", &port, "-U", "0", "-t", "1", "-m", MEMCACHED_MIB, "-c", CONNECTIONS]);
        if value_bytes_max > MEMCACHED_ITEM_BYTES {
            // It must be a multiple of the pieces that its memory is cut into.
            command.args(["-I", &(value_bytes_max + 4096).next_multiple_of(1 << 20).to_string()]);
        }
        if rustix::process::geteuid().is_root() {
            // It refuses to run as root unless it is told to.
            command.args(["-u", "root"]);
        }
        self.serve("memcached", &mut command, address, accepts)
    }
}

fn places(address: SocketAddr) -> (String, String) {
    (address.ip().to_string(), address.port().to_string())
}
