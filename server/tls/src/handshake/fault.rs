//! Why a handshake failed: whose doing, which alert says so to the peer, and by which word it is counted.
//!
//! **Not** faults of traffic: those are [`crate::protect`]'s.
//!
//! **Invariants**: every fault has a label of [`LABELS`], and every label a fault.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use crate::protect::UnknownRecords;

/// Why a handshake failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HandshakeFault {
    /// The peer's: its first bytes are no TLS record.
    #[error("the peer does not speak TLS: its first bytes are no TLS record")]
    NotTls,
    /// The peer's: a message that cannot be read.
    #[error("the peer sent a TLS message that cannot be read: {0}")]
    Malformed(Error),
    /// The peer's: a message that has no place here.
    #[error("the peer sent a TLS message out of order: {0}")]
    Unexpected(Error),
    /// The peer's: it does not keep to the protocol.
    #[error("the peer does not keep to the protocol: {0}")]
    Misbehaved(Error),
    /// The peer's, or somebody's between: a record that was changed or is encrypted with other keys.
    #[error("a record of the peer's handshake does not decrypt: it was changed on the way, or the keys differ")]
    BadRecord,
    /// The peer's: more bytes or records than a flight may have.
    #[error(
        "the peer sent more than {} bytes or {} records in one flight of its handshake",
        super::records::FLIGHT_BYTES_MAX,
        super::records::FLIGHT_RECORDS_MAX
    )]
    FlightTooLong,
    /// Nobody's: one of the two does not speak a version that the other requires.
    #[error("no common version: the peer offers neither TLS 1.3 nor TLS 1.2, or none that is enabled here")]
    NoCommonVersion,
    /// Nobody's: no common cipher suite.
    #[error("no common cipher suite: the peer offers none with ECDHE and an AEAD, or none that fits the certificate")]
    NoCommonSuite,
    /// Nobody's: no common group.
    #[error("no common key exchange group: X25519MLKEM768, X25519, P-256 and P-384 are spoken here")]
    NoCommonGroup,
    /// Nobody's: the peer cannot check any signature of our certificate's key.
    #[error("no common signature scheme: the peer accepts none that the certificate's key makes with SHA-2")]
    NoCommonSignature,
    /// The peer's: TLS 1.2 without RFC 7627.
    #[error("the peer speaks TLS 1.2 without the extended master secret (RFC 7627), which is required")]
    NoExtendedMasterSecret,
    /// The peer's: another feature that is required.
    #[error("the peer lacks something that is required: {0}")]
    Incompatible(Error),
    /// Nobody's: no common application protocol.
    #[error("no common application protocol: the peer's ALPN offers none that is spoken here")]
    NoCommonProtocol,
    /// The peer's or the operator's: no certificate for the name that the peer asks for.
    #[error("no certificate for the server name that the peer asks for, and none is the default")]
    UnknownName,
    /// The peer's: it showed no certificate, which is required.
    #[error("the peer showed no certificate, which is required")]
    CertificateMissing,
    /// The peer's: its certificate has expired.
    #[error("the peer's certificate has expired; renew it: {0}")]
    CertificateExpired(Error),
    /// The peer's: its certificate is not valid yet. Or a clock is wrong.
    #[error("the peer's certificate is not valid yet; compare the clocks of both hosts: {0}")]
    CertificateNotYetValid(Error),
    /// The peer's: its certificate was revoked.
    #[error("the peer's certificate was revoked")]
    CertificateRevoked,
    /// The peer's: signed by nobody who is trusted here.
    #[error("the peer's certificate was not signed by an authority that is trusted here")]
    UnknownIssuer,
    /// The peer's: it is somebody else.
    #[error("the peer's certificate is for another name: {0}")]
    WrongName(Error),
    /// The peer's: a certificate for something else.
    #[error("the peer's certificate is not for this use (server or client): {0}")]
    WrongPurpose(Error),
    /// The operator's: what says which certificates were revoked is missing or old.
    #[error("whether the peer's certificate was revoked cannot be told; renew the revocation lists: {0}")]
    RevocationUnknown(Error),
    /// The peer's: its certificate is genuine, and it is not one of those that may be here.
    #[error("the peer is not one of those that may be here: {0}")]
    CertificateRefused(Error),
    /// The peer's: another fault of its certificate or of its signature.
    #[error("the peer's certificate or its signature is not valid: {0}")]
    CertificateInvalid(Error),
    /// The peer's: it ended the handshake with an alert.
    #[error("the peer ended the handshake: it sent the alert {0:?}")]
    AlertReceived(AlertDescription),
    /// The peer's or the network's: not done within its time.
    #[error("the handshake took longer than it may")]
    TimedOut,
    /// The peer's: the connection ended within the handshake.
    #[error("the peer ended the connection within the handshake")]
    Closed,
    /// The peer's or the network's: the socket failed.
    #[error("socket error within the handshake: {}", std::io::Error::from_raw_os_error(*.0))]
    Socket(i32),
    /// Ours: too many handshakes wait.
    #[error("as many handshakes wait for their turn as may wait")]
    Shed,
    /// Ours.
    #[error("the handshake failed here, through no fault of the peer: {0}")]
    Internal(Error),
}

