//! Addresses that others than this host reach, without certificates: only with the operator's word.
//!
//! **Not** reached from elsewhere: nobody is let in here.

use super::member::{Member, Program};
use super::rig::{NAME, topology};
use crate::support::server::{own_address, own_folder};

/// Of RFC 5737: nobody has it.
const ELSEWHERE: &str = "192.0.2.1:7401";

/// The word.
const ALLOWED: &str = "[cluster]\nplaintext = \"allow\"\n";

/// A process that others reach, with these further lines of its file: a node that listens everywhere, or an edge whose node is elsewhere.
fn member(program: Program, lines: &str) -> (Member, std::path::PathBuf) {
    let folder = own_folder();
    let map = folder.join("topology.toml");
    let ip = own_address();
    let node = match program {
        Program::Node => (ip, 7401).into(),
        Program::Edge => ELSEWHERE.parse().unwrap(),
    };
    std::fs::write(&map, topology(NAME, 1, &[(1, node)])).unwrap();
    let own = match program {
        Program::Node => "node_id = 1\n",
        Program::Edge => "",
    };
    let text = format!("cores = [0]\nmemory = \"64MiB\"\ntopology = {map:?}\n{own}{lines}");
    let member = Member::new(program, ip, &folder, &text);
    if program == Program::Node {
        member.rewrite(|text| text.replace(&format!("listen = [\"{}\"]", member.address), "listen = [\"0.0.0.0:0\"]"));
    }
    (member, folder)
}

#[test]
fn who_would_speak_in_the_clear_beyond_the_host_does_not_start_and_says_what_to_do() {
    for (program, parts) in [
        (Program::Node, ["listen: 0.0.0.0 is beyond this host", "cluster.plaintext = \"allow\""]),
        (Program::Edge, ["topology: node 1: 192.0.2.1 is beyond this host", "cluster.chain"]),
    ] {
        let (mut member, folder) = member(program, "");
        member.launch();
        assert_eq!(member.await_exit(), 2, "{:#?}", member.log_so_far());
        member.await_log(&parts);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn with_the_operators_word_it_starts_and_warns() {
    for program in [Program::Node, Program::Edge] {
        let (mut member, folder) = member(program, ALLOWED);
        member.launch();
        member.await_log(&["event=started"]);
        let parts = match program {
            Program::Node => ["event=listener_exposed", "0.0.0.0", "reads and writes all values"],
            Program::Edge => ["event=listener_exposed", "192.0.2.1", "reads and changes all values"],
        };
        member.await_log(&[&["level=warn"][..], &parts].concat());
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn an_admin_listener_that_others_reach_needs_the_word_too() {
    for program in [Program::Node, Program::Edge] {
        let (mut member, folder) = member(program, "");
        member.rewrite(|text| {
            let text = text.replace("0.0.0.0:0", "127.0.0.1:0").replace(&member.admin.to_string(), "0.0.0.0:0");
            text.lines()
                .filter(|line| program == Program::Node || !line.starts_with("topology"))
                .collect::<Vec<_>>()
                .join("\n")
        });
        member.launch();
        assert_eq!(member.await_exit(), 2, "{:#?}", member.log_so_far());
        member.await_log(&["admin: 0.0.0.0 is beyond this host", "also admin_tls = true"]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
