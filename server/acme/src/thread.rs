//! The thread: opens the folder, finds what is due, orders it, and tells of it.
//!
//! **Not** on a core: requests, the resolver and the disk block here.
//!
//! **Invariants**: one order at a time; an order is counted on disk before it is sent; every failure but the end of the process becomes an
//! [`AcmeEvent::Failed`] and has a next try.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use instant_acme::CertificateIdentifier;

use crate::authority::AcmeAuthority;
use crate::certificate::StoredCertificate;
use crate::challenge::Challenges;
use crate::clock::UnixMillis;
use crate::failure::{AcmeFailure, Setback};
use crate::folder::AcmeFolder;
use crate::handle::{AcmeEvent, HandleRequest};
use crate::order::{OrderHost, OrderRequest, obtain};
use crate::schedule::{
    ACCOUNT_ORDERS_MAX, ACCOUNT_SPAN, OrderGoal, OrderHistory, RenewalWindow, WINDOW_ASK_FAILED, WINDOW_ASK_MAX,
    WINDOW_ASK_MIN, allowed, luck,
};
use crate::settings::{AcmeCertificate, AcmeSettings};

/// Longest wait without looking again: the clock may have been set.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// How often a folder is tried that cannot be used.
const FOLDER_RETRY: Duration = Duration::from_secs(30);

/// The thread's own.
pub(crate) struct AcmeThread {
    settings: AcmeSettings,
    talk: ControlTalk,
    kept: Option<KeptFolder>,
    authority: Option<AcmeAuthority>,
    /// Why the folder could not be used last, so that it is told once.
    folder_fault: Option<AcmeFailure>,
    /// Whether failures from before count no more: there are settings of a reload.
    pardons: bool,
}

/// The folder, and what is in it.
struct KeptFolder {
    folder: AcmeFolder,
    certificates: BTreeMap<String, KeptCertificate>,
    /// What makes this host's times different from another's.
    account: String,
}

/// A certificate that is ordered here.
struct KeptCertificate {
    wanted: AcmeCertificate,
    stored: Option<StoredCertificate>,
    history: OrderHistory,
}

/// Both channels to the control thread.
struct ControlTalk {
    events: SyncSender<AcmeEvent>,
    requests: Receiver<HandleRequest>,
    newer: Option<Box<AcmeSettings>>,
    generation: u64,
    in_force: u64,
    in_force_time: Duration,
}

impl AcmeThread {
    pub(crate) fn new(
        settings: AcmeSettings,
        events: SyncSender<AcmeEvent>,
        requests: Receiver<HandleRequest>,
    ) -> Self {
        let in_force_time = settings.pace.in_force_time;
        let talk = ControlTalk { events, requests, newer: None, generation: 0, in_force: 0, in_force_time };
        AcmeThread { settings, talk, kept: None, authority: None, folder_fault: None, pardons: false }
    }

    /// Runs until the handle is dropped.
    pub(crate) fn run(mut self) {
        while self.turn().is_ok() {}
    }

    /// Does what is due, or waits until something is.
    fn turn(&mut self) -> Result<(), AcmeFailure> {
        if let Some(newer) = self.talk.newer.take() {
            self.talk.in_force_time = newer.pace.in_force_time;
            self.settings = *newer;
            (self.kept, self.authority, self.folder_fault) = (None, None, None);
            self.pardons = true;
        }
        let until = match self.open() {
            Ok(()) => self.do_due()?,
            Err(fault) => self.tell_folder_fault(fault)?,
        };
        self.talk.idle(until)
    }

    /// Opens the folder and reads what is in it, if that has not been done.
    fn open(&mut self) -> Result<(), AcmeFailure> {
        if self.kept.is_some() {
            return Ok(());
        }
        let folder = AcmeFolder::open(&self.settings.folder)?;
        let account = folder.account_key(&self.settings.directory)?;
        let account = format!("{:?}", account.public_key_raw());
        let mut certificates = BTreeMap::new();
        for wanted in &self.settings.certificates {
            let has_new = folder.recover(&wanted.name)?;
            let mut history = folder.history(&wanted.name)?;
            history.mend(UnixMillis::now());
            if self.pardons {
                history.pardon();
            }
            let stored = folder.stored(&wanted.name)?;
            if has_new {
                history.succeed(&self.settings.directory);
                folder.store_history(&wanted.name, &history)?;
                let not_after = stored.as_ref().map(|stored| stored.not_after).unwrap_or_default();
                self.talk.tell(AcmeEvent::Stored { name: wanted.name.clone(), not_after })?;
            }
            certificates.insert(wanted.name.clone(), KeptCertificate { wanted: wanted.clone(), stored, history });
        }
        self.kept = Some(KeptFolder { folder, certificates, account });
        (self.folder_fault, self.pardons) = (None, false);
        Ok(())
    }

