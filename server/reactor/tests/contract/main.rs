//! What tasks may rely on, checked on both drivers: every scenario runs on the kernel's rings and, for many seeds, on
//! the simulated network.

#![expect(clippy::unwrap_used, reason = "a test")]

#[macro_use]
mod scenario;
mod protection;
mod toy;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use reactor::sim::{NetworkOptions, World};
use reactor::{Address, ConnectionError, CoreId, CoreSpec, Host, ListenError, Reactor, Threads};

use crate::scenario::{Body, Message, STEP_BYTES, on_both, pattern, read_all, start};

#[test]
#[cfg_attr(miri, ignore = "needs the kernel's rings")]
fn bytes_come_out_as_they_went_in_whatever_their_number() {
    const SIZES: [usize; 6] = [1, 100, 4096, 20_000, 300_000, 1_000_000];
    let bodies: [Body; 2] = [
        body!(|seat| {
            let listener = seat.listen();
            seat.send(1, Message::Address(listener.address().clone()));
            for size in SIZES {
                let connection = listener.accept().await.unwrap();
                // The larger ones through the large buffers, also when that begins and ends in the middle.
                connection.expect_bulk(size > 10_000);
                let mut echoed = 0;
                // Echo, never holding more than a little: back-pressure reaches the sender.
                while let Some(data) = connection.receive().await.unwrap() {
                    echoed += data.len();
                    connection.expect_bulk(size > 10_000 && echoed < size / 2);
                    connection.write().extend_from_slice(&data);
                    connection.drained(64 * 1024).await.unwrap();
                }
                connection.finish(Duration::from_secs(5)).await;
            }
        }),
        body!(|seat| {
            let address = seat.address().await;
            for size in SIZES {
                let connection = seat.connect(&address).await.unwrap();
                let bytes = pattern(size);
                let (mut sent, mut echoed) = (0, Vec::new());
                while echoed.len() < size {
                    if sent < size {
                        let piece = &bytes[sent..(sent + 50_000).min(size)];
                        // A large piece by reference, a small one by copy: both keep their order.
                        if piece.len() > 30_000 {
                            connection.write_shared(Rc::new(piece.to_vec()));
                        } else {
                            connection.write().extend_from_slice(piece);
                        }
                        sent += piece.len();
                    }
                    let data = connection.receive().await.unwrap().expect("the echo is not over");
                    echoed.extend_from_slice(&data);
                    while let Some(data) = connection.try_receive() {
                        echoed.extend_from_slice(&data);
                    }
                }
                assert!(echoed == bytes, "{size} bytes came back changed");
                connection.finish(Duration::from_secs(5)).await;
            }
        }),
    ];
    on_both(bodies);
    // Unix sockets refuse sends without a copy; the kernel says so only when it is tried.
    let path = std::env::temp_dir().join(format!("corelane-contract-{}.sock", std::process::id()));
    let mut threads = Threads::new(None);
    start(&mut threads, &Address::Unix(path.clone()), bodies);
    threads.join();
    assert!(!path.exists(), "a listener that ends removes its file");
}

/// A connection that has sent much may be known to the kernel by a place in a table, which its successor gets.
#[test]
fn a_busy_connection_ends_and_its_successor_is_another() {
    const ROUNDS: u8 = 40;
    on_both([
        body!(|seat| {
            let listener = seat.listen();
            seat.send(1, Message::Address(listener.address().clone()));
            for connection_number in 0..3u8 {
                let connection = listener.accept().await.unwrap();
                for round in 0..ROUNDS {
                    let asked = connection.receive().await.unwrap().expect("the client asks again");
                    assert_eq!(*asked, [connection_number]);
                    connection.write().extend_from_slice(&[connection_number, round]);
                }
                // Dropped and not finished: the end must reach the client all the same.
                connection.drained(0).await.unwrap();
            }
        }),
        body!(|seat| {
            let address = seat.address().await;
            for connection_number in 0..3u8 {
                let connection = seat.connect(&address).await.unwrap();
                let mut answers = Vec::new();
                for round in 0..ROUNDS {
                    connection.write().extend_from_slice(&[connection_number]);
                    while answers.len() < 2 * (usize::from(round) + 1) {
                        answers.extend_from_slice(&connection.receive().await.unwrap().expect("an answer"));
                    }
                    assert!(answers.ends_with(&[connection_number, round]));
                }
                assert!(connection.receive().await.unwrap().is_none(), "the end of the stream");
            }
        }),
    ]);
}

