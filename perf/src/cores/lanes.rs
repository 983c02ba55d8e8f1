//! Connections sorted by the core that accepted them, and keys sorted by the core that owns them.
//!
//! The first connection that the kernel hands to a core is found by asking: `Cache-Status` says `detail=own` where the core that was
//! asked owns the key, and the admin listener says which core that is.
//!
//! **Invariants**: as many connections of each core as were asked for, and as many keys.
//!
//! **Source**: RFC 9211 (Cache-Status).

use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;

use super::{CoresLoad, KeysFrom};
use crate::servers::client::BlockingClient;
use crate::servers::{KEY_PATH, VALUE_BYTES};

/// The kernel chooses the core of a connection by a hash: so many times as many as are wanted are tried before something is wrong.
const TRIES_PER_LANE: usize = 16;

/// A request that is sent as it is, and what its answer must be.
#[derive(Clone, Debug)]
pub(super) struct LaneRequest {
    pub(super) bytes: Vec<u8>,
    /// Length of the whole answer: it is the same each time.
    pub(super) answer_bytes: usize,
    /// What `Cache-Status` says.
    pub(super) detail: &'static [u8],
}

/// What there is to measure with: for each of the two cores its connections and its keys.
pub(super) struct CoreLanes {
    pub(super) lanes: [Vec<TcpStream>; 2],
    paths: [Vec<String>; 2],
    address: SocketAddr,
    /// Length of an answer from the own memory, and from the other core's.
    answer_bytes: [usize; 2],
}

const OWN: &[u8] = b"; detail=own\r\n";
const OTHER: &[u8] = b"; detail=core\r\n";

impl CoreLanes {
    /// Stores keys, and opens connections until each core has enough of both.
    pub(super) fn prepare(address: SocketAddr, admin: SocketAddr, lanes: usize, keys: usize) -> Result<Self> {
        let mut client = BlockingClient::connect(address).context("corelane is gone")?;
        let paths = sorted_keys(&mut client, admin, keys)?;
        let mut bench = Self { lanes: [vec![], vec![]], paths, address, answer_bytes: [0; 2] };
        for _ in 0..lanes * 2 * TRIES_PER_LANE {
            if bench.lanes.iter().all(|found| found.len() == lanes) {
                return Ok(bench);
            }
            bench.add_lane(lanes)?;
        }
        bail!("of {} connections one core did not get {lanes}", lanes * 2 * TRIES_PER_LANE)
    }

    fn add_lane(&mut self, lanes: usize) -> Result<()> {
        let mut client = BlockingClient::connect(self.address).context("corelane takes no more connections")?;
        let answer = client.exchange("GET", &self.paths[0][0], "").context("a GET got no answer")?;
        ensure!(answer.status == 200, "a key that was stored is answered with {}", answer.status);
        let is_own = memmem::find(&answer.bytes, OWN).is_some();
        ensure!(is_own || memmem::find(&answer.bytes, OTHER).is_some(), "a hit comes from neither core's memory");
        self.answer_bytes[usize::from(!is_own)] = answer.bytes.len();
        let found = &mut self.lanes[usize::from(!is_own)];
        if found.len() < lanes {
            found.push(client.into_stream());
        }
        Ok(())
    }

    /// The requests of each core's client under a load.
    pub(super) fn requests(&self, load: &CoresLoad) -> [Vec<LaneRequest>; 2] {
        [0, 1].map(|core| {
            let owner = match load.from {
                KeysFrom::Own => core,
                KeysFrom::Other => 1 - core,
                KeysFrom::First => 0,
            };
            let is_other = owner != core;
            let request = |path: &String| LaneRequest {
                bytes: format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).into_bytes(),
                answer_bytes: self.answer_bytes[usize::from(is_other)],
                detail: if is_other { OTHER } else { OWN },
            };
            self.paths[owner].iter().take(load.keys).map(request).collect()
        })
    }
}

/// Stores values until each of two cores owns `keys` of them; returns their paths, core by core.
fn sorted_keys(client: &mut BlockingClient, admin: SocketAddr, keys: usize) -> Result<[Vec<String>; 2]> {
    let (value, mut paths) = ("x".repeat(VALUE_BYTES), [vec![], vec![]]);
    let mut inspector = BlockingClient::connect(admin).context("the admin listener is gone")?;
    // All names have the same length, so that all requests have.
    for number in 0..keys * TRIES_PER_LANE {
        if paths.iter().all(|found: &Vec<String>| found.len() >= keys) {
            return Ok(paths);
        }
        let path = format!("{KEY_PATH}{number:05}");
        let status = client.request("PUT", &path, &value).with_context(|| format!("PUT {path}"))?;
        ensure!(matches!(status, 201 | 204), "a PUT of {path} is answered with {status}");
        let page = path.replace("/v1/kv/", "/v1/debug/key/");
        let answer = inspector.exchange("GET", &page, "").with_context(|| format!("GET {page}"))?;
        let core = owner(&answer.bytes).with_context(|| format!("{page} names no core"))?;
        let found = paths.get_mut(core).with_context(|| format!("{path} is core {core}'s; there should be two"))?;
        found.push(path);
    }
    bail!("of {} keys one core did not get {keys}", keys * TRIES_PER_LANE)
}

/// The owner that the page of a key names.
fn owner(answer: &[u8]) -> Option<usize> {
    let body = memmem::find(answer, b"\r\n\r\n").map(|end| &answer[end + 4..])?;
    let page: serde_json::Value = serde_json::from_slice(body).ok()?;
    page.get("core")?.as_u64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cores::LOADS;

    fn bench() -> CoreLanes {
        let paths = [vec!["/a0".to_owned(), "/a1".to_owned()], vec!["/b0".to_owned(), "/b1".to_owned()]];
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        CoreLanes { lanes: [vec![], vec![]], paths, address, answer_bytes: [300, 301] }
    }

    #[test]
    fn every_core_is_asked_for_the_keys_of_its_load() {
        let first = |requests: &[Vec<LaneRequest>; 2]| {
            requests.clone().map(|of| (String::from_utf8_lossy(&of[0].bytes)[4..6].to_owned(), of[0].answer_bytes))
        };
        let bench = bench();
        for (load, [zero, one]) in LOADS.iter().zip([
            [("/a", 300), ("/b", 300)],
            [("/b", 301), ("/a", 301)],
            [("/a", 300), ("/b", 300)],
            [("/b", 301), ("/a", 301)],
            [("/a", 300), ("/b", 300)],
            [("/a", 300), ("/a", 301)],
        ]) {
            let expected = [zero, one].map(|(path, bytes)| (path.to_owned(), bytes));
            assert_eq!(first(&bench.requests(load)), expected, "{}", load.name);
        }
        assert_eq!(bench.requests(&LOADS[4]).map(|of| of.len()), [1, 1]);
    }

    #[test]
    fn the_owner_is_read_from_the_page_of_a_key() {
        assert_eq!(owner(b"HTTP/1.1 200 OK\r\n\r\n{\"core\": 1}"), Some(1));
        for bad in ["{\"core\": 1}", "HTTP/1.1 200 OK\r\n\r\n{}", "HTTP/1.1 200 OK\r\n\r\n{\"core\": \"x\"}"] {
            assert_eq!(owner(bad.as_bytes()), None, "{bad}");
        }
    }
}
