//! From bytes of files to snapshots: the first one, and the next from the last.
//!
//! **Not**: when. A caller that gets an error which [`StoreError::may_be_half_replaced`] reads again for some seconds before it
//! tells anyone.
//!
//! **Invariants**: what is refused keeps what was there before, certificate by certificate; every error is reported, not only
//! the first. A file whose bytes have not changed is not judged again: a certificate that has expired meanwhile is served on.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use webpki::KeyUsage;

use super::authority::{PeerAuthorities, source_of};
use super::certificate::{Certificate, CertificateFiles};
use super::config::{
    ClientContents, ClientSettings, ClientSnapshot, ClusterFiles, ServerContents, ServerFiles, ServerSettings,
    ServerSnapshot, TicketPolicy, TlsParts,
};
use super::error::{NamedFile, StoreError, StoreFault};
use super::identity::{ExpectedPeer, PresentedCertificate, verdict};
use super::names::CertificateNames;
use super::peers::ClientAuth;
use super::sessions::Sessions;
use super::tickets::TicketKeys;

/// What a listener's files, read again, have come to.
#[derive(Debug)]
pub struct ServerReload {
    /// The next snapshot; nothing if the last one stands as it is.
    pub snapshot: Option<ServerSnapshot>,
    /// What was refused, and has kept what was there before.
    pub errors: Vec<StoreError>,
}

/// What the files of links, read again, have come to.
#[derive(Debug)]
pub struct ClientReload {
    /// The next snapshot; nothing if the last one stands as it is.
    pub snapshot: Option<ClientSnapshot>,
    /// What was refused, and has kept what was there before.
    pub errors: Vec<StoreError>,
}

impl ServerSnapshot {
    /// The first snapshot of a listener.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the files. The operator is at fault.
    pub fn load(parts: &TlsParts, settings: ServerSettings, files: &ServerFiles<'_>) -> Result<Self, Vec<StoreError>> {
        let mut reading = ReadingFiles { parts, old: None, errors: Vec::new() };
        let contents = reading.contents(settings, files);
        match (contents, reading.errors) {
            (Some(contents), errors) if errors.is_empty() => snapshot(contents, 1, files).map_err(|error| vec![error]),
            (_, errors) => Err(errors),
        }
    }
}

/// The next snapshot of a listener, from the last one and what its files have now.
#[must_use]
pub fn reload_server(old: &ServerSnapshot, settings: ServerSettings, files: &ServerFiles<'_>) -> ServerReload {
    let parts = old.contents.parts.clone();
    let mut reading = ReadingFiles { parts: &parts, old: Some(&old.contents), errors: Vec::new() };
    let contents = reading.contents(settings, files);
    let mut errors = reading.errors;
    let changed = contents.filter(|contents| !is_same(contents, &old.contents));
    let made = changed.map(|contents| snapshot(contents, old.generation + 1, files)).transpose();
    let snapshot = made.unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    ServerReload { snapshot, errors }
}

fn snapshot(contents: ServerContents, generation: u64, files: &ServerFiles<'_>) -> Result<ServerSnapshot, StoreError> {
    ServerSnapshot::new(contents, generation).map_err(|fault| {
        let setting = if matches!(fault, StoreFault::Missing { .. }) { "tls.client_ca" } else { "tls" };
        let nowhere = NamedFile { setting, path: "(not set)", bytes: &[] };
        StoreError::of(files.client_ca.as_ref().unwrap_or(&nowhere), fault)
    })
}

fn is_same(new: &ServerContents, old: &ServerContents) -> bool {
    let same_tickets = match (&new.tickets, &old.tickets) {
        (Some(new), Some(old)) => new.is_same(old),
        (new, old) => new.is_none() == old.is_none(),
    };
    new.settings == old.settings
        && same_tickets
        && new.certificates.len() == old.certificates.len()
        && new.certificates.iter().zip(&old.certificates).all(|(new, old)| Arc::ptr_eq(new, old))
        && same_authorities(new.authorities.as_ref(), old.authorities.as_ref())
}

fn same_authorities(new: Option<&Arc<PeerAuthorities>>, old: Option<&Arc<PeerAuthorities>>) -> bool {
    new.map(Arc::as_ptr) == old.map(Arc::as_ptr)
}

/// Certificates, their names, and who has to have issued them.
type OwnParts = (Vec<Arc<Certificate>>, Arc<CertificateNames>, Option<Arc<PeerAuthorities>>);

