//! Why files of certificates, keys and authorities are refused.
//!
//! **Invariants**: every error names the setting, the file, what is wrong and what to do. None repeats a byte of a private key.

use thiserror::Error;

/// A file as its reader found it: the store itself opens none.
#[derive(Clone, Copy, Debug)]
pub struct NamedFile<'a> {
    /// The setting that names it, for messages: `certificate.web.chain`, `tls.client_ca`.
    pub setting: &'a str,
    /// Its path as the settings have it, for messages.
    pub path: &'a str,
    /// All of its bytes.
    pub bytes: &'a [u8],
}

/// What is wrong, with which file, of which setting. The operator is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{setting}: {path}: {fault}")]
pub struct StoreError {
    /// The setting that names the file: `certificate.web.chain`, `tls.client_ca`.
    pub setting: Box<str>,
    /// The file as the settings have it.
    pub path: Box<str>,
    /// What is wrong with it, and what to do.
    pub fault: StoreFault,
}

impl StoreError {
    pub(super) fn of(file: &NamedFile<'_>, fault: StoreFault) -> Self {
        Self { setting: file.setting.into(), path: file.path.into(), fault }
    }

    /// Whether it can be that files which belong together are being replaced one after another, and that the same error is gone
    /// when they are read again within seconds.
    #[must_use]
    pub const fn may_be_half_replaced(&self) -> bool {
        matches!(
            self.fault,
            StoreFault::Empty
                | StoreFault::CutPem { .. }
                | StoreFault::KeyOfAnother { .. }
                | StoreFault::KeyOfLater { .. }
                | StoreFault::NotOfAuthority { .. }
        )
    }
}

