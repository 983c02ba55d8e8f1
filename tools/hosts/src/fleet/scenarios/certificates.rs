//! Certificates of a fleet that serves: renewed, the authority rotated by a controller that dies, ticket keys rotated.
//!
//! **Invariants**: no request fails meanwhile, through the balancer or over TLS; whoever has no certificate of the fleet gets nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::super::ansible::Play;
use super::super::balancer::in_namespace;
use super::super::https::HttpsLoad;
use super::super::load::Load;
use super::super::recap::PlayRun;
use super::super::{Fleet, must};
use super::serving::{Processes, load, served};
use crate::scenarios::MINUTE;

/// An edge's listener for clients, its admin listener, and a node's port.
const HTTPS: &str = "198.18.0.11:8443";
const ADMIN: &str = "198.18.0.11:9180";
const NODE: &str = "198.18.0.21:7401";

/// All of it, one after the other, under load.
pub(super) fn rotated(fleet: &mut Fleet) -> Result<()> {
    let (load, processes) = (load(fleet)?, Processes::of(fleet)?);
    let ca = fleet.controller.pki_of_lab().join("ca.pem");
    let https = HttpsLoad::start(fleet.folder(), fleet.controller.namespace(), &ca, &fleet.stop)?;
    let both = |run: &PlayRun| {
        served(&load, run)?;
        https.served().with_context(|| run.text.clone())
    };
    let began = Instant::now();
    strangers(fleet)?;
    let strange = began.elapsed();
    leaves(fleet, &both)?;
    let leaf = began.elapsed();
    authority(fleet, &load, &both)?;
    let (rotation, full) = (began.elapsed(), https.served()?.full);
    tickets(fleet, &both)?;
    println!(
        "  after: strangers {strange:.1?}, leaves {leaf:.1?}, authority {rotation:.1?}, tickets {:.1?}",
        began.elapsed()
    );
    let (plain, secured) = (load.finish()?, https.finish()?);
    println!("  {plain:?} {secured:?}");
    ensure!(secured.resumed > secured.requests / 2, "not most of them were resumed: {secured:?}");
    ensure!(
        secured.full == full,
        "tickets of before the rotation were not taken: {secured:?}, {full} full ones before it"
    );
    processes.only_restarted(fleet, &[])
}

type BothServe<'f> = dyn Fn(&PlayRun) -> Result<super::super::https::HttpsCount> + 'f;

/// All certificates get new keys, and each listener shows its own; the next run has nothing to do.
fn leaves(fleet: &Fleet, both: &BothServe<'_>) -> Result<()> {
    let before = [shown(fleet, HTTPS)?, shown(fleet, ADMIN)?];
    let run = fleet.controller.run(&play(fleet, "certificates")?.text("corelane_certificates_renew", "all"))?;
    for (host, row) in run.success()? {
        ensure!(row.changed > 0, "{host} has its old certificate\n{}", run.text);
    }
    both(&run)?;
    for (address, before) in [HTTPS, ADMIN].iter().zip(before) {
        let after = shown(fleet, address)?;
        ensure!(after != before, "{address} shows {before} as before\n{}", run.text);
    }
    ensure!(!run.text.contains("PRIVATE KEY"), "a key has been printed\n{}", run.text);
    // Before anything else, since HAProxy asks with the old one, which has not ended.
    fleet.balancer.renew(&fleet.controller.pki_of_lab())?;
    let run = fleet.controller.run(&play(fleet, "certificates")?)?;
    for (host, row) in run.success()? {
        ensure!(row.changed == 0, "{host} was changed though nothing is due: {row:?}\n{}", run.text);
    }
    Ok(())
}

/// The rotation waits for the balancer, and its controller dies; the next run ends it, and the old one's certificates are nothing any more.
fn authority(fleet: &Fleet, load: &Load, both: &BothServe<'_>) -> Result<()> {
    let pki = fleet.controller.pki_of_lab();
    let old = OperatorFiles::copied(&pki, &fleet.folder().join("old-operator"))?;
    old.is_answered(fleet)?;
    let old_ca = read(&pki.join("ca.pem"))?;
    let rotate =
        |have: &str| Ok::<_, anyhow::Error>(play(fleet, "rotate_ca")?.text("corelane_ca_operators_have", have));
    let run = fleet.controller.run(&rotate("old")?)?;
    let waits = run.success().is_err() && run.text.contains("the rotation waits: bring ca.pem from ");
    ensure!(waits, "the rotation has not waited for the balancer\n{}", run.text);
    both(&run)?;
    fleet.balancer.renew(&pki)?;

    let mut running = fleet.controller.start(&rotate("both")?)?;
    // Printed when all certificates are renewed, so that the balancer's is one of them.
    let log = fleet.folder().join("play.log");
    running.wait_until("certificates of the new authority", || {
        read(&log).ok()?.contains("corectl pki rotate-ca switch").then_some(())
    })?;
    let printed = running.kill();
    ensure!(!printed.contains("PLAY RECAP"), "the rotation had ended before\n{printed}");
    load.wait_for_more(200).and_then(|()| load.check()).map(drop).with_context(|| printed.clone())?;

    fleet.balancer.renew(&pki)?;
    let run = fleet.controller.run(&rotate("new")?)?;
    run.success()?;
    both(&run)?;
    let new_ca = read(&pki.join("ca.pem"))?;
    ensure!(!new_ca.contains(old_ca.trim()), "the old authority is trusted still\n{}", run.text);
    for host in &fleet.hosts {
        let there = host.host.must("cat /etc/corelane/pki/ca.pem", MINUTE).with_context(|| host.name)?;
        ensure!(there == new_ca, "{} trusts others\n{}", host.name, run.text);
    }
    ensure!(old.is_answered(fleet).is_err(), "an operator of the old authority is answered\n{}", run.text);
    OperatorFiles::copied(&pki, &fleet.folder().join("new-operator"))?.is_answered(fleet)
}

