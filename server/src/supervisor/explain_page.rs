//! `/v1/explain?method=GET&url=https://host/path&header=Name:%20value`: which route a request takes, and why.
//!
//! **Not** a request: nothing is served or fetched.
//!
//! **Source**: docs/proxy.md, "Why did this request go there?".

use control::admin::{AdminPage, PageRequest};
use corelane_gateway::{Explanation, RouteOutcome, RouteQuestion, RouteTable, explain};
use corelane_http::problem::Problem;
use corelane_http::target::percent_decode;
use corelane_http::{Method, Status};
use serde_json::{Value, json};

const PATH: &str = "/v1/explain";

/// Longest part of a query, decoded; no head that is asked about is longer.
const PART_BYTES_MAX: usize = 64 << 10;

/// The page; `None` when another is asked for.
pub(super) fn page(request: &PageRequest<'_>, table: &RouteTable) -> Option<AdminPage> {
    if request.path != PATH {
        return None;
    }
    if !matches!(request.method, Method::Get | Method::Head) {
        return Some(problem(Status::MethodNotAllowed, "method-not-allowed", "this page can only be read"));
    }
    let page = explained(request.query.unwrap_or_default(), table);
    Some(page.unwrap_or_else(|detail| problem(Status::BadRequest, "bad-question", &detail)))
}

fn explained(query: &str, table: &RouteTable) -> Result<AdminPage, String> {
    let (mut method, mut url, mut fields) = ("GET".to_owned(), None, Vec::new());
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, raw) = part.split_once('=').unwrap_or((part, ""));
        let mut scratch = Vec::new();
        let value = percent_decode(raw.as_bytes(), &mut scratch, PART_BYTES_MAX).map_err(|error| error.to_string())?;
        let value = String::from_utf8(value.to_vec()).map_err(|_| format!("{name} is not UTF-8"))?;
        match name {
            "method" => method = value,
            "url" => url = Some(value),
            "header" => fields.push(value),
            _ => return Err(format!("there is no \"{name}\"; ask with method, url and header")),
        }
    }
    let url = url.ok_or("a url is needed: /v1/explain?method=GET&url=https://example.com/path")?;
    let question = RouteQuestion { method: &method, url: &url, fields: fields.iter().map(String::as_str).collect() };
    let explanation = explain(table, &question).map_err(|fault| fault.to_string())?;
    Ok(AdminPage::json(Status::Ok, &rendered(&explanation)))
}

fn rendered(explanation: &Explanation) -> Value {
    let Explanation { scheme, host, path, query, candidates, outcome } = explanation;
    let candidates: Vec<Value> = candidates
        .iter()
        .map(|route| {
            let place = route.place.to_string();
            json!({ "route": route.number, "place": place, "host": route.host, "path": route.path, "verdict": route.verdict })
        })
        .collect();
    let result = match outcome {
        RouteOutcome::Kv => json!({ "kind": "kv" }),
        RouteOutcome::Answer { service, status } => json!({ "kind": "answer", "service": service, "status": status }),
        RouteOutcome::Redirect { status, location } => {
            json!({ "kind": "redirect", "status": status, "location": location })
        }
        RouteOutcome::NoRoute => json!({ "kind": "no-route", "status": 404 }),
    };
    json!({ "scheme": scheme, "host": host, "path": path, "query": query, "candidates": candidates, "result": result })
}

fn problem(status: Status, slug: &'static str, detail: &str) -> AdminPage {
    AdminPage::problem(&Problem { limit: None, status, slug, detail })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::fixture::snapshot;

    #[test]
    fn the_page_says_what_becomes_of_a_request() {
        let table = snapshot(
            1,
            "[service.app]\nanswer = { text = \"hi\" }\n[[route]]\nservice = \"app\"\n\
             [[route]]\npath = \"/old\"\nheader = { X = \"1\" }\nredirect = { to = \"/new\" }\n",
        )
        .routes;
        let ask = |method, query| {
            let page = page(&PageRequest { method, path: PATH, query: Some(query) }, &table).expect("it is this page");
            (page.status.code(), String::from_utf8(page.body).unwrap())
        };
        let (status, text) = ask(Method::Get, "url=http://a/x/%252e%252E/old%3Fq&header=X:%201");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &value["path"], &value["query"]), (200, &json!("/old"), &json!("q")));
        assert_eq!(value["result"], json!({ "kind": "redirect", "status": 308, "location": "/new?q" }));
        assert_eq!(value["candidates"][0]["place"], "corelane.toml:6");
        assert_eq!(value["candidates"][1]["verdict"], "lost: less specific");
        for (query, kind) in [("url=http://a/", "answer"), ("url=http://a/v1/kv/k/a&method=PUT", "kv")] {
            let value: Value = serde_json::from_str(&ask(Method::Get, query).1).unwrap();
            assert_eq!(value["result"]["kind"], kind);
        }
        for (method, query, status) in [
            (Method::Post, "url=http://a/", 405),
            (Method::Get, "", 400),
            (Method::Get, "url=%zz", 400),
            (Method::Get, "url=%ff", 400),
            (Method::Get, "uri=http://a/", 400),
            (Method::Get, "url=http://a/%25zz", 400),
        ] {
            assert_eq!(ask(method, query).0, status, "{query}");
        }
        assert!(page(&PageRequest { method: Method::Get, path: "/v1/explained", query: None }, &table).is_none());
    }
}
