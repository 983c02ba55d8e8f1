//! Real clients against the real binary: curl, wrk, h2load, Python's http.client, and nginx as a proxy in front.
//!
//! A client that is not installed fails its test, which names the package.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::server::{Plan, Server, own_address, own_folder};
use support::tool::{self, Running};

fn serve() -> Server {
    Server::start(&Plan { config: "memory = \"64MiB\"\n", ..Plan::default() })
}

/// curl against one server.
struct Curl {
    program: PathBuf,
    base: String,
    folder: PathBuf,
}

impl Curl {
    fn new(address: SocketAddr) -> Self {
        let folder = own_folder();
        Curl { program: tool::find("curl", "curl"), base: format!("http://{address}/v1/kv/default/"), folder }
    }

    /// Runs curl on a key; the status and the body, as text.
    fn run(&self, key: &str, arguments: &[&str]) -> (u16, String) {
        let mut command = Command::new(&self.program);
        command.args(["-sS", "--max-time", "20", "-w", "\n%{http_code}"]).args(arguments).arg(self.base.clone() + key);
        let text = tool::run(&mut command);
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// A file of this many bytes.
    fn file(&self, name: &str, bytes: usize) -> PathBuf {
        let file = self.folder.join(name);
        let content: Vec<u8> = (0..bytes).map(|index| (index * 31 + index / 251) as u8).collect();
        std::fs::write(&file, content).unwrap();
        file
    }

    /// Whether what is stored under a key is what the file holds.
    fn holds(&self, key: &str, file: &Path) -> bool {
        let got = self.folder.join("got");
        let (status, _) = self.run(key, &["-o", &got.to_string_lossy()]);
        status == 200 && std::fs::read(got).unwrap() == std::fs::read(file).unwrap()
    }
}

impl Drop for Curl {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn curl_puts_gets_and_deletes() {
    let server = serve();
    let curl = Curl::new(server.address);
    let put: &[&str] = &["-X", "PUT", "-H", "Content-Type: text/plain", "--data-binary", "hello"];
    assert_eq!(curl.run("a", put).0, 201);
    assert_eq!(curl.run("a", put).0, 204);
    assert_eq!(curl.run("a", &[]), (200, "hello".to_owned()));
    let (status, head) = curl.run("a", &["-I"]);
    let length_and_type = head.contains("Content-Length: 5\r\n") && head.contains("Content-Type: text/plain\r\n");
    assert!(status == 200 && length_and_type, "{head}");
    assert_eq!(curl.run("a", &["-r", "1-3"]), (206, "ell".to_owned()));
    assert_eq!(curl.run("a", &["-r", "9-"]).0, 416);
    assert_eq!(curl.run("a", &["--http1.0"]), (200, "hello".to_owned()));
    assert_eq!(curl.run("a", &["-X", "DELETE"]).0, 204);
    assert_eq!(curl.run("a", &[]).0, 404);
}

#[test]
fn curl_asks_on_conditions() {
    let server = serve();
    let curl = Curl::new(server.address);
    assert_eq!(curl.run("a", &["-X", "PUT", "-d", "v"]).0, 201);
    let (_, head) = curl.run("a", &["-I"]);
    let etag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap().trim().to_owned();
    assert_eq!(curl.run("a", &["-H", &format!("If-None-Match: {etag}")]).0, 304);
    assert_eq!(curl.run("a", &["-X", "PUT", "-d", "w", "-H", "If-None-Match: *"]).0, 412);
    assert_eq!(curl.run("a", &["-X", "PUT", "-d", "w", "-H", &format!("If-Match: {etag}")]).0, 204);
    assert_eq!(curl.run("a", &["-X", "PUT", "-d", "x", "-H", &format!("If-Match: {etag}")]).0, 412);
    assert_eq!(curl.run("a", &[]), (200, "w".to_owned()));
}

#[test]
fn curl_uploads_after_100_continue_and_in_chunks() {
    let server = serve();
    let curl = Curl::new(server.address);
    let file = curl.file("two-megabytes", 2 << 20);
    let path = file.to_string_lossy();
    // curl asks for leave by itself for a body of this size; -v tells that it was given.
    let mut command = Command::new(&curl.program);
    command.args(["-sSv", "--max-time", "20", "-H", "Expect: 100-continue", "-T", &path]).arg(curl.base.clone() + "a");
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("< HTTP/1.1 100 Continue") && told.contains("< HTTP/1.1 201 Created"), "{told}");
    assert!(curl.holds("a", &file));

