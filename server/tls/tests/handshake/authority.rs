//! Authorities and certificates for tests.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
    PKCS_RSA_SHA256, RevokedCertParams, RsaKeySize, SanType, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The day of all tests: 2026-06-01, in milliseconds.
pub(crate) const TODAY_MS: u64 = 1_780_272_000_000;

/// The key of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Key {
    P256,
    Ed25519,
    Rsa2048,
}

impl Key {
    fn pair(self) -> KeyPair {
        let algorithm: &'static SignatureAlgorithm = match self {
            Key::P256 => &PKCS_ECDSA_P256_SHA256,
            Key::Ed25519 => &PKCS_ED25519,
            Key::Rsa2048 => return KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
        };
        KeyPair::generate_for(algorithm).unwrap()
    }
}

/// A certificate that is to be made.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) name: &'static str,
    pub(crate) uri: Option<&'static str>,
    pub(crate) key: Key,
    /// The years at whose beginning it becomes valid, and expires.
    pub(crate) years: (i32, i32),
    pub(crate) purpose: ExtendedKeyUsagePurpose,
    pub(crate) serial: u64,
}

impl Default for Wanted {
    fn default() -> Self {
        let purpose = ExtendedKeyUsagePurpose::ServerAuth;
        Wanted { name: "corelane.test", uri: None, key: Key::P256, years: (2026, 2027), purpose, serial: 7 }
    }
}

/// A certificate with its key and those that certify it.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Identity { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// Somebody who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(key: Key) -> Self {
        Authority::named("authority", key)
    }

    pub(crate) fn named(name: &str, key: Key) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2040, 1, 1));
        Authority(CertifiedIssuer::self_signed(params, key.pair()).unwrap())
    }

    pub(crate) fn issue(&self, wanted: &Wanted) -> Identity {
        let mut params = CertificateParams::new([wanted.name.to_owned()]).unwrap();
        params.subject_alt_names.extend(wanted.uri.map(|uri| SanType::URI(uri.try_into().unwrap())));
        let (from, until) = wanted.years;
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        params.extended_key_usages = vec![wanted.purpose.clone()];
        params.serial_number = Some(SerialNumber::from(wanted.serial));
        let key = wanted.key.pair();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Identity { chain: vec![certificate.der().clone()], key }
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A list of revoked certificates, valid for 2026.
    pub(crate) fn revoke(&self, serials: &[u64]) -> CertificateRevocationListDer<'static> {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 2, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2027, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().der().clone()
    }
}
