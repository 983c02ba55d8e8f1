//! Accepting downstream connections, shedding what is beyond the bound, and handing the others to the frontend that speaks
//! the listener's protocol.
//!
//! **Not** parsing: each connection becomes a task of its frontend.
//!
//! **Invariants**: at most `connections_per_core` connections are served and [`SHEDDING_MAX`] are being told 503; what
//! is beyond is closed at once, so that memory stays bounded at any number of clients.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use corelane_http::Status;
use corelane_http::problem::Problem;
use reactor::{Address, Connection, ListenError, ListenOptions, Listener};

use crate::edge::EdgeCore;
use crate::edge::sessions::Registered;
use crate::frontend::h1::{self, H1};
use crate::settings::{AcceptSteering, Protocol};

/// Connections that are being answered 503 at a time.
const SHEDDING_MAX: usize = 256;

/// How long a shed client gets to read its 503.
const SHED_LINGER: Duration = Duration::from_millis(500);

pub(crate) fn start(core: &Rc<EdgeCore>, h1: &Rc<H1>) -> std::io::Result<()> {
    let options = ListenOptions {
        // The first core makes sure that no other process listens there; the others share with it.
        claim: core.id.0 == 0,
        steer_by_cpu: core.snapshot().settings.accept_steering == AcceptSteering::Cpu,
        ..ListenOptions::default()
    };
    for settings in core.snapshot.hold().settings.listeners() {
        let address = Address::from(&settings.address);
        // A path can be bound once; the first core takes its connections and serves them.
        if matches!(address, Address::Unix(_)) && core.id.0 > 0 {
            continue;
        }
        let listener = core.reactor.listen(&address, &options).map_err(|error| explain(&address, &error))?;
        let listener = Rc::new(listener);
        core.listeners.borrow_mut().push(Rc::clone(&listener));
        let (accepting, serving) = (Rc::clone(core), Rc::clone(h1));
        let task = async move {
            match settings.protocol {
                Protocol::Http => accept_all(&accepting, &serving, &listener).await,
            }
        };
        core.reactor.spawn(task).map_err(std::io::Error::other)?;
    }
    Ok(())
}

fn explain(address: &Address, error: &std::io::Error) -> std::io::Error {
    let text =
        format!("listen: cannot listen on {address}: {error}; choose another address, or stop what listens there");
    std::io::Error::new(error.kind(), text)
}

/// Takes HTTP/1 connections until the listener is closed and its backlog is empty.
async fn accept_all(core: &Rc<EdgeCore>, h1: &Rc<H1>, listener: &Listener) {
    let shedding = Rc::new(Cell::new(0));
    loop {
        match listener.accept().await {
            Ok(connection) => admit(core, h1, connection, &shedding),
            Err(ListenError::Full) => core.metrics.shed.increment(),
            Err(ListenError::Closed) => return,
        }
    }
}

fn admit(core: &Rc<EdgeCore>, h1: &Rc<H1>, connection: Connection, shedding: &Rc<Cell<usize>>) {
    core.metrics.accepted.increment();
    let full = core.sessions.borrow().len() >= core.snapshot().settings.limits.connections_per_core;
    if full {
        shed(core, h1, connection, shedding);
        return;
    }
    // Counted from here on: many may be admitted before the first of their tasks runs.
    let registered = Registered::enter(core, &connection);
    if core.reactor.spawn(h1::serve(Rc::clone(h1), connection, registered)).is_err() {
        core.metrics.shed.increment();
    }
}

/// Says 503 and closes; beyond the bound it only closes.
fn shed(core: &Rc<EdgeCore>, h1: &H1, connection: Connection, shedding: &Rc<Cell<usize>>) {
    core.metrics.shed.increment();
    if shedding.get() >= SHEDDING_MAX {
        return;
    }
    let problem = Problem {
        status: Status::ServiceUnavailable,
        slug: "too-many-connections",
        detail: "this server has as many connections as it may; try again",
    };
    h1.refuse(&problem, &mut connection.write());
    shedding.set(shedding.get() + 1);
    let shedding = Rc::clone(shedding);
    let task = async move {
        connection.finish(SHED_LINGER).await;
        shedding.set(shedding.get() - 1);
    };
    // If there is no room for the task, the connection is closed with it.
    let _ = core.reactor.spawn(task);
}
