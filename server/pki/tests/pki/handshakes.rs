//! What is issued is accepted by rustls and webpki where it should be, and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{DAY, NOW, authority, days, issue};
use corelane_pki::{Authority, CertificateRecord, HolderRole, Issued, KeySource, Revocation, rotation, self_signed};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, Error, RootCertStore, ServerConfig, ServerConnection};

#[derive(Debug)]
struct At(u64);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

/// What both ends trust, and when.
struct World {
    bundle: String,
    lists: String,
    now: u64,
}

impl World {
    fn of(authorities: &[&Authority]) -> Self {
        let bundle = rotation::bundle(authorities.iter().map(|authority| authority.certificate()));
        Self { bundle, lists: String::new(), now: NOW }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.bundle.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        Arc::new(roots)
    }

    fn lists(&self) -> Vec<CertificateRevocationListDer<'static>> {
        CertificateRevocationListDer::pem_slice_iter(self.lists.as_bytes()).map(Result::unwrap).collect()
    }

    /// A handshake in memory; each end shows its certificate. The first fault of either end.
    fn handshake(&self, client: &Issued, server: &Issued, name: &str) -> Result<(), Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut client = ClientConnection::new(
            Arc::new(self.client(client, &provider)),
            ServerName::try_from(name.to_owned()).unwrap(),
        )?;
        let mut server = ServerConnection::new(Arc::new(self.server(server, &provider)))?;
        // A handshake has two flights each way; more rounds would be a fault of its own.
        for _ in 0..4 {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut unread = wire.as_slice();
            while !unread.is_empty() {
                server.read_tls(&mut unread).unwrap();
                server.process_new_packets()?;
            }
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut unread = wire.as_slice();
            while !unread.is_empty() {
                client.read_tls(&mut unread).unwrap();
                client.process_new_packets()?;
            }
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert!(client.peer_certificates().is_some() && server.peer_certificates().is_some());
        Ok(())
    }

    fn client(&self, identity: &Issued, provider: &Arc<CryptoProvider>) -> ClientConfig {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(self.roots(), provider.clone()).with_crls(self.lists());
        let (chain, key) = pair(identity);
        ClientConfig::builder_with_details(provider.clone(), Arc::new(At(self.now)))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_webpki_verifier(verifier.build().unwrap())
            .with_client_auth_cert(chain, key)
            .unwrap()
    }

    fn server(&self, identity: &Issued, provider: &Arc<CryptoProvider>) -> ServerConfig {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots(), provider.clone()).with_crls(self.lists());
        let (chain, key) = pair(identity);
        ServerConfig::builder_with_details(provider.clone(), Arc::new(At(self.now)))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(chain, key)
            .unwrap()
    }
}

fn pair(issued: &Issued) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(issued.chain.as_bytes()).map(Result::unwrap).collect();
    (chain, PrivateKeyDer::from_pem_slice(issued.key.expose().as_bytes()).unwrap())
}

#[test]
fn two_identities_of_a_cluster_know_each_other() {
    let blue = authority("blue");
    let world = World::of(&[&blue]);
    let (edge, node) = (issue(&blue, HolderRole::Edge, "a"), issue(&blue, HolderRole::Node, "1"));
    for name in ["host.example", "127.0.0.1"] {
        world.handshake(&edge, &node, name).unwrap();
        world.handshake(&node, &edge, name).unwrap();
    }
    let operator = issue(&blue, HolderRole::Operator, "alice");
    world.handshake(&operator, &issue(&blue, HolderRole::Server, "admin"), "host.example").unwrap();
    let found = world.handshake(&edge, &node, "other.example");
    assert!(matches!(found, Err(Error::InvalidCertificate(_))), "{found:?}");
}

#[test]
fn a_role_holds_for_its_end_only() {
    let blue = authority("blue");
    let world = World::of(&[&blue]);
    let node = issue(&blue, HolderRole::Node, "1");
    for (client, server) in
        [(&issue(&blue, HolderRole::Server, "a"), &node), (&node, &issue(&blue, HolderRole::Operator, "alice"))]
    {
        let found = world.handshake(client, server, "host.example");
        assert!(matches!(found, Err(Error::InvalidCertificate(_))), "{found:?}");
    }
}

