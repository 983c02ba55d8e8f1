//! The authority of a cluster of real processes, and the files of its certificates.
//!
//! **Invariants**: a file is replaced whole, by renaming: there is no moment at which half of it can be read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use corelane_pki::rotation::bundle;
use corelane_pki::{
    Authority, CertificateRecord, CertificateRequest, HolderRole, Issued, KeySource, Revocation, SubjectNames, Validity,
};

/// How long certificates and lists hold.
const LIFETIME: Duration = Duration::from_secs(86_400);

/// How long connections are used: so long that a busy host has renewed them before nodes end them, which is after twice that.
const LINK_TIME: Duration = Duration::from_secs(4);

/// Seconds since 1970.
fn now_s() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// An authority.
pub(crate) fn authority(cluster: &str) -> Authority {
    Authority::create(cluster, Validity::starting(now_s(), LIFETIME), &mut KeySource::P256).unwrap()
}

/// A certificate of `authority`.
pub(crate) fn issue(authority: &Authority, role: HolderRole, id: &str) -> Issued {
    issue_for(authority, role, id, Validity::starting(now_s(), LIFETIME))
}

/// One that has ended.
pub(crate) fn issue_ended(authority: &Authority, role: HolderRole, id: &str) -> Issued {
    issue_for(authority, role, id, Validity { from: now_s() - 1000, until: now_s() - 10 })
}

/// One that is also for an address.
pub(crate) fn issue_at(authority: &Authority, role: HolderRole, id: &str, ip: std::net::IpAddr) -> Issued {
    let names = SubjectNames::new::<&str>(&[], &[ip]).unwrap();
    let validity = Validity::starting(now_s(), LIFETIME);
    authority.issue(&CertificateRequest { role, id: id.to_owned(), names, validity }, &mut KeySource::P256).unwrap()
}

fn issue_for(authority: &Authority, role: HolderRole, id: &str, validity: Validity) -> Issued {
    let request = CertificateRequest { role, id: id.to_owned(), names: SubjectNames::default(), validity };
    authority.issue(&request, &mut KeySource::P256).unwrap()
}

/// The list of what an authority has revoked.
pub(crate) fn revoked(authority: &Authority, certificates: &[&str]) -> String {
    let revoke = |chain: &&str| Revocation { serial: CertificateRecord::parse(chain).unwrap().serial, at: now_s() - 1 };
    let list: Vec<Revocation> = certificates.iter().map(revoke).collect();
    authority.revoke(&list, Validity::starting(now_s(), LIFETIME), 1 + list.len() as u64).unwrap()
}

/// The files of all processes of a cluster.
pub(crate) struct Files(PathBuf);

impl Files {
    /// Those in a folder that is there.
    pub(crate) fn within(folder: &Path) -> Self {
        Files(folder.to_owned())
    }

    /// The lines of a process's file that name its certificate.
    pub(crate) fn settings(&self, name: &str) -> String {
        let [chain, key] = self.pair(name);
        let [ca, crl] = [self.bundle(), self.0.join("revoked.pem")];
        let link_s = LINK_TIME.as_secs();
        format!("[cluster]\nchain = {chain:?}\nkey = {key:?}\nca = {ca:?}\ncrl = {crl:?}\nlink_time = \"{link_s}s\"\n")
    }

    /// A process's certificate and key.
    pub(crate) fn pair(&self, name: &str) -> [PathBuf; 2] {
        ["pem", "key"].map(|kind| self.0.join(format!("{name}.{kind}")))
    }

    /// The authorities that all trust.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    pub(crate) fn put(&self, name: &str, issued: &Issued) {
        let [chain, key] = self.pair(name);
        self.replace(&chain, &issued.chain);
        self.replace(&key, issued.key.expose());
    }

    pub(crate) fn put_bundle(&self, authorities: &[&Authority]) {
        self.replace(&self.bundle(), &bundle(authorities.iter().map(|authority| authority.certificate())));
    }

    pub(crate) fn put_revoked(&self, list: &str) {
        self.replace(&self.0.join("revoked.pem"), list);
    }

    fn replace(&self, file: &Path, text: &str) {
        let written = self.0.join("written");
        std::fs::write(&written, text).unwrap();
        std::fs::rename(written, file).unwrap();
    }
}
