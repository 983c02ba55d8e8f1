//! Requests to the authority: HTTP over rustls with the host's resolver, and the account.
//!
//! The protocol's crate is asynchronous and takes any HTTP client; this one blocks, with a deadline, so that no future ever waits
//! and no runtime is needed.
//!
//! **Not** retries, but for the protocol's own after `badNonce`: when to try again is `schedule`'s.
//!
//! **Invariants**: `https` only, no redirect, no proxy; an answer has at most [`ANSWER_BYTES_MAX`]; `Retry-After` reaches the crate as
//! a bounded number of seconds, since it adds that to the time of day, and a directory only with addresses that it can ask.
//!
//! **Source**: RFC 8555 section 6, RFC 9110 section 10.2.3.

use std::fmt::Write;
use std::future::Future;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER};
use http_body_util::BodyExt;
use instant_acme::{Account, BodyWrapper, BytesResponse, Error, HttpClient, Key};
use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::clock::UnixMillis;
use crate::failure::{AcmeFailure, Setback, printable};
use crate::schedule::RETRY_AFTER_MAX;
use crate::settings::{AcmeSettings, is_https};

/// Longest answer, in bytes: an order of 100 names has 20 KiB, a chain 10.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Requests whose answers have no time for the next.
const NO_RETRY_AFTER: u64 = u64::MAX;

/// An account at an authority.
pub(crate) struct AcmeAuthority {
    pub(crate) account: Account,
    last_answer: Arc<LastAnswer>,
}

/// What of the last answer the protocol's crate does not hand on.
#[derive(Debug, Default)]
struct LastAnswer {
    status: AtomicU64,
    retry_after_ms: AtomicU64,
}

impl AcmeAuthority {
    /// Finds the account that the key has at the directory, or makes one.
    ///
    /// # Errors
    /// The operator's (`ca`), the network's or the authority's.
    pub(crate) fn connect(settings: &AcmeSettings, key: &KeyPair) -> Result<Self, Setback> {
        let last_answer = Arc::new(LastAnswer::default());
        let client = DirectoryClient { agent: agent(settings)?, last_answer: Arc::clone(&last_answer) };
        let der = PrivatePkcs8KeyDer::from(key.serialize_der());
        let signer = Key::from_pkcs8_der(der.clone_key()).map_err(|error| AcmeFailure::Crypto(error.to_string()))?;
        let builder = Account::builder_with_http(Box::new(client));
        let created = builder.create_from_key((signer, PrivateKeyDer::Pkcs8(der)), settings.directory.clone());
        let (account, _) = call_with(&last_answer, "account", created)?;
        let authority = AcmeAuthority { account, last_answer };
        if !settings.contact.is_empty() {
            let contact: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
            authority.call("contact", authority.account.update_contacts(&contact))?;
        }
        Ok(authority)
    }

    /// Runs one exchange of the protocol.
    ///
    /// # Errors
    /// The network's or the authority's, with what the authority wishes to be waited.
    pub(crate) fn call<T>(
        &self,
        step: &'static str,
        exchange: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Setback> {
        call_with(&self.last_answer, step, exchange)
    }

    /// What the authority wished to be waited in its last answer.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.last_answer.retry_after()
    }
}

impl LastAnswer {
    fn retry_after(&self) -> Option<Duration> {
        match self.retry_after_ms.load(Ordering::Relaxed) {
            NO_RETRY_AFTER => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }

    fn note(&self, status: u64, retry_after: Option<Duration>) {
        let millis = retry_after.and_then(|wait| u64::try_from(wait.as_millis()).ok());
        self.status.store(status, Ordering::Relaxed);
        self.retry_after_ms.store(millis.unwrap_or(NO_RETRY_AFTER), Ordering::Relaxed);
    }
}

fn call_with<T>(
    last: &LastAnswer,
    step: &'static str,
    exchange: impl Future<Output = Result<T, Error>>,
) -> Result<T, Setback> {
    last.note(0, None);
    let mut exchange = pin!(exchange);
    // Requests block, so nothing in it waits.
    match exchange.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.map_err(|error| setback(last, step, error)),
        Poll::Pending => {
            Err(AcmeFailure::Garbled { step, error: "the protocol's crate waits for something".into() }.into())
        }
    }
}

/// What an error of the protocol's crate means.
fn setback(last: &LastAnswer, step: &'static str, error: Error) -> Setback {
    let status = last.status.load(Ordering::Relaxed);
    let failure = match error {
        Error::Api(problem) if problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(":rateLimited")) => {
            AcmeFailure::RateLimited { step, detail: told(&problem) }
        }
        Error::Api(problem) => AcmeFailure::Refused { step, detail: told(&problem) },
        Error::Other(error) => match error.downcast::<Unanswered>() {
            Ok(unanswered) => AcmeFailure::Unreachable { step, error: printable(&unanswered.0) },
            Err(error) => AcmeFailure::Garbled { step, error: printable(&error.to_string()) },
        },
        error if status >= 400 => {
            AcmeFailure::Garbled { step, error: format!("status {status}: {}", printable(&error.to_string())) }
        }
        error => AcmeFailure::Garbled { step, error: printable(&error.to_string()) },
    };
    Setback { failure, retry_after: last.retry_after() }
}

