//! What a certificate says.
//!
//! **Not** whether it can be trusted: nothing here verifies a signature.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{KeyPair, PublicKeyData};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::Pem;

use crate::error::PkiError;
use crate::identity::{HolderRole, Identity, cluster_of_authority};
use crate::keys;
use crate::names::SubjectNames;
use crate::validity::Validity;

/// RFC 5280, 4.1.2.2.
const SERIAL_BYTES_MAX: usize = 20;

/// The serial number of a certificate, unique within its authority.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// Zeros in front are not kept.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Self(bytes[zeros..].to_vec())
    }

    /// The number, the highest byte first and not 0.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hexadecimal(&self.0))
    }
}

impl FromStr for Serial {
    type Err = PkiError;

    /// Reads hexadecimal digits; colons between them are allowed, as OpenSSL writes them.
    fn from_str(text: &str) -> Result<Self, PkiError> {
        let wrong = || PkiError::Serial { found: text.to_owned() };
        let digits: String = text.chars().filter(|letter| *letter != ':').collect();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let even = if digits.len().is_multiple_of(2) { digits } else { format!("0{digits}") };
        let byte = |index| u8::from_str_radix(&even[index..index + 2], 16).map_err(|_| wrong());
        let bytes: Vec<u8> = (0..even.len()).step_by(2).map(byte).collect::<Result<_, _>>()?;
        let serial = Self::new(&bytes);
        if (1..=SERIAL_BYTES_MAX).contains(&serial.0.len()) { Ok(serial) } else { Err(wrong()) }
    }
}

/// The identifier of an authority's key, by which its certificates and revocation lists name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Vec<u8>);

impl KeyId {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Eight hexadecimal digits: what an authority is called in names.
    #[must_use]
    pub fn short(&self) -> String {
        hexadecimal(&self.0[..self.0.len().min(4)])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hexadecimal(&self.0))
    }
}

/// What a certificate says about itself.
#[derive(Clone, Debug)]
pub struct CertificateRecord {
    /// The identity within a cluster; servers and authorities have none.
    pub identity: Option<Identity>,
    /// The cluster whose authority this is; `None` for leaves.
    pub authority_of: Option<String>,
    /// The common name of the holder.
    pub common_name: String,
    /// DNS names and addresses.
    pub names: SubjectNames,
    /// When it holds.
    pub validity: Validity,
    /// Its serial number.
    pub serial: Serial,
    /// The SHA-256 digest of the certificate, in hexadecimal.
    pub fingerprint: String,
    /// The identifier of its own key; empty if it names none.
    pub key_id: KeyId,
    /// The identifier of its issuer's key; empty if it names none.
    pub issuer_key_id: KeyId,
    public_key: Vec<u8>,
}

impl CertificateRecord {
    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// There is none, or it cannot be read. The operator is at fault.
    pub fn parse(text: &str) -> Result<Self, PkiError> {
        Self::parse_all(text)?
            .into_iter()
            .next()
            .ok_or_else(|| PkiError::NotACertificate("the text has none".to_owned()))
    }

