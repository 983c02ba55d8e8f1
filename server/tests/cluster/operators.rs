//! Admin listeners that take operators with certificates: who gets in, who does not, and what both sides say of it.
//!
//! **Not** another client than the product's own: it is what operators see that is looked at. What a node tells strangers is
//! `strangers_tls`'s.

use std::path::Path;
use std::time::Duration;

use control::admin_client::{OperatorPaths, ask};
use control::settings::ListenAddress;
use corelane_pki::{Authority, HolderRole, Issued};
use rustix::process::Signal;

use super::authority::{Files, authority, issue, issue_at, revoked};
use super::member::{Member, Program};
use super::rig::{NAME, topology};
use crate::support::PATIENCE;
use crate::support::server::{own_address, own_folder, program};

/// A node and an edge that take operators with certificates only.
struct Watched {
    folder: std::path::PathBuf,
    node: Member,
    edge: Member,
    own: Authority,
}

impl Watched {
    /// Starts both with these further lines of their files, and waits until they take connections.
    fn start(bundle: &[&Authority], lines: &str) -> Self {
        let (folder, own) = (own_folder(), authority(NAME));
        let files = Files::within(&folder);
        files.put_bundle(&[&[&own], bundle].concat());
        files.put_revoked(&revoked(&own, &[]));
        let (node_ip, edge_ip) = (own_address(), own_address());
        let map = folder.join("topology.toml");
        std::fs::write(&map, topology(NAME, 1, &[(1, (node_ip, 7401).into())])).unwrap();
        let member = |kind, ip: std::net::Ipv4Addr, (role, id): (HolderRole, &str), own_lines: &str| {
            files.put(&format!("{role}"), &issue_at(&own, role, id, ip.into()));
            let settings = files.settings(&format!("{role}"));
            let text =
                format!("cores = [0]\nmemory = \"64MiB\"\ntopology = {map:?}\nadmin_tls = true\n{lines}{own_lines}");
            let mut member = Member::new(kind, ip, &folder, &(text + &settings));
            member.launch();
            member.await_log(&["event=started"]);
            member
        };
        let node = member(Program::Node, node_ip, (HolderRole::Node, "1"), "node_id = 1\n");
        let edge = member(Program::Edge, edge_ip, (HolderRole::Edge, "e"), "");
        Watched { folder, node, edge, own }
    }

    fn files(&self) -> Files {
        Files::within(&self.folder)
    }

    /// Asks both for their status, as an operator with this certificate: what each says, or why it does not.
    fn ask(&self, shown: Option<&Issued>) -> [Result<String, String>; 2] {
        let pair = shown.map(|shown| {
            self.files().put("operator", shown);
            self.files().pair("operator")
        });
        let operator = OperatorPaths { ca: self.files().bundle(), pair };
        [&self.node, &self.edge].map(|member| ask_as(member, Some(&operator)))
    }

    /// Checks that both refuse this certificate, that the operator is told, and that the logs name who it was.
    fn check_refused(&self, who: &str, shown: Option<&Issued>, told: &str, logged: &[&str]) {
        for (member, said) in [&self.node, &self.edge].into_iter().zip(self.ask(shown)) {
            let said = said.expect_err(who);
            assert!(said.contains(told), "{who}: {said}");
            member.await_log(&[&["event=operator_refused"][..], logged].concat());
        }
    }