    fn tell_folder_fault(&mut self, fault: AcmeFailure) -> Result<UnixMillis, AcmeFailure> {
        if fault == AcmeFailure::Stopped {
            return Err(fault);
        }
        let next_try = UnixMillis::now().plus(FOLDER_RETRY.min(self.settings.pace.first_retry));
        if self.folder_fault.as_ref() != Some(&fault) {
            for wanted in &self.settings.certificates {
                self.talk.tell(AcmeEvent::Failed { name: wanted.name.clone(), reason: fault.clone(), next_try })?;
            }
            self.folder_fault = Some(fault);
        }
        Ok(next_try)
    }

    /// Orders what is due first, if it is due now. Returns when to look again.
    fn do_due(&mut self) -> Result<UnixMillis, AcmeFailure> {
        let now = UnixMillis::now();
        self.ask_windows(now);
        let Some(kept) = &self.kept else { return Ok(now) };
        let dues = kept.certificates.iter().map(|(name, one)| (kept.due(one, &self.settings, now), name));
        let Some((due, name)) = dues.min().map(|(due, name)| (due, name.clone())) else {
            return Ok(now.plus(LOOK_AGAIN));
        };
        if due > now {
            return Ok(due.min(now.plus(LOOK_AGAIN)));
        }
        match self.order(&name) {
            Ok(not_after) => self.talk.tell(AcmeEvent::Stored { name, not_after })?,
            Err(setback) if setback.failure == AcmeFailure::Stopped => return Err(AcmeFailure::Stopped),
            Err(setback) => self.fail(name, setback)?,
        }
        Ok(UnixMillis::now())
    }

    /// Orders a certificate and stores it. Returns when it ends.
    fn order(&mut self, name: &str) -> Result<UnixMillis, Setback> {
        self.connect()?;
        let (Some(kept), Some(authority)) = (&mut self.kept, &self.authority) else {
            return Err(AcmeFailure::Stopped.into());
        };
        let one = kept.certificates.get_mut(name).ok_or(AcmeFailure::Stopped)?;
        let domains = one.wanted.domains();
        // Authorities let a certificate be replaced once; after a failure the order is one like any other.
        let may_replace = one.history.failures == 0
            && one.history.window.is_some()
            && one.history.directory == self.settings.directory;
        one.history.begin(UnixMillis::now());
        kept.folder.store_history(name, &one.history)?;
        let request = OrderRequest {
            domains: &domains,
            challenge: one.wanted.challenge,
            replaces: one.stored.as_ref().filter(|_| may_replace),
            pace: &self.settings.pace,
        };
        let issued = obtain(authority, request, &mut self.talk)?;
        kept.folder.store(name, &issued.chain, &issued.key)?;
        one.history.succeed(&self.settings.directory);
        let not_after = issued.certificate.not_after;
        one.stored = Some(issued.certificate);
        kept.folder.store_history(name, &one.history)?;
        Ok(not_after)
    }

    fn connect(&mut self) -> Result<(), Setback> {
        if self.authority.is_none() {
            let kept = self.kept.as_ref().ok_or(AcmeFailure::Stopped)?;
            let key = kept.folder.account_key(&self.settings.directory)?;
            self.authority = Some(AcmeAuthority::connect(&self.settings, &key)?);
        }
        Ok(())
    }

    /// Notes a failure, and tells of it.
    fn fail(&mut self, name: String, setback: Setback) -> Result<(), AcmeFailure> {
        let now = UnixMillis::now();
        // The directory's addresses and the account's state may have changed.
        self.authority = None;
        let mut next_try = now.plus(self.settings.pace.first_retry);
        if let Some(kept) = &mut self.kept {
            let luck = luck(&kept.account, &name);
            if let Some(one) = kept.certificates.get_mut(&name) {
                next_try = one.history.fail(setback.retry_after, luck, &self.settings.pace, now);
                // Where the disk fails the wait counts in memory; no order is sent that could not be counted.
                let _ = kept.folder.store_history(&name, &one.history);
            }
            if let Some(one) = kept.certificates.get(&name) {
                next_try = next_try.max(kept.due(one, &self.settings, now));
            }
        }
        self.talk.tell(AcmeEvent::Failed { name, reason: setback.failure, next_try })
    }

