use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;

use reactor::local::{OneSender, one};
use reactor::{Mailbox, Reactor};

use super::*;
use crate::rig;

#[test]
fn an_id_reaches_the_one_who_waits_and_nobody_after() {
    let mut table = Table { slots: Vec::new(), free: Vec::new(), waiting_max: 8 };
    let first = table.insert("first").unwrap();
    let second = table.insert("second").unwrap();
    assert_eq!((table.remove(first), table.remove(first)), (Some("first"), None));
    let third = table.insert("third").unwrap();
    assert_eq!(table.slots.len(), 2, "the slot is used again");
    assert_eq!(table.remove(first), None, "an answer that comes late does not reach the slot's next user");
    assert_eq!((table.remove(third), table.remove(second)), (Some("third"), Some("second")));
    assert_eq!(table.len(), 0);
    assert_eq!(table.remove(HopId(99)), None, "no such slot");
}

#[test]
fn who_finds_no_slot_comes_back() {
    let mut table = Table { slots: Vec::new(), free: Vec::new(), waiting_max: 2 };
    let ids: Vec<_> = (0..2).map(|waiting| table.insert(waiting).unwrap()).collect();
    assert_eq!(table.insert(2), Err(2));
    table.remove(ids[0]);
    assert!(table.insert(3).is_ok() && table.len() == 2);
}

type Message = HopMessage<u32, u32>;

/// Requests in flight at once, many more than a mailbox holds.
const ASKED: u32 = 100;

/// Core 0 asks as fast as core 1's mailbox takes it, does not look at its own for a while, and still gets every answer once.
#[test]
fn an_answer_is_never_lost_however_full_the_mailbox_is() {
    rig::run(2, 4, |reactor: Reactor, mailbox: Mailbox<Message>| {
        let mail = CoreMail::start(&reactor, mailbox).unwrap();
        let task: std::pin::Pin<Box<dyn Future<Output = ()>>> = if mail.core() == CoreId(0) {
            Box::pin(ask_all(reactor.clone(), mail))
        } else {
            Box::pin(answer_all(reactor.clone(), mail))
        };
        reactor.spawn(task).unwrap();
    });
}

async fn ask_all(reactor: Reactor, mail: Rc<CoreMail<Message>>) {
    let hops: Hops<OneSender<u32>> = Hops::new(ASKED as usize);
    let mut receivers = Vec::new();
    while (receivers.len() as u32) < ASKED {
        let request = receivers.len() as u32;
        let (sender, receiver) = one(&reactor);
        match hops.ask(&mail, CoreId(1), (Instant::NEVER, request), sender) {
            Ok(_) => receivers.push(receiver),
            Err(_) => reactor.sleep(std::time::Duration::from_millis(1)).await,
        }
    }
    assert_eq!(hops.waiting(), ASKED as usize);
    let count = Cell::new(0);
    mail.receive(|from, message| {
        assert_eq!(from, CoreId(1));
        let HopMessage::Answer(answer) = message else { panic!("nobody asks core 0") };
        let HopAnswer { id, answer } = *answer;
        hops.take(id).expect("an answer comes once").send(answer);
        count.set(count.get() + 1);
        if count.get() == ASKED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await;
    for (request, receiver) in receivers.into_iter().enumerate() {
        assert_eq!(receiver.receive().await, Some(request as u32 + 1000), "to the one who asked it");
    }
    assert_eq!(hops.waiting(), 0);
    reactor.stop();
}

async fn answer_all(reactor: Reactor, mail: Rc<CoreMail<Message>>) {
    let mut answered = 0;
    mail.receive(|from, message| {
        let HopMessage::Ask(hop) = message else { panic!("core 1 asks nobody") };
        let answer = HopAnswer { id: hop.id, answer: hop.request + 1000 };
        mail.deliver(from, HopMessage::Answer(Box::new(answer)));
        answered += 1;
        if answered == ASKED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await;
    assert!(mail.kept() > 0, "the asker does not look, and its mailbox holds four");
    while mail.kept() > 0 {
        reactor.sleep(std::time::Duration::from_millis(1)).await;
    }
    reactor.stop();
}

/// A mailbox without room: nobody is left waiting.
#[test]
fn a_request_that_cannot_be_sent_waits_for_nothing() {
    rig::run(2, 1, |reactor: Reactor, mailbox: Mailbox<Message>| {
        let mail = CoreMail::start(&reactor, mailbox).unwrap();
        if mail.core() == CoreId(0) {
            let hops: Hops<u32> = Hops::new(100);
            let sent = (0..100).filter(|n| hops.ask(&mail, CoreId(1), (Instant::NEVER, *n), *n).is_ok()).count();
            assert!(sent < 100, "the other core has not run yet");
            assert_eq!(hops.waiting(), sent);
        }
        reactor.stop();
    });
}
