//! Cores of one process on the simulator, for tests: virtual time, every message in an order drawn from a seed.

use std::time::Duration;

use reactor::sim::{NetworkOptions, World};
use reactor::{CoreSpec, Host, Mailbox, Reactor, mailboxes};

/// Runs `body` on each core until all have stopped; mailboxes hold `capacity` messages.
pub(crate) fn run<M: Send + 'static>(
    cores: usize,
    capacity: usize,
    body: impl Fn(Reactor, Mailbox<M>) + Clone + Send + 'static,
) {
    run_sharing(cores, capacity, || (), move |reactor, mailbox, ()| body(reactor, mailbox));
}

/// The same with something that the cores of one run have in common.
pub(crate) fn run_sharing<M: Send + 'static, S: Clone + Send + 'static>(
    cores: usize,
    capacity: usize,
    share: impl Fn() -> S,
    body: impl Fn(Reactor, Mailbox<M>, S) + Clone + Send + 'static,
) {
    for seed in 0..20 {
        let shared = share();
        let mut world = World::new(seed, NetworkOptions::default());
        let process = world.add_process("store");
        let mut host = world.host(process);
        let doorbells = host.doorbells(cores).unwrap();
        for mailbox in mailboxes::<M>(&doorbells, capacity) {
            let id = mailbox.core();
            let spec = CoreSpec { id, cpu: None, name: format!("core-{}", id.0), doorbells: doorbells.clone() };
            let (body, shared) = (body.clone(), shared.clone());
            host.start_core(spec, Box::new(move |reactor: Reactor| body(reactor, mailbox, shared))).unwrap();
        }
        drop(host);
        let deadline = world.now() + Duration::from_secs(120);
        let is_done = world.run_until(deadline, |world| !world.is_running(process));
        assert!(is_done, "seed {seed}: a core has not stopped: {:?}", world.holdings(process));
    }
}
