//! The certificates of a simulated cluster: an authority, a certificate for each process, all from the seed, in files that are memory.
//!
//! ```text
//!  renew: one process has a new certificate and key         rotate: bundle old+new ─▶ new certificates ─▶ bundle new
//! ```
//!
//! **Not** who reads them, and when: the driver signals.
//!
//! **Invariants**: at every moment each certificate has its authority in every bundle, so that no handshake fails for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::security::{SecurityAtStart, SecuritySource};
use control::watch::Mark;
use corelane_pki::rotation::bundle;
use corelane_pki::{Authority, CertificateRequest, HolderRole, KeySource, SubjectNames, Validity};
use corelane_tls::crypto::seeded;
use reactor::Random;

use crate::cluster::STEP_MS_MAX;

/// The file of the authorities, which all processes read.
const BUNDLE: &str = "ca.pem";

/// How long a certificate holds, on either side of the moment at which a seed begins: longer than any clock is wrong.
const LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// How long connections are used: so short that each seed sees many end.
const LINK_TIME: Duration = Duration::from_secs(3);

const _: () =
    assert!(LIFETIME.as_millis() > 2 * STEP_MS_MAX as u128, "no clock is so wrong that a certificate does not hold");

type Files = Arc<Mutex<BTreeMap<PathBuf, (Vec<u8>, u64)>>>;

/// Which step of a rotation was taken last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rotation {
    /// There is one authority.
    Settled,
    /// Its successor is known everywhere.
    Announced,
    /// Every certificate is the successor's.
    Switched,
}

/// A cluster's authority, and the files of its processes.
pub(crate) struct Certificates {
    random: Random,
    validity: Validity,
    authority: Authority,
    /// While one follows another: the certificate of the other one, which is the old one once certificates are the new one's.
    other: Option<Authority>,
    step: Rotation,
    files: Files,
    /// Counts changes of files.
    edition: u64,
    holders: Vec<(HolderRole, usize)>,
}

impl Certificates {
    /// An authority of the cluster at this moment, whose every number is drawn from `seed`.
    pub(crate) fn new(cluster: &str, seed: u64, wall_ms: u64) -> Self {
        let mut random = Random::new(seed);
        let now = wall_ms / 1000;
        let validity = Validity { from: now - LIFETIME.as_secs(), until: now + LIFETIME.as_secs() };
        let authority = authority(cluster, validity, &mut random);
        let mut certificates = Certificates {
            random,
            validity,
            authority,
            other: None,
            step: Rotation::Settled,
            files: Files::default(),
            edition: 0,
            holders: Vec::new(),
        };
        certificates.write_bundle();
        certificates
    }

    /// The lines of a process's file that name its certificate, which is made now if it has none.
    pub(crate) fn settings(&mut self, role: HolderRole, id: usize) -> String {
        if !self.holders.contains(&(role, id)) {
            self.holders.push((role, id));
            self.issue(role, id);
        }
        let [chain, key] = names(role, id);
        let link_ms = LINK_TIME.as_millis();
        format!("[cluster]\nchain = {chain:?}\nkey = {key:?}\nca = {BUNDLE:?}\nlink_time = \"{link_ms}ms\"\n")
    }

    /// What a process reads when it starts, and where it reads it later.
    pub(crate) fn at_start(&mut self, (role, id): (HolderRole, usize), wall_ms: u64) -> SecurityAtStart {
        let files = Arc::clone(&self.files);
        let read = move |file: &Path| {
            let found = files.lock().unwrap().get(file).map(|(bytes, _)| bytes.clone());
            found.ok_or_else(|| std::io::ErrorKind::NotFound.into())
        };
        let files = Arc::clone(&self.files);
        let mark = move |file: &Path| {
            let files = files.lock().unwrap();
            let (bytes, edition) = files.get(file)?;
            Some(Mark { modified_ns: i128::from(*edition), length_bytes: bytes.len() as u64, inode: *edition })
        };
        let source = SecuritySource::in_place(read, mark);
        let [chain, key] = names(role, id);
        let provider = seeded(self.random.next_u64());
        SecurityAtStart::read_now(source, &[chain, key, BUNDLE.into()], wall_ms).computed_by(provider)
    }

    /// Gives one process another certificate; says whose.
    pub(crate) fn renew(&mut self) -> String {
        let at = self.random.below(self.holders.len() as u64) as usize;
        let (role, id) = self.holders[at];
        self.issue(role, id);
        format!("{role} {id} has another certificate")
    }

    /// Takes the next step in which one authority follows another; says which.
    pub(crate) fn rotate(&mut self) -> &'static str {
        match self.step {
            Rotation::Settled => {
                let cluster = self.authority.cluster().to_owned();
                self.other = Some(authority(&cluster, self.validity, &mut self.random));
                self.step = Rotation::Announced;
                self.write_bundle();
                "another authority is known besides"
            }
            Rotation::Announced => {
                let next = self.other.take().expect("it was made with the step before");
                self.other = Some(std::mem::replace(&mut self.authority, next));
                self.step = Rotation::Switched;
                for (role, id) in self.holders.clone() {
                    self.issue(role, id);
                }
                "the other authority has issued all certificates"
            }
            Rotation::Switched => {
                self.other = None;
                self.step = Rotation::Settled;
                self.write_bundle();
                "the authority of before is known no more"
            }
        }
    }

    fn issue(&mut self, role: HolderRole, id: usize) {
        let request =
            CertificateRequest { role, id: id.to_string(), names: SubjectNames::default(), validity: self.validity };
        let random = &mut self.random;
        let mut fill = |bytes: &mut [u8]| fill(random, bytes);
        let issued = self.authority.issue(&request, &mut KeySource::Ed25519(&mut fill)).unwrap();
        let [chain, key] = names(role, id);
        self.write(chain, issued.chain);
        self.write(key, issued.key.expose().to_owned());
    }

    fn write_bundle(&mut self) {
        let others = self.other.iter().map(Authority::certificate);
        let text = bundle(others.chain([self.authority.certificate()]));
        self.write(BUNDLE.into(), text);
    }

    fn write(&mut self, file: PathBuf, text: String) {
        self.edition += 1;
        self.files.lock().unwrap().insert(file, (text.into_bytes(), self.edition));
    }
}

fn authority(cluster: &str, validity: Validity, random: &mut Random) -> Authority {
    let mut fill = |bytes: &mut [u8]| fill(random, bytes);
    Authority::create(cluster, validity, &mut KeySource::Ed25519(&mut fill)).unwrap()
}

fn fill(random: &mut Random, bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte = random.below(256) as u8);
}

/// The files of a process: chain and key.
fn names(role: HolderRole, id: usize) -> [PathBuf; 2] {
    ["pem", "key"].map(|kind| format!("{role}-{id}.{kind}").into())
}
