//! Who a process of a cluster is, by its certificate, and whether that is who is expected.
//!
//! ```text
//!  spiffe://CLUSTER/edge/NAME       CLUSTER: 1 to 63 of a-z A-Z 0-9 . _ -, as the topology has it
//!  spiffe://CLUSTER/node/ID         ID: 1 to 65535, as the topology has it
//!  spiffe://CLUSTER/operator/NAME   NAME: 1 to 48 of the same, the first a letter or a digit
//! ```
//!
//! **Not**: whether the certificate is genuine, which is checked before.
//!
//! **Invariants**: a certificate has exactly one identity, or none. An identity has one spelling: what is parsed is written back
//! as it was.
//!
//! **Source**: SPIFFE-ID; the grammar of names is that of the topology's `cluster` (docs/topology.md).

use std::fmt;

use rustls::pki_types::{CertificateDer, UnixTime};
use thiserror::Error;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::certificate::parsed_one;
use super::secret::{fingerprint, hex};

/// Longest name of a cluster in bytes.
const CLUSTER_BYTES_MAX: usize = 63;

/// Longest name of an edge or an operator in bytes.
const NAME_BYTES_MAX: usize = 48;

/// Largest id of a node.
const NODE_ID_MAX: u32 = u16::MAX as u32;

const SCHEME: &str = "spiffe://";

/// Most characters of what a peer presents that are repeated in a message.
const PRESENTED_CHARS_MAX: usize = 160;

/// What a process does in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerRole {
    /// Serves HTTP, and asks nodes.
    Edge,
    /// Owns slots, and answers edges and nodes.
    Node,
    /// Not a process of the cluster: who looks after it.
    Operator,
}

impl PeerRole {
    /// The word in identities.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Node => "node",
            Self::Operator => "operator",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Edge, Self::Node, Self::Operator].into_iter().find(|role| role.name() == word)
    }
}

impl fmt::Display for PeerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who a process is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessIdentity {
    /// Its cluster's name.
    pub cluster: String,
    /// What it does there.
    pub role: PeerRole,
    /// A node's id in decimal digits, the name of any other.
    pub id: String,
}

impl ProcessIdentity {
    /// Reads an identity as it stands in a certificate.
    ///
    /// # Errors
    ///
    /// Anything that is not exactly of the form above. The peer's certificate is at fault.
    pub fn parse(uri: &str) -> Result<Self, IdentityFault> {
        let not = |wanted| IdentityFault::Malformed { uri: shortened(uri), wanted };
        let path = uri.strip_prefix(SCHEME).ok_or(not("it does not begin with spiffe://"))?;
        let mut parts = path.split('/');
        let (Some(cluster), Some(role), Some(id), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(not("it is not spiffe://CLUSTER/ROLE/ID"));
        };
        if !is_of(cluster, CLUSTER_BYTES_MAX) {
            return Err(not("the cluster is not 1 to 63 of a-z A-Z 0-9 . _ -"));
        }
        let role = PeerRole::parse(role).ok_or(not("the role is not edge, node or operator"))?;
        if role == PeerRole::Node && node_id(id).is_none() {
            return Err(not("a node's id is 1 to 65535"));
        }
        if !is_of(id, NAME_BYTES_MAX) || !id.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            return Err(not("the name is not 1 to 48 of a-z A-Z 0-9 . _ -, the first a letter or a digit"));
        }
        Ok(Self { cluster: cluster.to_owned(), role, id: id.to_owned() })
    }

    /// The id, of a node.
    #[must_use]
    pub fn node_id(&self) -> Option<u32> {
        if self.role == PeerRole::Node { node_id(&self.id) } else { None }
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}/{}", self.cluster, self.role, self.id)
    }
}

fn is_of(text: &str, bytes_max: usize) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Digits without a sign and without zeros in front.
fn node_id(text: &str) -> Option<u32> {
    let id = text.parse().ok()?;
    (text.bytes().next() != Some(b'+') && !text.starts_with('0') && (1..=NODE_ID_MAX).contains(&id)).then_some(id)
}

/// Printable, and not longer than a line of a log has room for.
fn shortened(text: &str) -> String {
    text.chars().take(PRESENTED_CHARS_MAX).flat_map(char::escape_default).collect()
}

