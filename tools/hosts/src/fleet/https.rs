//! Constant load over TLS on the edges themselves: a handshake for each request, most of them resumed at another edge than the one that
//! gave the ticket.
//!
//! ```text
//!  corelane-hosts load-https (in the bridge's namespace)  ─▶  https.log:  failed 198.18.0.11:8443: ...              a line for each failure
//!                                                                         requests=90 failed=0 resumed=67 full=3   every half second
//! ```
//!
//! **Not** through the balancer: it would decide who gives a ticket to whom.
//!
//! **Invariants**: every full handshake verifies the certificate by the authorities that the file has at that time. `full` counts those
//! that had a ticket or were the first of their connection's turn; handshakes that are not to be resumed are in neither.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use corelane_lab::child::ChildProcess;
use corelane_lab::poll::{self, Stop};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, RootCertStore, SignatureScheme,
    StreamOwned,
};

use super::balancer::in_namespace;
use super::load::answer;
use super::{HOSTS, Role};
use crate::run::wait;

/// The name that the edges' certificates have, as the inventory says.
const NAME: &str = "lab.example.org";

/// Threads, each with tickets of its own.
const CLIENTS: u64 = 3;

/// Between two connections of a thread: 30 handshakes a second in all.
const PACE: Duration = Duration::from_millis(100);

/// One connection in so many is not to be resumed.
const FULL_ONE_IN: u64 = 4;

/// The longest a client waits.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// A bound on what a failing fleet makes the log grow to.
const FAILURES_LISTED_MAX: u64 = 20;

/// What the load did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HttpsCount {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) resumed: u64,
    /// Handshakes that began with a ticket, or were a thread's first, and were not resumed.
    pub(crate) full: u64,
}

impl HttpsCount {
    fn in_log(text: &str) -> Self {
        text.lines().rev().find_map(Self::of_line).unwrap_or_default()
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let mut count = |name: &str| fields.next()?.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
        let (requests, failed) = (count("requests")?, count("failed")?);
        Some(Self { requests, failed, resumed: count("resumed")?, full: count("full")? })
    }
}

/// The load as a process.
pub(crate) struct HttpsLoad {
    child: ChildProcess,
    log: PathBuf,
    stop: Stop,
}

impl HttpsLoad {
    /// Starts it, and waits until it is answered; `ca` is the file of authorities.
    ///
    /// # Errors
    /// Nobody answers.
    pub(crate) fn start(folder: &Path, namespace: &str, ca: &Path, stop: &Stop) -> Result<Self> {
        let log = folder.join("https.log");
        let file = fs::File::create(&log).context("no file for the load's log")?;
        let program = std::env::current_exe().context("this program's own path")?;
        let mut command = in_namespace(namespace, &program.display().to_string());
        command.arg("load-https").arg("--ca").arg(ca).stdout(file.try_clone()?).stderr(file);
        for edge in HOSTS.iter().filter(|host| host.role == Role::Edge) {
            command.args(["--address", &format!("198.18.0.{}:8443", edge.number)]);
        }
        let load = Self { child: ChildProcess::start(&mut command)?, log, stop: stop.clone() };
        load.wait_for_more(30)?;
        Ok(load)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until `more` requests were answered since now.
    fn wait_for_more(&self, more: u64) -> Result<()> {
        const LIMIT: Duration = Duration::from_secs(60);
        let count = || HttpsCount::in_log(&self.text()).requests;
        let before = count();
        wait(&self.stop, LIMIT, "answers over TLS", || (count() >= before + more).then_some(()))
            .with_context(|| self.text())
    }

    /// Checks, once some more were answered, that nothing has failed so far.
    ///
    /// # Errors
    /// Something has; the error lists it.
    pub(crate) fn served(&self) -> Result<HttpsCount> {
        self.wait_for_more(30)?;
        let count = HttpsCount::in_log(&self.text());
        ensure!(count.failed == 0, "{} of {} requests over TLS failed:\n{}", count.failed, count.requests, self.text());
        Ok(count)
    }

    /// Ends it; what it counted.
    ///
    /// # Errors
    /// It had ended before.
    pub(crate) fn finish(mut self) -> Result<HttpsCount> {
        ensure!(self.child.exited().is_none(), "the load has ended by itself\n{}", self.text());
        self.child.terminate();
        self.child.finish(&Stop::never());
        Ok(HttpsCount::in_log(&self.text()))
    }
}

/// Loads `edges` until SIGTERM.
///
/// # Errors
/// Standard output is gone.
pub(crate) fn generate(edges: &[SocketAddr], ca: &Path) -> Result<()> {
    const REPORT_EVERY: Duration = Duration::from_millis(500);
    let (stop, counters) = (Stop::on_signals()?, HttpsCounters::default());
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (counters, stop) = (&counters, &stop);
            scope.spawn(move || client(number, edges, ca, stop, counters));
        }
        while !stop.requested() {
            let _ = poll::until(Instant::now() + REPORT_EVERY, &stop, || None::<()>);
            counters.report()?;
        }
        counters.report()
    })
}

