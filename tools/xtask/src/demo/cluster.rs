//! The demonstration's processes: their addresses, files, and what there is to try with them.
//!
//! ```text
//!  curl ──▶ edge 1 :8081 ─┐   ┌─▶ node 1 :7401
//!                         ├───┼─▶ node 2 :7402
//!  curl ──▶ edge 2 :8082 ─┘   └─▶ node 3 :7403
//! ```
//!
//! **Not**: a template for production files; docs/config.md describes those.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const NODES: u16 = 3;
const EDGES: u16 = 2;

/// First ports of each kind. Node 1 listens on 7401, edge 1 on 8081; admin listeners follow from 9181, nodes first.
const NODE_PORT: u16 = 7401;
const EDGE_PORT: u16 = 8081;
const ADMIN_PORT: u16 = 9181;

/// One process of the demonstration.
pub(super) struct Member {
    /// As the texts call it: "node 2", "edge 1".
    pub(super) name: String,
    /// The binary's name.
    pub(super) program: &'static str,
    /// Where it serves.
    pub(super) listen: SocketAddr,
    /// Where it answers `/readyz`.
    pub(super) admin: SocketAddr,
    /// Its configuration file.
    pub(super) configuration: PathBuf,
    /// Where its output goes.
    pub(super) log: PathBuf,
}

impl Member {
    /// The command that starts this process by hand.
    pub(super) fn command_line(&self) -> String {
        format!("target/release/{} --config {}", self.program, self.configuration.display())
    }
}

/// All processes, nodes first.
pub(super) struct Cluster {
    /// The processes in the order in which they are started.
    pub(super) members: Vec<Member>,
}

impl Cluster {
    /// Writes the topology and one configuration per process into `folder`, which is created.
    ///
    /// # Errors
    /// An address is taken, or the folder cannot be written.
    pub(super) fn write(folder: &Path) -> Result<Self> {
        let cluster = Self::in_folder(folder);
        cluster.check_addresses()?;
        std::fs::create_dir_all(folder).with_context(|| format!("{} could not be created", folder.display()))?;
        let topology = folder.join("topology.toml");
        write(&topology, &cluster.topology())?;
        for (index, member) in cluster.members.iter().enumerate() {
            write(&member.configuration, &member.configuration_text(index, &topology))?;
        }
        Ok(cluster)
    }

    fn in_folder(folder: &Path) -> Self {
        let member = |index: u16| {
            let (kind, program, listen, number) = if index < NODES {
                ("node", "shardstored", NODE_PORT + index, index + 1)
            } else {
                ("edge", "corelane", EDGE_PORT + index - NODES, index - NODES + 1)
            };
            Member {
                name: format!("{kind} {number}"),
                program,
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, listen)),
                admin: SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT + index)),
                configuration: folder.join(format!("{kind}-{number}.toml")),
                log: folder.join(format!("{kind}-{number}.log")),
            }
        };
        Self { members: (0..NODES + EDGES).map(member).collect() }
    }

    /// Fails before anything is started if an address is taken: otherwise the readiness of whoever holds it would be
    /// mistaken for ours.
    ///
    /// # Errors
    /// The operator's: another process listens there; the address is named.
    fn check_addresses(&self) -> Result<()> {
        for address in self.members.iter().flat_map(|member| [member.listen, member.admin]) {
            TcpListener::bind(address).with_context(|| {
                format!("{address} is taken; stop what listens there (another demo?) and try again")
            })?;
        }
        Ok(())
    }

    fn nodes(&self) -> &[Member] {
        &self.members[..usize::from(NODES)]
    }

    fn edges(&self) -> &[Member] {
        &self.members[usize::from(NODES)..]
    }

    fn topology(&self) -> String {
        let mut text = String::from("cluster = \"demo\"\nepoch = 1\n");
        for (index, node) in self.nodes().iter().enumerate() {
            let _ = write!(text, "\n[[node]]\nid = {}\naddress = \"{}\"\n", index + 1, node.listen);
        }
        text
    }

    /// What to try, with the commands to paste. `ids` are the process ids in the order of `members`.
    pub(super) fn invitation(&self, ids: &[u32]) -> String {
        let [first, second] = [self.edges()[0].listen, self.edges()[1].listen];
        let node = &self.nodes()[1];
        format!(
            "\nThe cluster is up. In another terminal, try:\n\n\
             # write through one edge, read through the other\n\
             curl -i -X PUT --data-binary 'hello' http://{first}/v1/kv/default/greeting\n\
             curl -i http://{second}/v1/kv/default/greeting\n\n\
             # where the answer came from: again, and look at Cache-Status\n\
             curl -si http://{second}/v1/kv/default/greeting | grep -i cache-status\n\n\
             # what an edge knows about its nodes\n\
             curl -s http://{admin}/v1/status\n\n\
             # kill {name}: its slots answer 503 with Retry-After, the others do not notice\n\
             kill -9 {id}\n\n\
             # and bring it back\n\
             {again}\n\n\
             Ctrl-C here stops everything.",
            admin = self.edges()[0].admin,
            name = node.name,
            id = ids[1],
            again = node.command_line(),
        )
    }
}

impl Member {
    fn configuration_text(&self, index: usize, topology: &Path) -> String {
        let mut text = match self.program {
            "shardstored" => format!("node_id = {}\nlisten = \"{}\"\n", index + 1, self.listen),
            _ => format!("listen = [\"{}\"]\n", self.listen),
        };
        // One core each keeps five processes light on a small machine; their cores differ where there are enough.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let _ = write!(
            text,
            "admin = \"{}\"\ncores = [{}]\nmemory = \"64MiB\"\ntopology = {:?}\n",
            self.admin,
            index % cores,
            topology.display().to_string()
        );
        text
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} could not be written", path.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use toml_edit::DocumentMut;

    use super::*;

    #[test]
    fn the_addresses_are_distinct_and_the_files_are_toml() {
        let cluster = Cluster::in_folder(Path::new("demo"));
        assert_eq!(cluster.members.len(), usize::from(NODES + EDGES));
        let addresses: HashSet<_> = cluster.members.iter().flat_map(|member| [member.listen, member.admin]).collect();
        assert_eq!(addresses.len(), 2 * cluster.members.len());
        for (index, member) in cluster.members.iter().enumerate() {
            let text = member.configuration_text(index, Path::new("topology.toml"));
            let parsed: DocumentMut = text.parse().expect("the configuration is TOML");
            assert_eq!(parsed.get("node_id").is_some(), member.program == "shardstored", "{text}");
        }
        let topology: DocumentMut = cluster.topology().parse().expect("the topology is TOML");
        assert_eq!(topology["node"].as_array_of_tables().expect("nodes are tables").len(), usize::from(NODES));
    }

    #[test]
    fn a_taken_address_is_named() {
        let holder = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let taken = holder.local_addr().expect("it is bound");
        let mut cluster = Cluster::in_folder(Path::new("demo"));
        cluster.members.truncate(1);
        cluster.members[0].listen = taken;
        let error = cluster.check_addresses().expect_err("the address is taken");
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }

    #[test]
    fn the_invitation_names_the_process_to_kill() {
        let cluster = Cluster::in_folder(Path::new("demo"));
        assert!(cluster.invitation(&[11, 12, 13, 14, 15]).contains("kill -9 12"));
    }
}
