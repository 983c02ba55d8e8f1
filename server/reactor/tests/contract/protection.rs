//! What tasks may rely on when their connection has a layer.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use reactor::{Connection, ConnectionError};

use crate::scenario::{Message, STEP_BYTES, Seat, on_both, pattern, read_all};
use crate::toy::{CHECKSUM, Facts, TOLD, Toy};

const HELLO: &[u8] = b"hello";
const WELCOME: &[u8] = b"welcome";
const LINGER: Duration = Duration::from_secs(20);

/// Reads a greeting without a layer; what came behind it belongs to the layer.
async fn greeting(connection: &Connection, greeting: &[u8]) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < greeting.len() {
        got.extend_from_slice(&connection.receive().await.unwrap().expect("a greeting"));
    }
    assert_eq!(&got[..greeting.len()], greeting);
    got.split_off(greeting.len())
}

/// Accepts one connection, and puts the layer on it while its own greeting is still queued.
async fn accept(seat: &Seat, layer: Toy) -> Connection {
    let listener = seat.listen();
    seat.send(1, Message::Address(listener.address().clone()));
    let connection = listener.accept().await.unwrap();
    let unread = greeting(&connection, HELLO).await;
    connection.write().extend_from_slice(&WELCOME[..3]);
    seat.reactor.next_pass().await;
    connection.write().extend_from_slice(&WELCOME[3..]);
    connection.protect(Box::new(layer), unread);
    connection
}

async fn connect(seat: &Seat, layer: Toy) -> Connection {
    let connection = seat.connect(&seat.address().await).await.unwrap();
    connection.write().extend_from_slice(HELLO);
    let unread = greeting(&connection, WELCOME).await;
    connection.protect(Box::new(layer), unread);
    connection
}

#[test]
fn bytes_come_out_as_they_went_in_through_a_layer() {
    const BYTES: usize = 40 * STEP_BYTES;
    on_both([
        body!(|seat| {
            let connection = accept(&seat, Toy::default().asking_every(3)).await;
            let mut echoed = 0;
            while let Some(data) = connection.receive().await.unwrap() {
                echoed += data.len();
                connection.expect_bulk(echoed < BYTES / 2);
                connection.write().extend_from_slice(&data);
                connection.drained(64 * 1024).await.unwrap();
            }
            connection.drained(0).await.unwrap();
            assert_eq!((connection.queued_bytes(), connection.queued_buffer_bytes()), (0, 0));
            connection.finish(LINGER).await;
        }),
        body!(|seat| {
            let facts = Arc::new(Facts::default());
            let connection = connect(&seat, Toy::new(&facts).asking_every(5)).await;
            let bytes = pattern(BYTES);
            let (mut sent, mut echoed, mut step) = (0, Vec::new(), 0);
            while echoed.len() < BYTES {
                if sent < BYTES {
                    step += 1;
                    let piece = &bytes[sent..(sent + step * 7_001 % (5 * STEP_BYTES) + 1).min(BYTES)];
                    if step % 3 == 0 {
                        connection.write_shared(Rc::new(piece.to_vec()));
                    } else {
                        connection.write().extend_from_slice(piece);
                    }
                    sent += piece.len();
                }
                echoed.extend_from_slice(&connection.receive().await.unwrap().expect("the echo is not over"));
                while let Some(data) = connection.try_receive() {
                    echoed.extend_from_slice(&data);
                }
            }
            assert!(echoed == bytes, "the bytes came back changed");
            assert!(facts.replies.load(Relaxed) > 0, "nobody replied");
            connection.finish(LINGER).await;
        }),
    ]);
}

/// A peer that only receives replies all the same, also while its own bytes are on the way.
#[test]
fn a_reply_leaves_although_nothing_is_written() {
    on_both([
        body!(|seat| {
            for written in [0, 10, 6 * STEP_BYTES, 30 * STEP_BYTES] {
                let connection = accept(&seat, Toy::default()).await;
                connection.write().extend_from_slice(&pattern(written));
                assert!(connection.receive().await.unwrap().is_none());
                connection.finish(LINGER).await;
            }
        }),
        body!(|seat| {
            for written in [0, 10, 6 * STEP_BYTES, 30 * STEP_BYTES] {
                let facts = Arc::new(Facts::default());
                let connection = connect(&seat, Toy::new(&facts).asking()).await;
                let mut read = 0;
                while read < written || facts.replies.load(Relaxed) == 0 {
                    let soon = seat.reactor.now() + Duration::from_millis(1);
                    let received = seat.reactor.until(soon, connection.receive()).await;
                    read += received.map_or(0, |data| data.unwrap().expect("the peer has not ended").len());
                }
                assert_eq!((facts.replies.load(Relaxed), read), (1, written));
                connection.finish(LINGER).await;
            }
        }),
    ]);
}