/// The key that only opened tickets seals them from now on, and a new one is there; whoever has a ticket of the one before resumes.
fn tickets(fleet: &Fleet, both: &BothServe<'_>) -> Result<()> {
    let before = sealing(fleet)?;
    let run = fleet.controller.run(&play(fleet, "rotate_ticket_keys")?)?;
    for (host, row) in run.success()? {
        ensure!((row.changed > 1) == (host == "edge-1"), "{host}: {row:?}\n{}", run.text);
        ensure!((row.changed > 0) == host.starts_with("edge"), "{host}: {row:?}\n{}", run.text);
    }
    both(&run)?;
    ensure!(sealing(fleet)? != before, "the same key seals tickets\n{}", run.text);
    Ok(())
}

/// What the status of an edge says of its ticket keys.
fn sealing(fleet: &Fleet) -> Result<serde_json::Value> {
    let script = "curl -fsS --unix-socket /run/corelane/command http://localhost/v1/status";
    let status: serde_json::Value = serde_json::from_str(&fleet.host("edge-2")?.must(script, MINUTE)?)?;
    let keys = &status["tls"]["ticket_keys"];
    ensure!(keys.as_array().is_some_and(|keys| keys.len() > 1), "no ticket keys: {keys}");
    Ok(keys.clone())
}

/// Without a certificate, or with one of another authority, nobody comes further than the handshake.
fn strangers(fleet: &Fleet) -> Result<()> {
    let folder = fleet.folder().join("stranger");
    fs::create_dir_all(&folder)?;
    let (chain, key) = (folder.join("own.pem"), folder.join("own.key"));
    let mut make = Command::new("openssl");
    make.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]);
    make.args(["-subj", "/CN=mallory", "-addext", "subjectAltName=URI:spiffe://lab/edge/edge-1"]);
    must(make.arg("-keyout").arg(&key).arg("-out").arg(&chain), &fleet.stop)?;
    for address in [NODE, ADMIN] {
        for (files, alert) in [(None, "certificate required"), (Some((&chain, &key)), "SSL alert number")] {
            let said = handshake(fleet, address, files)?;
            ensure!(
                said.contains(alert) && !said.contains("HTTP/1.1"),
                "{address}: not refused with {alert:?}:\n{said}"
            );
        }
    }
    fs::remove_dir_all(folder).context("the stranger's files")
}

/// What `openssl s_client` says of a connection on which it sends a request.
fn handshake(fleet: &Fleet, address: &str, files: Option<(&PathBuf, &PathBuf)>) -> Result<String> {
    let mut shell = in_namespace(fleet.controller.namespace(), "sh");
    let own = files.map_or(String::new(), |(chain, key)| format!("-cert {} -key {}", chain.display(), key.display()));
    let ask = "{ printf 'GET /healthz HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n'; }";
    shell.args(["-c", &format!("{ask} | timeout 10 openssl s_client -connect {address} {own} -ign_eof 2>&1; true")]);
    must(&mut shell, &fleet.stop)
}

/// The serial of the certificate that a listener shows.
fn shown(fleet: &Fleet, address: &str) -> Result<String> {
    let mut shell = in_namespace(fleet.controller.namespace(), "sh");
    let script = format!("openssl s_client -connect {address} </dev/null 2>/dev/null | openssl x509 -noout -serial");
    must(shell.args(["-c", &script]), &fleet.stop)
}

/// The files of an operator, kept.
struct OperatorFiles {
    chain: PathBuf,
    key: PathBuf,
}

impl OperatorFiles {
    fn copied(pki: &Path, to: &Path) -> Result<Self> {
        fs::create_dir_all(to)?;
        let (chain, key) = (to.join("operator.pem"), to.join("operator.key"));
        fs::copy(pki.join("operator-ansible.pem"), &chain)?;
        fs::copy(pki.join("operator-ansible.key"), &key)?;
        Ok(Self { chain, key })
    }

    /// Whether an admin listener takes them.
    fn is_answered(&self, fleet: &Fleet) -> Result<()> {
        let said = handshake(fleet, ADMIN, Some((&self.chain, &self.key)))?;
        ensure!(said.contains("HTTP/1.1 200"), "{ADMIN} does not answer the operator:\n{said}");
        Ok(())
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn play(fleet: &Fleet, name: &str) -> Result<Play> {
    fleet.play(name, "good")
}
