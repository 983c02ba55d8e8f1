//! What waits for an answer of another core.

use std::cell::RefCell;
use std::rc::Rc;

use reactor::local::OneSender;
use store_runtime::budget::Lease;

use super::answer::OwnedResponse;
use super::context::RequestContext;
use super::gather::Gather;
use super::link::Link;

/// The waiter for an answer.
pub(super) enum Waiting {
    /// A request, and the memory that its answer may take.
    One { link: Rc<Link>, reply: RequestContext, lease: Option<Lease> },
    /// A task of this core.
    Task(OneSender<OwnedResponse>),
    /// A part of a batch.
    Part { gather: Rc<RefCell<Gather>>, indices: Vec<u16> },
}
