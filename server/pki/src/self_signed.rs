//! A certificate that vouches for itself, for a first try.

use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

use crate::authority::{Issued, leaf_parameters};
use crate::error::PkiError;
use crate::keys::{KeySource, PrivateKeyText};
use crate::names::SubjectNames;
use crate::validity::Validity;

/// A server's certificate for one DNS name or address, signed by its own key. Clients accept it when they are given it as what to
/// trust, and with a warning otherwise; keep `validity` short.
///
/// # Errors
/// The name is neither a DNS name nor an address, or the validity cannot be written. The operator is at fault.
pub fn self_signed(name: &str, validity: Validity, keys: KeySource<'_>) -> Result<Issued, PkiError> {
    self_signed_for(&SubjectNames::of(name)?, validity, keys)
}

/// The same for any number of names.
///
/// # Errors
/// The validity cannot be written. The operator is at fault.
pub fn self_signed_for(names: &SubjectNames, validity: Validity, mut keys: KeySource<'_>) -> Result<Issued, PkiError> {
    let key = keys.generate()?;
    let mut parameters = leaf_parameters("self-signed", None, validity)?;
    parameters.subject_alt_names = names.alternative_names()?;
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = parameters.self_signed(&key)?;
    Ok(Issued { chain: certificate.pem(), key: PrivateKeyText::of(&key) })
}
