//! Pairs of files that are taken, and what is said of those that are not.

use super::issuer::{Authority, DAY, Pair, START, Wish, clock, file, provider};
use crate::store::{Certificate, CertificateFacts, CertificateFiles, KeyKind, NamedFile, StoreError};

fn read(pair: &Pair) -> Result<Certificate, Vec<StoreError>> {
    read_files(&pair.files("web"))
}

fn read_files(files: &CertificateFiles<'_>) -> Result<Certificate, Vec<StoreError>> {
    Certificate::read(files, &provider(), clock().now())
}

/// The names of the faults, and their text.
fn faults(pair: &Pair) -> (Vec<&'static str>, String) {
    texts(&read(pair).expect_err("it is refused"))
}

fn texts(errors: &[StoreError]) -> (Vec<&'static str>, String) {
    let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    (errors.iter().map(|error| error.fault.name()).collect(), text)
}

fn with_chain(pair: &Pair, chain: String) -> Pair {
    Pair { chain, key: pair.key.clone() }
}

fn with_key(pair: &Pair, key: String) -> Pair {
    Pair { chain: pair.chain.clone(), key }
}

fn facts(pair: &Pair) -> CertificateFacts {
    read(pair).unwrap().facts().clone()
}

#[test]
fn operators_are_told_what_a_certificate_is() {
    let root = Authority::new("root");
    let issuer = root.below("issuer");
    let mut pair = issuer.issue(&Wish::names(&["WWW.Example.com", "*.example.com", "192.0.2.1", "2001:db8::1"]));
    pair.chain += &issuer.pem();
    let facts = facts(&pair);
    assert_eq!(facts.dns_names, ["www.example.com", "*.example.com"]);
    assert_eq!(facts.other_names, ["192.0.2.1", "2001:db8::1"]);
    assert_eq!((facts.not_before, facts.not_after), ((START - DAY) as i64, (START + 90 * DAY) as i64));
    assert_eq!((facts.key, facts.chain_length, facts.since), (KeyKind::P256, 2, START));
    assert_eq!((facts.issuer.as_str(), facts.serial.as_str()), ("CN=issuer", "07"));
    assert_eq!(facts.fingerprint.len(), 64);
    assert!(facts.advice.is_empty(), "{:?}", facts.advice);
}

#[test]
fn every_kind_of_key_is_taken() {
    let root = Authority::new("root");
    let kinds = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, KeyKind::P256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, KeyKind::P384),
        (&rcgen::PKCS_ED25519, KeyKind::Ed25519),
        (&rcgen::PKCS_RSA_SHA256, KeyKind::Rsa(2048)),
    ];
    for (kind, expected) in kinds {
        let facts = facts(&root.issue(&Wish { kind, ..Wish::names(&["a.example"]) }));
        assert_eq!(facts.key, expected);
        let is_advised = facts.advice.iter().any(|advice| advice.contains("P-256"));
        assert_eq!(is_advised, matches!(expected, KeyKind::Rsa(_)), "{facts:?}");
    }
}