    fn check_asked(&self, shown: &Issued) {
        for said in self.ask(Some(shown)) {
            assert!(said.as_ref().is_ok_and(|status| status.contains("\"program\"")), "{said:?}");
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn ask_as(member: &Member, operator: Option<&OperatorPaths>) -> Result<String, String> {
    let page = ask(&ListenAddress::Tcp(member.admin), operator, "/v1/status", PATIENCE);
    page.map(|page| String::from_utf8(page).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn operators_of_their_own_authority_get_in_and_nobody_else() {
    let folder = own_folder();
    let (operators, file) = (authority("operators"), folder.join("operators.pem"));
    std::fs::write(&file, operators.certificate()).unwrap();
    let watched = Watched::start(&[], &format!("admin_client_ca = {file:?}\n"));
    watched.check_asked(&issue(&operators, HolderRole::Operator, "kim"));
    let leaf = |issuer, role, id: &str| issue(issuer, role, id);
    let no_authority = "does not trust the authority that has signed it";
    let not_signed = ["not signed by an authority that is trusted here"];
    let edge = leaf(&watched.own, HolderRole::Edge, "e");
    watched.check_refused("an edge of the cluster", Some(&edge), no_authority, &not_signed);
    let operator = leaf(&watched.own, HolderRole::Operator, "kim");
    watched.check_refused("an operator of the cluster's authority", Some(&operator), no_authority, &not_signed);
    let edge = leaf(&operators, HolderRole::Edge, "e2");
    let named = ["spiffe://operators/edge/e2", "wrong role"];
    watched.check_refused("an edge of the operators' authority", Some(&edge), "it is not an operator's", &named);
    watched.check_refused("nobody", None, "name yours with --cert and --key", &["showed no certificate"]);
    let in_the_clear = ask_as(&watched.node, None).unwrap_err();
    assert!(in_the_clear.contains("admin_tls") && in_the_clear.contains("--ca"), "{in_the_clear}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn operators_of_the_cluster_get_in_until_they_are_revoked_and_those_of_others_never() {
    let other = authority("other");
    let watched = Watched::start(&[&other], "");
    let kim = issue(&watched.own, HolderRole::Operator, "kim");
    watched.check_asked(&kim);
    let stranger = issue(&other, HolderRole::Operator, "kim");
    let named = ["spiffe://other/operator/kim", "wrong cluster"];
    watched.check_refused("an operator of another cluster", Some(&stranger), "it is not an operator's", &named);
    for role in [HolderRole::Edge, HolderRole::Node] {
        let process = issue(&watched.own, role, "7");
        let named = format!("spiffe://{NAME}/{role}/7");
        watched.check_refused("a process", Some(&process), "it is not an operator's", &[&named, "wrong role"]);
    }
    watched.files().put_revoked(&revoked(&watched.own, &[&kim.chain]));
    for member in [&watched.node, &watched.edge] {
        member.signal(Signal::HUP);
        member.await_log(&["certificates_in_force"]);
    }
    watched.check_refused("who was revoked", Some(&kim), "it was revoked", &["was revoked"]);
}

/// The listener is checked as well: who poses as one gets no request.
#[test]
fn a_listener_of_another_authority_or_cluster_is_not_asked() {
    let watched = Watched::start(&[], "");
    let foreign = authority("other");
    let alien = watched.folder.join("alien.pem");
    std::fs::write(&alien, foreign.certificate()).unwrap();
    let kim = issue(&watched.own, HolderRole::Operator, "kim");
    watched.files().put("operator", &kim);
    let pair = Some(watched.files().pair("operator"));
    let said = ask_as(&watched.node, Some(&OperatorPaths { ca: alien.clone(), pair })).unwrap_err();
    assert!(said.contains("not signed by an authority in") && said.contains("alien.pem"), "{said}");
    let line = watched.node.await_log(&["event=operator_refused"]);
    assert!(line.contains("the alert UnknownCA"), "{line}");
    // Of this cluster, but not of the operator's, and for no address.
    watched.files().put("node", &issue(&watched.own, HolderRole::Node, "1"));
    watched.node.signal(Signal::HUP);
    watched.node.await_log(&["certificates_in_force"]);
    watched.files().put("operator", &issue(&foreign, HolderRole::Operator, "kim"));
    let pair = Some(watched.files().pair("operator"));
    let said = ask_as(&watched.node, Some(&OperatorPaths { ca: watched.files().bundle(), pair })).unwrap_err();
    assert!(said.contains("neither for this address nor for an edge or a node"), "{said}");
}

#[test]
fn settings_are_compared_with_those_of_a_process_over_tls() {
    let watched = Watched::start(&[], "");
    watched.files().put("operator", &issue(&watched.own, HolderRole::Operator, "kim"));
    let against = |pair: &[&Path]| {
        let mut command = program(env!("CARGO_BIN_EXE_corelane"));
        // What the process has on its command line is in its file: nothing beside it.
        command.args(["--check", "--memory", "96MiB", "--cores", "0", "--against"]).arg(watched.edge.admin.to_string());
        command.arg("--ca").arg(watched.files().bundle());
        ["--cert", "--key"].iter().zip(pair).for_each(|(option, file)| {
            command.arg(option).arg(file);
        });
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let [chain, key] = watched.files().pair("operator");
    let (status, said) = against(&[&chain, &key]);
    assert!(status == Some(4) && said.contains("memory: \"64MiB\" -> \"96MiB\""), "{status:?}: {said}");
    let (status, said) = against(&[]);
    assert!(status == Some(2) && said.contains("name yours with --cert and --key"), "{status:?}: {said}");
    let (status, said) = against(&[&chain]);
    assert!(status == Some(2) && said.contains("--key"), "{status:?}: {said}");
}

#[test]
fn an_operator_who_waits_for_a_silent_listener_gives_up() {
    let watched = Watched::start(&[], "");
    watched.node.stop();
    let operator = OperatorPaths { ca: watched.files().bundle(), pair: None };
    let admin = ListenAddress::Tcp(watched.node.admin);
    let said = ask(&admin, Some(&operator), "/v1/status", Duration::from_millis(200)).unwrap_err().to_string();
    assert_eq!(said, "no response within 0.2 s");
}