    /// Asks for the authority's renewal windows where that is due. What goes wrong here is only asked again later.
    fn ask_windows(&mut self, now: UnixMillis) {
        let is_asked =
            |one: &&KeptCertificate| one.stored.is_some() && one.history.failures == 0 && one.history.asks_window(now);
        let Some(kept) = &self.kept else { return };
        let names: Vec<String> =
            kept.certificates.values().filter(is_asked).map(|one| one.wanted.name.clone()).collect();
        if names.is_empty() {
            return;
        }
        // One that does not answer is not waited for once for each certificate.
        let is_connected = self.connect().is_ok();
        for name in names {
            let answer = is_connected.then(|| self.ask_window(&name)).flatten();
            let Some(kept) = &mut self.kept else { return };
            let Some(one) = kept.certificates.get_mut(&name) else { continue };
            let wait = match answer {
                Some((window, wait)) => {
                    one.history.window = Some(window);
                    wait.clamp(WINDOW_ASK_MIN, WINDOW_ASK_MAX)
                }
                None => WINDOW_ASK_FAILED,
            };
            one.history.window_ask = Some(now.plus(wait));
            let _ = kept.folder.store_history(&name, &one.history);
        }
    }

    fn ask_window(&self, name: &str) -> Option<(RenewalWindow, Duration)> {
        let (kept, authority) = (self.kept.as_ref()?, self.authority.as_ref()?);
        let one = kept.certificates.get(name)?;
        if one.history.directory != self.settings.directory {
            return None;
        }
        let id = CertificateIdentifier::try_from(&one.stored.as_ref()?.leaf).ok()?;
        let (info, wait) = authority.call("renewal information", authority.account.renewal_info(&id)).ok()?;
        let window = info.suggested_window;
        let [start, end] = [window.start, window.end].map(|time| UnixMillis::from_seconds(time.unix_timestamp()));
        (start <= end).then_some((RenewalWindow { start, end }, wait))
    }
}

impl KeptFolder {
    /// When a certificate's next order is due, all limits counted.
    fn due(&self, one: &KeptCertificate, settings: &AcmeSettings, now: UnixMillis) -> UnixMillis {
        let domains = one.wanted.domains();
        let luck = luck(&self.account, &one.wanted.name);
        let goal = OrderGoal { directory: &settings.directory, domains: &domains, luck };
        let own = one.history.due(one.stored.as_ref(), goal, &settings.pace, now);
        if own > now {
            return own;
        }
        let mut orders: Vec<UnixMillis> =
            self.certificates.values().flat_map(|one| one.history.orders.iter().copied()).collect();
        orders.sort_unstable();
        own.max(allowed(&orders, ACCOUNT_ORDERS_MAX, ACCOUNT_SPAN, now))
    }
}

impl ControlTalk {
    fn tell(&self, event: AcmeEvent) -> Result<(), AcmeFailure> {
        self.events.send(event).map_err(|_| AcmeFailure::Stopped)
    }

    /// Takes one request, if one comes until `deadline`. Returns whether one came.
    fn receive(&mut self, deadline: UnixMillis) -> Result<bool, AcmeFailure> {
        match self.requests.recv_timeout(deadline.since(UnixMillis::now()).min(LOOK_AGAIN)) {
            Ok(HandleRequest::Settings(settings)) => self.newer = Some(settings),
            Ok(HandleRequest::InForce(generation)) => self.in_force = self.in_force.max(generation),
            Err(RecvTimeoutError::Timeout) => return Ok(false),
            Err(RecvTimeoutError::Disconnected) => return Err(AcmeFailure::Stopped),
        }
        Ok(true)
    }

    /// Waits until the time or new settings, and takes what has been asked meanwhile.
    fn idle(&mut self, until: UnixMillis) -> Result<(), AcmeFailure> {
        while self.receive(until)? && self.newer.is_none() {}
        Ok(())
    }

    fn announce(&mut self, mut challenges: Challenges) -> Result<u64, AcmeFailure> {
        self.generation += 1;
        challenges.generation = self.generation;
        self.tell(AcmeEvent::Challenges(Arc::new(challenges)))?;
        Ok(self.generation)
    }
}

impl OrderHost for ControlTalk {
    fn put_in_force(&mut self, challenges: Challenges) -> Result<(), AcmeFailure> {
        let generation = self.announce(challenges)?;
        let deadline = UnixMillis::now().plus(self.in_force_time);
        while self.in_force < generation {
            if !self.receive(deadline)? {
                return Err(AcmeFailure::NotInForce);
            }
        }
        Ok(())
    }

    fn withdraw(&mut self) {
        // Who does not listen any more does not answer either.
        let _ = self.announce(Challenges::default());
    }

    fn wait(&mut self, span: Duration) -> Result<(), AcmeFailure> {
        let until = UnixMillis::now().plus(span);
        while self.receive(until)? {}
        Ok(())
    }
}
