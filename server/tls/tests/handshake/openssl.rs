//! OpenSSL's client against our server, on the kernel's rings and over loopback.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use corelane_tls::crypto::provider;
use corelane_tls::handshake::Negotiated;
use corelane_tls::handshake::gate::GateLimits;
use reactor::{Address, Connection, Threads, WakeMethod};
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ResolvesServerCertUsingSni;
use rustls::sign::CertifiedKey;
use rustls::{HandshakeKind, ProtocolVersion};

use crate::authority::{Authority, Key, Wanted};
use crate::driven::{Scene, Seat, start};
use crate::pair::Side;

const QUESTION: &[u8] = b"what\n";
const ANSWER: &[u8] = b"this is the answer\n";
const LAST_QUESTION: &[u8] = b"stop\n";

/// What our server made of a connection: the label of a fault, if any.
type Made = Result<Negotiated, &'static str>;

/// Serves one connection: an answer to a line.
async fn serve(seat: Rc<Seat>, connection: Connection, made: Sender<Made>) {
    let result = seat.serve(&connection).await;
    let is_ok = result.is_ok();
    made.send(result.map_err(|fault| fault.label())).unwrap();
    if is_ok {
        connection.set_deadline(seat.soon());
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let Ok(Some(bytes)) = connection.receive().await else { break };
            line.extend_from_slice(&bytes);
        }
        connection.write().extend_from_slice(ANSWER);
        if line == LAST_QUESTION {
            seat.listener.close();
        }
    }
    connection.finish(Duration::from_secs(10)).await;
}

/// A running server, and a folder for what OpenSSL reads and writes.
struct Rig {
    threads: Option<Threads>,
    address: SocketAddr,
    made: Receiver<Made>,
    folder: PathBuf,
}

impl Rig {
    fn start(test: &str) -> Self {
        let authority = Authority::new(Key::P256);
        let identity = authority.issue(&Wanted { years: (2020, 2040), ..Wanted::default() });
        let mut config =
            Side { alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()], ..Side::server(&identity) }.server_config();
        let key = provider().key_provider.load_private_key(identity.key.clone_key()).unwrap();
        let mut names = ResolvesServerCertUsingSni::new();
        names.add("corelane.test", CertifiedKey::new(identity.chain, key)).unwrap();
        config.cert_resolver = Arc::new(names);
        config.ticketer = Ticketer::new().unwrap();
        let scene = Scene {
            server: Arc::new(config),
            client: Arc::new(Side::client(&authority).client_config()),
            limits: GateLimits::default(),
            listen_on: Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))),
        };
        let (told, address) = channel();
        let (makes, made) = channel();
        let mut threads = Threads::new(Some(WakeMethod::EventFd));
        start(&mut threads, scene, move |seat| async move {
            told.send(seat.listener.address().clone()).unwrap();
            while let Ok(connection) = seat.listener.accept().await {
                seat.reactor.spawn(serve(Rc::clone(&seat), connection, makes.clone())).unwrap();
            }
            // The last connection ends as the others.
            while seat.reactor.holdings().connections > 0 {
                seat.reactor.sleep(Duration::from_millis(1)).await;
            }
        });
        let Address::Tcp(address) = address.recv().unwrap() else { panic!("not a TCP address") };
        let folder = std::env::temp_dir().join(format!("corelane-tls-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
        Rig { threads: Some(threads), address, made, folder }
    }

    /// Runs `openssl s_client` with a question: all that it says, and what our server made of it.
    fn ask(&self, question: &[u8], arguments: &str) -> (String, Made) {
        let mut command = Command::new("openssl");
        command.current_dir(&self.folder).args(["s_client", "-ign_eof", "-connect", &self.address.to_string()]);
        command.args(["-CAfile", "ca.pem", "-verify_return_error", "-verify_hostname", "corelane.test"]);
        command.args(arguments.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("openssl is installed (apt-get install openssl)");
        // It may be gone before it reads, refused.
        let _ = child.stdin.take().unwrap().write_all(question);
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&said).into_owned(), self.made.recv().unwrap())
    }

    fn stop(mut self) {
        self.ask(LAST_QUESTION, "-servername corelane.test").1.unwrap();
        self.threads.take().unwrap().join();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in:\n{said}");
    }
}

