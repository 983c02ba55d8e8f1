//! Known truths of a replay: the order of a trace, and the hit ratio of a scripted cache, must come back exactly.
//!
//! Everything is simulated, as in `truth_tests`; the cache is first in, first out, and written down twice: as the server that
//! is asked, and as the function that says how often it must have hit.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reactor::sim::World;
use reactor::{Connection, Reactor};

use super::scenario::Scenario;
use super::tally::RequestTally;
use super::trace::tests::File;
use super::truth_tests::{quick, run, start_serving};

/// Items that the scripted cache holds.
const HELD: usize = 40;

/// What a server was asked: method and key.
type Asked = (String, u64);

/// Keys, and the bytes of what is stored under them.
type FifoCache = Arc<Mutex<VecDeque<(u64, Vec<u8>)>>>;

/// How often a connection's answers are sent, all together, so that several arrive at once.
const PAUSE: Duration = Duration::from_micros(500);

async fn serve(reactor: Reactor, connection: Connection, cache: FifoCache, asked: Sender<Asked>) {
    let answers = Rc::new(RefCell::new(Vec::new()));
    let (sleeper, sender, ready) = (reactor.clone(), connection.sender(), Rc::clone(&answers));
    let send = async move {
        // Until the world ends with its test.
        loop {
            sleeper.sleep_precisely(sleeper.now() + PAUSE).await;
            sender.write().append(&mut ready.borrow_mut());
        }
    };
    reactor.spawn(send).expect("there is room");
    let mut partial = Vec::new();
    while let Ok(Some(data)) = connection.receive().await {
        partial.extend_from_slice(&data);
        while let Some((method, key, body)) = take_request(&mut partial) {
            answers.borrow_mut().extend(answer(
                &method,
                (key, body),
                &mut cache.lock().expect("nobody panics with it"),
            ));
            let _ = asked.send((method, key));
        }
    }
}

/// The first request of what has come, once it is whole.
fn take_request(partial: &mut Vec<u8>) -> Option<(String, u64, Vec<u8>)> {
    let end = partial.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(partial[..end].to_vec()).expect("a head is text");
    let length = head.split_once("Content-Length: ").map_or("0", |(_, rest)| rest.lines().next().expect("a line"));
    let whole = end + length.parse::<usize>().expect("a number");
    if partial.len() < whole {
        return None;
    }
    let body = partial.drain(..whole).skip(end).collect();
    let mut words = head.split(' ');
    let (method, path) = (words.next().expect("a method"), words.next().expect("a path"));
    Some((method.to_owned(), path.strip_prefix('/').expect("a slash").parse().expect("a key"), body))
}