/// The end of the stream is the layer's last word, whatever is queued or under way.
#[test]
fn finish_says_the_layers_last_word_behind_everything() {
    const SIZES: [usize; 5] = [0, 10, 6 * STEP_BYTES, 7 * STEP_BYTES, 40 * STEP_BYTES];
    on_both([
        body!(|seat| {
            for size in SIZES {
                for passes in 0..2 {
                    let facts = Arc::new(Facts::default());
                    let connection = accept(&seat, Toy::new(&facts)).await;
                    connection.write().extend_from_slice(&pattern(size));
                    for _ in 0..passes {
                        seat.reactor.next_pass().await;
                    }
                    // Of what others still write, nothing is sealed behind the last word.
                    let (sender, reactor) = (connection.sender(), seat.reactor.clone());
                    let goes_on = async move {
                        while sender.is_open() {
                            sender.write().push(b'!');
                            reactor.next_pass().await;
                        }
                    };
                    seat.reactor.spawn(goes_on).unwrap();
                    connection.finish(LINGER).await;
                    assert!(facts.ended.load(Relaxed), "the peer has ended");
                }
            }
        }),
        body!(|seat| {
            for size in SIZES {
                for _ in 0..2 {
                    let facts = Arc::new(Facts::default());
                    let connection = connect(&seat, Toy::new(&facts)).await;
                    let got = read_all(&connection).await.unwrap();
                    assert!(got.starts_with(&pattern(size)) && got[size..].iter().all(|byte| *byte == b'!'));
                    assert!(facts.ended.load(Relaxed), "the end of the socket alone says less");
                    connection.finish(LINGER).await;
                }
            }
        }),
    ]);
}

#[test]
fn a_fault_is_told_to_both_sides_and_nothing_is_opened_after_it() {
    on_both([
        body!(|seat| {
            for _ in 0..2 {
                let connection = accept(&seat, Toy::default()).await;
                connection.write().extend_from_slice(b"before");
                let mut got = Vec::new();
                let error = loop {
                    match connection.receive().await {
                        Ok(data) => got.extend_from_slice(&data.expect("a fault, and no end")),
                        Err(error) => break error,
                    }
                };
                assert_eq!(error, ConnectionError::Protection(CHECKSUM));
                assert_eq!(got, b"good", "what came before it, and nothing else");
                // Goes nowhere, and is not queued for ever either.
                connection.write().extend_from_slice(&pattern(100_000));
                assert!(connection.try_receive().is_none());
                assert_eq!(connection.receive().await.unwrap_err(), ConnectionError::Protection(CHECKSUM));
                if let Message::Number(1) = seat.message().await {
                    connection.drained(0).await.unwrap();
                    assert_eq!(connection.detach().await.err(), Some(ConnectionError::Protection(CHECKSUM)));
                }
            }
        }),
        body!(|seat| {
            for finished in 0..2 {
                let connection = connect(&seat, Toy::default().getting_wrong(1)).await;
                connection.write().extend_from_slice(b"good");
                seat.reactor.sleep(Duration::from_millis(2)).await;
                connection.write().extend_from_slice(b"bad");
                seat.send(0, Message::Number(finished));
                let told = read_all(&connection).await;
                // The simulated socket may take a part of the word, and the connection is dropped before it takes the rest.
                let is_cut =
                    finished == 0 && seat.is_simulated() && matches!(&told, Ok(got) if b"before".starts_with(got));
                assert!(is_cut || told == Err(ConnectionError::Protection(TOLD)), "{told:?}");
            }
        }),
    ]);
}

