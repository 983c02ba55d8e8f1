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

use super::pki;

/// The name of the cluster.
pub(super) const CLUSTER: &str = "demo";

const NODES: u16 = 3;
const EDGES: u16 = 2;

/// First ports of each kind, those of the README: node 1 listens on 7401 and 9281, edge 1 on 8081 and 9181.
const NODE_PORT: u16 = 7401;
const NODE_ADMIN_PORT: u16 = 9281;
const EDGE_PORT: u16 = 8081;
const EDGE_ADMIN_PORT: u16 = 9181;

/// The index of the node that the visitor is invited to kill: not the first, so that it does not look special.
const VICTIM: usize = 1;

/// Before what continues a numbered line.
const INDENT: &str = "   ";

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
    /// The binary.
    pub(super) binary: PathBuf,
}

impl Member {
    /// What the process is in its cluster, in the words of `corectl pki`: "node" and "2", "edge" and "1".
    pub(super) fn role_and_id(&self) -> (&str, &str) {
        self.name.split_once(' ').expect("a name is a role and a number")
    }

    /// The command that starts this process by hand.
    pub(super) fn command_line(&self) -> String {
        format!("{} --config {}", self.binary.display(), self.configuration.display())
    }
}

/// All processes, nodes first.
pub(super) struct DemoCluster {
    /// The folder of their certificates, where they speak TLS.
    pki: Option<PathBuf>,
    /// The processes in the order in which they are started.
    pub(super) members: Vec<Member>,
}

impl DemoCluster {
    /// Writes the topology and one configuration per process into `folder`, which is created; the binaries are in `binaries`. With
    /// `tls` also certificates, by which the processes speak TLS with each other and with their clients.
    ///
    /// # Errors
    /// An address is taken, or the folder cannot be written.
    pub(super) fn write(folder: &Path, binaries: &Path, tls: bool) -> Result<Self> {
        let mut cluster = Self::in_folder(folder, binaries);
        cluster.check_addresses()?;
        if tls {
            cluster.pki = Some(pki::make(folder, binaries, &cluster.members)?);
        }
        std::fs::create_dir_all(folder).with_context(|| format!("{} could not be created", folder.display()))?;
        let topology = folder.join("topology.toml");
        write(&topology, &cluster.topology())?;
        for (index, member) in cluster.members.iter().enumerate() {
            write(&member.configuration, &member.configuration_text(index, &topology, cluster.pki.as_deref()))?;
        }
        Ok(cluster)
    }

    fn in_folder(folder: &Path, binaries: &Path) -> Self {
        let member = |index: u16| {
            let (kind, program, first, at) = if index < NODES {
                ("node", "shardstored", (NODE_PORT, NODE_ADMIN_PORT), index)
            } else {
                ("edge", "corelane", (EDGE_PORT, EDGE_ADMIN_PORT), index - NODES)
            };
            let (listen, admin, number) = (first.0 + at, first.1 + at, at + 1);
            Member {
                name: format!("{kind} {number}"),
                program,
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, listen)),
                admin: SocketAddr::from((Ipv4Addr::LOCALHOST, admin)),
                configuration: folder.join(format!("{kind}-{number}.toml")),
                log: folder.join(format!("{kind}-{number}.log")),
                binary: binaries.join(program),
            }
        };
        Self { pki: None, members: (0..NODES + EDGES).map(member).collect() }
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
        let mut text = format!("cluster = \"{CLUSTER}\"\nepoch = 1\n");
        for (index, node) in self.nodes().iter().enumerate() {
            let _ = write!(text, "\n[[node]]\nid = {}\naddress = \"{}\"\n", index + 1, node.listen);
        }
        text
    }

    /// What is running. `ids` are the process ids in the order of `members`.
    pub(super) fn inventory(&self, ids: &[u32]) -> String {
        let mut text = format!("\n{:<8} {:<16} {:<16} {:>9}  log\n", "what", "serves at", "admin at", "process");
        for (member, id) in self.members.iter().zip(ids) {
            let (listen, admin) = (member.listen.to_string(), member.admin.to_string());
            let _ = writeln!(text, "{:<8} {listen:<16} {admin:<16} {id:>9}  {}", member.name, member.log.display());
        }
        let with = if self.pki.is_some() { " over TLS, each with a certificate of its own" } else { "" };
        text + &format!(
            "\nEdges speak HTTP and cache; nodes own the keys, a third each, and speak the shard protocol{with}.\n"
        )
    }

    /// What to try, with the commands to paste. `ids` are the process ids in the order of `members`.
    pub(super) fn invitation(&self, ids: &[u32]) -> String {
        let [first, second] = [self.edges()[0].listen, self.edges()[1].listen];
        let node = &self.nodes()[VICTIM];
        let (curl, http) = match &self.pki {
            None => ("curl".to_owned(), "http"),
            Some(pki) => (format!("curl --cacert {}", pki.join("ca.pem").display()), "https"),
        };
        format!(
            "In another terminal, in this folder, try:\n\n\
             1. Write nine keys through edge 1.\n\n\
             {INDENT}for n in 1 2 3 4 5 6 7 8 9; do {curl} -sX PUT -H 'Content-Type: text/plain' -d \"value $n\" {http}://{first}{KEYS}$n; done\n\n\
             2. Read one through edge 2. Cache-Status names the node it came from; run it again within a second\n\
             {INDENT}(edge_ttl), and it is a hit.\n\n\
             {INDENT}{curl} -i {http}://{second}{KEYS}1\n\n\
             3. Kill {name} and read all keys: a third is answered 503 with Retry-After, the others are as before.\n\n\
             {INDENT}kill -9 {id}\n\
             {INDENT}for n in 1 2 3 4 5 6 7 8 9; do {curl} -si {http}://{second}{KEYS}$n \
             | grep -iE '^(HTTP|Cache-Status|Retry-After)'; done\n\n\
             4. Bring it back (it runs in that terminal; Ctrl-C there ends it), and read all keys again from a third one.\n\
             {INDENT}{Name} has forgotten its keys, which are 404 until they are written anew.\n\n\
             {INDENT}{again}\n\n\
             5. See what an edge knows: its nodes, what it counts.\n\n\
             {INDENT}curl -s http://{admin}/v1/status\n\
             {INDENT}curl -s http://{admin}/metrics | grep ^corelane_upstream\n",
            KEYS = "/v1/kv/default/key-",
            admin = self.edges()[1].admin,
            name = node.name,
            Name = node.name.replacen('n', "N", 1),
            id = ids[VICTIM],
            again = node.command_line(),
        )
    }
}