    let mut chunked = Command::new("sh");
    let script = "cat \"$1\" | \"$0\" -sSv --max-time 20 -T - \"$2\"";
    let output = chunked.args(["-c", script]).arg(&curl.program).args([&*path, &(curl.base.clone() + "b")]).output();
    let told = String::from_utf8_lossy(&output.unwrap().stderr).into_owned();
    assert!(told.contains("> Transfer-Encoding: chunked") && told.contains("< HTTP/1.1 201 Created"), "{told}");
    assert!(curl.holds("b", &file));
}

/// One connection, many requests; chunked bodies of a size that the client chooses; a head with no body.
const PYTHON: &str = r#"
import http.client, sys
host, port = sys.argv[1], int(sys.argv[2])
connection = http.client.HTTPConnection(host, port, timeout=20)
connection.connect()
socket = connection.sock
def ask(method, path, body=None, headers={}, **more):
    connection.request(method, path, body, headers, **more)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer
def pieces():
    for size in (1, 10, 100000, 3):
        yield b"x" * size
for index in range(200):
    path = f"/v1/kv/default/python/{index}"
    assert ask("PUT", path, f"value {index}")[0] == 201
    assert ask("GET", path)[:2] == (200, f"value {index}".encode())
assert ask("PUT", "/v1/kv/default/chunked", pieces(), {"Transfer-Encoding": "chunked"}, encode_chunked=True)[0] == 201
assert ask("GET", "/v1/kv/default/chunked")[:2] == (200, b"x" * 100014)
status, body, answer = ask("HEAD", "/v1/kv/default/chunked")
assert (status, body, answer.getheader("Content-Length")) == (200, b"", "100014")
assert ask("DELETE", "/v1/kv/default/chunked")[0] == 204
assert ask("GET", "/v1/kv/default/chunked")[0] == 404
assert connection.sock is socket, "the connection was not kept"
print("fine")
"#;

#[test]
fn python_keeps_its_connection() {
    let server = serve();
    let mut command = Command::new(tool::find("python3", "python3"));
    command.args(["-c", PYTHON, &server.address.ip().to_string(), &server.address.port().to_string()]);
    assert_eq!(tool::run(&mut command), "fine\n");
    assert_eq!(server.metric("corelane_http_connections_accepted_total{core=\"0\"}"), 1);
}

#[test]
fn wrk_sees_no_error() {
    let server = serve();
    let curl = Curl::new(server.address);
    assert_eq!(curl.run("a", &["-X", "PUT", "-d", "v"]).0, 201);
    let mut command = Command::new(tool::find("wrk", "wrk"));
    let report = tool::run(command.args(["-t1", "-c16", "-d2s", "--latency", &(curl.base.clone() + "a")]));
    // wrk tells of errors only when there are some.
    assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
    let requests = report.lines().find_map(|line| line.trim().split_once(" requests in")).unwrap().0;
    assert!(requests.parse::<u64>().unwrap() > 1000, "{report}");
}

#[test]
fn h2load_gets_every_answer() {
    let server = serve();
    let curl = Curl::new(server.address);
    assert_eq!(curl.run("a", &["-X", "PUT", "-d", "v"]).0, 201);
    // Sixteen pipelined on each of eight connections.
    for depth in ["1", "16"] {
        let mut command = Command::new(tool::find("h2load", "nghttp2-client"));
        command.args(["--h1", "-n", "20000", "-c", "8", "-m", depth, &(curl.base.clone() + "a")]);
        let report = tool::run(&mut command);
        let all = "20000 done, 20000 succeeded, 0 failed, 0 errored, 0 timeout";
        assert!(report.contains(all) && report.contains("20000 2xx"), "{report}");
    }
}

/// nginx as one process that passes everything on, over connections that it keeps.
fn nginx_config(folder: &Path, listen: SocketAddr, upstream: SocketAddr) -> String {
    let folder = folder.display();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let paths: String = paths.iter().map(|name| format!("{name}_temp_path {folder}/{name};\n")).collect();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n\
         access_log off;\n{paths}\
         upstream corelane {{ server {upstream}; keepalive 8; }}\n\
         server {{\nlisten {listen};\nclient_max_body_size 8m;\nlocation / {{\nproxy_pass http://corelane;\n\
         proxy_http_version 1.1;\nproxy_set_header Connection \"\";\n}}\n}}\n}}\n"
    )
}

#[test]
fn nginx_passes_requests_on() {
    let server = serve();
    let listen = SocketAddr::from((own_address(), 8081));
    let folder = own_folder();
    let config = folder.join("nginx.conf");
    std::fs::write(&config, nginx_config(&folder, listen, server.address)).unwrap();
    let mut command = Command::new(tool::find("nginx", "nginx-light"));
    let _nginx = Running::start(command.arg("-c").arg(&config).arg("-p").arg(&folder).args(["-e", "stderr"]), listen);

    let curl = Curl::new(listen);
    let file = curl.file("a-megabyte", 1 << 20);
    assert_eq!(curl.run("large", &["-T", &file.to_string_lossy()]).0, 201);
    assert!(curl.holds("large", &file));
    for index in 0..20 {
        let (key, value) = (format!("a{index}"), format!("value {index}"));
        assert_eq!(curl.run(&key, &["-X", "PUT", "-d", &value]).0, 201);
        assert_eq!(curl.run(&key, &[]), (200, value));
    }
    assert_eq!(curl.run("a0", &["-r", "0-4"]), (206, "value".to_owned()));
    assert_eq!(curl.run("a0", &["-X", "DELETE"]).0, 204);
    assert_eq!(curl.run("a0", &[]).0, 404);
    let accepted = server.metric("corelane_http_connections_accepted_total{core=\"0\"}");
    assert!(accepted <= 8, "nginx did not keep its connections: {accepted}");
    drop(curl);
    let _ = std::fs::remove_dir_all(folder);
}
