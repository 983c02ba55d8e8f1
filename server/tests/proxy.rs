//! Routes of the real binary: served, explained, and changed while it serves.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::process::Command;

use support::answer::Answer;
use support::client::Client;
use support::server::{Plan, Server, Waiting, program};
use support::tool;

/// Reloads of the test that counts lost requests.
const RELOADS: usize = 30;

const APPLIED: &str = "corelane_config_reloads_total{result=\"applied\"}";
const REFUSED: &str = "corelane_config_reloads_total{result=\"refused\"}";

fn get(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

fn site(version: usize) -> String {
    format!(
        "memory = \"64MiB\"\n[service.app]\nanswer = {{ text = \"v{version}\" }}\n\
         [[route]]\nhost = \"shop.example\"\nservice = \"app\"\n\
         [[route]]\nhost = \"shop.example\"\npath = \"/old/{{*rest}}\"\nredirect = {{ to = \"/{version}/{{rest}}\" }}\n"
    )
}

#[test]
fn routes_and_the_kv_api_are_served_beside_each_other() {
    let server = Server::start(&Plan { config: &site(1), ..Plan::default() });
    let mut client = Client::connect(server.address);
    let answer = client.ask(&get("/x/../", "Shop.Example"));
    assert_eq!((answer.status, &answer.body[..]), (200, &b"v1"[..]));
    assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"));
    let answer = client.ask(&get("/old/a%2fb?q", "shop.example"));
    assert_eq!((answer.status, answer.field("Location")), (308, Some("/1/a%2Fb?q")));
    assert_eq!(client.ask(&get("/", "elsewhere.example")).status, 404);
    let put = "PUT /v1/kv/default/k HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n\r\nvalue";
    assert_eq!(client.ask(put).status, 201);
    assert_eq!(client.ask(&get("/v1/kv/default/k", "shop.example")).body, b"value");
    // A body that nobody reads ends the connection.
    let answer = client.ask("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!((answer.status, answer.closes()), (200, true));
}

#[test]
fn no_request_is_lost_while_routes_change() {
    let server = Server::start(&Plan { config: &site(0), ..Plan::default() });
    let mut client = Client::connect(server.address);
    let version = |answer: &Answer| String::from_utf8(answer.body.clone()).unwrap();
    for reload in 1..=RELOADS {
        server.write("corelane.toml", &site(reload));
        server.signal("HUP");
        let (before, after) = (format!("v{}", reload - 1), format!("v{reload}"));
        let waiting = Waiting::begin();
        loop {
            let answer = client.ask(&get("/", "shop.example"));
            assert_eq!(answer.status, 200, "reload {reload}");
            let seen = version(&answer);
            if seen == after {
                break;
            }
            assert_eq!(seen, before, "reload {reload}");
            waiting.go_on(|| format!("reload {reload} does not take effect"));
        }
        let answer = client.ask(&get("/old/", "shop.example"));
        assert_eq!(answer.field("Location"), Some(&*format!("/{reload}/")));
    }
}

#[test]
fn a_body_that_changes_is_served_and_a_bad_route_changes_nothing() {
    let server = Server::start(&Plan { config: "memory = \"64MiB\"\n", ..Plan::default() });
    let mut client = Client::connect(server.address);
    let answer = client.ask(&get("/", "h"));
    assert!(answer.status == 200 && answer.body.starts_with(b"Corelane."), "without routes all is as it was");
    let text = "memory = \"64MiB\"\n[service.down]\nanswer = { status = 503, file = \"down.html\", retry_after = \"9s\" }\n\
                [[route]]\nservice = \"down\"\n";
    server.write("down.html", "<p>one</p>");
    server.write("corelane.toml", text);
    server.await_metric(APPLIED, 1);
    let await_body = |client: &mut Client, body: &str| {
        let waiting = Waiting::begin();
        loop {
            let answer = client.ask(&get("/", "h"));
            if answer.body == body.as_bytes() {
                return answer;
            }
            waiting.go_on(|| format!("{body} is not served"));
        }
    };
    let answer = await_body(&mut client, "<p>one</p>");
    assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("9")));
    assert_eq!(answer.field("Content-Type"), Some("text/html; charset=utf-8"));
    // Nobody sends a signal: the file is watched as the settings are.
    server.write("down.html", "<p>two</p>");
    await_body(&mut client, "<p>two</p>");

    server.write("corelane.toml", &format!("{text}[[route]]\nservice = \"dwn\"\n"));
    server.signal("HUP");
    server.await_metric(REFUSED, 1);
    let line = server.await_event("config_refused");
    assert!(
        line.contains(
            "corelane.toml:7: route[2].service: found \\\"dwn\\\", allowed: a [service.NAME]; did you mean \\\"down\\\""
        ),
        "{line}"
    );
    assert_eq!(client.ask(&get("/", "h")).status, 503);
}

#[test]
fn what_becomes_of_a_request_is_explained_before_and_while_it_serves() {
    let server = Server::start(&Plan { config: &site(1), ..Plan::default() });
    let config = server.folder.join("corelane.toml");
    let explain = |request: &str| {
        let mut command = program(env!("CARGO_BIN_EXE_corelane"));
        command.arg("--config").arg(&config).args(["--explain", request]).output().unwrap()
    };
    let output = explain("GET http://shop.example/old/x");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.ends_with("result: redirect 308 to /1/x\n"), "{text}");
    assert!(text.contains("corelane.toml:9: route[2] (shop.example, /old/{*rest}): wins"), "{text}");
    assert_eq!(explain("GET").status.code(), Some(2));
    let page = Client::connect(server.admin).ask(&get("/v1/explain?url=http://shop.example/old/x", "h"));
    let page: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
    assert_eq!((page["result"]["location"].as_str(), page["candidates"][1]["route"].as_u64()), (Some("/1/x"), Some(1)));
}

#[test]
fn a_route_knows_whether_its_client_speaks_tls() {
    let config = "memory = \"64MiB\"\nself_signed = \"localhost\"\n[service.app]\nanswer = { text = \"safe\" }\n\
                  [[route]]\nscheme = \"https\"\nservice = \"app\"\n\
                  [[route]]\nscheme = \"http\"\nredirect = { to = \"https://{host}:8443{path}\" }\n";
    let server = Server::start(&Plan { config, listens_tls: true, ..Plan::default() });
    let answer = Client::connect(server.address).ask(&get("/a?q", "localhost"));
    assert_eq!((answer.status, answer.field("Location")), (308, Some("https://localhost:8443/a?q")));
    let output = Command::new(tool::find("curl", "curl"))
        .args(["--silent", "--insecure", "--max-time", "60", &format!("https://{}/a", server.tls_address)])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "safe");
}