struct ReadingFiles<'a> {
    parts: &'a TlsParts,
    old: Option<&'a ServerContents>,
    errors: Vec<StoreError>,
}

impl ReadingFiles<'_> {
    /// What the files have, and of the old contents what was refused; nothing without any certificate.
    fn contents(&mut self, settings: ServerSettings, files: &ServerFiles<'_>) -> Option<ServerContents> {
        let certificates: Vec<_> = files.certificates.iter().filter_map(|one| self.certificate(one)).collect();
        let authorities = self.authorities(&settings, files);
        let tickets = self.tickets(&settings, files);
        let (certificates, names) = self.names(certificates)?;
        let (certificates, names, authorities) = match settings.purpose.own() {
            Some(expected) => self.fitting((certificates, names, authorities), expected)?,
            None => (certificates, names, authorities),
        };
        let sessions = self.sessions(&settings);
        let parts = self.parts.clone();
        let challenges = self.old.map(|old| Arc::clone(&old.challenges)).unwrap_or_default();
        Some(ServerContents { parts, settings, certificates, names, authorities, tickets, sessions, challenges })
    }

    /// A process's own certificate with its authorities; the old ones if peers would refuse the new ones.
    fn fitting(&mut self, new: OwnParts, expected: &ExpectedPeer) -> Option<OwnParts> {
        let check = |own: &Arc<Certificate>| {
            new.2
                .as_ref()
                .and_then(|authorities| own_error(own, authorities, (expected, KeyUsage::server_auth), self.parts))
        };
        let errors: Vec<_> = new.0.iter().filter_map(check).collect();
        if errors.is_empty() {
            return Some(new);
        }
        self.errors.extend(errors);
        self.old.map(|old| (old.certificates.clone(), Arc::clone(&old.names), old.authorities.clone()))
    }

    fn certificate(&mut self, files: &CertificateFiles<'_>) -> Option<Arc<Certificate>> {
        let old = self.old.and_then(|old| old.certificates.iter().find(|old| old.facts().name == files.name));
        read_certificate(files, old, self.parts).unwrap_or_else(|errors| {
            self.errors.extend(errors);
            old.cloned()
        })
    }

    fn authorities(&mut self, settings: &ServerSettings, files: &ServerFiles<'_>) -> Option<Arc<PeerAuthorities>> {
        if settings.client_auth == ClientAuth::None {
            return None;
        }
        let old = self.old.and_then(|old| old.authorities.as_ref());
        let bundle = files.client_ca.as_ref()?;
        read_authorities((bundle, files.client_crl.as_ref()), old, self.parts).unwrap_or_else(|errors| {
            self.errors.extend(errors);
            old.cloned()
        })
    }

    fn tickets(&mut self, settings: &ServerSettings, files: &ServerFiles<'_>) -> Option<TicketKeys> {
        if settings.resumption != TicketPolicy::Tickets {
            return None;
        }
        let old = self.old.and_then(|old| old.tickets.as_ref());
        let now = self.parts.now();
        match &files.ticket_keys {
            Some(file) => match TicketKeys::read(file, old, now) {
                Ok(keys) => Some(keys),
                Err(errors) => {
                    self.errors.extend(errors);
                    old.cloned()
                }
            },
            None => match old.filter(|old| !old.is_from_file()) {
                Some(old) => Some(old.clone()),
                // Without random bytes there is no handshake either; the next reload tries again.
                None => TicketKeys::made(self.parts.provider.secure_random, now).ok(),
            },
        }
    }

    fn sessions(&self, settings: &ServerSettings) -> Option<Arc<Sessions>> {
        let TicketPolicy::EarlyData { sessions: capacity } = settings.resumption else { return None };
        let fresh = Sessions::new(capacity);
        let old = self.old.and_then(|old| old.sessions.as_ref());
        let kept = old.filter(|old| old.capacity() == fresh.capacity()).cloned();
        Some(kept.unwrap_or_else(|| Arc::new(fresh)))
    }

    /// The certificates by name; the old ones if the new ones contradict each other.
    fn names(&mut self, certificates: Vec<Arc<Certificate>>) -> Option<(Vec<Arc<Certificate>>, Arc<CertificateNames>)> {
        match CertificateNames::new(&certificates) {
            Ok(names) => Some((certificates, Arc::new(names))),
            Err(errors) => {
                self.errors.extend(errors);
                self.old.map(|old| (old.certificates.clone(), Arc::clone(&old.names)))
            }
        }
    }
}

