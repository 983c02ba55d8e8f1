//! OpenSSL reads and verifies what is issued.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{NOW, authority, days, issue};
use corelane_pki::{CertificateRecord, HolderRole, KeySource, Revocation, self_signed};

/// A folder of one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("corelane-pki-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(Path::new(&self.0));
    }
}

/// What it says, and whether it was content.
fn openssl(arguments: &[&str]) -> (String, bool) {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (said, output.status.success())
}

fn verify(arguments: &[&str]) -> (String, bool) {
    let now = NOW.to_string();
    openssl(&[&["verify", "-x509_strict", "-attime", &now], arguments].concat())
}

#[test]
fn every_role_is_verified_strictly_for_its_purpose() {
    let folder = Folder::new("roles");
    let blue = authority("blue");
    let ca = folder.file("ca.pem", blue.certificate());
    for (role, id, as_client, as_server) in [
        (HolderRole::Edge, "a", true, true),
        (HolderRole::Node, "1", true, true),
        (HolderRole::Operator, "alice", true, false),
        (HolderRole::Server, "public", false, true),
    ] {
        let leaf = folder.file("leaf.pem", &issue(&blue, role, id).chain);
        for (purpose, expected) in [("sslclient", as_client), ("sslserver", as_server)] {
            let (said, passed) = verify(&["-purpose", purpose, "-CAfile", &ca, &leaf]);
            assert_eq!(passed, expected, "{role} {purpose}: {said}");
        }
        let (said, passed) =
            verify(&["-verify_ip", "127.0.0.1", "-verify_hostname", "host.example", "-CAfile", &ca, &leaf]);
        assert!(passed, "{said}");
    }
}

#[test]
fn the_text_has_what_the_standard_asks_for() {
    let folder = Folder::new("text");
    let blue = authority("blue");
    let node = issue(&blue, HolderRole::Node, "1");
    let (text, _) = openssl(&["x509", "-noout", "-text", "-in", &folder.file("ca.pem", blue.certificate())]);
    for wanted in
        ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "URI:spiffe://blue", "O = blue, CN = Corelane CA "]
    {
        assert!(text.contains(wanted), "{wanted} is missing in {text}");
    }
    let (text, _) =
        openssl(&["x509", "-noout", "-text", "-fingerprint", "-sha256", "-in", &folder.file("a", &node.chain)]);
    for wanted in [
        "URI:spiffe://blue/node/1, DNS:host.example, IP Address:127.0.0.1",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "Digital Signature",
        "Subject: O = blue, CN = node 1",
        "Not Before: Dec 31 23:00:00 2025 GMT",
        "Not After : Apr  1 00:00:00 2026 GMT",
        "ASN1 OID: prime256v1",
        "X509v3 Authority Key Identifier",
        "X509v3 Subject Key Identifier",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in {text}");
    }
    let facts = CertificateRecord::parse(&node.chain).unwrap();
    let plain = text.replace(':', "").to_ascii_lowercase();
    assert!(plain.contains(&facts.fingerprint) && plain.contains(&facts.serial.to_string()), "{text}");
}

#[test]
fn a_revocation_list_is_read_and_obeyed() {
    let folder = Folder::new("crl");
    let blue = authority("blue");
    let ca = folder.file("ca.pem", blue.certificate());
    let (kept, lost) = (issue(&blue, HolderRole::Node, "1"), issue(&blue, HolderRole::Node, "2"));
    let serial = CertificateRecord::parse(&lost.chain).unwrap().serial;
    let list = blue.revoke(&[Revocation { serial: serial.clone(), at: NOW }], days(30), 7).unwrap();
    let list = folder.file("crl.pem", &list);
    let (text, passed) = openssl(&["crl", "-noout", "-text", "-CAfile", &ca, "-in", &list]);
    assert!(passed && text.contains("verify OK"), "{text}");
    assert!(text.to_ascii_lowercase().replace("0x", "").contains(&serial.to_string()), "{text}");
    for (issued, expected) in [(&kept, true), (&lost, false)] {
        let leaf = folder.file("leaf.pem", &issued.chain);
        let (said, passed) = verify(&["-crl_check", "-CRLfile", &list, "-CAfile", &ca, &leaf]);
        assert_eq!(passed, expected, "{said}");
    }
}

#[test]
fn a_self_signed_certificate_is_accepted_by_whoever_is_given_it() {
    let folder = Folder::new("self");
    let file = folder.file("self.pem", &self_signed("host.example", days(14), KeySource::P256).unwrap().chain);
    let (said, passed) =
        verify(&["-purpose", "sslserver", "-verify_hostname", "host.example", "-CAfile", &file, &file]);
    assert!(passed, "{said}");
}