/// The labels of all faults, for a metric.
pub const LABELS: [&str; 30] = [
    "not_tls",
    "malformed",
    "unexpected_message",
    "misbehaved",
    "bad_record_mac",
    "flight_too_long",
    "no_common_version",
    "no_common_suite",
    "no_common_group",
    "no_common_signature",
    "no_extended_master_secret",
    "incompatible",
    "no_common_protocol",
    "unknown_name",
    "certificate_missing",
    "certificate_expired",
    "certificate_not_yet_valid",
    "certificate_revoked",
    "certificate_unknown_issuer",
    "certificate_wrong_name",
    "certificate_wrong_purpose",
    "certificate_revocation_unknown",
    "certificate_refused",
    "certificate_invalid",
    "alert_received",
    "timed_out",
    "closed",
    "socket",
    "shed",
    "internal",
];

/// The same at a fixed place, for those that keep a word by its address.
static WORDS: [&str; LABELS.len()] = LABELS;

/// What rustls says when its resolver has no certificate for a ClientHello.
const NO_CERTIFICATE: &str = "no server certificate chain resolved";

impl HandshakeFault {
    /// Its word for the label of a metric: one of [`LABELS`].
    #[must_use]
    pub fn label(&self) -> &'static str {
        LABELS[self.index()]
    }

    /// Its word, where a layer says it to the reactor.
    pub(super) fn word(&self) -> &'static &'static str {
        &WORDS[self.index()]
    }

    /// The index of its label in [`LABELS`].
    #[must_use]
    pub fn index(&self) -> usize {
        match self {
            Self::NotTls => 0,
            Self::Malformed(_) => 1,
            Self::Unexpected(_) => 2,
            Self::Misbehaved(_) => 3,
            Self::BadRecord => 4,
            Self::FlightTooLong => 5,
            Self::NoCommonVersion => 6,
            Self::NoCommonSuite => 7,
            Self::NoCommonGroup => 8,
            Self::NoCommonSignature => 9,
            Self::NoExtendedMasterSecret => 10,
            Self::Incompatible(_) => 11,
            Self::NoCommonProtocol => 12,
            Self::UnknownName => 13,
            Self::CertificateMissing => 14,
            Self::CertificateExpired(_) => 15,
            Self::CertificateNotYetValid(_) => 16,
            Self::CertificateRevoked => 17,
            Self::UnknownIssuer => 18,
            Self::WrongName(_) => 19,
            Self::WrongPurpose(_) => 20,
            Self::RevocationUnknown(_) => 21,
            Self::CertificateRefused(_) => 22,
            Self::CertificateInvalid(_) => 23,
            Self::AlertReceived(_) => 24,
            Self::TimedOut => 25,
            Self::Closed => 26,
            Self::Socket(_) => 27,
            Self::Shed => 28,
            Self::Internal(_) => 29,
        }
    }

    /// The alert that says it to the peer, of a fault that rustls has not told already; `None` when nothing is to be said.
    pub(super) fn alert(&self) -> Option<AlertDescription> {
        match self {
            Self::AlertReceived(_) | Self::Socket(_) => None,
            Self::TimedOut | Self::Closed => Some(AlertDescription::CloseNotify),
            Self::Shed | Self::Internal(_) => Some(AlertDescription::InternalError),
            Self::NoCommonVersion => Some(AlertDescription::ProtocolVersion),
            Self::NotTls | Self::Malformed(_) | Self::FlightTooLong => Some(AlertDescription::DecodeError),
            _ => Some(AlertDescription::UnexpectedMessage),
        }
    }
}

