//! One order, from the first request to the chain that came.
//!
//! ```text
//!  new order ─▶ authorizations ─▶ challenges in force ─▶ told ready ─▶ polled ─▶ challenges withdrawn ─▶ finalized ─▶ polled ─▶ chain
//!                     └ all valid already ─────────────────────────────┘
//! ```
//!
//! **Not** storing, and not trying again.
//!
//! **Invariants**: the authority is told that a challenge is ready only after [`OrderHost::put_in_force`]; challenges are withdrawn however
//! it ends; each certificate has a key of its own.
//!
//! **Source**: RFC 8555 section 7.4 and 7.5.

use std::collections::BTreeSet;
use std::time::Duration;

use instant_acme::{
    AuthorizationStatus, CertificateIdentifier, ChallengeType, Identifier, NewOrder, Order, OrderStatus,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use crate::authority::{AcmeAuthority, told};
use crate::certificate::StoredCertificate;
use crate::challenge::{Challenges, is_token};
use crate::clock::UnixMillis;
use crate::failure::{AcmeFailure, Setback, printable};
use crate::settings::{AcmePace, ChallengeKind, NAMES_MAX};

/// What an order needs of who runs it.
pub(crate) trait OrderHost {
    /// Returns once every listener answers these challenges.
    fn put_in_force(&mut self, challenges: Challenges) -> Result<(), AcmeFailure>;
    /// Has listeners answer nothing any more, by and by.
    fn withdraw(&mut self);
    /// Waits.
    fn wait(&mut self, span: Duration) -> Result<(), AcmeFailure>;
}

/// What is ordered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderRequest<'a> {
    pub(crate) domains: &'a BTreeSet<String>,
    pub(crate) challenge: ChallengeKind,
    /// The certificate that this one is for (RFC 9773 section 5).
    pub(crate) replaces: Option<&'a StoredCertificate>,
    pub(crate) pace: &'a AcmePace,
}

/// What came of an order.
pub(crate) struct IssuedCertificate {
    pub(crate) chain: String,
    pub(crate) key: String,
    pub(crate) certificate: StoredCertificate,
}

impl ChallengeKind {
    fn word(self) -> &'static str {
        match self {
            ChallengeKind::Http01 => "http-01",
            ChallengeKind::TlsAlpn01 => "tls-alpn-01",
        }
    }

    fn kind(self) -> ChallengeType {
        match self {
            ChallengeKind::Http01 => ChallengeType::Http01,
            ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
        }
    }
}

/// Orders a certificate.
///
/// # Errors
/// Whatever goes wrong, with what the authority wishes to be waited.
pub(crate) fn obtain(
    authority: &AcmeAuthority,
    request: OrderRequest<'_>,
    host: &mut impl OrderHost,
) -> Result<IssuedCertificate, Setback> {
    let deadline = UnixMillis::now().plus(request.pace.order_time);
    let mut run = OrderRun { authority, request, host, deadline };
    let identifiers: Vec<Identifier> = request.domains.iter().cloned().map(Identifier::Dns).collect();
    let mut wish = NewOrder::new(&identifiers);
    if let Some(id) = request.replaces.and_then(|stored| CertificateIdentifier::try_from(&stored.leaf).ok()) {
        wish = wish.replaces(id);
    }
    let mut order = authority.call("order", authority.account.new_order(&wish))?;
    run.prove(&mut order)?;
    run.finalize(&mut order)
}

struct OrderRun<'a, H> {
    authority: &'a AcmeAuthority,
    request: OrderRequest<'a>,
    host: &'a mut H,
    deadline: UnixMillis,
}