/// What is wrong with a file, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreFault {
    /// No byte but white space.
    #[error("the file is empty; write it again, whole")]
    Empty,
    /// DER, or something else without a PEM section.
    #[error("it has no PEM section (a line `-----BEGIN {wanted}-----`); {hint}")]
    NotPem {
        /// The label of what is looked for.
        wanted: &'static str,
        /// What it seems to be, and how it is converted.
        hint: &'static str,
    },
    /// A section begins and does not end, or is not base64.
    #[error("its PEM cannot be read: {reason}; copy the file again, whole")]
    CutPem {
        /// Of the reader.
        reason: String,
    },
    /// A private key where it would be sent to, or readable by, others.
    #[error("it holds a private key (`{label}`), which does not belong here; move it to the file of `key`")]
    KeyMisplaced {
        /// Of the section.
        label: String,
    },
    /// A section that does not belong into the file.
    #[error("it holds `{label}`, but only {wanted} belongs here; take that section out")]
    Misplaced {
        /// Of the section.
        label: String,
        /// What belongs here.
        wanted: &'static str,
    },
    /// A key that asks for a passphrase.
    #[error("the key is encrypted; write it without a passphrase: `openssl pkey -in FILE -out PLAIN`")]
    EncryptedKey,
    /// No key at all.
    #[error("it holds no private key; `key` takes one in PEM")]
    NoKey,
    /// Several keys.
    #[error("it holds {count} private keys, and `key` takes one; keep the one that belongs to the chain")]
    ManyKeys {
        /// How many.
        count: usize,
    },
    /// A key of a kind, or a size, that cannot sign here.
    #[error("the key cannot be used: {reason}; make one with `openssl ecparam -name prime256v1 -genkey -noout`")]
    BadKey {
        /// Of the library.
        reason: String,
    },
    /// A certificate that cannot be read.
    #[error("certificate {position} of the file cannot be read: {reason}; have it issued again")]
    BadCertificate {
        /// From 1.
        position: usize,
        /// Of the parser.
        reason: String,
    },
    /// Too many certificates for any handshake.
    #[error("it holds {count} certificates; a chain has at most {max}: the server's own, then its issuers")]
    LongChain {
        /// How many.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// The key belongs to no certificate of the chain.
    #[error(
        "the key in {key_path} does not belong to the chain's first certificate ({subject}); \
         replace both files, from the same request"
    )]
    KeyOfAnother {
        /// The key's file.
        key_path: String,
        /// Of the first certificate.
        subject: String,
    },
    /// The key belongs to a later certificate of the chain.
    #[error(
        "the key in {key_path} belongs to certificate {position} of the file; a chain begins with the server's own \
         certificate: put that one first"
    )]
    KeyOfLater {
        /// The key's file.
        key_path: String,
        /// From 1.
        position: usize,
    },
    /// A certificate that its successor has not issued.
    #[error(
        "certificate {position} ({subject}) is not issued by the next one ({next}), but by {issuer}; \
         order the file: own certificate, then each one's issuer"
    )]
    OutOfOrder {
        /// From 1: the one that was issued.
        position: usize,
        /// Whose it is.
        subject: String,
        /// Who has issued it.
        issuer: String,
        /// Whose the next certificate of the file is.
        next: String,
    },
    /// Beyond the end of its time.
    #[error("certificate {position} ({subject}) expired at {at}; have it renewed")]
    Expired {
        /// From 1.
        position: usize,
        /// Whose it is.
        subject: String,
        /// The end.
        at: String,
    },
    /// Before its time.
    #[error("certificate {position} ({subject}) is not valid before {at}; wait, or set this host's clock")]
    NotYetValid {
        /// From 1.
        position: usize,
        /// Whose it is.
        subject: String,
        /// The beginning.
        at: String,
    },
    /// An OCSP answer that clients would refuse.
    #[error("it is no OCSP response: {reason}; fetch it with `openssl ocsp -respout FILE`")]
    BadOcsp {
        /// What is wrong.
        reason: String,
    },
    /// A certificate that no client can ask for.
    #[error(
        "the certificate has no DNS name, so no client can ask for it; name the table `certificate.default`, or have it \
         issued with a subject alternative name"
    )]
    NoName,
    /// Two certificates for one name and kind of key.
    #[error(
        "the name {name} has a certificate with a {kind} key in {other}, too; one certificate for a name and a kind of \
         key: remove one"
    )]
    SameName {
        /// The DNS name.
        name: String,
        /// Of the key.
        kind: String,
        /// The other table.
        other: String,
    },
    /// An authority that cannot be one.
    #[error("certificate {position} ({subject}) is no authority: {reason}; put the issuer's certificate here")]
    NotAuthority {
        /// From 1.
        position: usize,
        /// Whose it is.
        subject: String,
        /// What is missing.
        reason: &'static str,
    },
    /// A revocation list that cannot be used.
    #[error("revocation list {position} cannot be used: {reason}; fetch the authority's list again")]
    BadRevocations {
        /// From 1.
        position: usize,
        /// What is wrong.
        reason: String,
    },
    /// A list of keys that cannot be used.
    #[error("line {line}: {reason}; each line is one key of 64 hexadecimal digits, as `openssl rand -hex 32` makes it")]
    BadTicketKey {
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The process's own certificate would be refused by its peers.
    #[error("peers will refuse this certificate: {reason}; have it issued by the authority in {authority}")]
    NotOfAuthority {
        /// What is wrong.
        reason: String,
        /// The bundle's file.
        authority: String,
    },
    /// The process's own certificate says that it is someone else.
    #[error("peers will refuse this certificate: {refusal}; have one issued for this process")]
    WrongIdentity {
        /// Expected and presented.
        refusal: String,
    },
    /// A file that must be there and is not.
    #[error("{what} needs this file; set it")]
    Missing {
        /// What needs it.
        what: &'static str,
    },
    /// What the library refuses.
    #[error("it cannot be used: {reason}")]
    Library {
        /// Of the library.
        reason: String,
    },
}

impl StoreFault {
    /// The stable snake_case name for metrics and status pages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotPem { .. } => "not_pem",
            Self::CutPem { .. } => "cut_pem",
            Self::KeyMisplaced { .. } => "key_misplaced",
            Self::Misplaced { .. } => "misplaced",
            Self::EncryptedKey => "encrypted_key",
            Self::NoKey => "no_key",
            Self::ManyKeys { .. } => "many_keys",
            Self::BadKey { .. } => "bad_key",
            Self::BadCertificate { .. } => "bad_certificate",
            Self::LongChain { .. } => "long_chain",
            Self::KeyOfAnother { .. } => "key_of_another",
            Self::KeyOfLater { .. } => "key_of_later",
            Self::OutOfOrder { .. } => "out_of_order",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::BadOcsp { .. } => "bad_ocsp",
            Self::NoName => "no_name",
            Self::SameName { .. } => "same_name",
            Self::NotAuthority { .. } => "not_authority",
            Self::BadRevocations { .. } => "bad_revocations",
            Self::BadTicketKey { .. } => "bad_ticket_key",
            Self::NotOfAuthority { .. } => "not_of_authority",
            Self::WrongIdentity { .. } => "wrong_identity",
            Self::Missing { .. } => "missing",
            Self::Library { .. } => "library",
        }
    }
}