/// The kernel is told of one deadline at a time; a nearer one that comes later must not wait for it.
#[test]
fn a_nearer_deadline_is_not_late_because_of_a_farther_one() {
    let alone: Body = body!(|seat| {
        let reactor = seat.reactor.clone();
        reactor.spawn(async move { seat.reactor.sleep(Duration::from_secs(30)).await }).unwrap();
        for pause_ms in [300, 40, 7, 90, 1] {
            let began = reactor.now();
            reactor.sleep(Duration::from_millis(pause_ms)).await;
            let took = reactor.now().since(began);
            assert!(took >= Duration::from_millis(pause_ms), "{took:?} is early for {pause_ms} ms");
            assert!(took < Duration::from_secs(20), "{took:?} is the farther deadline's, not that of {pause_ms} ms");
        }
    });
    on_both([alone, alone]);
}

#[test]
fn finish_delivers_everything_then_the_end() {
    on_both([
        body!(|seat| {
            let listener = seat.listen();
            seat.send(1, Message::Address(listener.address().clone()));
            let connection = listener.accept().await.unwrap();
            connection.write().extend_from_slice(&pattern(200_000));
            connection.finish(Duration::from_secs(20)).await;
        }),
        body!(|seat| {
            let connection = seat.connect(&seat.address().await).await.unwrap();
            // Still writing when the other side is done: it must not turn its last bytes into a reset.
            connection.write().extend_from_slice(b"more");
            assert!(read_all(&connection).await.unwrap() == pattern(200_000));
        }),
    ]);
}

#[test]
fn every_wait_ends_at_its_deadline() {
    on_both([
        body!(|seat| {
            let listener = seat.listen();
            seat.send(1, Message::Address(listener.address().clone()));
            let connection = listener.accept().await.unwrap();
            // Never reads, so that the other side's sends come to a stop.
            assert!(matches!(seat.message().await, Message::Done));
            drop(connection);
        }),
        body!(|seat| {
            let connection = seat.connect(&seat.address().await).await.unwrap();
            let deadline = seat.reactor.now() + Duration::from_millis(30);
            connection.set_deadline(deadline);
            assert_eq!(connection.receive().await.unwrap_err(), ConnectionError::TimedOut);
            assert!(seat.reactor.now() >= deadline, "not a moment too early");
            connection.set_deadline(seat.reactor.now() + Duration::from_millis(200));
            connection.write().resize(16 << 20, 7);
            assert_eq!(connection.drained(0).await.unwrap_err(), ConnectionError::TimedOut);
            seat.send(0, Message::Done);
        }),
    ]);
}

#[test]
fn dropping_anything_at_any_time_is_sound() {
    on_both([
        body!(|seat| {
            let listener = seat.listen();
            seat.send(1, Message::Address(listener.address().clone()));
            for n in 0..30 {
                let connection = listener.accept().await.unwrap();
                if n % 3 == 0 {
                    continue;
                }
                connection.write().extend_from_slice(&pattern(n * STEP_BYTES));
                let soon = seat.reactor.now() + Duration::from_millis(n as u64 % 3);
                let received = seat.reactor.until(soon, connection.receive()).await;
                // Kept beyond its connection: the buffer is ours until it is dropped.
                drop(connection);
                if let Some(Ok(Some(data))) = received {
                    assert_eq!(&data[..1], &pattern(1)[..]);
                }
            }
        }),
        body!(|seat| {
            let address = seat.address().await;
            for n in 0..30 {
                let connection = seat.connect(&address).await.unwrap();
                connection.write().extend_from_slice(&pattern(1 + n * STEP_BYTES / 2));
                let soon = seat.reactor.now() + Duration::from_millis(n as u64 % 4);
                let _ = seat.reactor.until(soon, read_all(&connection)).await;
            }
        }),
    ]);
}

