//! A node that grants less than the scenario would send, and answers in another order than it was asked.
//!
//! In virtual time, against a scripted node: what is granted is never exceeded, nothing is lost while it is waited for, and
//! every answer reaches the request that it answers.

use std::time::Duration;

use reactor::{Connection, Reactor};
use shardstore::key::StoredKey;
use shardstore::wire::frame::{self, Decoded};
use shardstore::wire::hello::{CREDIT_BYTES_DEFAULT, FRAME_VALUE_BYTES_DEFAULT, Hello, Role, WANTED_CORE_ANY};
use shardstore::wire::terms::negotiate;
use shardstore::wire::{self, Op, Request, Response, Status, VALUE_BYTES_MAX, batch};

use super::generator::{RunPlan, Team};
use super::protocol::ProtocolRequests;
use super::scenario::{Scenario, ValueOptions as Sizes};
use super::tally::RequestTally;
use super::truth_tests::{measure_plan, start_serving};
use super::values::Values;
use crate::system::stop::StopSignal;

/// Requests that the node grants: fewer than the scenario's pipeline.
const GRANTED: u32 = 3;

/// Keys of the scenario; a tenth of them is not there.
const KEYS: u64 = 50;

fn node_hello() -> Hello {
    Hello {
        version_min: wire::VERSION_MIN,
        version_max: wire::VERSION_MAX,
        role: Role::Node,
        hash_id: shardstore::key::HASH_ID_RAPIDHASH_V3,
        hash_seed: 1,
        cores: 4,
        wanted_core: WANTED_CORE_ANY,
        features: 0,
        node_id: 1,
        topology_epoch: 1,
        incarnation: 1,
        frame_value_bytes_max: FRAME_VALUE_BYTES_DEFAULT,
        value_bytes_max: VALUE_BYTES_MAX,
        credit_requests: GRANTED,
        credit_bytes: CREDIT_BYTES_DEFAULT,
        batch_entries_max: batch::BATCH_ENTRIES_MAX,
        key_bytes_max: shardstore::key::STORED_KEY_BYTES_MAX as u16,
        cluster: "script".to_owned(),
        extension: None,
    }
}

/// What is stored: under a key its value, unless the key's number ends with 9.
fn stored(values: &Values, key: u64) -> Option<&[u8]> {
    (key % 10 != 9).then(|| values.of(key))
}

/// How long the node takes for what is there.
const ANSWER_TIME: Duration = Duration::from_millis(1);

/// Answers all that is there, last first; panics, and with it the simulation, if more is under way than was granted, or if
/// the keys of an `only` connection do not come in turn.
async fn serve(reactor: Reactor, connection: Connection, only: bool) {
    let values = Values::new(&Sizes { bytes: 5, ..Sizes::default() });
    let (mut come, mut session, mut turn) = (Vec::new(), None, 0);
    while let Ok(Some(data)) = connection.receive().await {
        come.extend_from_slice(&data);
        if session.is_none() {
            let limits = Hello::limits(wire::cluster_tag("script"));
            let Ok(Decoded::Frame(frame)) = frame::decode(&come, &limits) else { continue };
            let theirs = Hello::parse(&frame).expect("a connection begins with a HELLO");
            let bytes = frame.wire_bytes();
            come.drain(..bytes);
            node_hello().encode(&mut connection.write());
            session = Some(negotiate(&node_hello(), &theirs).expect("the generator knows who it asks"));
            assert!(come.is_empty(), "nothing is asked before our HELLO has come");
        }
        let session = session.as_ref().expect("agreed above");
        let mut answers = Vec::new();
        while let Ok(Decoded::Frame(frame)) = frame::decode(&come, &session.limits) {
            let request = Request::parse(&frame).expect("it is a request");
            let bytes = frame.wire_bytes();
            let Op::Get { key } = request.op else { panic!("only GETs are asked") };
            let number = std::str::from_utf8(StoredKey::split(key).expect("a stored key").key).expect("text");
            let number = number[1..].parse::<u64>().expect("a number");
            turn = (turn + 1) % KEYS;
            assert!(!only || number == turn, "key {number}, and not {turn}: a request was lost while it waited");
            answers.push((request.id, number));
            come.drain(..bytes);
        }
        assert!(answers.len() <= GRANTED as usize, "{} requests, {GRANTED} were granted", answers.len());
        reactor.sleep_precisely(reactor.now() + ANSWER_TIME).await;
        for (id, key) in answers.into_iter().rev() {
            let value = stored(&values, key);
            let status = if value.is_some() { Status::Ok } else { Status::NotFound };
            let crc = value.map(wire::checksum);
            let answer = Response { value_crc32c: crc, value: value.unwrap_or_default(), ..Response::new(id, status) };
            answer.encode(session.dialect(), &mut connection.write());
        }
    }
}

fn measure(scenario: &str, connections: usize) -> RequestTally {
    let scenario = format!(
        "url = \"shard://10.0.0.1:80/k{{key}}\"\npipeline = 8\nconnections = {connections}\nduration = \"2s\"\n{scenario}\n\
         [keys]\ncount = {KEYS}\nchoose = \"turn\"\n[values]\nbytes = 5\n\
         [expect]\nstatus = [200, 404]\nbody = \"value\"\n"
    );
    let scenario = Scenario::parse(&scenario).expect("the test's scenario is right");
    let plan = RunPlan::read(scenario, Team::alone(1, false), &StopSignal::never()).expect("the address is a number");
    let ProtocolRequests::Shard(requests) = &plan.requests else { panic!("another protocol") };
    requests.know(&node_hello());
    measure_plan(&plan, |host| {
        start_serving(host, move |reactor, connection| serve(reactor, connection, connections == 1));
    })
}

fn check(tally: &RequestTally, what: &str) {
    assert!(tally.answered > 1_000, "{what}: {} answers", tally.answered);
    assert_eq!((tally.failures.total(), tally.outstanding()), (0, 0), "{what}: {:?}", tally.failures);
    let found = tally.statuses.iter().find(|(status, _)| *status == 404).map_or(0, |(_, count)| *count);
    let share = found as f64 / tally.answered as f64;
    assert!((0.08..0.12).contains(&share), "{what}: {share} of the answers are misses, a tenth of the keys is");
}

#[test]
fn credit_bounds_what_is_under_way() {
    check(&measure("", 1), "closed loop");
    check(&measure("", 3), "closed loop over several connections");
    // A request a millisecond on each connection, which takes a millisecond: now and then the fourth has to wait.
    check(&measure("rate = 2000\n", 2), "open loop");
}
