//! An authority of a test's own, and the files of certificates that it issues.
//!
//! **Not** the product's trust: clients are given the authority's file, and look for themselves.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use corelane_pki::{
    Authority, CertificateRecord, CertificateRequest, HolderRole, KeySource, Revocation, SubjectNames, Validity,
};

use crate::support::server::{Plan, Server, own_folder};
use crate::support::tool;

/// How long certificates are valid, unless a test says how long.
pub(super) const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// The name that most tests ask for.
pub(super) const NAME: &str = "corelane.test";

/// Settings of every server here.
const BASE: &str = "memory = \"64MiB\"\n";

/// An authority, and a folder of files.
pub(super) struct Pki {
    pub(super) authority: Authority,
    pub(super) folder: PathBuf,
}

/// Files of a certificate.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) chain: PathBuf,
    pub(super) key: PathBuf,
}

/// The time of now, in seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "certificates are valid by the wall clock")]
pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Pki {
    pub(super) fn new() -> Self {
        let validity = Validity::starting(now_s(), MONTH);
        let authority = Authority::create("test", validity, &mut KeySource::P256).unwrap();
        let folder = own_folder();
        fs::write(folder.join("ca.pem"), authority.certificate()).unwrap();
        fs::write(folder.join("ca.key"), authority.key().expose()).unwrap();
        Pki { authority, folder }
    }

    /// The authority's certificate, for clients.
    pub(super) fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Issues a certificate for names and addresses; its texts, chain and key.
    pub(super) fn issue(&self, role: HolderRole, id: &str, names: &[&str], lifetime: Duration) -> [String; 2] {
        let addresses: Vec<IpAddr> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let names: Vec<&&str> = names.iter().filter(|name| name.parse::<IpAddr>().is_err()).collect();
        let names = SubjectNames::new(&names, &addresses).unwrap();
        let validity = Validity::starting(now_s(), lifetime);
        let request = CertificateRequest { role, id: id.to_owned(), names, validity };
        let issued = self.authority.issue(&request, &mut KeySource::P256).unwrap();
        [issued.chain, issued.key.expose().to_owned()]
    }

    /// Issues a server's certificate that ended long ago; its texts.
    pub(super) fn issue_ended(&self) -> [String; 2] {
        let names = SubjectNames::new(&[NAME], &[]).unwrap();
        let validity = Validity { from: now_s() - 3_600, until: now_s() - 600 };
        let request = CertificateRequest { role: HolderRole::Server, id: "ended".to_owned(), names, validity };
        let issued = self.authority.issue(&request, &mut KeySource::P256).unwrap();
        [issued.chain, issued.key.expose().to_owned()]
    }

    /// Issues a server's certificate to files of this name.
    pub(super) fn server(&self, file: &str, names: &[&str]) -> Leaf {
        self.leaf(file, self.issue(HolderRole::Server, file, names, MONTH))
    }

    /// Issues a client's certificate to files of this name.
    pub(super) fn client(&self, file: &str) -> Leaf {
        self.leaf(file, self.issue(HolderRole::Operator, file, &[], MONTH))
    }

    /// Issues a server's certificate with an RSA key, which takes OpenSSL.
    pub(super) fn rsa_server(&self, file: &str, name: &str) -> Leaf {
        let leaf = self.leaf_files(file);
        let [request, extensions] = ["csr", "ext"].map(|end| self.folder.join(format!("{file}.{end}")));
        fs::write(&extensions, format!("subjectAltName=DNS:{name}\nextendedKeyUsage=serverAuth\n")).unwrap();
        openssl(
            &["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=rsa"],
            &[("-keyout", &leaf.key), ("-out", &request)],
        );
        let (ca, ca_key) = (self.ca(), self.folder.join("ca.key"));
        openssl(
            &["x509", "-req", "-days", "20", "-set_serial", "4711"],
            &[("-in", &request), ("-CA", &ca), ("-CAkey", &ca_key), ("-extfile", &extensions), ("-out", &leaf.chain)],
        );
        leaf
    }

    /// Writes a list of what is revoked: that certificate.
    pub(super) fn revoke(&self, leaf: &Leaf) -> PathBuf {
        let record = CertificateRecord::parse(&fs::read_to_string(&leaf.chain).unwrap()).unwrap();
        let revoked = [Revocation { serial: record.serial, at: now_s() - 60 }];
        let list = self.authority.revoke(&revoked, Validity::starting(now_s(), MONTH), 1).unwrap();
        let file = self.folder.join("crl.pem");
        fs::write(&file, list).unwrap();
        file
    }

    pub(super) fn leaf(&self, file: &str, [chain, key]: [String; 2]) -> Leaf {
        let leaf = self.leaf_files(file);
        fs::write(&leaf.chain, chain).unwrap();
        fs::write(&leaf.key, key).unwrap();
        leaf
    }

    fn leaf_files(&self, file: &str) -> Leaf {
        let [chain, key] = ["pem", "key"].map(|end| self.folder.join(format!("{file}.{end}")));
        Leaf { chain, key }
    }

    /// A server with one certificate, for [`NAME`], and further settings.
    pub(super) fn serve(&self, more: &str) -> Server {
        serve(&format!("{}{more}", self.server("web", &[NAME]).table("default")))
    }
}

impl Drop for Pki {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Leaf {
    /// The table of settings that names it.
    pub(super) fn table(&self, name: &str) -> String {
        format!("[certificate.{name}]\nchain = {:?}\nkey = {:?}\n", self.chain, self.key)
    }

    /// Its serial number, as OpenSSL and Python write it.
    pub(super) fn serial(&self) -> String {
        serial_of(&self.chain)
    }
}

/// The serial number of the first certificate of a file.
pub(super) fn serial_of(chain: &Path) -> String {
    CertificateRecord::parse(&fs::read_to_string(chain).unwrap()).unwrap().serial.to_string().to_uppercase()
}

/// Starts a server that serves TLS beside cleartext.
pub(super) fn serve(tables: &str) -> Server {
    serve_on(tables, "0")
}

/// The same on these cores.
pub(super) fn serve_on(tables: &str, cores: &str) -> Server {
    let config = format!("{BASE}{tables}");
    Server::start(&Plan { config: &config, listens_tls: true, cores: Some(cores), ..Plan::default() })
}

/// Runs OpenSSL with words, and with words that files belong to.
pub(super) fn openssl(words: &[&str], files: &[(&str, &Path)]) -> String {
    let mut command = Command::new(tool::find("openssl", "openssl"));
    command.args(words);
    files.iter().for_each(|(word, file)| {
        command.arg(word).arg(file);
    });
    tool::run(&mut command)
}