/// What the threads count, as in [`HttpsCount`].
#[derive(Default)]
struct HttpsCounters {
    requests: AtomicU64,
    failed: AtomicU64,
    resumed: AtomicU64,
    full: AtomicU64,
}

impl HttpsCounters {
    fn report(&self) -> Result<()> {
        let [requests, failed, resumed, full] =
            [&self.requests, &self.failed, &self.resumed, &self.full].map(|count| count.load(Ordering::Relaxed));
        writeln!(io::stdout(), "requests={requests} failed={failed} resumed={resumed} full={full}")
            .context("standard output is gone")
    }
}

fn client(number: u64, edges: &[SocketAddr], ca: &Path, stop: &Stop, counters: &HttpsCounters) {
    let resuming = config(ca, Resumption::default());
    let fresh = config(ca, Resumption::disabled());
    for (turn, edge) in (0_u64..).zip(edges.iter().cycle()) {
        let next = Instant::now() + PACE;
        if stop.requested() {
            return;
        }
        let is_fresh = turn % FULL_ONE_IN == FULL_ONE_IN - 1;
        let config = if is_fresh { &fresh } else { &resuming };
        match exchange(config, *edge, &format!("s-{number}-{}", turn % 8)) {
            Ok(_) if is_fresh => {}
            Ok(HandshakeKind::Resumed) => drop(counters.resumed.fetch_add(1, Ordering::Relaxed)),
            Ok(_) => drop(counters.full.fetch_add(1, Ordering::Relaxed)),
            Err(error) => {
                if counters.failed.fetch_add(1, Ordering::Relaxed) < FAILURES_LISTED_MAX {
                    println!("failed {edge}: {error:#}");
                }
            }
        }
        counters.requests.fetch_add(1, Ordering::Relaxed);
        let _ = poll::until(next, stop, || None::<()>);
    }
}

/// A connection, and a value that is written by it.
fn exchange(config: &Arc<ClientConfig>, edge: SocketAddr, key: &str) -> Result<HandshakeKind> {
    let stream = TcpStream::connect(edge).context("connecting")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let connection = ClientConnection::new(Arc::clone(config), ServerName::try_from(NAME)?)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut request = format!("PUT /v1/kv/default/{key} HTTP/1.1\r\nhost: {NAME}\r\n");
    let _ = write!(request, "content-length: {}\r\n\r\n{key}", key.len());
    stream.get_mut().write_all(request.as_bytes()).context("sending")?;
    let (status, _, body) = answer(&mut stream)?;
    ensure!((200..300).contains(&status), "status {status}: {}", String::from_utf8_lossy(&body).trim());
    stream.get_ref().conn.handshake_kind().context("an answer before the handshake's end")
}

fn config(ca: &Path, resumption: Resumption) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = FileVerifier { ca: ca.to_path_buf(), provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("the provider has the suites of both versions");
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    config.resumption = resumption;
    Arc::new(config)
}

/// Verifies by the authorities that a file has now.
#[derive(Debug)]
struct FileVerifier {
    ca: PathBuf,
    provider: Arc<CryptoProvider>,
}

impl FileVerifier {
    fn now(&self) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let fault = |error: &dyn std::fmt::Display| Error::General(format!("{}: {error}", self.ca.display()));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&self.ca).map_err(|error| fault(&error))? {
            roots.add(certificate.map_err(|error| fault(&error))?)?;
        }
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
        builder.build().map_err(|error| fault(&error))
    }
}

impl ServerCertVerifier for FileVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.now()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.now()?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.now()?.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_counts_are_taken() {
        let log = "requests=4 failed=0 resumed=2 full=1\nfailed 198.18.0.11:8443: connecting\nrequests=9 fai";
        assert_eq!(HttpsCount::in_log(log), HttpsCount { requests: 4, failed: 0, resumed: 2, full: 1 });
    }
}