    /// Reads all certificates of a PEM text, in their order; blocks of other kinds are passed over.
    ///
    /// # Errors
    /// A block cannot be read. The operator is at fault.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, PkiError> {
        let mut all = Vec::new();
        for block in Pem::iter_from_buffer(text.as_bytes()) {
            let block = block.map_err(|error| PkiError::NotACertificate(error.to_string()))?;
            if block.label == "CERTIFICATE" {
                let parsed = block.parse_x509().map_err(|error| PkiError::NotACertificate(error.to_string()))?;
                all.push(Self::of(&parsed, &block.contents)?);
            }
        }
        Ok(all)
    }

    fn of(parsed: &X509Certificate<'_>, der: &[u8]) -> Result<Self, PkiError> {
        let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
        let alternative = AlternativeNames::of(parsed)?;
        let may_issue = parsed.is_ca() && usage_allows_issuing(parsed);
        let authority_of = alternative.uris.iter().find_map(|uri| cluster_of_authority(uri)).filter(|_| may_issue);
        // Two identities would be two roles: then it has none.
        let identities: Vec<Identity> = alternative.uris.iter().filter_map(|uri| Identity::from_uri(uri)).collect();
        let identity = <[Identity; 1]>::try_from(identities).ok().map(|[only]| only);
        let subject = parsed.subject().iter_common_name().next();
        let (key_id, issuer_key_id) = key_ids(parsed);
        Ok(Self {
            authority_of: authority_of.map(str::to_owned),
            identity,
            common_name: subject.and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned(),
            names: SubjectNames::new(&alternative.dns, &alternative.addresses)?,
            validity: Validity {
                from: seconds(parsed.validity().not_before),
                until: seconds(parsed.validity().not_after),
            },
            serial: Serial::new(parsed.raw_serial()),
            fingerprint: hexadecimal(digest(&SHA256, der).as_ref()),
            key_id,
            issuer_key_id,
            public_key: parsed.public_key().subject_public_key.data.to_vec(),
        })
    }

    /// The role; a leaf without an identity is a server.
    #[must_use]
    pub fn role(&self) -> HolderRole {
        self.identity.as_ref().map_or(HolderRole::Server, Identity::role)
    }

    /// Whether a private key in PEM form belongs to this certificate.
    ///
    /// # Errors
    /// The text is no private key. The operator is at fault.
    pub fn is_pair_with(&self, key: &str) -> Result<bool, PkiError> {
        Ok(self.has_key(&keys::parse(key)?))
    }

    pub(crate) fn has_key(&self, key: &KeyPair) -> bool {
        key.der_bytes() == self.public_key
    }
}

/// What the extension of that name holds.
#[derive(Default)]
struct AlternativeNames {
    uris: Vec<String>,
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl AlternativeNames {
    fn of(parsed: &X509Certificate<'_>) -> Result<Self, PkiError> {
        let mut names = Self::default();
        let extension =
            parsed.subject_alternative_name().map_err(|error| PkiError::NotACertificate(error.to_string()))?;
        for name in extension.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
                GeneralName::IPAddress(octets) => names.addresses.extend(address(octets)),
                _ => {}
            }
        }
        Ok(names)
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into())).ok()
}

fn usage_allows_issuing(parsed: &X509Certificate<'_>) -> bool {
    parsed.key_usage().ok().flatten().is_some_and(|usage| usage.value.key_cert_sign() && usage.value.crl_sign())
}

fn key_ids(parsed: &X509Certificate<'_>) -> (KeyId, KeyId) {
    let (mut own, mut issuer): (&[u8], &[u8]) = (&[], &[]);
    for extension in parsed.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => own = id.0,
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                issuer = id.key_identifier.as_ref().map_or(&[], |id| id.0);
            }
            _ => {}
        }
    }
    (KeyId::new(own), KeyId::new(issuer))
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_read_as_it_is_written_and_as_openssl_writes_it() {
        for (text, written) in [("7f", "7f"), ("1:02:0A", "01020a"), ("0001", "01"), ("F", "0f")] {
            let serial: Serial = text.parse().unwrap();
            assert_eq!(serial.to_string(), written, "{text}");
            assert_eq!(written.parse::<Serial>().unwrap(), serial);
        }
        for bad in ["", ":", "0", "00", "g", "-1", "+1", "1 2", &"ff".repeat(21)] {
            assert!(bad.parse::<Serial>().is_err(), "{bad:?}");
        }
        assert!("ff".repeat(20).parse::<Serial>().is_ok());
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "hello", broken, "-----BEGIN CERTIFICATE-----\nMIIB"] {
            assert!(matches!(CertificateRecord::parse(text), Err(PkiError::NotACertificate(_))), "{text:?}");
        }
    }
}
