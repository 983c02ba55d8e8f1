//! DNS names and addresses of a certificate.
//!
//! **Source**: RFC 1035, 2.3.4; RFC 9525, 6.3.

use std::net::IpAddr;

use rcgen::SanType;

use crate::error::PkiError;

/// RFC 1035.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// The names that a client may have connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectNames {
    /// DNS names in lower case, without a dot at the end; `*.` in front stands for one label.
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl SubjectNames {
    /// Names and addresses, each once, in their order; names are brought to lower case.
    ///
    /// # Errors
    /// A name is none. The operator is at fault.
    pub fn new<S: AsRef<str>>(dns: &[S], addresses: &[IpAddr]) -> Result<Self, PkiError> {
        let mut names = Self::default();
        for name in dns {
            let name = checked(name.as_ref())?;
            if !names.dns.contains(&name) {
                names.dns.push(name);
            }
        }
        for address in addresses {
            if !names.addresses.contains(address) {
                names.addresses.push(*address);
            }
        }
        Ok(names)
    }

    /// One name, which may be an address.
    ///
    /// # Errors
    /// It is neither. The operator is at fault.
    pub fn of(name: &str) -> Result<Self, PkiError> {
        match name.parse::<IpAddr>() {
            Ok(address) => Self::new::<&str>(&[], &[address]),
            Err(_) => Self::new(&[name], &[]),
        }
    }

    /// The DNS names.
    #[must_use]
    pub fn dns(&self) -> &[String] {
        &self.dns
    }

    /// The addresses.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Whether there is neither a name nor an address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dns.is_empty() && self.addresses.is_empty()
    }

    /// As a certificate carries them.
    pub(crate) fn alternative_names(&self) -> Result<Vec<SanType>, PkiError> {
        let mut all = Vec::with_capacity(self.dns.len() + self.addresses.len());
        for name in &self.dns {
            all.push(SanType::DnsName(name.as_str().try_into()?));
        }
        all.extend(self.addresses.iter().map(|address| SanType::IpAddress(*address)));
        Ok(all)
    }
}

fn checked(name: &str) -> Result<String, PkiError> {
    let lower = name.to_ascii_lowercase();
    let plain = lower.strip_suffix('.').unwrap_or(&lower);
    let labels = plain.strip_prefix("*.").unwrap_or(plain);
    // An address in a DNS name matches nothing; it was meant as an address.
    let is_address = plain.parse::<IpAddr>().is_ok();
    if !is_address && plain.len() <= NAME_BYTES_MAX && labels.split('.').all(is_label) {
        return Ok(plain.to_owned());
    }
    Err(PkiError::Name { found: name.to_owned() })
}

fn is_label(label: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let length_fits = (1..=LABEL_BYTES_MAX).contains(&label.len());
    length_fits && label.bytes().all(is_plain) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_brought_to_one_form() {
        for (given, kept) in [
            ("example.org", "example.org"),
            ("Example.ORG.", "example.org"),
            ("*.example.org", "*.example.org"),
            ("localhost", "localhost"),
            ("node_1.cache", "node_1.cache"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(SubjectNames::of(given).unwrap().dns(), [kept], "{given}");
        }
        let long = "a".repeat(64);
        for bad in ["", ".", "a..b", "-a", "a-", "*", "a.*.b", "*.*.a", "b\u{fc}cher.example", "a b", "a/b", &long] {
            assert!(SubjectNames::of(bad).is_err(), "{bad:?}");
        }
        assert!(SubjectNames::new(&["10.0.0.1"], &[]).is_err());
        assert!(SubjectNames::of(&format!("{}a", "a.".repeat(126))).is_ok());
        assert!(SubjectNames::of(&format!("{}a", "a.".repeat(127))).is_err());
    }

    #[test]
    fn addresses_are_addresses_and_nothing_is_there_twice() {
        let address = "::1".parse().unwrap();
        assert_eq!(SubjectNames::of("::1").unwrap().addresses(), [address]);
        let names = SubjectNames::new(&["a", "A", "b"], &[address, address]).unwrap();
        assert_eq!((names.dns().len(), names.addresses().len()), (2, 1));
        assert!(!names.is_empty() && SubjectNames::default().is_empty());
    }
}