#[test]
fn a_connection_moves_to_another_core_with_all_its_bytes() {
    on_both([
        body!(|seat| {
            let listener = seat.listen();
            let address = listener.address().clone();
            let connecting = Rc::clone(&seat);
            let client = async move {
                let connection = connecting.connect(&address).await.unwrap();
                connection.write().extend_from_slice(b"before ");
                connecting.reactor.sleep(Duration::from_millis(5)).await;
                connection.write().extend_from_slice(b"after");
                assert_eq!(read_all(&connection).await.unwrap(), b"before after");
            };
            seat.reactor.spawn(client).unwrap();
            let connection = listener.accept().await.unwrap();
            let detached = connection.detach().await.unwrap();
            seat.send(1, Message::Connection(detached));
            assert!(matches!(seat.message().await, Message::Done));
        }),
        body!(|seat| {
            let Message::Connection(detached) = seat.message().await else { panic!("expected a connection") };
            let connection = detached.attach(&seat.reactor).unwrap();
            let mut got = Vec::new();
            while got.len() < b"before after".len() {
                got.extend_from_slice(&connection.receive().await.unwrap().unwrap());
            }
            connection.write().extend_from_slice(&got);
            connection.finish(Duration::from_secs(5)).await;
            seat.send(0, Message::Done);
        }),
    ]);
}

#[test]
fn precise_waits_end_and_never_early() {
    on_both([
        body!(|seat| {
            let ended = Rc::new(std::cell::RefCell::new(Vec::new()));
            for us in [900, 300, 2_100, 600] {
                let (reactor, ended) = (seat.reactor.clone(), Rc::clone(&ended));
                let wait = async move {
                    let instant = reactor.now() + Duration::from_micros(us);
                    reactor.sleep_precisely(instant).await;
                    assert!(reactor.now() >= instant, "ended early");
                    ended.borrow_mut().push(us);
                };
                seat.reactor.spawn(wait).unwrap();
            }
            // One that is given up must not keep the core awake or wake anybody.
            let given_up = seat.reactor.sleep_precisely(seat.reactor.now() + Duration::from_secs(40));
            assert!(seat.reactor.until(seat.reactor.now() + Duration::from_millis(1), given_up).await.is_none());
            // On a busy host one pass may find all of them due, and this wait with them.
            while ended.borrow().len() < 4 {
                seat.reactor.sleep(Duration::from_millis(1)).await;
            }
            let mut ended = ended.borrow().clone();
            // Waits that one pass finds due end in any order.
            ended.sort_unstable();
            assert_eq!(ended, [300, 600, 900, 2_100]);
        }),
        body!(|seat| seat.reactor.sleep(Duration::from_millis(1)).await),
    ]);
}

#[test]
fn a_spinning_task_sees_time_pass_and_lets_others_run() {
    on_both([
        body!(|seat| {
            let slept = Rc::new(std::cell::Cell::new(false));
            let (reactor, done) = (seat.reactor.clone(), Rc::clone(&slept));
            let sleep = async move {
                reactor.sleep(Duration::from_millis(3)).await;
                done.set(true);
            };
            seat.reactor.spawn(sleep).unwrap();
            while !slept.get() {
                let before = seat.reactor.now();
                seat.reactor.next_pass().await;
                assert!(seat.reactor.now() > before, "the same pass");
            }
        }),
        body!(|seat| seat.reactor.sleep(Duration::from_millis(1)).await),
    ]);
}