impl<H: OrderHost> OrderRun<'_, H> {
    /// One exchange, while there is time.
    fn call<T>(
        &self,
        step: &'static str,
        exchange: impl Future<Output = Result<T, instant_acme::Error>>,
    ) -> Result<T, Setback> {
        match self.deadline.since(UnixMillis::now()).is_zero() {
            true => Err(AcmeFailure::TimedOut { step }.into()),
            false => self.authority.call(step, exchange),
        }
    }

    /// Shows control of all domains.
    fn prove(&mut self, order: &mut Order) -> Result<(), Setback> {
        let challenges = self.challenges(order)?;
        if challenges.is_empty() {
            return self.poll(order, "authorization", OrderStatus::Ready);
        }
        let proved = self.prove_with(order, challenges);
        self.host.withdraw();
        proved
    }

    fn prove_with(&mut self, order: &mut Order, challenges: Challenges) -> Result<(), Setback> {
        self.host.put_in_force(challenges)?;
        let mut authorizations = order.authorizations();
        while let Some(mut one) = self.call("authorization", transposed(authorizations.next()))? {
            if one.status != AuthorizationStatus::Pending {
                continue;
            }
            if let Some(mut challenge) = one.challenge(self.request.challenge.kind()) {
                self.call("challenge", challenge.set_ready())?;
            }
        }
        self.poll(order, "authorization", OrderStatus::Ready)
    }

    /// The answers to all challenges that are still open.
    fn challenges(&self, order: &mut Order) -> Result<Challenges, Setback> {
        let garbled = |error: &str| AcmeFailure::Garbled { step: "authorization", error: error.into() };
        if order.state().authorizations.len() > NAMES_MAX {
            return Err(garbled("more authorizations than names").into());
        }
        let mut challenges = Challenges::default();
        let mut authorizations = order.authorizations();
        while let Some(mut one) = self.call("authorization", transposed(authorizations.next()))? {
            let domain = printable(&one.identifier().to_string());
            match one.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                other => {
                    return Err(
                        AcmeFailure::NotProved { domain, detail: format!("its authorization is {other:?}") }.into()
                    );
                }
            }
            let kind = self.request.challenge;
            let Some(challenge) = one.challenge(kind.kind()) else {
                return Err(AcmeFailure::NotOffered { domain, challenge: kind.word() }.into());
            };
            if !is_token(&challenge.token) {
                return Err(garbled("a token that is not base64url").into());
            }
            let answer = challenge.key_authorization();
            match kind {
                ChallengeKind::Http01 => challenges.add_http(&challenge.token, answer.as_str()),
                ChallengeKind::TlsAlpn01 => {
                    let digest =
                        answer.digest().as_ref().try_into().map_err(|_| garbled("a digest of another length"))?;
                    challenges
                        .add_tls(&domain.to_ascii_lowercase(), digest)
                        .map_err(|error| AcmeFailure::Crypto(error.to_string()))?;
                }
            }
        }
        Ok(challenges)
    }

    /// Asks for the order's state until it is `wanted` or beyond.
    fn poll(&mut self, order: &mut Order, step: &'static str, wanted: OrderStatus) -> Result<(), Setback> {
        let mut wait = self.request.pace.poll_first;
        loop {
            let state = order.state();
            match state.status {
                OrderStatus::Invalid => return Err(self.refusal(order, step)),
                OrderStatus::Valid => return Ok(()),
                OrderStatus::Ready | OrderStatus::Processing if wanted == OrderStatus::Ready => return Ok(()),
                OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing => {}
            }
            let left = self.deadline.since(UnixMillis::now());
            if left.is_zero() {
                return Err(AcmeFailure::TimedOut { step }.into());
            }
            self.host.wait(self.authority.retry_after().unwrap_or(wait).max(wait).min(left))?;
            wait = wait.saturating_mul(2).min(self.request.pace.poll_max);
            self.call(step, order.refresh())?;
        }
    }

    /// Why an order is invalid: a domain that was not proved, or what the authority says of the order.
    fn refusal(&self, order: &mut Order, step: &'static str) -> Setback {
        let detail = order.state().error.as_ref().map(told);
        let mut authorizations = order.authorizations();
        while let Ok(Some(mut one)) = self.call("authorization", transposed(authorizations.next())) {
            let domain = printable(&one.identifier().to_string());
            let Ok(state) = self.call("authorization", one.refresh()) else { break };
            if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
                return AcmeFailure::NotProved { domain, detail: told(problem) }.into();
            }
        }
        AcmeFailure::Refused { step, detail: detail.unwrap_or_else(|| "the order is invalid".into()) }.into()
    }

    /// Hands in a request for a new key, and waits for the certificate.
    fn finalize(&mut self, order: &mut Order) -> Result<IssuedCertificate, Setback> {
        let crypto = |error: rcgen::Error| AcmeFailure::Crypto(error.to_string());
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(crypto)?;
        let names: Vec<String> = self.request.domains.iter().cloned().collect();
        let mut parameters = CertificateParams::new(names).map_err(crypto)?;
        parameters.distinguished_name = DistinguishedName::new();
        let csr = parameters.serialize_request(&key).map_err(crypto)?;
        self.call("finalize", order.finalize_csr(csr.der()))?;
        self.poll(order, "finalize", OrderStatus::Valid)?;
        let chain = self.call("certificate", order.certificate())?;
        let chain = chain.ok_or_else(|| AcmeFailure::Garbled { step: "certificate", error: "none yet".into() })?;
        let certificate =
            StoredCertificate::read(chain.as_bytes()).map_err(|error| AcmeFailure::Unfit(printable(&error)))?;
        let key = key.serialize_pem();
        match certificate.fault(&key, self.request.domains, UnixMillis::now()) {
            Some(fault) => Err(AcmeFailure::Unfit(fault).into()),
            None => Ok(IssuedCertificate { chain, key, certificate }),
        }
    }
}

/// A stream's next, as what [`AcmeAuthority::call`] takes.
async fn transposed<T>(
    next: impl Future<Output = Option<Result<T, instant_acme::Error>>>,
) -> Result<Option<T>, instant_acme::Error> {
    next.await.transpose()
}