#[test]
fn a_connection_moves_to_another_core_with_its_layer() {
    const PIECES: usize = 20;
    on_both([
        body!(|seat| {
            let listener = seat.listen();
            let address = listener.address().clone();
            let client = Rc::clone(&seat);
            let client = async move {
                let connection = client.connect(&address).await.unwrap();
                connection.write().extend_from_slice(HELLO);
                let unread = greeting(&connection, WELCOME).await;
                connection.protect(Box::new(Toy::default().asking_every(4)), unread);
                // Half of it at once, so that the first core has opened more than it has read, and has received more than it has opened.
                let bytes = pattern(PIECES * 1_000);
                let (at_once, later) = bytes.split_at(bytes.len() / 2);
                connection.write().extend_from_slice(at_once);
                for piece in later.chunks(1_000) {
                    connection.drained(0).await.unwrap();
                    connection.write().extend_from_slice(piece);
                }
                assert!(read_all(&connection).await.unwrap() == pattern(PIECES * 1_000));
                connection.finish(LINGER).await;
            };
            seat.reactor.spawn(client).unwrap();
            let connection = listener.accept().await.unwrap();
            let unread = greeting(&connection, HELLO).await;
            connection.write().extend_from_slice(WELCOME);
            connection.protect(Box::new(Toy::default()), unread);
            let first = connection.receive().await.unwrap().expect("the first piece");
            connection.write().extend_from_slice(&first);
            seat.send(1, Message::Number(first.len() as u64));
            drop(first);
            seat.send(1, Message::Connection(connection.detach().await.unwrap()));
            assert!(matches!(seat.message().await, Message::Done));
        }),
        body!(|seat| {
            let Message::Number(mut echoed) = seat.message().await else { panic!("expected a number") };
            let Message::Connection(detached) = seat.message().await else { panic!("expected a connection") };
            let connection = detached.attach(&seat.reactor).unwrap();
            while echoed < (PIECES * 1_000) as u64 {
                let data = connection.receive().await.unwrap().expect("there is more");
                echoed += data.len() as u64;
                connection.write().extend_from_slice(&data);
            }
            connection.finish(LINGER).await;
            seat.send(0, Message::Done);
        }),
    ]);
}

/// Each round the peer asks while what was written fills the socket: every reply leaves, and waiting ones do not pile up.
#[test]
fn replies_leave_behind_a_send_that_is_stuck() {
    const ROUNDS: usize = 3;
    const ASKED: usize = 300;
    // In two seals, without a rest: a little more than the simulated socket takes.
    const BYTES: usize = 2 * 64 * 1024;
    const QUEUED_BYTES_MAX: usize = 200_000;
    on_both([
        body!(|seat| {
            let connection = accept(&seat, Toy::default()).await;
            for _ in 0..ROUNDS {
                assert!(matches!(seat.message().await, Message::Number(_)));
                connection.write_shared(Rc::new(pattern(BYTES)));
                let mut asked = 0;
                while asked < ASKED {
                    asked += connection.receive().await.unwrap().expect("asked again").len();
                    // What is shared is not counted; each reply has a buffer of its own.
                    assert!(connection.queued_buffer_bytes() <= QUEUED_BYTES_MAX, "replies pile up");
                }
                seat.send(1, Message::Done);
            }
            assert!(connection.receive().await.unwrap().is_none());
        }),
        body!(|seat| {
            let facts = Arc::new(Facts::default());
            let connection = connect(&seat, Toy::new(&facts).asking_every(1)).await;
            for round in 1..=ROUNDS {
                seat.send(0, Message::Number(round as u64));
                seat.reactor.sleep(Duration::from_millis(2)).await;
                for _ in 0..ASKED {
                    connection.write().push(b'?');
                    connection.drained(0).await.unwrap();
                }
                assert!(matches!(seat.message().await, Message::Done));
                let mut read = 0;
                while read < BYTES {
                    read += connection.receive().await.unwrap().expect("what was written").len();
                }
                let limit = seat.reactor.now() + LINGER;
                while facts.replies.load(Relaxed) < round * ASKED {
                    assert!(seat.reactor.now() < limit, "{} replies of round {round}", facts.replies.load(Relaxed));
                    let soon = seat.reactor.now() + Duration::from_millis(1);
                    assert!(seat.reactor.until(soon, connection.receive()).await.is_none(), "replies bring no bytes");
                }
            }
            connection.finish(LINGER).await;
        }),
    ]);
}

