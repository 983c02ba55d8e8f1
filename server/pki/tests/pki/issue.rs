//! What an authority issues, refuses, revokes and is when it is read again.

use crate::support::{DAY, NOW, authority, days, issue, try_issue};
use corelane_pki::{
    Authority, CertificateRecord, CertificateRequest, HolderRole, Identity, KeySource, PkiError, Revocation,
    RevocationRecord, SubjectNames, Validity, rotation, self_signed,
};

#[test]
fn a_certificate_says_what_was_asked_for() {
    let authority = authority("Blue");
    for (role, id) in [
        (HolderRole::Edge, "edge-a"),
        (HolderRole::Node, "7"),
        (HolderRole::Operator, "alice"),
        (HolderRole::Server, "public"),
    ] {
        let issued = issue(&authority, role, id);
        let facts = CertificateRecord::parse(&issued.chain).unwrap();
        assert_eq!(facts.identity, Identity::new("Blue", role, id).ok());
        assert_eq!((facts.role(), &facts.authority_of), (role, &None));
        assert_eq!(facts.names.dns(), ["host.example"]);
        assert_eq!(facts.names.addresses(), ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
        assert_eq!(facts.validity, days(90));
        assert_eq!(facts.issuer_key_id, authority.facts().key_id);
        assert!(facts.is_pair_with(issued.key.expose()).unwrap());
        assert!(!facts.is_pair_with(authority.key().expose()).unwrap());
        assert_eq!(issued.chain.matches("BEGIN CERTIFICATE").count(), 1);
    }
}

#[test]
fn every_issue_is_another_key_and_another_serial() {
    let authority = authority("blue");
    let (one, other) = (issue(&authority, HolderRole::Node, "1"), issue(&authority, HolderRole::Node, "1"));
    assert_ne!(one.key, other.key);
    let serial = |chain: &str| CertificateRecord::parse(chain).unwrap().serial;
    assert_ne!(serial(&one.chain), serial(&other.chain));
    assert!(!format!("{one:?}{authority:?}").contains("PRIVATE KEY"));
}

#[test]
fn an_authority_is_loaded_as_it_was_made() {
    let made = authority("blue");
    let loaded = Authority::load(made.certificate(), made.key().expose()).unwrap();
    assert_eq!((loaded.cluster(), &loaded.facts().key_id), ("blue", &made.facts().key_id));
    let facts = CertificateRecord::parse(&issue(&loaded, HolderRole::Node, "1").chain).unwrap();
    assert_eq!(facts.issuer_key_id, made.facts().key_id);
    assert_eq!(loaded.key(), made.key());
}

#[test]
fn what_is_no_pair_or_no_authority_is_refused() {
    let (one, other) = (authority("blue"), authority("blue"));
    assert!(matches!(Authority::load(one.certificate(), other.key().expose()), Err(PkiError::KeyMismatch)));
    let leaf = issue(&one, HolderRole::Node, "1");
    assert!(matches!(Authority::load(&leaf.chain, leaf.key.expose()), Err(PkiError::NotAnAuthority(_))));
    assert!(matches!(Authority::load(one.certificate(), one.certificate()), Err(PkiError::NotAKey(_))));
    assert!(matches!(Authority::load("", one.key().expose()), Err(PkiError::NotACertificate(_))));
}

/// A leaf that names a cluster as an authority does, by whoever issued it, is none.
#[test]
fn the_uri_alone_makes_no_authority() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.subject_alt_names = vec![rcgen::SanType::URI("spiffe://blue".try_into().unwrap())];
    parameters.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    for (is_ca, is_authority) in
        [(rcgen::IsCa::ExplicitNoCa, false), (rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0)), true)]
    {
        parameters.is_ca = is_ca;
        let certificate = parameters.self_signed(&key).unwrap().pem();
        assert_eq!(Authority::load(&certificate, &key.serialize_pem()).is_ok(), is_authority);
    }
}

#[test]
fn requests_that_do_not_fit_are_refused() {
    let blue = authority("blue");
    for (role, id) in [
        (HolderRole::Node, "0"),
        (HolderRole::Node, "one"),
        (HolderRole::Edge, ""),
        (HolderRole::Edge, "a/b"),
        (HolderRole::Server, ".."),
    ] {
        assert!(matches!(try_issue(&blue, role, id, days(1)), Err(PkiError::Id { .. })), "{role} {id}");
    }
    let nameless =
        |role| CertificateRequest { role, id: "1".into(), names: SubjectNames::default(), validity: days(1) };
    assert!(matches!(blue.issue(&nameless(HolderRole::Server), &mut KeySource::P256), Err(PkiError::NoNames)));
    assert!(blue.issue(&nameless(HolderRole::Node), &mut KeySource::P256).is_ok());
    for cluster in ["", "a b", "a/b", &"a".repeat(64)] {
        let made = Authority::create(cluster, days(1), &mut KeySource::P256);
        assert!(matches!(made, Err(PkiError::Cluster { .. })), "{cluster}");
    }
}