impl From<Error> for HandshakeFault {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => Self::Malformed(error),
            Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => Self::Unexpected(error),
            Error::PeerMisbehaved(_) => Self::Misbehaved(error),
            Error::DecryptError => Self::BadRecord,
            Error::PeerIncompatible(_) => of_incompatible(error),
            Error::NoApplicationProtocol => Self::NoCommonProtocol,
            Error::NoCertificatesPresented => Self::CertificateMissing,
            Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => of_certificate(error),
            Error::AlertReceived(AlertDescription::CloseNotify) => Self::Closed,
            Error::AlertReceived(alert) => Self::AlertReceived(alert),
            Error::General(ref text) if text == NO_CERTIFICATE => Self::UnknownName,
            _ => Self::Internal(error),
        }
    }
}

impl From<UnknownRecords> for HandshakeFault {
    fn from(unknown: UnknownRecords) -> Self {
        Self::Internal(Error::General(unknown.to_string()))
    }
}

/// Whether rustls says that bytes are no record at all, rather than a broken one.
pub(super) fn is_no_record(error: &Error) -> bool {
    use InvalidMessage::{InvalidContentType, InvalidEmptyPayload, MessageTooLarge, UnknownProtocolVersion};
    matches!(
        error,
        Error::InvalidMessage(InvalidContentType | UnknownProtocolVersion | MessageTooLarge | InvalidEmptyPayload)
    )
}

fn of_incompatible(error: Error) -> HandshakeFault {
    use PeerIncompatible as Lacks;
    let Error::PeerIncompatible(what) = &error else { return HandshakeFault::Internal(error) };
    match what {
        Lacks::ServerDoesNotSupportTls12Or13
        | Lacks::ServerTlsVersionIsDisabledByOurConfig
        | Lacks::SupportedVersionsExtensionRequired
        | Lacks::Tls12NotOffered
        | Lacks::Tls12NotOfferedOrEnabled => HandshakeFault::NoCommonVersion,
        Lacks::NoCipherSuitesInCommon => HandshakeFault::NoCommonSuite,
        Lacks::NoKxGroupsInCommon => HandshakeFault::NoCommonGroup,
        // A hello without the extension means SHA-1.
        Lacks::NoSignatureSchemesInCommon
        | Lacks::NoCertificateRequestSignatureSchemesInCommon
        | Lacks::SignatureAlgorithmsExtensionRequired => HandshakeFault::NoCommonSignature,
        Lacks::ExtendedMasterSecretExtensionRequired => HandshakeFault::NoExtendedMasterSecret,
        _ => HandshakeFault::Incompatible(error),
    }
}

fn of_certificate(error: Error) -> HandshakeFault {
    use CertificateError as Of;
    let Error::InvalidCertificate(what) = &error else { return HandshakeFault::RevocationUnknown(error) };
    match what {
        Of::Expired | Of::ExpiredContext { .. } => HandshakeFault::CertificateExpired(error),
        Of::NotValidYet | Of::NotValidYetContext { .. } => HandshakeFault::CertificateNotYetValid(error),
        Of::Revoked => HandshakeFault::CertificateRevoked,
        Of::UnknownIssuer => HandshakeFault::UnknownIssuer,
        Of::NotValidForName | Of::NotValidForNameContext { .. } => HandshakeFault::WrongName(error),
        Of::InvalidPurpose | Of::InvalidPurposeContext { .. } => HandshakeFault::WrongPurpose(error),
        Of::UnknownRevocationStatus | Of::ExpiredRevocationList | Of::ExpiredRevocationListContext { .. } => {
            HandshakeFault::RevocationUnknown(error)
        }
        // What a verifier of ours finds besides.
        Of::ApplicationVerificationFailure | Of::Other(_) => HandshakeFault::CertificateRefused(error),
        _ => HandshakeFault::CertificateInvalid(error),
    }
}