/// The layer's end is the end, also of a socket that stays open and brings more; and on the core to which the connection goes.
#[test]
fn the_layers_end_is_the_end_on_any_core() {
    const BYTES: usize = 1_500;
    const RECORDS: u64 = 3;
    on_both([
        body!(|seat| {
            let listener = seat.listen();
            let address = listener.address().clone();
            let client = Rc::clone(&seat);
            let client = async move {
                let connection = client.connect(&address).await.unwrap();
                connection.write().extend_from_slice(HELLO);
                let unread = greeting(&connection, WELCOME).await;
                connection.protect(Box::new(Toy::default().ending_after(RECORDS)), unread);
                connection.write().extend_from_slice(&pattern(BYTES));
                client.reactor.next_pass().await;
                connection.write().extend_from_slice(b"too late");
                assert!(connection.receive().await.unwrap().is_none());
            };
            seat.reactor.spawn(client).unwrap();
            let connection = listener.accept().await.unwrap();
            let unread = greeting(&connection, HELLO).await;
            connection.write().extend_from_slice(WELCOME);
            connection.protect(Box::new(Toy::default()), unread);
            let first = connection.receive().await.unwrap().expect("the first piece");
            seat.send(1, Message::Number(first.len() as u64));
            drop(first);
            seat.send(1, Message::Connection(connection.detach().await.unwrap()));
            assert!(matches!(seat.message().await, Message::Done));
        }),
        body!(|seat| {
            let Message::Number(first) = seat.message().await else { panic!("expected a number") };
            let Message::Connection(detached) = seat.message().await else { panic!("expected a connection") };
            let connection = detached.attach(&seat.reactor).unwrap();
            assert!(read_all(&connection).await.unwrap() == pattern(BYTES)[first as usize..]);
            connection.finish(LINGER).await;
            seat.send(0, Message::Done);
        }),
    ]);
}

/// Who waits for room learns that a fault has made some: what was written is thrown away.
#[test]
fn a_fault_makes_room() {
    const BYTES: usize = 100 * STEP_BYTES;
    on_both([
        body!(|seat| {
            let connection = Rc::new(accept(&seat, Toy::default()).await);
            connection.drained(0).await.unwrap();
            // More than is sealed, and the kernel takes it in pieces.
            connection.write().resize(BYTES, 7);
            let (reading, reactor) = (Rc::clone(&connection), seat.reactor.clone());
            let read = async move {
                reactor.next_pass().await;
                assert_eq!(reading.receive().await.unwrap_err(), ConnectionError::Protection(CHECKSUM));
            };
            seat.reactor.spawn(read).unwrap();
            seat.send(1, Message::Done);
            connection.set_deadline(seat.reactor.now() + LINGER);
            connection.drained(BYTES / 4).await.unwrap();
            seat.send(1, Message::Done);
        }),
        body!(|seat| {
            let connection = connect(&seat, Toy::default().getting_wrong(0)).await;
            assert!(matches!(seat.message().await, Message::Done));
            connection.write().extend_from_slice(b"bad");
            // Reads nothing: what is sent comes to a stop.
            assert!(matches!(seat.message().await, Message::Done));
        }),
    ]);
}

/// However fast the peer reads, a pass seals 64 KiB of a connection at most; and goes on by itself.
#[test]
fn a_pass_seals_64_kib_of_a_connection_at_most() {
    const BYTES: usize = 100 * STEP_BYTES;
    const SEALED_BYTES_MAX: usize = 64 * 1024;
    on_both([
        body!(|seat| {
            let facts = Arc::new(Facts::default());
            let connection = accept(&seat, Toy::new(&facts)).await;
            connection.drained(0).await.unwrap();
            connection.write_shared(Rc::new(pattern(BYTES / 2)));
            connection.write().extend_from_slice(&pattern(BYTES)[BYTES / 2..]);
            assert_eq!(connection.queued_bytes(), BYTES);
            let mut sealed_before = 0;
            while sealed_before < BYTES {
                seat.reactor.next_pass().await;
                let sealed = facts.sealed_bytes.load(Relaxed);
                assert!(sealed - sealed_before <= SEALED_BYTES_MAX, "{} bytes in a pass", sealed - sealed_before);
                sealed_before = sealed;
            }
            assert!(facts.offered_bytes_max.load(Relaxed) <= SEALED_BYTES_MAX);
            connection.finish(LINGER).await;
        }),
        body!(|seat| {
            let connection = connect(&seat, Toy::default()).await;
            assert!(read_all(&connection).await.unwrap() == pattern(BYTES));
            connection.finish(LINGER).await;
        }),
    ]);
}

/// Memory that is sent in place is needed until it has been sealed, and not until the peer has read it.
#[test]
fn shared_memory_is_released_when_it_is_sealed() {
    on_both([
        body!(|seat| {
            let connection = accept(&seat, Toy::default()).await;
            connection.drained(0).await.unwrap();
            let (small, large) = (Rc::new(pattern(1_000)), Rc::new(pattern(100_000)));
            connection.write_shared(small.clone());
            connection.write_shared(large.clone());
            assert_eq!((Rc::strong_count(&small), Rc::strong_count(&large)), (2, 2));
            seat.reactor.next_pass().await;
            assert_eq!(Rc::strong_count(&small), 1, "sealed, whether it has left or not");
            while Rc::strong_count(&large) == 2 {
                assert!(connection.queued_bytes() > 30_000, "the end of it is not sealed");
                seat.reactor.next_pass().await;
            }
            connection.finish(LINGER).await;
        }),
        body!(|seat| {
            let connection = connect(&seat, Toy::default()).await;
            assert_eq!(read_all(&connection).await.unwrap().len(), 101_000);
            connection.finish(LINGER).await;
        }),
    ]);
}