fn read_certificate(
    files: &CertificateFiles<'_>,
    old: Option<&Arc<Certificate>>,
    parts: &TlsParts,
) -> Result<Option<Arc<Certificate>>, Vec<StoreError>> {
    if let Some(old) = old.filter(|old| old.digest == files.digest()) {
        return Ok(Some(Arc::clone(old)));
    }
    Certificate::read(files, &parts.provider, parts.now()).map(|read| Some(Arc::new(read)))
}

fn read_authorities(
    files: (&NamedFile<'_>, Option<&NamedFile<'_>>),
    old: Option<&Arc<PeerAuthorities>>,
    parts: &TlsParts,
) -> Result<Option<Arc<PeerAuthorities>>, Vec<StoreError>> {
    if let Some(old) = old.filter(|old| old.source == source_of(files.0, files.1)) {
        return Ok(Some(Arc::clone(old)));
    }
    PeerAuthorities::read(files.0, files.1, &parts.provider, parts.now()).map(|read| Some(Arc::new(read)))
}

/// Whether peers will refuse a process's own certificate, and why.
fn own_error(
    own: &Certificate,
    authorities: &PeerAuthorities,
    expected: (&ExpectedPeer, fn() -> KeyUsage),
    parts: &TlsParts,
) -> Option<StoreError> {
    let (first, rest) = own.certified_key().cert.split_first()?;
    // Its time was checked when it was read; one that has ended since is served on.
    let end = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(own.facts().not_after).unwrap_or_default()));
    let now = parts.now().min(end);
    if let Err(error) = authorities.verify((first, rest), expected.1(), &parts.provider, now) {
        let (reason, authority) = (error.to_string(), authorities.path.clone());
        return Some(own.error(StoreFault::NotOfAuthority { reason, authority }));
    }
    let refusal = verdict(expected.0, &PresentedCertificate::of(first), now).err()?;
    Some(own.error(StoreFault::WrongIdentity { refusal: refusal.to_string() }))
}

impl ClientSnapshot {
    /// The first snapshot for links to nodes.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the files. The operator is at fault.
    pub fn load(parts: &TlsParts, settings: ClientSettings, files: &ClusterFiles<'_>) -> Result<Self, Vec<StoreError>> {
        let (contents, errors) = client_contents(parts, None, settings, files);
        match contents {
            Some(contents) if errors.is_empty() => {
                Self::new(contents, 1).map_err(|fault| vec![StoreError::of(&files.ca, fault)])
            }
            _ => Err(errors),
        }
    }
}

/// The next snapshot for links, from the last one and what its files have now.
#[must_use]
pub fn reload_client(old: &ClientSnapshot, settings: ClientSettings, files: &ClusterFiles<'_>) -> ClientReload {
    let (contents, mut errors) = client_contents(&old.contents.parts, Some(&old.contents), settings, files);
    let is_same = |new: &ClientContents| {
        new.settings == old.contents.settings
            && Arc::ptr_eq(&new.certificate, &old.contents.certificate)
            && Arc::ptr_eq(&new.authorities, &old.contents.authorities)
    };
    let made = contents.filter(|new| !is_same(new)).map(|new| ClientSnapshot::new(new, old.generation + 1)).transpose();
    let snapshot = made.unwrap_or_else(|fault| {
        errors.push(StoreError::of(&files.ca, fault));
        None
    });
    ClientReload { snapshot, errors }
}

fn client_contents(
    parts: &TlsParts,
    old: Option<&ClientContents>,
    settings: ClientSettings,
    files: &ClusterFiles<'_>,
) -> (Option<ClientContents>, Vec<StoreError>) {
    let mut errors = Vec::new();
    let old_certificate = old.map(|old| &old.certificate);
    let certificate = read_certificate(&files.certificate, old_certificate, parts).unwrap_or_else(|refused| {
        errors.extend(refused);
        old_certificate.cloned()
    });
    let old_authorities = old.map(|old| &old.authorities);
    let read = read_authorities((&files.ca, files.crl.as_ref()), old_authorities, parts);
    let authorities = read.unwrap_or_else(|refused| {
        errors.extend(refused);
        old_authorities.cloned()
    });
    let (Some(certificate), Some(authorities)) = (certificate, authorities) else { return (None, errors) };
    if let Some(error) = own_error(&certificate, &authorities, (&settings.own, KeyUsage::client_auth), parts) {
        errors.push(error);
        return (None, errors);
    }
    (Some(ClientContents { parts: parts.clone(), settings, certificate, authorities }), errors)
}
