//! A reply and a wire that remember, for the tests of services and of gathering bodies.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use corelane_http::cache_status::CacheStatus;
use corelane_http::field::FieldLine;
use corelane_http::problem::Problem;
use corelane_http::range::ContentRange;
use corelane_http::request::RequestHead;
use corelane_http::response::ResponseHead;
use corelane_http::{MessageLimits, Status};
use reactor::SharedBytes;

use super::wire::{BodyFault, ClientGone};
use super::{Reply, Wire};

/// What a response said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FakeReply {
    pub(crate) status: Option<Status>,
    pub(crate) max_age_s: Option<u32>,
    pub(crate) content_length: Option<u64>,
    pub(crate) content_type: Option<Vec<u8>>,
    /// The tag, without its quotes.
    pub(crate) etag: Option<Vec<u8>>,
    pub(crate) cache_status: Option<CacheStatus>,
    pub(crate) content_range: Option<ContentRange>,
    pub(crate) allow: Option<Vec<u8>>,
    pub(crate) retry_after_s: Option<u32>,
    /// Fields that the head has besides.
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The slug of an error.
    pub(crate) problem: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Reply for FakeReply {
    fn head(&mut self, head: ResponseHead<'_>) {
        assert_eq!(self.status.replace(head.status), None, "one response has one head");
        self.max_age_s = head.max_age_s;
        self.content_length = head.content_length;
        self.content_type = head.content_type.map(|value| value.as_bytes().to_vec());
        self.etag = head.etag.map(|tag| tag.opaque().to_vec());
        self.cache_status = head.cache_status;
        self.content_range = head.content_range;
        self.retry_after_s = head.retry_after_s;
        self.allow = head.allow.map(|allow| allow.as_bytes().to_vec());
        let line = |line: &FieldLine<'_>| (line.name().to_vec(), line.value().as_bytes().to_vec());
        self.fields = head.fields.iter().map(line).collect();
    }

    fn copy(&mut self, bytes: &[u8]) {
        assert!(self.status.is_some(), "the head comes first");
        self.body.extend_from_slice(bytes);
    }

    fn lend(&mut self, bytes: SharedBytes) {
        self.copy((*bytes).as_ref());
    }

    fn problem(&mut self, problem: &Problem<'_>, head: ResponseHead<'_>) {
        self.head(head);
        self.problem = Some(problem.slug.to_owned());
    }
}

/// A body that comes in pieces.
#[derive(Default)]
pub(crate) struct FakeWire {
    pub(crate) pieces: std::collections::VecDeque<Vec<u8>>,
    /// How the body ends; `None` as it should.
    pub(crate) fault: Option<BodyFault>,
    pub(crate) lent: Vec<u8>,
    /// The client was told to send its body.
    pub(crate) invited: bool,
    pub(crate) reply: FakeReply,
    pub(crate) is_cut: bool,
}

impl Wire for FakeWire {
    type Reply<'a> = FakeReply;

    fn respond<T>(&mut self, write: impl FnOnce(&mut FakeReply) -> T) -> T {
        write(&mut self.reply)
    }

    fn invite_body(&mut self) {
        self.invited = true;
    }

    async fn body(&mut self) -> Result<Option<&[u8]>, BodyFault> {
        if let Some(piece) = self.pieces.pop_front() {
            self.lent = piece;
            return Ok(Some(&self.lent));
        }
        self.fault.take().map_or(Ok(None), Err)
    }

    async fn room(&mut self, _: usize) -> Result<(), ClientGone> {
        Ok(())
    }

    fn extend(&mut self, bytes: SharedBytes) {
        self.reply.copy((*bytes).as_ref());
    }

    fn cut(&mut self) {
        self.is_cut = true;
    }
}

/// Runs what never has to wait.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing to wait for"),
    }
}

/// Has `look` look at a parsed head.
pub(crate) fn with_head<T>(text: &str, look: impl FnOnce(&RequestHead<'_>) -> T) -> T {
    use corelane_http::h1::{
        Parsed,
        request::{Resume, parse},
    };
    let mut resume = Resume::default();
    match parse(text.as_bytes(), &MessageLimits::default(), &mut resume) {
        Ok(Parsed::Complete(head)) => look(&head),
        other => panic!("{text:?}: {other:?}"),
    }
}
