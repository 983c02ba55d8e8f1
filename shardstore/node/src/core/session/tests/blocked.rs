//! When a session reads, when it waits for its peer to read, and when nothing of it is under way.

use std::cell::RefCell;

use shardstore::wire::{Header, Kind, Opcode, Status};

use super::*;
use crate::core::answer::OwnedResponse;
use crate::core::context::RequestContext;
use crate::core::stream::{Body, ResponseStream};

/// Runs a script with a session and the client's end of its connection.
fn with_session(script: impl AsyncFn(PeerSession<'_>, Connection) + Send + 'static) {
    on_a_core(|core| {
        let reactor = core.reactor.clone();
        let task = async move {
            let reactor = core.reactor.clone();
            let address = Address::Tcp(([10, 0, 0, 1], 7401).into());
            let listener = reactor.listen(&address, &ListenOptions::default()).unwrap();
            let (connecting, dialled) = (reactor.clone(), Rc::new(RefCell::new(None)));
            let client = Rc::clone(&dialled);
            let dial =
                async move { *client.borrow_mut() = Some(connecting.connect(&address, Instant::NEVER).await.unwrap()) };
            reactor.spawn(dial).unwrap();
            let connection = listener.accept().await.unwrap();
            while dialled.borrow().is_none() {
                reactor.sleep(Duration::from_millis(1)).await;
            }
            let (permit, client) = (ConnectionPermit::take(&core).unwrap(), dialled.borrow_mut().take().unwrap());
            script(session(&permit, &connection), client).await;
            reactor.stop();
        };
        reactor.spawn(task).unwrap();
    });
}

/// Bytes of a value that waits to be sent.
const STREAM_BYTES: usize = 100_000;

fn push_stream(session: &PeerSession<'_>) {
    let header = Header::new(Kind::Request, Opcode::Get.number(), session.core.shared.cluster_tag);
    let context = RequestContext::of_header(&header, session.arrived, Instant::NEVER, 100);
    let lease = session.core.copies.lease(STREAM_BYTES).unwrap();
    let body = Body::Copied { value: vec![1; STREAM_BYTES], lease };
    let stream = ResponseStream::new(context, OwnedResponse::status(Status::Ok), body);
    session.link.streams.borrow_mut().push_back(stream);
}

/// Notifies a session while it waits.
fn notify_soon(session: &PeerSession<'_>) {
    let (reactor, link) = (session.core.reactor.clone(), Rc::clone(&session.link));
    let task = async move {
        reactor.sleep(Duration::from_millis(1)).await;
        link.attention.notify();
    };
    session.core.reactor.spawn(task).unwrap();
}

/// A drain ends what is quiet: an answer that is due, of whatever kind, is not.
#[test]
fn a_session_is_quiet_when_nothing_is_due() {
    with_session(async |session, _client| {
        assert!(session.is_quiet());
        session.link.credit.note_waiting(100);
        assert!(!session.is_quiet(), "a request waits");
        push_stream(&session);
        assert!(!session.is_quiet());
        session.link.credit.note_completed(100);
        assert!(!session.is_quiet(), "an answer is being sent");
        session.link.streams.borrow_mut().clear();
        session.link.begin_batch();
        assert!(!session.is_quiet(), "a batch is under way");
        session.link.end_batch();
        assert!(session.is_quiet());
    });
}

#[test]
fn nothing_is_read_while_the_peer_has_to_read_or_a_batch_is_under_way() {
    with_session(async |mut session, client| {
        for _ in 0..STREAMS_MAX - 1 {
            push_stream(&session);
        }
        assert!(!session.is_blocked());
        push_stream(&session);
        assert!(session.is_blocked() && session.has_to_read(), "too many answers wait");
        client.write().extend_from_slice(b"more");
        session.core.reactor.sleep(Duration::from_millis(50)).await;
        assert!(matches!(session.wait().await, Woken::Room(Ok(()))), "there is room to write, and nothing is read");
        session.link.streams.borrow_mut().clear();
        session.link.begin_batch();
        assert!(session.is_blocked() && !session.has_to_read());
        notify_soon(&session);
        assert!(
            matches!(session.wait().await, Woken::Notified),
            "the end of the batch is waited for, and nothing else"
        );
        session.link.end_batch();
        let Woken::Received(Ok(Some(data))) = session.wait().await else { panic!("it is read now") };
        assert_eq!(&data[..], b"more");
        drop(data);
        // Who has said all that it will say is not read from.
        session.ended = true;
        client.write().extend_from_slice(b"more");
        session.core.reactor.sleep(Duration::from_millis(50)).await;
        notify_soon(&session);
        assert!(matches!(session.wait().await, Woken::Notified));
    });
}

/// Answers of other cores that are still to come hold the link, and must not keep what its streams hold.
#[test]
fn the_end_of_a_session_gives_back_what_its_answers_hold() {
    with_session(async |session, _client| {
        let (link, core) = (Rc::clone(&session.link), Rc::clone(session.core));
        push_stream(&session);
        assert_eq!(core.copies.leased_bytes(), STREAM_BYTES);
        drop(session);
        assert!(link.streams.borrow().is_empty());
        assert_eq!(core.copies.leased_bytes(), 0);
    });
}
