//! Who gets the certificate of a challenge, and what becomes of it when files are read again.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error};

use super::issuer::{Authority, Ends, Failed, Pair, Wish, client, clock, parts, provider, server_files, shake};
use crate::store::{ACME_ALPN, ChallengeCertificates, ServerSettings, ServerSnapshot, reload_server};

fn http() -> ServerSettings {
    ServerSettings::public(vec![b"http/1.1".to_vec()])
}

/// Challenges for names, each with a pair of its own.
fn challenges(pairs: &[(&'static str, &Pair)]) -> Arc<ChallengeCertificates> {
    let each = pairs
        .iter()
        .map(|(name, pair)| (*name, pair.der(), PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap()));
    Arc::new(ChallengeCertificates::new(each, &provider()).unwrap())
}

fn connect(root: &Authority, server: &ServerSnapshot, to: &str, alpn: &[&[u8]]) -> Result<Ends, Box<Failed>> {
    let versions = [&TLS13, &TLS12];
    let mut config = client(root, &clock(), rustls::crypto::aws_lc_rs::default_provider(), &versions);
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    shake(&Arc::new(config), &ServerName::try_from(to.to_owned()).unwrap(), server.config())
}

fn shown(ends: &Ends) -> CertificateDer<'static> {
    ends.client.peer_certificates().unwrap()[0].clone().into_owned()
}

fn refused(failed: Result<Ends, Box<Failed>>) -> Option<Error> {
    failed.err().unwrap().client
}

#[test]
fn who_speaks_nothing_but_the_protocol_of_challenges_gets_the_challenge_of_the_name() {
    let root = Authority::new("root");
    let [web, proof] = [(); 2].map(|()| root.issue(&Wish::names(&["a.example"])));
    let server = ServerSnapshot::load(&parts(&clock()), http(), &server_files(&[web.files("default")])).unwrap();
    let server = server.with_challenges(challenges(&[("a.example", &proof)])).unwrap();
    assert_eq!(server.generation(), 2);

    let proved = connect(&root, &server, "A.example", &[ACME_ALPN]).unwrap();
    assert_eq!((shown(&proved), proved.client.alpn_protocol()), (proof.der(), Some(ACME_ALPN)));
    // Others speak what they spoke, and see what they saw.
    let http: &[u8] = b"http/1.1";
    let as_before = [(vec![ACME_ALPN, http], Some(http)), (vec![http], Some(http)), (vec![], None)];
    for (alpn, spoken) in as_before {
        let ends = connect(&root, &server, "a.example", &alpn).unwrap();
        assert_eq!((shown(&ends), ends.client.alpn_protocol()), (web.der(), spoken), "{alpn:?}");
    }
    // A name without a challenge, and none at all.
    for to in ["b.example", "192.0.2.1"] {
        let error = refused(connect(&root, &server, to, &[ACME_ALPN]));
        assert_eq!(error, Some(Error::AlertReceived(AlertDescription::AccessDenied)), "{to}");
    }
}

#[test]
fn without_challenges_the_protocol_is_not_offered() {
    let root = Authority::new("root");
    let pair = root.issue(&Wish::names(&["a.example"]));
    let never = ServerSnapshot::load(&parts(&clock()), http(), &server_files(&[pair.files("default")])).unwrap();
    let withdrawn = never.with_challenges(challenges(&[("a.example", &pair)])).unwrap();
    let withdrawn = withdrawn.with_challenges(Arc::default()).unwrap();
    for server in [never, withdrawn] {
        let failed = connect(&root, &server, "a.example", &[ACME_ALPN]).err().unwrap();
        assert_eq!(failed.client, Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
        assert_eq!(server.config().alpn_protocols, [b"http/1.1"]);
    }
}

#[test]
fn challenges_outlive_other_files_and_other_keys_of_tickets() {
    let root = Authority::new("root");
    let [old, new, proof] = [(); 3].map(|()| root.issue(&Wish::names(&["a.example"])));
    let time = clock();
    let server = ServerSnapshot::load(&parts(&time), http(), &server_files(&[old.files("default")])).unwrap();
    let server = server.with_challenges(challenges(&[("a.example", &proof)])).unwrap();
    let reloaded = reload_server(&server, http(), &server_files(&[new.files("default")])).snapshot.unwrap();
    time.advance(http().ticket_time.as_secs() * 2);
    let rotated = reloaded.with_rotated_tickets().unwrap();
    for server in [reloaded, rotated] {
        assert_eq!(shown(&connect(&root, &server, "a.example", &[ACME_ALPN]).unwrap()), proof.der());
        assert_eq!(shown(&connect(&root, &server, "a.example", &[]).unwrap()), new.der());
    }
}