fn answer(method: &str, (key, body): (u64, Vec<u8>), cache: &mut VecDeque<(u64, Vec<u8>)>) -> Vec<u8> {
    let held = cache.iter().find(|(held, _)| *held == key);
    let (status, value) = match (method, held) {
        ("GET", Some((_, value))) => ("200 OK", value.clone()),
        ("GET", None) => ("404 Not Found", b"not here".to_vec()),
        ("PUT", Some(_)) => ("204 No Content", Vec::new()),
        ("PUT", None) => {
            cache.push_back((key, body));
            if cache.len() > HELD {
                cache.pop_front();
            }
            ("201 Created", Vec::new())
        }
        (other, _) => panic!("{other} was not to be asked"),
    };
    [format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", value.len()).into_bytes(), value].concat()
}

/// Keys of a loop with detours: some are held when they come again, and some are not.
fn recorded() -> Vec<u64> {
    (0..3_001u64).map(|n| if n % 3 == 0 { n / 3 % 70 } else { n * n % 151 }).collect()
}

/// The same with the numbers that keys have in a trace, over and over.
fn numbered() -> impl Iterator<Item = u64> {
    let mut known = Vec::new();
    let number = |key| {
        known.iter().position(|seen| *seen == key).unwrap_or_else(|| {
            known.push(key);
            known.len() - 1
        }) as u64
    };
    recorded().into_iter().map(number).collect::<Vec<_>>().into_iter().cycle()
}

/// Asks a fresh cache for a recorded trace from its first request on, all of which is measured.
fn replay(name: &str, bytes: &[u8], more: &str) -> (RequestTally, Vec<Asked>) {
    let file = File::new(name, bytes);
    let text =
        format!("url = \"http://10.0.0.1:80/{{key}}\"\n{}", more.replace("TRACE", &file.0.display().to_string()));
    let scenario = Scenario::parse(&text).expect("the test's scenario is right");
    let mut world = World::new(5, quick());
    let server = world.add_process("server");
    let (sender, asked) = channel();
    let cache = FifoCache::default();
    let serve = move |reactor, connection| serve(reactor, connection, Arc::clone(&cache), sender.clone());
    start_serving(&mut world.host(server), serve);
    let from = world.now();
    let tally = run(&mut world, scenario, from);
    (tally, asked.try_iter().collect())
}

const FILLS: &str = "duration = \"5s\"\n[keys]\ntrace = \"TRACE\"\nformat = \"u64be\"\n[mix]\nfill_misses = true\n\
    [expect]\nstatus = [200, 201, 204, 404]\nbody = \"value\"\n";

fn u64be() -> Vec<u8> {
    recorded().into_iter().flat_map(u64::to_be_bytes).collect()
}

#[test]
fn the_order_of_a_trace_comes_back() {
    let scenario = "rate = 1000\nconnections = 1\narrivals = \"uniform\"\nduration = \"5s\"\n\
        [keys]\ntrace = \"TRACE\"\nformat = \"u64be\"\n[expect]\nstatus = [404]\n";
    let (tally, asked) = replay("order", &u64be(), scenario);
    assert!(asked.len() > 4_900, "more than a round: {}", asked.len());
    assert!(asked.iter().all(|(method, _)| method == "GET"), "nothing is stored unless it is asked for");
    let keys: Vec<u64> = asked.iter().map(|(_, key)| *key).collect();
    assert_eq!(keys, numbered().take(asked.len()).collect::<Vec<_>>());
    assert_eq!((tally.hits, tally.misses, tally.hit_ratio()), (0, tally.answered, Some(0.0)));
}

#[test]
fn the_hit_ratio_of_a_scripted_cache_comes_back_exactly() {
    for more in ["connections = 1\n", "connections = 1\nrate = 700\n"] {
        let (tally, asked) = replay("ratio", &u64be(), &format!("{more}{FILLS}"));
        let reads = tally.hits + tally.misses;
        let (mut held, mut hits) = (VecDeque::new(), 0);
        for key in numbered().take(reads as usize) {
            if held.contains(&key) {
                hits += 1;
            } else {
                held.push_back(key);
                held.drain(..held.len().saturating_sub(HELD));
            }
        }
        assert!(reads > 3_001 && (0.2..0.9).contains(&tally.hit_ratio().unwrap()), "{more}: {reads} reads");
        assert_eq!((tally.hits, tally.misses), (hits, reads - hits), "{more}");
        let puts = asked.iter().filter(|(method, _)| method == "PUT").count() as u64;
        assert_eq!(puts, tally.misses, "{more}");
        // The fill of a miss that is told when the span is over is not measured.
        assert!((reads + puts - 1..=reads + puts).contains(&tally.due), "{more}: {} due", tally.due);
        assert_eq!((tally.sent, tally.answered), (tally.due, tally.due), "{more}");
        assert_eq!((tally.failures.total(), tally.outstanding()), (0, 0), "{more}: values came back as they were");
    }
}

/// However full connections are, a fill finds the room that the answer has made, and none has more under way than it may.
#[test]
fn fills_stay_within_the_pipeline() {
    for more in ["connections = 3\npipeline = 4\n", "connections = 3\npipeline = 4\nrate = 40000\n", "rate = 5000\n"] {
        let (tally, asked) = replay("pipeline", &u64be(), &format!("{more}{FILLS}"));
        let puts = asked.iter().filter(|(method, _)| method == "PUT").count() as u64;
        // A run that has more to ask than it can is cut, and with it the fills of what was told last.
        assert!((tally.misses.saturating_sub(64)..=tally.misses).contains(&puts), "{more}: {puts} of {}", tally.misses);
        assert!(puts > 1_000 && tally.failures.total() == 0, "{more}: {puts} fills, {:?}", tally.failures);
    }
}

#[test]
fn sizes_of_a_trace_are_those_that_are_stored() {
    let oracle = |key: u64| [&[0; 4], &key.to_le_bytes()[..], &(key as u32 * 1_000).to_le_bytes(), &[0xff; 8]].concat();
    let bytes: Vec<u8> = recorded().into_iter().flat_map(oracle).collect();
    let scenario = FILLS.replace("u64be", "oracle") + "[values]\nfrom_trace = true\n";
    let (tally, _) = replay("stored", &bytes, &format!("connections = 1\n{scenario}"));
    assert!(tally.hits > 100 && tally.failures.total() == 0, "{:?}", tally.failures);
    assert!(tally.body_bytes > tally.hits * 10_000, "they are large: {} bytes", tally.body_bytes);
    let (wrong, _) = replay("wrong", &bytes, &format!("connections = 1\n{}", scenario.replace("201, ", "")));
    assert_eq!((wrong.failures.status > 0, wrong.failures.body), (true, 0), "201 was not expected");
}
