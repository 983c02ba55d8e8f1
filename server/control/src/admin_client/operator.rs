//! Who asks an admin listener over TLS, and what is said when one of the two does not trust the other.
//!
//! **Not** the handshake.
//!
//! **Invariants**: a message names what is wrong with which side's certificate, and what to do; options are named as they are on the
//! command lines of all programs that ask.
//!
//! **Source**: RFC 8446 section 6.2 (alerts).

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use corelane_tls::{
    crypto::{WallClock, provider},
    handshake::{
        HandshakeFault,
        blocking::fault_of,
        client::{AlertDescription, ClientConfig},
    },
    store::{CertificateFiles, NamedFile, OperatorBytes, StoreError, TlsParts, operator_config},
};

use crate::reading::read_bytes;

/// The options that name the files.
const CA: &str = "--ca";
const CERT: &str = "--cert";
const KEY: &str = "--key";

/// The files of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorPaths {
    /// The authorities that listeners' certificates come from, in PEM.
    pub ca: PathBuf,
    /// Own certificate and private key, in PEM.
    pub pair: Option<[PathBuf; 2]>,
}

impl OperatorPaths {
    /// What handshakes use, by what the files have now.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let ca = bytes_of(CA, &self.ca)?;
        let pair = match &self.pair {
            Some([chain, key]) => Some([bytes_of(CERT, chain)?, bytes_of(KEY, key)?]),
            None => None,
        };
        let certificate = self.pair.as_ref().zip(pair.as_ref()).map(|([chain, key], [chain_bytes, key_bytes])| {
            let (chain, key) = (named(CERT, chain, chain_bytes), named(KEY, key, key_bytes));
            CertificateFiles { name: "operator", chain, key, ocsp: None }
        });
        let clock = WallClock::default();
        clock.set_wall_ms(wall_ms());
        let parts = TlsParts { provider: provider(), time: Arc::new(clock), key_log: None };
        let files = OperatorBytes { ca: named(CA, &self.ca, &ca), certificate };
        operator_config(&parts, &files).map_err(|errors| lines_of(&errors))
    }

    /// An error of a connection, with what there is to do.
    pub(super) fn in_words(&self, error: io::Error) -> io::Error {
        match fault_of(&error) {
            Some(fault) => io::Error::other(self.words_of(&fault)),
            None => error,
        }
    }

    fn words_of(&self, fault: &HandshakeFault) -> String {
        use AlertDescription as Alert;
        match fault {
            HandshakeFault::AlertReceived(alert) => match (&self.pair, *alert) {
                (None, Alert::CertificateRequired | Alert::HandshakeFailure) => {
                    format!("it takes operators with certificates only: name yours with {CERT} and {KEY}")
                }
                (Some([chain, _]), alert) => {
                    format!("it refuses the certificate in {}: {}", chain.display(), refused_for(alert))
                }
                (None, alert) => format!("it refuses the connection: it sent the alert {alert:?}"),
            },
            HandshakeFault::NotTls => {
                format!("it does not speak TLS; leave out {CA} (and its variable) for a listener without admin_tls")
            }
            HandshakeFault::UnknownIssuer => format!(
                "its certificate was not signed by an authority in {}; {CA} takes the file that cluster.ca names there",
                self.ca.display()
            ),
            HandshakeFault::WrongName(_) => "its certificate is neither for this address nor for an edge or a node of your \
                 certificate's cluster; ask it by an address that its certificate has, or with your certificate of its cluster"
                .to_owned(),
            HandshakeFault::CertificateExpired(_) => {
                "its certificate has expired; renew it there, and compare the clocks of both hosts".to_owned()
            }
            other => other.to_string(),
        }
    }
}

/// What an alert says of the certificate that was shown.
fn refused_for(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let text = match alert {
        Alert::UnknownCA => {
            "it does not trust the authority that has signed it; admin_client_ca there, or without it cluster.ca, has to have that \
             authority"
        }
        Alert::CertificateExpired => "it has expired, or the clocks of both hosts differ; have it renewed",
        Alert::CertificateRevoked => "it was revoked; have a new one issued",
        Alert::CertificateUnknown | Alert::AccessDenied => {
            "it is not an operator's (spiffe://CLUSTER/operator/NAME) of its cluster; have one issued, with `corectl pki issue \
             operator NAME` or by your own PKI. The log there names who was refused"
        }
        Alert::UnsupportedCertificate | Alert::BadCertificate => {
            "it is not for clients; have one issued with the extended key usage of client authentication"
        }
        other => return format!("it sent the alert {other:?}; the log there says why"),
    };
    text.to_owned()
}

fn bytes_of(option: &str, file: &Path) -> Result<Vec<u8>, String> {
    read_bytes(file).map_err(|error| format!("{option}: {}: cannot be read: {error}", file.display()))
}

fn named<'f>(setting: &'f str, file: &'f Path, bytes: &'f [u8]) -> NamedFile<'f> {
    NamedFile { setting, path: file.to_str().unwrap_or("(not UTF-8)"), bytes }
}

fn lines_of(errors: &[StoreError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Milliseconds of Unix time.
#[expect(clippy::disallowed_methods, reason = "a program without a reactor asks")]
fn wall_ms() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_said_in_words_with_what_to_do() {
        let with = OperatorPaths { ca: "ca.pem".into(), pair: Some(["kim.pem".into(), "kim.key".into()]) };
        let without = OperatorPaths { pair: None, ..with.clone() };
        use AlertDescription as Alert;
        for (files, alert, parts) in [
            (&without, Alert::CertificateRequired, ["certificates only", "--cert and --key"]),
            (&with, Alert::UnknownCA, ["kim.pem: it does not trust the authority", "admin_client_ca"]),
            (&with, Alert::CertificateExpired, ["kim.pem: it has expired", "renewed"]),
            (&with, Alert::CertificateRevoked, ["kim.pem: it was revoked", "new one"]),
            (&with, Alert::CertificateUnknown, ["kim.pem: it is not an operator's", "corectl pki issue operator"]),
            (&with, Alert::UnsupportedCertificate, ["kim.pem: it is not for clients", "client authentication"]),
            (&with, Alert::InternalError, ["kim.pem: it sent the alert InternalError", "the log there"]),
        ] {
            let text = files.words_of(&HandshakeFault::AlertReceived(alert));
            assert!(parts.iter().all(|part| text.contains(part)), "{alert:?}: {text}");
        }
        let text = with.words_of(&HandshakeFault::UnknownIssuer);
        assert!(text.contains("authority in ca.pem") && text.contains("--ca"), "{text}");
        let text = with.words_of(&HandshakeFault::NotTls);
        assert!(text.contains("leave out --ca"), "{text}");
    }
}
