//! The heads of many different clients of HTTP: browsers, whose cookies and trace ids change with every request, and
//! libraries, which send a few fields that never change.
//!
//! ```text
//!   " HTTP/1.1␍␊Host: …␍␊User-Agent: …␍␊Cookie: session=[16 digits]…␍␊traceparent: 00-[16 digits][16 digits]-…␍␊"
//!     prepared once for each client; a request copies it and writes its ids over the digits
//! ```
//!
//! **Not** what any real client sends, byte by byte: as many fields, as long, and as much of them in common.
//!
//! **Invariants**: a head is written with one copy; its ids are those of the request.

use super::key::hex;
use perf_basis::random::mixed;

/// Digits of an id.
const ID_BYTES: usize = 16;

/// Stands for an id where heads are made.
const ID: &str = "iiiiiiiiiiiiiiii";

/// From the end of the target to the last field that all requests of a client have.
pub(super) struct ClientHead {
    text: Vec<u8>,
    /// Where ids begin in it.
    ids: Vec<usize>,
}

impl ClientHead {
    fn new(text: &str) -> Self {
        let ids = text.match_indices(ID).map(|(at, _)| at).collect();
        Self { text: text.as_bytes().to_vec(), ids }
    }

    /// Appends the head with ids that follow from `number`.
    #[inline]
    pub(super) fn write(&self, buffer: &mut Vec<u8>, number: u64) {
        let start = buffer.len();
        buffer.extend_from_slice(&self.text);
        for (index, at) in self.ids.iter().enumerate() {
            let id = hex(mixed(number.wrapping_add(index as u64)));
            buffer[start + at..start + at + ID_BYTES].copy_from_slice(&id);
        }
    }
}

/// The heads of so many clients, browsers and libraries in turn; of none, the one with `Host` alone.
pub(super) fn heads(authority: &str, count: usize) -> Vec<ClientHead> {
    let bare = format!(" HTTP/1.1\r\nHost: {authority}\r\n");
    let client = |index: usize| if index.is_multiple_of(2) { browser(index / 2) } else { library(index / 2) };
    let heads = (0..count).map(|index| ClientHead::new(&format!("{bare}{}", client(index))));
    if count == 0 { vec![ClientHead::new(&bare)] } else { heads.collect() }
}

/// One of some, by turns.
fn one_of<'a>(of: &[&'a str], index: usize) -> &'a str {
    of[index % of.len()]
}

/// The fields of a browser after `Host`, 9 to 13 of them.
fn browser(index: usize) -> String {
    let version = 118 + index % 9;
    let system =
        one_of(&["X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7"], index);
    let language =
        one_of(&["en-US,en;q=0.9", "de-DE,de;q=0.9,en;q=0.8", "fr-FR,fr;q=0.9,en-US;q=0.7", "ja"], index / 2);
    let mut fields = vec![
        "Connection: keep-alive".to_owned(),
        format!(
            "User-Agent: Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
        ),
        "Accept: application/json, text/plain, */*".to_owned(),
        format!("Accept-Language: {language}"),
        "Accept-Encoding: gzip, deflate, br, zstd".to_owned(),
        format!("Referer: https://shop.example/category/{}/page/{}", index % 7, index % 5),
        format!("Cookie: session={ID}{ID}; theme=dark; consent=1; _ga=GA1.2.{ID}; basket={ID}"),
        format!("traceparent: 00-{ID}{ID}-{ID}-01"),
        "Sec-Fetch-Site: same-origin".to_owned(),
    ];
    let more = [
        "Sec-Fetch-Mode: cors".to_owned(),
        "Sec-Fetch-Dest: empty".to_owned(),
        format!("sec-ch-ua: \"Chromium\";v=\"{version}\", \"Not?A_Brand\";v=\"24\""),
        "DNT: 1".to_owned(),
    ];
    fields.extend(more.into_iter().take(index % 5));
    fields.join("\r\n") + "\r\n"
}

/// The fields of a library after `Host`, 2 to 4 of them.
fn library(index: usize) -> String {
    let names =
        ["python-requests/2.3", "Go-http-client/1.", "okhttp/4.1", "axios/1.", "curl/8.", "Java-http-client/21."];
    let mut fields =
        vec![format!("User-Agent: {}{}", one_of(&names, index), index / names.len()), "Accept: */*".to_owned()];
    let more = ["Accept-Encoding: gzip".to_owned(), format!("X-Client: service-{index}")];
    fields.extend(more.into_iter().take(index % 3));
    fields.join("\r\n") + "\r\n"
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn written(head: &ClientHead, number: u64) -> String {
        let mut buffer = b"GET /".to_vec();
        head.write(&mut buffer, number);
        String::from_utf8(buffer).expect("heads are text")
    }

    #[test]
    fn clients_have_the_fields_that_were_said() {
        let heads = heads("h:1", 64);
        let texts: HashSet<String> = heads.iter().map(|head| written(head, 7)).collect();
        assert_eq!(texts.len(), 64, "all differ");
        for (index, head) in heads.iter().enumerate() {
            let text = written(head, 7);
            let fields: Vec<&str> = text.strip_suffix("\r\n").expect("it ends a line").split("\r\n").skip(1).collect();
            let (expected, changes) = if index % 2 == 0 { (10..=14, true) } else { (3..=5, false) };
            assert!(expected.contains(&fields.len()), "{index}: {} fields", fields.len());
            assert!(fields.iter().all(|field| field.contains(": ")) && !text.contains(ID), "{text}");
            assert_eq!(written(head, 8) != text, changes, "{index}");
        }
    }

    #[test]
    fn ids_differ_within_a_head_and_between_requests() {
        let heads = heads("h:1", 1);
        let ids = |number| {
            let text = written(&heads[0], number);
            heads[0].ids.iter().map(|at| text[5 + at..][..ID_BYTES].to_owned()).collect::<Vec<_>>()
        };
        let all: HashSet<String> = [1, 1 << 40].into_iter().flat_map(ids).collect();
        assert_eq!(all.len(), 2 * heads[0].ids.len());
    }

    #[test]
    fn without_clients_there_is_host_alone() {
        assert_eq!(written(&heads("h:1", 0)[0], 1), "GET / HTTP/1.1\r\nHost: h:1\r\n");
    }
}