#[test]
fn wrong_files_are_named_with_a_remedy() {
    let root = Authority::new("root");
    let pair = root.issue(&Wish::names(&["a.example"]));
    let other = root.issue(&Wish::names(&["a.example"]));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n".to_owned();
    let old_encrypted = pair.key.replacen("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\n\n", 1);
    let public = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n".to_owned();
    let cut = |text: &str| text[..text.len() / 2].to_owned();
    for (pair, fault, remedy) in [
        (with_chain(&pair, String::new()), "empty", "write it again"),
        (with_chain(&pair, " \n".into()), "empty", "write it again"),
        (with_chain(&pair, "0\u{3}abc".into()), "not_pem", "-inform der"),
        (with_chain(&pair, "hello".into()), "not_pem", "BEGIN CERTIFICATE"),
        (with_chain(&pair, cut(&pair.chain)), "cut_pem", "copy the file again"),
        (with_chain(&pair, pair.chain.clone() + &pair.key), "key_misplaced", "`PRIVATE KEY`"),
        (with_chain(&pair, pair.chain.clone() + &encrypted), "key_misplaced", "`ENCRYPTED PRIVATE KEY`"),
        (with_chain(&pair, pair.chain.clone() + &public), "misplaced", "`PUBLIC KEY`"),
        (with_key(&pair, pair.chain.clone()), "no_key", "holds no private key"),
        (with_key(&pair, pair.key.clone() + &other.key), "many_keys", "2 private keys"),
        (with_key(&pair, pair.key.clone() + &pair.chain), "misplaced", "`CERTIFICATE`"),
        (with_key(&pair, encrypted.clone()), "encrypted_key", "openssl pkey"),
        (with_key(&pair, old_encrypted), "encrypted_key", "openssl pkey"),
        (with_key(&pair, cut(&pair.key)), "cut_pem", "copy the file again"),
        (with_key(&pair, public), "no_key", "holds no private key"),
        (with_key(&pair, other.key.clone()), "key_of_another", "key.pem"),
    ] {
        let (names, text) = faults(&pair);
        assert_eq!(names, [fault], "{text}");
        assert!(text.contains(remedy), "{text}");
        assert!(text.contains("chain.pem: ") || text.contains("key.pem: "), "{text}");
        assert!(!text.contains("MII"), "{text}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let root = Authority::new("root");
    let pair = root.issue(&Wish::names(&["a.example"]));
    let bad = Pair { chain: String::new(), key: pair.chain.clone() };
    let staple = NamedFile { bytes: b"x", ..file("ocsp", "") };
    let files = CertificateFiles { ocsp: Some(staple), ..bad.files("web") };
    assert_eq!(texts(&read_files(&files).unwrap_err()).0, ["empty", "no_key", "bad_ocsp"]);
}

#[test]
fn half_replaced_pairs_are_told_from_wrong_ones() {
    let root = Authority::new("root");
    let (old, new) = (root.issue(&Wish::names(&["a.example"])), root.issue(&Wish::names(&["a.example"])));
    let half = |pair: &Pair| read(pair).unwrap_err().iter().all(StoreError::may_be_half_replaced);
    assert!(half(&with_key(&new, old.key.clone())));
    assert!(half(&with_chain(&new, String::new())));
    assert!(half(&with_chain(&new, new.chain[..99].to_owned())));
    assert!(!half(&with_key(&new, new.key.clone() + &old.key)));
}

#[test]
fn the_chain_has_to_be_in_order() {
    let root = Authority::new("root");
    let issuer = root.below("issuer");
    let pair = issuer.issue(&Wish::names(&["a.example"]));
    let chain = |parts: &[&str]| with_chain(&pair, parts.concat());
    let (own, middle, top) = (pair.chain.as_str(), issuer.pem(), root.pem());
    assert_eq!(facts(&chain(&[own, &middle])).chain_length, 2);
    let with_root = facts(&chain(&[own, &middle, &top]));
    assert!(with_root.advice[0].contains("root"), "{with_root:?}");

    let (names, text) = faults(&chain(&[&middle, own]));
    assert_eq!(names, ["key_of_later", "out_of_order"], "{text}");
    assert!(text.contains("put that one first"), "{text}");
    let (names, text) = faults(&chain(&[own, &top, &middle]));
    assert_eq!(names, ["out_of_order"]);
    assert!(
        text.contains("certificate 1 (CN=leaf) is not issued by the next one (CN=root), but by CN=issuer"),
        "{text}"
    );
    // The name alone does not make an issuer.
    let namesake = root.below("issuer").pem();
    assert_eq!(faults(&chain(&[own, &namesake])).0, ["out_of_order"]);
    let many = [&[own][..], &[middle.as_str(); 10]].concat();
    assert_eq!(faults(&chain(&many)).0, ["long_chain"]);
}

#[test]
fn times_are_checked_of_the_whole_chain() {
    let root = Authority::new("root");
    let issue = |valid| root.issue(&Wish { valid, ..Wish::names(&["a.example"]) });
    let (names, text) = faults(&issue((START - 9 * DAY, START - 1)));
    assert_eq!(names, ["expired"]);
    assert!(text.contains("2027"), "{text}");
    assert_eq!(faults(&issue((START + 1, START + DAY))).0, ["not_yet_valid"]);
    read(&issue((START, START))).unwrap();
}

#[test]
fn ocsp_responses_are_looked_at() {
    let root = Authority::new("root");
    let pair = root.issue(&Wish::names(&["a.example"]));
    let read = |bytes: &[u8]| {
        let staple = NamedFile { bytes, ..file("ocsp", "") };
        read_files(&CertificateFiles { ocsp: Some(staple), ..pair.files("web") }).map_err(|errors| texts(&errors).1)
    };
    assert!(read(&[0x30, 5, 0x0a, 1, 0, 0xa0, 0]).unwrap().facts().is_stapled);
    for (bytes, reason) in [
        (&[][..], "empty"),
        (b"-----BEGIN", "PEM is not taken"),
        (&[0x30, 3, 0x0a, 1, 6], "reported an error"),
        (&[0x30, 9, 0x0a, 1, 0, 0xa0, 0], "not one DER sequence"),
        (&[0x30, 0x84], "not one DER sequence"),
        (&[0x30, 0x81], "not one DER sequence"),
        (&[0x30, 2, 5, 0], "does not begin with a status"),
        (&vec![0; 20_000], "16 KiB"),
    ] {
        let text = read(bytes).unwrap_err();
        assert!(text.contains(reason), "{text}");
    }
}