impl Member {
    fn configuration_text(&self, index: usize, topology: &Path, pki: Option<&Path>) -> String {
        let mut text = match (self.program, pki) {
            ("shardstored", _) => format!("node_id = {}\nlisten = \"{}\"\n", index + 1, self.listen),
            (_, None) => format!("listen = [\"{}\"]\n", self.listen),
            (_, Some(_)) => format!("listen = []\nlisten_tls = [\"{}\"]\n", self.listen),
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
        if let Some(pki) = pki {
            self.write_certificates(pki, &mut text);
        }
        text
    }

    fn write_certificates(&self, pki: &Path, text: &mut String) {
        let file = |name: &str| format!("{:?}", pki.join(name).display().to_string());
        let (role, id) = self.role_and_id();
        let (chain, key) = (file(&format!("{role}-{id}.pem")), file(&format!("{role}-{id}.key")));
        let (ca, crl) = (file("ca.pem"), file("crl.pem"));
        let _ = write!(text, "\n[cluster]\nchain = {chain}\nkey = {key}\nca = {ca}\ncrl = {crl}\n");
        if self.program == "corelane" {
            let (chain, key) = (file("server-web.pem"), file("server-web.key"));
            let _ = write!(text, "\n[certificate.default]\nchain = {chain}\nkey = {key}\n");
        }
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
        let cluster = DemoCluster::in_folder(Path::new("demo"), Path::new("target/release"));
        assert_eq!(cluster.members.len(), usize::from(NODES + EDGES));
        let addresses: HashSet<_> = cluster.members.iter().flat_map(|member| [member.listen, member.admin]).collect();
        assert_eq!(addresses.len(), 2 * cluster.members.len());
        for (index, member) in cluster.members.iter().enumerate() {
            for pki in [None, Some(Path::new("pki"))] {
                let text = member.configuration_text(index, Path::new("topology.toml"), pki);
                let parsed: DocumentMut = text.parse().expect("the configuration is TOML");
                assert_eq!(parsed.get("node_id").is_some(), member.program == "shardstored", "{text}");
                assert_eq!(parsed.get("cluster").is_some(), pki.is_some(), "{text}");
            }
        }
        let topology: DocumentMut = cluster.topology().parse().expect("the topology is TOML");
        assert_eq!(topology["node"].as_array_of_tables().expect("nodes are tables").len(), usize::from(NODES));
    }

    /// Who follows the README by hand has the same cluster.
    #[test]
    fn the_addresses_are_those_of_the_readme() {
        let readme = include_str!("../../../../README.md");
        for member in DemoCluster::in_folder(Path::new("demo"), Path::new("target/release")).members {
            let flags = format!("--listen {} --admin {} --topology", member.listen, member.admin);
            assert!(readme.contains(&flags), "{}: {flags}", member.name);
        }
    }

    #[test]
    fn a_taken_address_is_named() {
        let holder = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let taken = holder.local_addr().expect("it is bound");
        let mut cluster = DemoCluster::in_folder(Path::new("demo"), Path::new("target/release"));
        cluster.members.truncate(1);
        cluster.members[0].listen = taken;
        let error = cluster.check_addresses().expect_err("the address is taken");
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }

    #[test]
    fn the_texts_name_every_process_and_the_one_to_kill() {
        let cluster = DemoCluster::in_folder(Path::new("demo"), Path::new("target/release"));
        let ids = [11, 12, 13, 14, 15];
        let inventory = cluster.inventory(&ids);
        for (member, id) in cluster.members.iter().zip(ids) {
            let row = inventory.lines().find(|row| row.starts_with(&member.name)).expect("every process has a row");
            for part in [member.listen.to_string(), member.admin.to_string(), id.to_string()] {
                assert!(row.contains(&part), "{row} does not name {part}");
            }
        }
        let invitation = cluster.invitation(&ids);
        assert!(invitation.contains("kill -9 12\n"), "{invitation}");
        assert!(invitation.contains(&cluster.members[1].command_line()), "{invitation}");
        assert!(invitation.lines().all(|line| line.len() <= 160 && line.trim_end() == line), "{invitation}");
    }
}
