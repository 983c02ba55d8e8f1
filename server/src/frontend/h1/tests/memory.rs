//! What many clients that do not read, or do not finish their heads, make a core hold.

use std::sync::Arc;
use std::time::Duration;

use reactor::sim::{NetworkOptions, ProcessId, World};
use reactor::{Address, Connection, ConnectionError, CoreId, CoreSpec, Host, Instant, Reactor};

use super::{ADDRESS, Notes, plan_with};

/// The bound that the edge of these tests has.
const MEMORY_BYTES: usize = 2 << 20;

/// Starts so many that do as `act` says, after one that stores a value; the edge, and what they have received together once
/// each has come to its end.
fn start(
    world: &mut World,
    clients: usize,
    act: impl AsyncFn(&Reactor, &Connection) -> usize + Copy + Send + 'static,
) -> (ProcessId, Arc<Notes>) {
    let edge = world.add_process("edge");
    let environment = [("CORELANE_LIMITS_CONNECTION_MEMORY_BYTES", "2MiB"), ("CORELANE_LIMITS_HEADER_BYTES", "64KiB")];
    let plan = plan_with(None, &environment);
    crate::plan::start(&mut world.host(edge), plan).expect("the edge starts");
    (edge, start_clients(world, clients, true, act))
}

/// Starts so many more clients, after one that stores a value if `stores`.
fn start_clients(
    world: &mut World,
    clients: usize,
    stores: bool,
    act: impl AsyncFn(&Reactor, &Connection) -> usize + Copy + Send + 'static,
) -> Arc<Notes> {
    let client = world.add_process("clients");
    let notes = Arc::new(Notes::default());
    let noted = Arc::clone(&notes);
    let mut host = world.host(client);
    let doorbells = host.doorbells(1).expect("doorbells");
    let spec = CoreSpec { id: CoreId(0), cpu: None, name: "clients".to_owned(), doorbells };
    let body = move |reactor: Reactor| {
        let spawning = reactor.clone();
        let task = async move {
            if stores {
                store(&reactor).await;
            }
            for _ in 0..clients {
                let (own, noted) = (reactor.clone(), Arc::clone(&noted));
                let client = async move {
                    let connection = connect(&own).await;
                    let received = act(&own, &connection).await;
                    noted.change(|notes| notes.0.push_str(&format!("{received}\n")));
                };
                reactor.spawn(client).expect("room for a task");
            }
        };
        spawning.spawn(task).expect("room for a task");
    };
    host.start_core(spec, Box::new(body)).expect("the clients start");
    notes
}