/// Work that is done in slices keeps nobody waiting for all of it: between two slices the core looks for what has come.
#[test]
fn who_yields_goes_on_in_another_pass_and_behind_what_has_come() {
    on_both([
        body!(|seat| {
            let slept = Rc::new(std::cell::Cell::new(false));
            let (reactor, done) = (seat.reactor.clone(), Rc::clone(&slept));
            let sleep = async move {
                reactor.sleep(Duration::from_millis(3)).await;
                done.set(true);
            };
            seat.reactor.spawn(sleep).unwrap();
            while !slept.get() {
                let before = seat.reactor.now();
                seat.reactor.yield_now().await;
                assert!(seat.reactor.now() > before, "the same pass");
            }
        }),
        body!(|seat| seat.reactor.sleep(Duration::from_millis(1)).await),
    ]);
}

#[test]
fn messages_wake_a_sleeping_core() {
    on_both([
        body!(|seat| {
            for n in 0..500 {
                seat.send(1, Message::Number(n));
                assert!(matches!(seat.message().await, Message::Number(back) if back == n));
            }
            seat.send(1, Message::Done);
        }),
        body!(|seat| {
            while let Message::Number(n) = seat.message().await {
                seat.send(0, Message::Number(n));
            }
        }),
    ]);
}

#[test]
fn a_refused_connection_says_so() {
    on_both([
        body!(|seat| {
            let listener = seat.listen();
            let address = listener.address().clone();
            drop(listener);
            while seat.reactor.holdings().listeners > 0 {
                seat.reactor.sleep(Duration::from_millis(1)).await;
            }
            seat.send(1, Message::Address(address));
            assert!(matches!(seat.message().await, Message::Done));
        }),
        body!(|seat| {
            let address = seat.address().await;
            let error = seat.connect(&address).await.err();
            assert_eq!(error, Some(ConnectionError::Socket(111)), "ECONNREFUSED");
            seat.send(0, Message::Done);
        }),
    ]);
}

#[test]
fn closing_a_listener_serves_those_who_have_connected() {
    on_both([
        body!(|seat| {
            let listener = seat.listen();
            seat.send(1, Message::Address(listener.address().clone()));
            assert!(matches!(seat.message().await, Message::Done), "all ten have connected");
            listener.close();
            let mut served = 0;
            loop {
                match listener.accept().await {
                    Ok(connection) => {
                        connection.write().push(b'!');
                        connection.finish(Duration::from_secs(5)).await;
                        served += 1;
                    }
                    Err(ListenError::Closed) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(served, 10);
        }),
        body!(|seat| {
            let address = seat.address().await;
            let mut connections = Vec::new();
            for _ in 0..10 {
                connections.push(seat.connect(&address).await.unwrap());
            }
            seat.send(0, Message::Done);
            for connection in connections {
                assert_eq!(read_all(&connection).await.unwrap(), b"!");
            }
        }),
    ]);
}

/// A core whose tasks have all ended ends, without being told to stop.
#[test]
#[cfg_attr(miri, ignore = "needs the kernel's rings")]
fn a_core_ends_with_its_last_task() {
    let mut threads = Threads::new(None);
    let doorbells = threads.doorbells(1).unwrap();
    let spec = CoreSpec { id: CoreId(0), cpu: None, name: "alone".to_owned(), doorbells };
    let body = |reactor: Reactor| {
        let sleeping = reactor.clone();
        reactor.spawn(async move { sleeping.sleep(Duration::from_millis(5)).await }).unwrap();
    };
    threads.start_core(spec, Box::new(body)).unwrap();
    threads.join();
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut world = World::new(seed, NetworkOptions::default());
        let process = world.add_process("both");
        let bodies: [Body; 2] = [
            body!(|seat| {
                let listener = seat.listen();
                seat.send(1, Message::Address(listener.address().clone()));
                let connection = listener.accept().await.unwrap();
                connection.write().extend_from_slice(&pattern(50_000));
                connection.finish(Duration::from_secs(5)).await;
            }),
            body!(|seat| {
                let connection = seat.connect(&seat.address().await).await.unwrap();
                read_all(&connection).await.unwrap();
            }),
        ];
        start(&mut world.host(process), &Address::Tcp(SocketAddr::from(([10, 0, 0, 1], 80))), bodies);
        world.run_for(Duration::from_secs(30));
        world.trace()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
