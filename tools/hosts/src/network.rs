//! The network of a lab: a bridge in a namespace of its own, and a namespace for each host.
//!
//! ```text
//!  namespace NAME          namespace NAME-1    namespace NAME-2
//!  bridge 198.18.0.254/24  eth0 198.18.0.1/24  eth0 198.18.0.2/24
//!    v1 ◀──────────────────▶ eth0
//!    v2 ◀──────────────────────────────────────▶ eth0
//! ```
//!
//! **Invariants**: nothing is added to the machine's own namespace. Addresses are those of RFC 2544, which are nobody's.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::run::run;
use corelane_lab::poll::Stop;

/// Making a namespace or a link takes milliseconds.
const LIMIT: Duration = Duration::from_secs(20);

/// Queues of a host's link, as a network card has.
const QUEUES: &str = "4";

/// A bridge, and hosts that are linked to it.
pub(crate) struct HostNetwork {
    /// The namespace of the bridge.
    pub(crate) name: String,
    hosts: Vec<u8>,
    stop: Stop,
}

impl HostNetwork {
    /// Makes the bridge.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn new(name: &str, stop: &Stop) -> Result<Self> {
        let network = Self { name: name.to_owned(), hosts: Vec::new(), stop: stop.clone() };
        network.ip(&format!("netns add {name}"))?;
        network.ip(&format!("-n {name} link set lo up"))?;
        network.ip(&format!("-n {name} link add br0 type bridge"))?;
        network.ip(&format!("-n {name} addr add 198.18.0.254/24 dev br0"))?;
        network.ip(&format!("-n {name} link set br0 up"))?;
        Ok(network)
    }

    /// Adds a host; its number, 1 to 250, is the last part of its address. Returns its namespace.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn add(&mut self, number: u8) -> Result<String> {
        let (bridge, host) = (self.name.clone(), self.namespace_of(number));
        self.ip(&format!("netns add {host}"))?;
        self.hosts.push(number);
        self.ip(&format!(
            "-n {bridge} link add v{number} numrxqueues {QUEUES} numtxqueues {QUEUES} type veth \
             peer name eth0 numrxqueues {QUEUES} numtxqueues {QUEUES} netns {host}"
        ))?;
        self.ip(&format!("-n {bridge} link set v{number} master br0 up"))?;
        self.ip(&format!("-n {host} link set lo up"))?;
        self.ip(&format!("-n {host} addr add 198.18.0.{number}/24 dev eth0"))?;
        self.ip(&format!("-n {host} link set eth0 up"))?;
        Ok(host)
    }

    /// Takes the cable out, as a loss of power does: peers hear nothing, not even a reset.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn unplug(&self, number: u8) -> Result<()> {
        self.ip(&format!("-n {} link set v{number} down", self.name))
    }

    /// Puts it back.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn plug(&self, number: u8) -> Result<()> {
        self.ip(&format!("-n {} link set v{number} up", self.name))
    }

    fn namespace_of(&self, number: u8) -> String {
        format!("{}-{number}", self.name)
    }

    fn ip(&self, arguments: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(arguments.split_whitespace());
        run(&mut command, LIMIT, &self.stop)?.success(&format!("ip {arguments}")).map(drop)
    }
}

impl Drop for HostNetwork {
    fn drop(&mut self) {
        // Removal goes on after a signal, and with what is left where a part is gone already.
        self.stop = Stop::never();
        let hosts: Vec<String> = self.hosts.iter().map(|number| self.namespace_of(*number)).collect();
        for namespace in hosts.iter().chain([&self.name]) {
            let _ = self.ip(&format!("netns delete {namespace}"));
        }
    }
}