/// Why a certificate has no identity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdentityFault {
    /// No name of the scheme.
    #[error("the certificate of {subject} has no name {SCHEME}CLUSTER/ROLE/ID")]
    None {
        /// Whose it is.
        subject: String,
    },
    /// Several: nobody is two.
    #[error("the certificate has {count} names that begin with {SCHEME}, and one is allowed")]
    Many {
        /// How many.
        count: usize,
    },
    /// A name that is not of the form.
    #[error("the certificate's name {uri} is none of a peer: {wanted}")]
    Malformed {
        /// The name.
        uri: String,
        /// What is wrong with it.
        wanted: &'static str,
    },
    /// A certificate that cannot be read.
    #[error("the certificate cannot be read: {reason}")]
    Unreadable {
        /// Of the parser.
        reason: String,
    },
}

/// What a peer has presented, for a verdict and for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedCertificate {
    /// Who it says that the peer is.
    pub identity: Result<ProcessIdentity, IdentityFault>,
    /// Whose it is.
    pub subject: String,
    /// SHA-256 in hexadecimal digits.
    pub fingerprint: String,
    /// Until when it is valid, in seconds since 1970. A session that is resumed brings a certificate that was valid once.
    pub not_after: i64,
}

impl PresentedCertificate {
    /// Reads a peer's certificate.
    #[must_use]
    pub fn of(der: &CertificateDer<'_>) -> Self {
        let fingerprint = hex(&fingerprint(der));
        let certificate = match parsed_one(1, der) {
            Ok(certificate) => certificate,
            Err(fault) => {
                let identity = Err(IdentityFault::Unreadable { reason: fault.to_string() });
                return Self { identity, subject: String::new(), fingerprint, not_after: 0 };
            }
        };
        let subject = shortened(&certificate.subject().to_string());
        let names = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        });
        let uris: Vec<&str> = names
            .flatten()
            .filter_map(|name| match name {
                GeneralName::URI(uri) if uri.starts_with(SCHEME) => Some(*uri),
                _ => None,
            })
            .collect();
        let identity = match uris.as_slice() {
            [] => Err(IdentityFault::None { subject: subject.clone() }),
            [uri] => ProcessIdentity::parse(uri),
            _ => Err(IdentityFault::Many { count: uris.len() }),
        };
        Self { identity, subject, fingerprint, not_after: certificate.validity().not_after.timestamp() }
    }

    /// Whether it is within its time at `now`: to be asked after a session was resumed.
    #[must_use]
    pub fn is_current(&self, now: UnixTime) -> bool {
        i64::try_from(now.as_secs()).is_ok_and(|now| now <= self.not_after)
    }
}

/// Who a peer has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedPeer {
    /// The cluster's name.
    pub cluster: String,
    /// One of these.
    pub roles: Vec<PeerRole>,
    /// This one; nothing for any.
    pub id: Option<String>,
}

impl fmt::Display for ExpectedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles: Vec<&str> = self.roles.iter().map(|role| role.name()).collect();
        write!(f, "{SCHEME}{}/{}/{}", self.cluster, roles.join("|"), self.id.as_deref().unwrap_or("*"))
    }
}

/// Why a peer is refused: for the log of either side.
#[derive(Clone, PartialEq, Eq, Error)]
pub enum PeerRefusal {
    /// No identity at all.
    #[error("expected {expected}; {fault} (SHA-256 {fingerprint})")]
    NoIdentity {
        /// Who should have come.
        expected: String,
        /// What is wrong.
        fault: IdentityFault,
        /// Of the certificate.
        fingerprint: String,
    },
    /// Someone else.
    #[error("expected {expected}, and the peer is {presented}: wrong {what}")]
    Other {
        /// Who should have come.
        expected: String,
        /// Who has come.
        presented: String,
        /// `cluster`, `role` or `id`.
        what: &'static str,
    },
    /// A resumed session of a certificate whose time has ended since.
    #[error("the certificate of {presented} has expired")]
    Expired {
        /// Who has come.
        presented: String,
    },
}

/// The same text: rustls writes the errors of others in this form, and so it stands in the log.
impl fmt::Debug for PeerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PeerRefusal {
    /// The stable snake_case name for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoIdentity { .. } => "no_identity",
            Self::Other { .. } => "wrong_identity",
            Self::Expired { .. } => "expired",
        }
    }
}