/// A problem in the authority's words.
pub(crate) fn told(problem: &instant_acme::Problem) -> String {
    let kind = problem.r#type.as_deref().map_or("no type", |kind| kind.rsplit(':').next().unwrap_or(kind));
    let mut text = format!("{} ({kind})", problem.detail.as_deref().unwrap_or("no detail"));
    for part in problem.subproblems.iter().take(10) {
        let _ = write!(text, "; {part}");
    }
    printable(&text)
}

/// There was no answer, or none that is HTTP.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(String);

/// The HTTP client of the protocol's crate.
struct DirectoryClient {
    agent: ureq::Agent,
    last_answer: Arc<LastAnswer>,
}

impl HttpClient for DirectoryClient {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (agent, last_answer) = (self.agent.clone(), Arc::clone(&self.last_answer));
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes);
            answered(&agent, &last_answer, http::Request::from_parts(parts, body))
        })
    }
}

fn answered(agent: &ureq::Agent, last: &LastAnswer, request: http::Request<Bytes>) -> Result<BytesResponse, Error> {
    let unanswered = |error: ureq::Error| Error::Other(Box::new(Unanswered(error.to_string())));
    let (parts, body) = request.into_parts();
    let answer = if body.is_empty() {
        agent.run(http::Request::from_parts(parts, ()))
    } else {
        agent.run(http::Request::from_parts(parts, body.to_vec()))
    };
    let (mut parts, mut body) = answer.map_err(unanswered)?.into_parts();
    let wait = parts.headers.get(RETRY_AFTER).and_then(retry_after);
    match wait {
        Some(wait) => parts.headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs())),
        None => parts.headers.remove(RETRY_AFTER),
    };
    last.note(parts.status.as_u16().into(), wait);
    let bytes = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(unanswered)?;
    if let Some(fault) = directory_fault(&bytes) {
        return Err(Error::Other(fault.into()));
    }
    Ok(BytesResponse { parts, body: Box::new(Bytes::from(bytes)) })
}

/// What is wrong with a directory; nothing with an answer that is none. The crate takes for granted that nonces can be asked for.
fn directory_fault(answer: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Nonces {
        #[serde(rename = "newNonce")]
        url: String,
    }
    let Nonces { url } = serde_json::from_slice(answer).ok()?;
    (!is_https(&url)).then(|| format!("its newNonce `{url}` is no URL that begins with https://"))
}

/// Seconds, or a date; at most [`RETRY_AFTER_MAX`].
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let wait = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Duration::from_secs(text.parse().unwrap_or(if text.is_empty() { 0 } else { u64::MAX })),
        false => {
            httpdate::parse_http_date(text).ok()?.duration_since(UnixMillis::now().system_time()).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

fn agent(settings: &AcmeSettings) -> Result<ureq::Agent, AcmeFailure> {
    let roots = roots(settings.ca.as_deref())?;
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root_certs(roots)
        .build();
    let config = ureq::Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(settings.pace.request_time))
        .build();
    Ok(config.new_agent())
}

/// The authorities that the directory's own certificate is checked with.
fn roots(file: Option<&Path>) -> Result<RootCerts, AcmeFailure> {
    let certificates = match file {
        Some(file) => {
            let told = |error: &dyn std::fmt::Display| AcmeFailure::Roots(format!("{}: {error}", file.display()));
            let text = std::fs::read(file).map_err(|error| told(&error))?;
            CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().map_err(|error| told(&error))?
        }
        None => rustls_native_certs::load_native_certs().certs,
    };
    if certificates.is_empty() {
        let place =
            file.map_or_else(|| "this host (package ca-certificates)".to_owned(), |file| file.display().to_string());
        return Err(AcmeFailure::Roots(format!("none in {place}")));
    }
    let owned = certificates.iter().map(|one| Certificate::from_der(one).to_owned());
    Ok(RootCerts::from(owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds_or_dates_and_bounded() {
        let wait = |text: &str| retry_after(&HeaderValue::from_str(text).unwrap()).map(|wait| wait.as_secs());
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("99999999999999999999999"), Some(RETRY_AFTER_MAX.as_secs()));
        assert_eq!(wait("18446744073709551615"), Some(RETRY_AFTER_MAX.as_secs()));
        assert_eq!(wait("Fri, 31 Dec 1999 23:59:59 GMT"), Some(0));
        assert_eq!(wait("Fri, 31 Dec 9999 23:59:59 GMT"), Some(RETRY_AFTER_MAX.as_secs()));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
    }

    #[test]
    fn a_future_that_waits_is_a_failure_and_no_hang() {
        let exchange = std::future::pending::<Result<(), Error>>();
        let failed = call_with(&LastAnswer::default(), "order", exchange).unwrap_err();
        assert_eq!(failed.failure.label(), "garbled");
    }

    #[test]
    fn authorities_that_cannot_be_read_are_named() {
        let missing = roots(Some(Path::new("/nowhere/ca.pem"))).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/ca.pem"), "{missing}");
        let empty = roots(Some(Path::new("/dev/null"))).unwrap_err();
        assert!(empty.to_string().contains("none in /dev/null"), "{empty}");
    }
}
