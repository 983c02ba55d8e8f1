//! The authority: it issues leaves and revokes them.
//!
//! **Invariants**: path length 0, so that no certificate it issues can issue others. Certificate and key are a pair, checked when they
//! are loaded.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams,
    SanType, SerialNumber,
};
use time::OffsetDateTime;

use crate::certificate::{CertificateRecord, KeyId};
use crate::error::PkiError;
use crate::identity::{HolderRole, Identity, authority_uri, check_cluster};
use crate::keys::{self, KeySource, PrivateKeyText};
use crate::names::SubjectNames;
use crate::revocation::Revocation;
use crate::validity::Validity;

/// A certificate and its key, in PEM form.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate, and what stands between it and the authority: nothing. The authority's own certificate is not in it,
    /// because who verifies has it.
    pub chain: String,
    /// The private key.
    pub key: PrivateKeyText,
}

/// What to issue.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    /// The role.
    pub role: HolderRole,
    /// The id within the role; see [`HolderRole::check_id`]. A server's is the name of its files only.
    pub id: String,
    /// DNS names and addresses; at least one for [`HolderRole::Server`].
    pub names: SubjectNames,
    /// When it holds; cut at the authority's end.
    pub validity: Validity,
}

/// A cluster's certificate authority.
#[derive(Debug)]
pub struct Authority {
    cluster: String,
    certificate: String,
    facts: CertificateRecord,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes an authority for a cluster.
    ///
    /// # Errors
    /// The cluster's name or the validity do not fit. The operator is at fault.
    pub fn create(cluster: &str, validity: Validity, keys: &mut KeySource<'_>) -> Result<Self, PkiError> {
        check_cluster(cluster)?;
        let key = keys.generate()?;
        let (from, until) = validity.ends()?;
        let mut parameters = CertificateParams::default();
        let key_id = KeyId::new(&parameters.key_identifier(&key));
        (parameters.not_before, parameters.not_after) = (from, until);
        // Two authorities of a cluster have two names: verifiers look for an issuer by its name.
        parameters.distinguished_name = name_of(&format!("Corelane CA {}", key_id.short()), Some(cluster));
        parameters.subject_alt_names = vec![SanType::URI(authority_uri(cluster).try_into()?)];
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters.use_authority_key_identifier_extension = true;
        let certificate = parameters.self_signed(&key)?.pem();
        Self::with_key(&certificate, key)
    }

    /// An authority that was made earlier.
    ///
    /// # Errors
    /// A text cannot be read, they are no pair, or the certificate is not that of a cluster's authority. The operator is at fault.
    pub fn load(certificate: &str, key: &str) -> Result<Self, PkiError> {
        Self::with_key(certificate, keys::parse(key)?)
    }

    fn with_key(certificate: &str, key: KeyPair) -> Result<Self, PkiError> {
        let facts = CertificateRecord::parse(certificate)?;
        let Some(cluster) = facts.authority_of.clone() else {
            return Err(PkiError::NotAnAuthority("it has no URI spiffe://CLUSTER, or may not issue certificates"));
        };
        if !facts.has_key(&key) {
            return Err(PkiError::KeyMismatch);
        }
        let issuer = Issuer::from_ca_cert_pem(certificate, key)?;
        Ok(Self { cluster, certificate: certificate.to_owned(), facts, issuer })
    }

    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The authority's certificate in PEM form: what verifiers are given to trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// What the certificate says.
    #[must_use]
    pub fn facts(&self) -> &CertificateRecord {
        &self.facts
    }

    /// The authority's private key. Who has it can be anyone in the cluster.
    #[must_use]
    pub fn key(&self) -> PrivateKeyText {
        PrivateKeyText::of(self.issuer.key())
    }

    /// Issues a certificate with a new key.
    ///
    /// # Errors
    /// Id, names or validity do not fit, or the authority has ended. The operator is at fault.
    pub fn issue(&self, request: &CertificateRequest, keys: &mut KeySource<'_>) -> Result<Issued, PkiError> {
        let CertificateRequest { role, id, names, validity } = request;
        role.check_id(id)?;
        if *role == HolderRole::Server && names.is_empty() {
            return Err(PkiError::NoNames);
        }
        let ends = self.facts.validity.until;
        if validity.from >= ends {
            return Err(PkiError::AuthorityEnded { until: ends });
        }
        let validity = Validity { from: validity.from, until: validity.until.min(ends) };
        let common_name = if *role == HolderRole::Server { id.clone() } else { format!("{role} {id}") };
        let mut parameters = leaf_parameters(&common_name, Some(&self.cluster), validity)?;
        if *role != HolderRole::Server {
            let identity = Identity::new(&self.cluster, *role, id)?;
            parameters.subject_alt_names.push(SanType::URI(identity.uri().try_into()?));
        }
        parameters.subject_alt_names.extend(names.alternative_names()?);
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = purposes(*role);
        parameters.use_authority_key_identifier_extension = true;
        let key = keys.generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(Issued { chain: certificate.pem(), key: PrivateKeyText::of(&key) })
    }

    /// A revocation list in PEM form, of all certificates of this authority that are revoked. `number` is larger than that of the
    /// list before; verifiers may refuse the list after `validity`.
    ///
    /// # Errors
    /// The validity cannot be written. The operator is at fault.
    pub fn revoke(&self, revoked: &[Revocation], validity: Validity, number: u64) -> Result<String, PkiError> {
        let (this_update, next_update) = validity.ends()?;
        let list = CertificateRevocationListParams {
            this_update,
            next_update,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(revoked_entry).collect::<Result<_, _>>()?,
            key_identifier_method: KeyIdMethod::PreSpecified(self.facts.key_id.bytes().to_vec()),
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }
}

/// What a holder may do with a certificate.
fn purposes(role: HolderRole) -> Vec<ExtendedKeyUsagePurpose> {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    match role {
        // Links go both ways: nodes call nodes, edges call edges.
        HolderRole::Edge | HolderRole::Node => vec![ServerAuth, ClientAuth],
        HolderRole::Operator => vec![ClientAuth],
        HolderRole::Server => vec![ServerAuth],
    }
}

/// What all leaves have in common.
pub(crate) fn leaf_parameters(
    common_name: &str,
    organization: Option<&str>,
    validity: Validity,
) -> Result<CertificateParams, PkiError> {
    let mut parameters = CertificateParams::default();
    (parameters.not_before, parameters.not_after) = validity.ends()?;
    parameters.distinguished_name = name_of(common_name, organization);
    Ok(parameters)
}

fn name_of(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn revoked_entry(revocation: &Revocation) -> Result<RevokedCertParams, PkiError> {
    let at = i64::try_from(revocation.at).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let Some(revocation_time) = at else {
        return Err(PkiError::Validity { from: revocation.at, until: revocation.at });
    };
    Ok(RevokedCertParams {
        serial_number: SerialNumber::from_slice(revocation.serial.bytes()),
        revocation_time,
        reason_code: Some(RevocationReason::Unspecified),
        invalidity_date: None,
    })
}
