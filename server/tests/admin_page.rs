//! The page at `/` of the admin listener, in Chromium: it shows what the process does, and nothing of it is refused by its own
//! content security policy.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::process::Command;
use std::time::Instant;

use support::client::Client;
use support::server::{Plan, Server, own_folder};
use support::tool;

/// Chromium as it runs without a display, a network and a profile of its own.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Time of the page, which stands still while it waits for an answer: a few polls.
    "--virtual-time-budget=3500",
];

/// The document after the page has polled a few times.
fn rendered(server: &Server) -> String {
    let profile = own_folder();
    let mut command = Command::new(tool::find("chromium", "chromium"));
    command.args(FLAGS).arg(format!("--user-data-dir={}", profile.display()));
    command.arg("--dump-dom").arg(format!("http://{}/", server.admin));
    let document = tool::run(&mut command);
    let _ = std::fs::remove_dir_all(profile);
    document
}

/// The text of the element with this id.
fn text_of<'a>(document: &'a str, id: &str) -> &'a str {
    let (_, after) = document.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id} in {document}"));
    after.split_once('>').unwrap().1.split_once("</").unwrap().0
}

/// Looks at `/v1/status` until a window of sampled keys is reported.
#[expect(clippy::disallowed_methods, reason = "a test has no reactor")]
fn hot_keys_are_reported(server: &Server) {
    let deadline = Instant::now() + support::PATIENCE;
    let mut client = Client::connect(server.admin);
    loop {
        let status = client.ask("GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let status: serde_json::Value = serde_json::from_slice(&status.body).unwrap();
        if status["hot_keys"]["samples"].as_u64().unwrap() > 0 {
            return;
        }
        assert!(Instant::now() < deadline, "no key was sampled: {}", status["hot_keys"]);
    }
}

#[test]
fn the_page_shows_what_happens() {
    let server = Server::start(&Plan { config: "memory = \"64MiB\"\n", ..Plan::default() });
    let idle = rendered(&server);
    assert_eq!(text_of(&idle, "who"), "corelane");
    assert_eq!(text_of(&idle, "requests"), "0 in all");
    assert_eq!(text_of(&idle, "hit"), "–", "no read, no ratio");
    assert!(text_of(&idle, "memory-of").ends_with("of 64.0 MiB"), "{idle}");
    assert!(text_of(&idle, "warnings").contains("none"), "{idle}");

    let mut client = Client::connect(server.address);
    let put = client.ask("PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na");
    assert_eq!(put.status, 201);
    for _ in 0..498 {
        assert_eq!(client.ask("GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    }
    assert_eq!(client.ask("GET /v1/kv/default/b HTTP/1.1\r\nHost: h\r\n\r\n").status, 404);
    hot_keys_are_reported(&server);
    let busy = rendered(&server);
    assert!(busy.contains("<td>default/a</td>"), "the key that nearly all asked for: {busy}");
    assert_eq!(text_of(&busy, "requests"), "500 in all");
    assert_eq!(text_of(&busy, "hit-all"), "99.8 % since the start");
    assert_eq!(text_of(&busy, "connections"), "1");
    for route in ["hit", "write"] {
        assert!(busy.contains(&format!(">http request: {route}<")), "{route} is measured: {busy}");
    }
    assert!(text_of(&busy, "cores").contains("<td>0"), "a row for the core: {busy}");
    assert!(!text_of(&busy, "peak").starts_with("peak 1 /s"), "the rate of the last seconds: {busy}");
}