#[test]
fn strangers_and_the_ended_are_refused() {
    let (blue, green) = (authority("blue"), authority("green"));
    let (edge, node) = (issue(&blue, HolderRole::Edge, "a"), issue(&blue, HolderRole::Node, "1"));
    let stranger = issue(&green, HolderRole::Edge, "a");
    let mut world = World::of(&[&blue]);
    assert!(world.handshake(&stranger, &node, "host.example").is_err());
    assert!(world.handshake(&edge, &stranger, "host.example").is_err());
    for (now, holds) in [(NOW - 3601, false), (NOW, true), (NOW + 90 * DAY, true), (NOW + 90 * DAY + 1, false)] {
        world.now = now;
        assert_eq!(world.handshake(&edge, &node, "host.example").is_ok(), holds, "{now}");
    }
}

#[test]
fn a_leaf_cannot_issue() {
    let blue = authority("blue");
    let node = issue(&blue, HolderRole::Node, "1");
    // Its key signs another certificate, as an attacker with a node's key would.
    let key = rcgen::KeyPair::from_pem(node.key.expose()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&node.chain, key).unwrap();
    let own = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["host.example".to_owned()]).unwrap();
    let forged = parameters.signed_by(&own, &issuer).unwrap();
    let roots = World::of(&[&blue]).roots();
    let (_, chain) = (own, pair(&node).0);
    let leaf = webpki::EndEntityCert::try_from(forged.der()).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let usage = webpki::KeyUsage::server_auth();
    let found = leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &roots.roots, &chain, now, usage, None, None);
    assert!(matches!(found.err(), Some(webpki::Error::EndEntityUsedAsCa)));
}

#[test]
fn a_revoked_certificate_is_refused_and_the_others_are_not() {
    let blue = authority("blue");
    let (edge, node, other) =
        (issue(&blue, HolderRole::Edge, "a"), issue(&blue, HolderRole::Node, "1"), issue(&blue, HolderRole::Node, "2"));
    let serial = CertificateRecord::parse(&node.chain).unwrap().serial;
    let mut world = World::of(&[&blue]);
    world.lists = blue.revoke(&[], days(30), 1).unwrap();
    world.handshake(&edge, &node, "host.example").unwrap();
    world.lists = blue.revoke(&[Revocation { serial, at: NOW }], days(30), 2).unwrap();
    for (client, server, holds) in [(&edge, &node, false), (&node, &edge, false), (&edge, &other, true)] {
        assert_eq!(world.handshake(client, server, "host.example").is_ok(), holds);
    }
}

/// The order of `rotation`: at each step, every process may be at this step or at the one before.
#[test]
fn a_rotation_fails_no_handshake() {
    let (old, new) = (authority("blue"), authority("blue"));
    let both = [&old, &new];
    let by = |authority: &Authority| [issue(authority, HolderRole::Edge, "a"), issue(authority, HolderRole::Node, "1")];
    let (by_old, by_new) = (by(&old), by(&new));
    // begin: bundles of one and of two. switch: certificates of both. finish: bundles of two and of one.
    for (trusting, certificates) in [
        (&[World::of(&[&old]), World::of(&both)], &[&by_old, &by_old]),
        (&[World::of(&both), World::of(&both)], &[&by_old, &by_new]),
        (&[World::of(&both), World::of(&[&new])], &[&by_new, &by_new]),
    ] {
        for world in trusting {
            for [edge, _] in certificates {
                for [_, node] in certificates {
                    world.handshake(edge, node, "host.example").unwrap();
                }
            }
        }
    }
    assert!(World::of(&[&new]).handshake(&by_old[0], &by_old[1], "host.example").is_err());
}

#[test]
fn who_is_given_a_self_signed_certificate_accepts_it() {
    let issued = self_signed("host.example", days(14), KeySource::P256).unwrap();
    let (chain, _) = pair(&issued);
    let mut roots = RootCertStore::empty();
    roots.add(chain[0].clone()).unwrap();
    let leaf = webpki::EndEntityCert::try_from(&chain[0]).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let usage = webpki::KeyUsage::server_auth();
    leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &roots.roots, &[], now, usage, None, None).unwrap();
}