async fn connect(reactor: &Reactor) -> Connection {
    let address = Address::Tcp(ADDRESS.parse().expect("an address"));
    loop {
        match reactor.connect(&address, reactor.now() + Duration::from_secs(1)).await {
            Ok(connection) => return connection,
            // The edge is starting.
            Err(_) => reactor.sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Stores a value of 8,000 bytes, which is copied into send buffers.
async fn store(reactor: &Reactor) {
    let connection = connect(reactor).await;
    let head = "PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 8000\r\n\r\n";
    connection.write().extend_from_slice(&[head.as_bytes(), &[b'v'; 8_000]].concat());
    while let Ok(Some(_)) = connection.receive().await {}
}

/// Runs until all clients have ended; the most that the edge had queued meanwhile.
fn run(world: &mut World, clients: usize, (edge, notes): (ProcessId, &Notes)) -> usize {
    let mut most = 0;
    let ended = world.run_until(Instant::default() + Duration::from_secs(600), |world| {
        most = world.holdings(edge).iter().map(|core| core.queued_bytes).max().unwrap_or(0).max(most);
        notes.change(|notes| notes.0.lines().count()) == clients
    });
    assert!(ended, "every client comes to its end");
    most
}

#[test]
fn clients_that_do_not_read_share_a_bound() {
    /// One response of each, in a buffer of at most twice its size, is several times the bound.
    const CLIENTS: usize = 600;
    let mut world = World::new(7, NetworkOptions::default());
    let (edge, notes) = start(&mut world, CLIENTS, pipeline_and_do_not_read);
    let most = run(&mut world, CLIENTS, (edge, &notes));
    assert!(most > MEMORY_BYTES / 2, "{most} bytes: the clients have not come near the bound");
    // At the bound, those that one pass serves have one more response each queued until it is clear that they do not read.
    assert!(most < MEMORY_BYTES + MEMORY_BYTES / 2, "{most} bytes queued");
}

/// Asks for the value in many requests and reads nothing for as long as an idle client may stay.
async fn pipeline_and_do_not_read(reactor: &Reactor, connection: &Connection) -> usize {
    let requests = "GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n\r\n".repeat(400);
    connection.write().extend_from_slice(requests.as_bytes());
    reactor.sleep(Duration::from_secs(100)).await;
    let mut received = 0;
    while let Ok(Some(data)) = connection.receive().await {
        received += data.len();
    }
    received
}

/// Asks for what is not there; how long the response took in milliseconds, or the status if it is another.
async fn ask(reactor: &Reactor, connection: &Connection) -> usize {
    const OTHER: usize = 1_000_000;
    let asked = reactor.now();
    connection.write().extend_from_slice(b"GET /v1/kv/default/absent HTTP/1.1\r\nHost: h\r\n\r\n");
    connection.set_deadline(asked + Duration::from_secs(30));
    let mut text = String::new();
    while let Ok(Some(data)) = connection.receive().await {
        text.push_str(&String::from_utf8_lossy(&data));
        match text.split(' ').nth(1) {
            Some("404") => return reactor.now().since(asked).as_millis() as usize,
            Some(status) if status.len() == 3 => return OTHER + status.parse::<usize>().expect("a status"),
            _ => {}
        }
    }
    OTHER
}

fn numbers(notes: &Notes) -> Vec<usize> {
    notes.change(|notes| notes.0.lines().map(|line| line.parse().expect("a number")).collect())
}

/// While the memory for send queues is used up, requests wait until those who do not read are cut off; who asks nothing is left alone.
#[test]
fn who_reads_waits_for_memory_and_who_asks_nothing_is_left_alone() {
    let mut world = World::new(11, NetworkOptions::default());
    let (edge, _) = start(&mut world, 600, pipeline_and_do_not_read);
    let is_overfull = world.run_until(Instant::default() + Duration::from_secs(60), |world| {
        world.holdings(edge)[0].queued_bytes >= MEMORY_BYTES + MEMORY_BYTES / 4
    });
    assert!(is_overfull, "600 clients use the memory up");
    let patient = start_clients(&mut world, 20, false, async |reactor, connection| ask(reactor, connection).await);
    let silent = start_clients(&mut world, 20, false, async |reactor, connection| {
        // Longer than a request may wait for memory.
        connection.set_deadline(reactor.now() + Duration::from_secs(8));
        match connection.receive().await {
            Err(ConnectionError::TimedOut) => ask(reactor, connection).await,
            told => panic!("nothing was asked, and the edge says {told:?}"),
        }
    });
    world.run_for(Duration::from_secs(90));
    let (waited, quick) = (numbers(&patient), numbers(&silent));
    // Those who do not read take what memory comes back, too: who finds none for so long is told.
    let served = waited.iter().filter(|ms| **ms < 3_000).count();
    let refused = waited.iter().filter(|outcome| **outcome == 1_000_503).count();
    assert!(served + refused == 20 && served >= 15, "{waited:?}");
    assert!(waited.iter().any(|ms| (100..3_000).contains(ms)), "nobody has waited for memory: {waited:?}");
    assert!(quick.len() == 20 && quick.iter().all(|ms| *ms < 1_000), "{quick:?}");
}

#[test]
fn heads_in_part_share_a_bound() {
    const CLIENTS: usize = 64;
    let mut world = World::new(8, NetworkOptions::default());
    let (edge, notes) = start(&mut world, CLIENTS, async |_, connection| {
        // 60 KB of a head each: more than 2 MiB together.
        let mut head = "GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n".to_owned();
        (0..60).for_each(|index| head.push_str(&format!("X-{index}: {}\r\n", "x".repeat(1_000))));
        connection.write().extend_from_slice(head.as_bytes());
        let mut text = String::new();
        while let Ok(Some(data)) = connection.receive().await {
            text.push_str(&String::from_utf8_lossy(&data));
        }
        // Those that found room are told after their time, the others at once.
        usize::from(text.contains(" 503 ") && text.contains("memory-full"))
            + 1_000 * usize::from(text.contains(" 408 "))
    });
    run(&mut world, CLIENTS, (edge, &notes));
    let outcomes: Vec<usize> = numbers(&notes);
    let refused = outcomes.iter().filter(|outcome| **outcome == 1).count();
    assert!(outcomes.iter().all(|outcome| [1, 1_000].contains(outcome)), "{outcomes:?}");
    let fit = MEMORY_BYTES / 60_500;
    assert!(refused >= CLIENTS - fit - 1 && refused < CLIENTS, "{refused} refused; {fit} fit");
}

/// What a client receives of 400 responses of 8,000 bytes if it pauses so many times, each after so many bytes.
fn received_with_pauses(pauses: usize, bytes: usize, pause: Duration) -> usize {
    let mut world = World::new(9, NetworkOptions::default());
    let (edge, notes) = start(&mut world, 1, async move |reactor, connection| {
        let requests = "GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n\r\n".repeat(399);
        let last = "GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        connection.write().extend_from_slice((requests + last).as_bytes());
        let (mut received, mut paused) = (0, 0);
        while let Ok(Some(data)) = connection.receive().await {
            received += data.len();
            drop(data);
            if paused < pauses && received >= (paused + 1) * bytes {
                paused += 1;
                reactor.sleep(pause).await;
            }
        }
        received
    });
    run(&mut world, 1, (edge, &notes));
    notes.change(|notes| notes.0.trim().parse().expect("a number"))
}

#[test]
fn a_slow_client_is_given_up_by_what_it_takes_in_an_idle_time() {
    const IDLE_TIME: Duration = Duration::from_secs(75);
    let all = 400 * 8_000;
    let received = received_with_pauses(8, 400_000, IDLE_TIME - Duration::from_secs(15));
    assert!(received > all, "{received} bytes: it takes several times what it must");
    let received = received_with_pauses(1, 1, IDLE_TIME * 3);
    assert!(received < all, "{received} bytes: it takes nothing in an idle time");
}
