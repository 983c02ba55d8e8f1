//! What people use over TLS: curl, Python, a browser.

use std::path::PathBuf;
use std::process::Command;

use super::pki::{NAME, Pki};
use super::python;
use super::s_client::await_certificate;
use crate::support::client::Client;
use crate::support::server::{Server, own_folder};
use crate::support::tool;

/// curl against one server, by the name of its certificate.
struct Curl<'a> {
    server: &'a Server,
    pki: &'a Pki,
}

impl Curl<'_> {
    fn command(&self, key: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(tool::find("curl", "curl"));
        command
            .args(["-sS", "--max-time", "20", "--noproxy", "*", "-w", "\n%{http_code}", "--cacert"])
            .arg(self.pki.ca());
        command.args(["--connect-to", &format!("::{}", self.server.tls_address)]).args(arguments);
        command.arg(format!("https://{NAME}/v1/kv/default/{key}"));
        command
    }

    /// The status and the body, as text.
    fn run(&self, key: &str, arguments: &[&str]) -> (u16, String) {
        let text = tool::run(&mut self.command(key, arguments));
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// curl's exit status and what it says, when it must fail.
    fn fail(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command("a", arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn curl_puts_gets_and_takes_parts_by_both_versions() {
    let pki = Pki::new();
    let server = pki.serve("");
    let curl = Curl { server: &server, pki: &pki };
    let [file, got] = ["three-megabytes", "got"].map(|name| pki.folder.join(name));
    let content: Vec<u8> = (0..3 << 20).map(|index: u32| (index * 31 + index / 251) as u8).collect();
    std::fs::write(&file, &content).unwrap();
    let (file, got_name) = (file.to_string_lossy(), got.to_string_lossy());
    for versions in [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]] {
        let ask = |key: &str, arguments: &[&str]| curl.run(key, &[&versions, arguments].concat());
        assert!(matches!(ask("large", &["-T", &file]).0, 201 | 204));
        assert_eq!(ask("large", &["-o", &got_name]).0, 200);
        assert!(std::fs::read(&got).unwrap() == content, "what was put is what is got");
        assert_eq!(ask("large", &["-r", "1000000-2999999", "-o", &got_name]).0, 206);
        assert!(std::fs::read(&got).unwrap() == content[1_000_000..3_000_000], "a part is that part");
        assert!(matches!(ask("a", &["-X", "PUT", "-d", "hello"]).0, 201 | 204));
        assert_eq!(ask("a", &["-r", "1-3"]), (206, "ell".to_owned()));
        assert_eq!(ask("a", &["-r", "9-"]).0, 416);
        assert_eq!(ask("a", &["--http1.0"]), (200, "hello".to_owned()));
    }
    // Many on one connection.
    let numbers: Vec<String> = (0..50).map(|_| format!("https://{NAME}/v1/kv/default/a")).collect();
    let many: Vec<&str> = numbers.iter().map(String::as_str).collect();
    assert!(tool::run(&mut curl.command("a", &many)).matches("hello").count() == 51);
}

#[test]
fn curl_refuses_what_it_cannot_trust_and_is_refused_what_is_too_old() {
    let pki = Pki::new();
    let server = pki.serve("[tls]\nmin_version = \"1.3\"\n");
    let curl = Curl { server: &server, pki: &pki };
    let (status, said) = curl.fail(&["--tls-max", "1.2"]);
    assert!(status == 35 && said.contains("alert protocol version"), "{status}: {said}");
    let stranger = Pki::new();
    let (status, said) = Curl { server: &server, pki: &stranger }.fail(&[]);
    assert!(status == 60 && said.contains("SSL certificate problem"), "{status}: {said}");
}

#[test]
fn pythons_own_modules_put_get_and_check_the_end() {
    let pki = Pki::new();
    let server = pki.serve("");
    let (ip, port) = (server.tls_address.ip().to_string(), server.tls_address.port().to_string());
    let ca = pki.ca();
    let arguments = [&ip, &port, ca.to_str().unwrap(), NAME];
    assert_eq!(python::run(include_str!("client.py"), &arguments), "ok\n");
}

#[test]
fn requests_of_python_checks_the_certificate_of_an_address() {
    let pki = Pki::new();
    let server = pki.serve("");
    // Its address is known since it listens.
    let ip = server.tls_address.ip().to_string();
    let addressed = pki.server("web", &[NAME, &ip]);
    server.signal("HUP");
    await_certificate(&server, &addressed);
    let base = format!("https://{}/v1/kv/default/", server.tls_address);
    let said = python::run(include_str!("with_requests.py"), &[&base, pki.ca().to_str().unwrap()]);
    assert_eq!(said, "ok\n");
}

/// Chromium without a display, with a home of its own in which its certificates are.
struct Browser {
    home: PathBuf,
}

impl Browser {
    fn new() -> Self {
        Browser { home: own_folder() }
    }

    /// Puts an authority among those that it trusts.
    fn trust(&self, pki: &Pki) {
        let folder = self.home.join(".pki/nssdb");
        std::fs::create_dir_all(&folder).unwrap();
        let database = format!("sql:{}", folder.display());
        let certutil = || Command::new(tool::find("certutil", "libnss3-tools"));
        tool::run(certutil().args(["-d", &database, "-N", "--empty-password"]));
        let add = ["-d", &database, "-A", "-t", "C,,", "-n", "test authority", "-i"];
        tool::run(certutil().args(add).arg(pki.ca()));
    }

    /// The document of a key, by the name of the server's certificate, and what the browser says besides.
    fn document(&self, server: &Server, key: &str) -> String {
        let mut command = Command::new(tool::find("chromium", "chromium"));
        let flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--dump-dom"];
        command.args(flags).args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.arg(format!("--user-data-dir={}", self.home.join("profile").display())).env("HOME", &self.home);
        command.arg(format!("--host-resolver-rules=MAP {NAME} {}", server.tls_address.ip()));
        command.arg(format!("https://{NAME}:{}/v1/kv/default/{key}", server.tls_address.port()));
        let output = command.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

#[test]
fn a_browser_that_trusts_the_authority_shows_the_page() {
    let pki = Pki::new();
    let server = pki.serve("");
    let page = "<p id=\"found\">served over TLS</p>";
    let put = format!(
        "PUT /v1/kv/default/page HTTP/1.1\r\nHost: h\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}",
        page.len()
    );
    assert_eq!(Client::connect(server.address).ask(&put).status, 201);
    let browser = Browser::new();
    let refused = browser.document(&server, "page");
    assert!(refused.contains("ERR_CERT_AUTHORITY_INVALID") && !refused.contains(page), "{refused}");
    browser.trust(&pki);
    let shown = browser.document(&server, "page");
    assert!(shown.contains(page), "{shown}");
}
