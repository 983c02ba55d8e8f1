//! The client under test, with an edge that does what it is told.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use corelane_acme::{
    Acme, AcmeCertificate, AcmeEvent, AcmeFailure, AcmeHandle, AcmePace, AcmeSettings, ChallengeKind, UnixMillis,
};
use rcgen::{KeyPair, PublicKeyData};
use x509_parser::pem::Pem;

use crate::edge::TestEdge;
use acme_directory::ScriptedDirectory;

/// Longest wait for an event; far beyond what a busy host needs.
const EVENT_TIME: Duration = Duration::from_secs(60);

/// A folder that goes with the test.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("corelane-acme-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An event that matters to a test, of which challenges have been put in force already.
#[derive(Debug)]
pub(crate) enum Told {
    Stored(String, UnixMillis),
    Failed(String, AcmeFailure, UnixMillis),
}

/// A client, its edge and its directory.
pub(crate) struct Run {
    pub(crate) place: Place,
    pub(crate) edge: TestEdge,
    pub(crate) directory: ScriptedDirectory,
    pub(crate) settings: AcmeSettings,
    /// Whether the edge says that challenges are in force, and whether they are.
    pub(crate) confirms: bool,
    pub(crate) answers: bool,
    handle: Option<AcmeHandle>,
}

impl Run {
    /// Everything but the client.
    pub(crate) fn prepare(challenge: ChallengeKind, names: &[&str]) -> Self {
        let (place, edge) = (Place::new(), TestEdge::start());
        let directory = ScriptedDirectory::start(edge.domains());
        let settings = AcmeSettings {
            directory: directory.url.clone(),
            contact: Vec::new(),
            agree_terms: true,
            folder: place.0.join("acme"),
            ca: Some(directory.root_file(&place.0)),
            certificates: vec![certificate("shop", names, challenge)],
            pace: fast(),
        };
        Run { place, edge, directory, settings, confirms: true, answers: true, handle: None }
    }

    pub(crate) fn start(&mut self) {
        assert!(self.handle.is_none());
        self.handle = Some(Acme::start(self.settings.clone()).unwrap());
    }

    /// One that has begun.
    pub(crate) fn begin(challenge: ChallengeKind, names: &[&str]) -> Self {
        let mut run = Run::prepare(challenge, names);
        run.start();
        run
    }

    /// Ends the client, as the process does.
    pub(crate) fn stop(&mut self) {
        self.handle.take().unwrap().stop();
    }

    pub(crate) fn handle(&self) -> &AcmeHandle {
        self.handle.as_ref().unwrap()
    }

    /// The next event; challenges are put in force as the edge does.
    pub(crate) fn event(&mut self) -> AcmeEvent {
        let event = self.handle().next(EVENT_TIME).expect("an event in time");
        self.check_folder();
        if let AcmeEvent::Challenges(challenges) = &event {
            if self.answers {
                self.edge.put(challenges.clone());
            }
            if self.confirms {
                self.handle().in_force(challenges.generation);
            }
        }
        event
    }

    /// The next event that is no challenge.
    pub(crate) fn told(&mut self) -> Told {
        loop {
            match self.event() {
                AcmeEvent::Challenges(_) => {}
                AcmeEvent::Stored { name, not_after } => return Told::Stored(name, not_after),
                AcmeEvent::Failed { name, reason, next_try } => return Told::Failed(name, reason, next_try),
            }
        }
    }

    pub(crate) fn failed(&mut self) -> (AcmeFailure, UnixMillis) {
        match self.told() {
            Told::Failed(_, reason, next_try) => (reason, next_try),
            other @ Told::Stored(..) => panic!("{other:?}"),
        }
    }

    /// Waits until a certificate is stored, whatever fails before.
    pub(crate) fn stored_at_last(&mut self) -> Vec<AcmeFailure> {
        let mut failures = Vec::new();
        loop {
            match self.told() {
                Told::Stored(..) => return failures,
                Told::Failed(_, reason, _) => failures.push(reason),
            }
        }
    }

    pub(crate) fn stored(&mut self) -> UnixMillis {
        match self.told() {
            Told::Stored(_, not_after) => not_after,
            other @ Told::Failed(..) => panic!("{other:?}"),
        }
    }

    pub(crate) fn file(&self, name: &str) -> String {
        fs::read_to_string(self.settings.folder.join("shop").join(name)).unwrap()
    }

    /// Whatever is in the folder now is whole, or about to be.
    pub(crate) fn check_folder(&self) {
        let folder = self.settings.folder.join("shop");
        let both = [folder.join("key.pem"), folder.join("chain.pem")];
        let is_new = |name: &str| folder.join(name).exists();
        // Between the two renames one is new and the other still to come.
        if both.iter().all(|file| file.exists()) && !is_new("chain.pem.new") {
            assert!(fits(&folder), "the pair does not fit");
        }
    }

    /// Nothing was asked that no client may ask.
    pub(crate) fn check_manners(&self) {
        assert_eq!(self.directory.book.lock().unwrap().violations, Vec::<String>::new());
    }
}

/// Whether key and chain in a folder are each other's.
pub(crate) fn fits(folder: &Path) -> bool {
    // A renewal may be under way between the reads: look twice at most.
    (0..2).any(|_| {
        let key = KeyPair::from_pem(&fs::read_to_string(folder.join("key.pem")).unwrap()).unwrap();
        let chain = fs::read(folder.join("chain.pem")).unwrap();
        let (pem, _) = Pem::read(std::io::Cursor::new(&chain)).unwrap();
        pem.parse_x509().unwrap().public_key().raw == key.subject_public_key_info()
    })
}

pub(crate) fn certificate(name: &str, names: &[&str], challenge: ChallengeKind) -> AcmeCertificate {
    AcmeCertificate { name: name.into(), names: names.iter().map(|&name| name.into()).collect(), challenge }
}

/// So fast that a test need not wait for what takes minutes otherwise, and patient where a busy host may be slow.
pub(crate) fn fast() -> AcmePace {
    AcmePace {
        first_retry: Duration::from_millis(5),
        retry_max: Duration::from_millis(20),
        orders_per_day: 50,
        poll_first: Duration::from_millis(2),
        poll_max: Duration::from_millis(20),
        order_time: Duration::from_secs(60),
        request_time: Duration::from_secs(20),
        in_force_time: Duration::from_secs(20),
    }
}
