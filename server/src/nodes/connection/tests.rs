//! What a connection keeps of tasks that no longer wait.

use reactor::sim::{NetworkOptions, World};
use reactor::{CoreId, CoreSpec, Host};
use shardstore::wire::credits::Credits;

use super::*;

/// Runs `body` on a simulated core.
fn on_a_core(body: fn(Reactor)) {
    let mut world = World::new(1, NetworkOptions::default());
    let process = world.add_process("connection");
    let mut host = world.host(process);
    let doorbells = host.doorbells(1).unwrap();
    let spec = CoreSpec { id: CoreId(0), cpu: None, name: "connection".to_owned(), doorbells };
    host.start_core(spec, Box::new(body)).unwrap();
    drop(host);
    world.run_for(Duration::from_secs(1));
    assert!(!world.is_running(process), "the body is over");
}

/// A client may go away, or its deadline come, in the same pass in which its turn comes.
#[test]
fn a_task_that_stops_waiting_leaves_its_credit_to_others() {
    on_a_core(|reactor| {
        let session = RefCell::new(NodeSession::default());
        session.borrow_mut().credit.open(Credits::granted(1, 1000));
        let held = session.borrow_mut().credit.take(10).unwrap();
        let wait = || {
            let (sender, receiver) = one(&reactor);
            let id = session.borrow_mut().credit.wait(10, CallWaker(sender));
            (CreditWait { session: &session, id }, receiver)
        };
        let ((first, _first_receiver), (second, _second_receiver)) = (wait(), wait());
        session.borrow_mut().credit.release(held, 1);
        drop(first);
        let Claim::Granted(grant) = session.borrow_mut().credit.claim(second.id) else { panic!("its turn has come") };
        session.borrow_mut().credit.release(grant, 1);
        drop(second);
        assert!(session.borrow_mut().credit.take(10).is_some(), "nothing is lost");
    });
}