/// Whether the peer that presented a genuine certificate is the one expected, and its certificate still within its time.
///
/// # Errors
///
/// Anyone else. Whose fault it is only an operator can tell: the text has both sides.
pub fn verdict<'a>(
    expected: &ExpectedPeer,
    presented: &'a PresentedCertificate,
    now: UnixTime,
) -> Result<&'a ProcessIdentity, PeerRefusal> {
    let identity = presented.identity.as_ref().map_err(|fault| PeerRefusal::NoIdentity {
        expected: expected.to_string(),
        fault: fault.clone(),
        fingerprint: presented.fingerprint.clone(),
    })?;
    if !presented.is_current(now) {
        return Err(PeerRefusal::Expired { presented: identity.to_string() });
    }
    let checks = [
        ("cluster", identity.cluster == expected.cluster),
        ("role", expected.roles.contains(&identity.role)),
        ("id", expected.id.as_ref().is_none_or(|id| *id == identity.id)),
    ];
    match checks.into_iter().find(|(_, holds)| !holds) {
        None => Ok(identity),
        Some((what, _)) => {
            Err(PeerRefusal::Other { expected: expected.to_string(), presented: identity.to_string(), what })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_have_one_spelling() {
        for uri in [
            "spiffe://blue/edge/e1",
            "spiffe://Blue.eu_1-x/node/1",
            "spiffe://blue/node/65535",
            "spiffe://blue/operator/Kim.B",
        ] {
            assert_eq!(ProcessIdentity::parse(uri).unwrap().to_string(), uri);
        }
        assert_eq!(ProcessIdentity::parse("spiffe://b/node/7").unwrap().node_id(), Some(7));
        assert_eq!(ProcessIdentity::parse("spiffe://b/edge/7").unwrap().node_id(), None);
        let long = |bytes: usize| "a".repeat(bytes);
        assert!(ProcessIdentity::parse(&format!("spiffe://{}/edge/{}", long(63), long(48))).is_ok());
        for uri in [
            "",
            "spiffe://",
            "spiffe://blue",
            "spiffe://blue/edge",
            "spiffe://blue/edge/",
            "spiffe:///edge/e1",
            "spiffe://blue/edge/e1/",
            "spiffe://blue/edge/e1/x",
            "spiffe://blue//e1",
            "SPIFFE://blue/edge/e1",
            "https://blue/edge/e1",
            "spiffe://blue/Edge/e1",
            "spiffe://blue/server/e1",
            "spiffe://blue/edge/e 1",
            "spiffe://blue/edge/e%31",
            "spiffe://blue/edge/..",
            "spiffe://blue/edge/e1?x",
            "spiffe://bl:ue/edge/e1",
            "spiffe://blue/node/0",
            "spiffe://blue/node/07",
            "spiffe://blue/node/+7",
            "spiffe://blue/node/-7",
            "spiffe://blue/node/65536",
            "spiffe://blue/node/99999999999",
            "spiffe://blue/node/n7",
            &format!("spiffe://{}/edge/e1", long(64)),
            &format!("spiffe://blue/edge/{}", long(49)),
        ] {
            let fault = ProcessIdentity::parse(uri).expect_err(uri);
            assert!(matches!(fault, IdentityFault::Malformed { .. }), "{fault}");
        }
    }

    #[test]
    fn what_a_peer_presents_cannot_break_a_line_of_the_log() {
        let fault = ProcessIdentity::parse(&format!("spiffe://a\n{}", "b".repeat(9999))).unwrap_err();
        let text = fault.to_string();
        assert!(!text.contains('\n') && text.len() < 400, "{text}");
    }

    #[test]
    fn a_verdict_says_who_was_expected_and_who_came() {
        let expected = ExpectedPeer { cluster: "blue".into(), roles: vec![PeerRole::Edge, PeerRole::Node], id: None };
        let presented = |uri: &str, not_after| PresentedCertificate {
            identity: ProcessIdentity::parse(uri),
            subject: "CN=x".into(),
            fingerprint: "00ff".into(),
            not_after,
        };
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(100));
        let judged = |uri: &str, not_after| {
            let presented = presented(uri, not_after);
            verdict(&expected, &presented, now).cloned().map_err(|refusal| (refusal.name(), refusal.to_string()))
        };
        assert_eq!(judged("spiffe://blue/node/3", 100).unwrap().id, "3");
        assert_eq!(judged("spiffe://blue/node/3", 99).unwrap_err().0, "expired");
        let (name, text) = judged("spiffe://blue/operator/kim", 100).unwrap_err();
        assert_eq!(name, "wrong_identity");
        assert_eq!(text, "expected spiffe://blue/edge|node/*, and the peer is spiffe://blue/operator/kim: wrong role");
        let (name, text) = judged("https://blue", 100).unwrap_err();
        assert!(name == "no_identity" && text.contains("00ff") && text.contains("https://blue"), "{text}");
    }
}