#[test]
fn a_leaf_ends_with_its_authority_at_the_latest() {
    let blue = Authority::create("blue", days(10), &mut KeySource::P256).unwrap();
    let facts = CertificateRecord::parse(&issue(&blue, HolderRole::Node, "1").chain).unwrap();
    assert_eq!(facts.validity.until, blue.facts().validity.until);
    let later = Validity { from: NOW + 10 * DAY, until: NOW + 20 * DAY };
    assert!(matches!(try_issue(&blue, HolderRole::Node, "1", later), Err(PkiError::AuthorityEnded { .. })));
}

#[test]
fn seeded_keys_make_the_same_certificates_again() {
    let made = |seed: u8| {
        let mut count = seed;
        let mut random = |bytes: &mut [u8]| {
            count = count.wrapping_add(1);
            bytes.fill(count);
        };
        let mut keys = KeySource::Ed25519(&mut random);
        let authority = Authority::create("blue", days(10), &mut keys).unwrap();
        let names = SubjectNames::default();
        let request = CertificateRequest { role: HolderRole::Node, id: "1".into(), names, validity: days(1) };
        let issued = authority.issue(&request, &mut keys).unwrap();
        (authority.certificate().to_owned(), issued.chain, issued.key)
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1).1, made(2).1);
}

#[test]
fn a_revocation_list_is_read_as_it_was_written() {
    let authority = authority("blue");
    let serial = CertificateRecord::parse(&issue(&authority, HolderRole::Node, "1").chain).unwrap().serial;
    let revoked = vec![Revocation { serial, at: NOW }, Revocation { serial: "0102".parse().unwrap(), at: NOW + 5 }];
    for (revoked, number) in [(Vec::new(), 1), (revoked, u64::MAX)] {
        let text = authority.revoke(&revoked, days(30), number).unwrap();
        let [list] = RevocationRecord::parse_all(&text).unwrap().try_into().unwrap();
        let issuer_key_id = authority.facts().key_id.clone();
        assert_eq!(list, RevocationRecord { issuer_key_id, number, validity: days(30), revoked });
    }
    assert!(RevocationRecord::parse_all("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n").is_err());
    assert!(RevocationRecord::parse_all(authority.certificate()).unwrap().is_empty());
}

#[test]
fn a_bundle_has_each_authority_once_and_the_old_one_stays_while_it_is_needed() {
    let (old, new) = (authority("blue"), authority("blue"));
    let text = rotation::bundle([old.certificate(), new.certificate(), old.certificate()]);
    let ids: Vec<_> = CertificateRecord::parse_all(&text).unwrap().into_iter().map(|facts| facts.key_id).collect();
    assert_eq!(ids, [old.facts().key_id.clone(), new.facts().key_id.clone()]);
    assert!(rotation::can_succeed(&old, &new) && !rotation::can_succeed(&old, &old));
    assert!(!rotation::can_succeed(&old, &authority("green")));
    let certificates = [issue(&old, HolderRole::Node, "1"), issue(&new, HolderRole::Node, "2")]
        .map(|issued| CertificateRecord::parse(&issued.chain).unwrap());
    let needing = |now| rotation::still_needing(&old.facts().key_id, &certificates, now).count();
    assert_eq!((needing(NOW), needing(NOW + 90 * DAY), needing(NOW + 90 * DAY + 1)), (1, 1, 0));
}

#[test]
fn a_self_signed_certificate_is_for_its_name() {
    for (name, is_dns) in [("example.org", true), ("192.0.2.1", false), ("::1", false)] {
        let issued = self_signed(name, days(14), KeySource::P256).unwrap();
        let facts = CertificateRecord::parse(&issued.chain).unwrap();
        assert_eq!(
            (facts.names.dns().len(), facts.names.addresses().len()),
            (usize::from(is_dns), usize::from(!is_dns))
        );
        assert!(facts.is_pair_with(issued.key.expose()).unwrap() && facts.identity.is_none());
        assert_eq!((&facts.authority_of, facts.role()), (&None, HolderRole::Server));
    }
    assert!(self_signed("no name", days(14), KeySource::P256).is_err());
}