#[test]
fn versions_suites_groups_and_tickets() {
    let rig = Rig::start("served");
    type Case<'a> = (&'a str, &'a [&'a str], ProtocolVersion, Option<&'a [u8]>);
    let cases: [Case<'_>; 7] = [
        ("-tls1_3", &["New, TLSv1.3"], ProtocolVersion::TLSv1_3, None),
        ("-tls1_2", &["New, TLSv1.2", "Extended master secret: yes"], ProtocolVersion::TLSv1_2, None),
        ("-alpn h2,http/1.1", &["ALPN protocol: h2"], ProtocolVersion::TLSv1_3, Some(b"h2")),
        ("-tls1_2 -alpn http/1.1", &["ALPN protocol: http/1.1"], ProtocolVersion::TLSv1_2, Some(b"http/1.1")),
        ("-groups P-384", &["ECDH, secp384r1"], ProtocolVersion::TLSv1_3, None),
        // A key share of X25519 is refused by nobody; one of P-521 first means a second hello.
        ("-groups P-521:P-256", &["ECDH, prime256v1"], ProtocolVersion::TLSv1_3, None),
        (
            "-ciphersuites TLS_CHACHA20_POLY1305_SHA256",
            &["TLS_CHACHA20_POLY1305_SHA256"],
            ProtocolVersion::TLSv1_3,
            None,
        ),
    ];
    for (arguments, words, version, alpn) in cases {
        let (said, made) = rig.ask(QUESTION, &format!("-servername corelane.test {arguments}"));
        assert_says(&said, words);
        assert_says(&said, &["Verify return code: 0 (ok)", "this is the answer"]);
        let negotiated = made.unwrap();
        assert_eq!((negotiated.version, negotiated.alpn.as_deref()), (version, alpn), "{arguments}");
        assert_eq!(negotiated.server_name.as_deref(), Some("corelane.test"));
    }
    for version in ["-tls1_3", "-tls1_2"] {
        let arguments = format!("-servername corelane.test {version}");
        let (_, made) = rig.ask(QUESTION, &format!("{arguments} -sess_out session"));
        assert_eq!(made.unwrap().kind, HandshakeKind::Full);
        let (said, made) = rig.ask(QUESTION, &format!("{arguments} -sess_in session"));
        assert_says(&said, &["Reused, TLSv1", "this is the answer"]);
        assert_eq!(made.unwrap().kind, HandshakeKind::Resumed);
    }
    rig.stop();
}

#[test]
fn what_is_not_spoken_is_refused_with_an_alert() {
    let rig = Rig::start("refused");
    let cases = [
        ("-servername corelane.test -tls1_1 -cipher DEFAULT@SECLEVEL=0", 70, "no_common_version"),
        ("-servername corelane.test -alpn spdy/1", 120, "no_common_protocol"),
        ("-servername corelane.test -tls1_2 -alpn spdy/1", 120, "no_common_protocol"),
        ("-servername other.test", 49, "unknown_name"),
        ("-noservername", 49, "unknown_name"),
        ("-servername corelane.test -groups P-521", 40, "no_common_group"),
        ("-servername corelane.test -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", 40, "no_common_suite"),
        ("-servername corelane.test -tls1_3 -sigalgs RSA-PSS+SHA256", 40, "no_common_signature"),
    ];
    for (arguments, alert, label) in cases {
        let (said, made) = rig.ask(QUESTION, arguments);
        assert_eq!(made.unwrap_err(), label, "{arguments}");
        assert_says(&said, &[&format!("SSL alert number {alert}")]);
    }
    // The client refuses our certificate, and says so.
    let (_, made) = rig.ask(QUESTION, "-servername corelane.test -verify_hostname other.test");
    assert_eq!(made.unwrap_err(), "alert_received");
    rig.stop();
}