/// Those who write to the connection from other tasks do not know that it has a layer.
#[test]
fn senders_of_other_tasks_write_through_the_layer() {
    const WRITERS: u8 = 3;
    const ROUNDS: u8 = 100;
    on_both([
        body!(|seat| {
            let connection = accept(&seat, Toy::default().asking_every(2)).await;
            for writer in 0..WRITERS {
                let (sender, reactor) = (connection.sender(), seat.reactor.clone());
                let write = async move {
                    for round in 0..ROUNDS {
                        sender.write().extend_from_slice(&[writer, round]);
                        // Some of them two or three in a pass.
                        if round % 3 >= writer {
                            reactor.next_pass().await;
                        }
                    }
                };
                seat.reactor.spawn(write).unwrap();
            }
            assert!(connection.receive().await.unwrap().is_none(), "the peer has it all");
            connection.finish(LINGER).await;
        }),
        body!(|seat| {
            let connection = connect(&seat, Toy::default()).await;
            let (mut got, mut rounds) = (Vec::new(), [0; WRITERS as usize]);
            while got.len() < usize::from(WRITERS) * usize::from(ROUNDS) * 2 {
                got.extend_from_slice(&connection.receive().await.unwrap().expect("there is more"));
            }
            for pair in got.chunks_exact(2) {
                assert_eq!(rounds[usize::from(pair[0])], pair[1], "of writer {}", pair[0]);
                rounds[usize::from(pair[0])] += 1;
            }
            connection.finish(LINGER).await;
        }),
    ]);
}

/// A reader that takes its time holds the peer back, and gets everything all the same.
#[test]
fn a_slow_reader_holds_its_peer_back() {
    const BYTES: usize = 60 * STEP_BYTES;
    on_both([
        body!(|seat| {
            let connection = accept(&seat, Toy::default()).await;
            connection.write().extend_from_slice(&pattern(BYTES));
            connection.finish(LINGER).await;
        }),
        body!(|seat| {
            let connection = connect(&seat, Toy::default().asking_every(1)).await;
            let mut got = Vec::new();
            while let Some(data) = connection.receive().await.unwrap() {
                got.extend_from_slice(&data);
                if got.len() % 7 == 0 {
                    seat.reactor.sleep(Duration::from_micros(300)).await;
                }
            }
            assert!(got == pattern(BYTES));
            connection.finish(LINGER).await;
        }),
    ]);
}

#[test]
fn dropping_a_connection_with_a_layer_at_any_time_is_sound() {
    on_both([
        body!(|seat| {
            for n in 0..20 {
                let connection = accept(&seat, Toy::default().asking_every(2)).await;
                connection.write().extend_from_slice(&pattern(n * STEP_BYTES));
                connection.write_shared(Rc::new(pattern(n * STEP_BYTES / 2)));
                let soon = seat.reactor.now() + Duration::from_millis(n as u64 % 3);
                let received = seat.reactor.until(soon, connection.receive()).await;
                drop(connection);
                if let Some(Ok(Some(data))) = received {
                    assert_eq!(&data[..1], &pattern(1)[..]);
                }
            }
        }),
        body!(|seat| {
            for n in 0..20 {
                let connection = connect_if_there(&seat, Toy::default().asking_every(3)).await;
                let Some(connection) = connection else { continue };
                connection.write().extend_from_slice(&pattern(1 + n * STEP_BYTES / 2));
                let soon = seat.reactor.now() + Duration::from_millis(n as u64 % 4);
                // The end of the socket without a last word is the end, too; what was dropped may be a reset.
                let _ = seat.reactor.until(soon, read_all(&connection)).await;
            }
        }),
    ]);
}

/// As [`connect`], from a peer that may drop the connection before it has greeted.
async fn connect_if_there(seat: &Seat, layer: Toy) -> Option<Connection> {
    let connection = seat.connect(&seat.address().await).await.unwrap();
    connection.write().extend_from_slice(HELLO);
    let mut got = Vec::new();
    while got.len() < WELCOME.len() {
        got.extend_from_slice(&connection.receive().await.ok()??);
    }
    connection.protect(Box::new(layer), got.split_off(WELCOME.len()));
    Some(connection)
}
