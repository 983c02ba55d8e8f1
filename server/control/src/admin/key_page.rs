//! `/v1/debug/key/{keyspace}/{key}`: where a key belongs, and what the process stores for it. The same path on edges and nodes.
//!
//! **Not** a way to read values, nor what is known of a key: the binary describes it.
//!
//! **Source**: docs/specification.md; the key is percent-decoded as that of a request for its value is.

use corelane_http::{Method, Status, problem::Problem, target::percent_decode};
use serde_json::{Map, Value};
use shardstore::key::{KEY_BYTES_MAX, StoredKey};

use super::page::{AdminPage, PageRequest};

/// Where the pages of keys are.
const PREFIX: &str = "/v1/debug/key/";

/// What a process knows of its keys.
pub trait KeyDescriptions {
    /// Whether there is a keyspace of this name.
    fn has_keyspace(&self, name: &str) -> bool;

    /// What is known of a key in its stored form.
    ///
    /// # Errors
    ///
    /// Nobody's: the key cannot be looked at now, for this reason.
    fn describe(&self, stored: &[u8]) -> Result<Map<String, Value>, &'static str>;
}

/// The page of a key; `None` when the path is none of a key.
pub fn page(request: &PageRequest<'_>, keys: &dyn KeyDescriptions) -> Option<AdminPage> {
    let rest = request.path.strip_prefix(PREFIX)?;
    Some(key_page(request.method, rest, keys).unwrap_or_else(|problem| AdminPage::problem(&problem)))
}

fn key_page(method: Method, rest: &str, keys: &dyn KeyDescriptions) -> Result<AdminPage, Problem<'static>> {
    if !matches!(method, Method::Get | Method::Head) {
        return Err(problem(Status::MethodNotAllowed, "method-not-allowed", "this page can only be read"));
    }
    let Some((keyspace, raw_key)) = rest.split_once('/') else {
        return Err(problem(Status::NotFound, "not-found", "the path is /v1/debug/key/KEYSPACE/KEY"));
    };
    if !keys.has_keyspace(keyspace) {
        let detail = "there is no such keyspace; keyspaces are declared in the configuration as [keyspace.NAME]";
        return Err(problem(Status::NotFound, "unknown-keyspace", detail));
    }
    let bad_key =
        || problem(Status::BadRequest, "bad-key", "a key is 1 to 4096 bytes, percent-encoded where it must be");
    let (mut decoded, mut stored) = (Vec::new(), Vec::new());
    let key = percent_decode(raw_key.as_bytes(), &mut decoded, KEY_BYTES_MAX).map_err(|_| bad_key())?;
    StoredKey::encode(keyspace.as_bytes(), key, &mut stored).map_err(|_| bad_key())?;
    let known = keys.describe(&stored).map_err(|reason| problem(Status::ServiceUnavailable, "unavailable", reason))?;
    let mut page = Map::new();
    page.insert("keyspace".to_owned(), keyspace.into());
    page.insert("key".to_owned(), String::from_utf8_lossy(key).into());
    page.extend(known);
    Ok(AdminPage::json(Status::Ok, &page.into()))
}

fn problem(status: Status, slug: &'static str, detail: &'static str) -> Problem<'static> {
    Problem { limit: None, status, slug, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;

    impl KeyDescriptions for Fake {
        fn has_keyspace(&self, name: &str) -> bool {
            name == "k"
        }

        fn describe(&self, stored: &[u8]) -> Result<Map<String, Value>, &'static str> {
            if stored.ends_with(b"busy") {
                return Err("it is changing");
            }
            Ok(Map::from_iter([("bytes".to_owned(), stored.len().into())]))
        }
    }

    #[test]
    fn a_page_is_of_a_key_that_there_can_be() {
        let ask = |method, path| page(&PageRequest { method, path, query: None }, &Fake);
        assert!(ask(Method::Get, "/v1/debug").is_none());
        for (method, path, status) in [
            (Method::Get, "/v1/debug/key/k/a%20b", 200),
            (Method::Head, "/v1/debug/key/k/a/b", 200),
            (Method::Put, "/v1/debug/key/k/a", 405),
            (Method::Get, "/v1/debug/key/k", 404),
            (Method::Get, "/v1/debug/key/other/a", 404),
            (Method::Get, "/v1/debug/key/k/", 400),
            (Method::Get, "/v1/debug/key/k/%zz", 400),
            (Method::Get, "/v1/debug/key/k/busy", 503),
        ] {
            let page = ask(method, path).expect("it is one of a key");
            assert_eq!(page.status.code(), status, "{path}: {}", String::from_utf8_lossy(&page.body));
        }
        let page = ask(Method::Get, "/v1/debug/key/k/a%20b").expect("as above");
        let page: Value = serde_json::from_slice(&page.body).expect("it is JSON");
        assert_eq!((page["keyspace"].as_str(), page["key"].as_str()), (Some("k"), Some("a b")));
        assert!(page["bytes"].as_u64() > Some(3));
    }
}
