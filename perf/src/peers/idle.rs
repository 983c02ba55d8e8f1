//! What an idle keep-alive connection costs: resident memory of a fresh server before and after 10,000 of them.
//!
//! **Not**: the kernel's memory for the sockets, which is the same for every server and not the process's.
//!
//! **Invariants**: every connection has had one answer before the memory is read, and answers again afterwards;
//! otherwise the figure is not valid.

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use crate::servers::TestBed;
use crate::servers::client::BlockingClient;
use crate::servers::{KEY_PATH, VALUE_BYTES};
use perf_basis::machine::resident_bytes;

/// Connections opened, as the gate states.
pub(super) const CONNECTIONS: usize = 10_000;

/// Descriptors beyond one per connection: standard streams, logs, listeners, rings.
const DESCRIPTORS_BESIDE: u64 = 256;

/// Connections opened between two looks at whether to stop: some milliseconds.
const STOP_CHECK_INTERVAL: usize = 256;

/// Resident memory of one server without and with idle connections.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Idle {
    /// Connections open at the second reading.
    pub(super) connections: usize,
    /// With one value stored and no connection, in bytes.
    pub(super) empty_bytes: u64,
    /// With all connections open and idle, in bytes.
    pub(super) full_bytes: u64,
    /// Why the figure does not count, if it does not.
    pub(super) invalid: Option<String>,
}

impl Idle {
    /// Bytes of process memory per idle connection.
    pub(super) fn bytes_per_connection(&self) -> f64 {
        self.full_bytes.saturating_sub(self.empty_bytes) as f64 / self.connections as f64
    }
}

/// Measures a fresh server of one core.
pub(super) fn measure(bed: &TestBed) -> Result<Idle> {
    raise_descriptor_limit()?;
    let server = bed.start_corelane()?;
    let stored = BlockingClient::connect(server.address)?.request("PUT", KEY_PATH, &"x".repeat(VALUE_BYTES))?;
    ensure!(matches!(stored, 201 | 204), "a PUT was answered with {stored}");
    let process = server.children[0].id();
    let empty_bytes = resident_bytes(process)?;
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for index in 0..CONNECTIONS {
        if index % STOP_CHECK_INTERVAL == 0 {
            bed.stop.check()?;
        }
        let mut client = BlockingClient::connect(server.address)
            .with_context(|| format!("connection {} of {CONNECTIONS} was not accepted", index + 1))?;
        ask(&mut client).with_context(|| format!("connection {} of {CONNECTIONS}", index + 1))?;
        clients.push(client);
    }
    let full_bytes = resident_bytes(process)?;
    let lost = clients.iter_mut().filter_map(|client| ask(client).err()).count();
    let invalid = (lost > 0).then(|| format!("{lost} connections were lost while idle"));
    Ok(Idle { connections: CONNECTIONS, empty_bytes, full_bytes, invalid })
}

fn ask(client: &mut BlockingClient) -> Result<()> {
    match client.request("GET", KEY_PATH, "").context("a GET got no answer")? {
        200 => Ok(()),
        status => bail!("a GET was answered with {status}"),
    }
}

/// Raises the soft limit to what the test needs; the server inherits it.
fn raise_descriptor_limit() -> Result<()> {
    let needed = CONNECTIONS as u64 + DESCRIPTORS_BESIDE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        bail!("{CONNECTIONS} connections need {needed} open files; raise the hard limit (ulimit -Hn {needed})");
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })
        .context("the limit of open files could not be raised")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_shared_by_the_connections() {
        let idle = Idle { connections: 10_000, empty_bytes: 5_000_000, full_bytes: 15_000_000, invalid: None };
        assert!((idle.bytes_per_connection() - 1000.0).abs() < 1e-9);
        let smaller = Idle { full_bytes: 4_000_000, ..idle };
        assert!(smaller.bytes_per_connection().abs() < 1e-9, "memory given back is not negative");
    }
}
