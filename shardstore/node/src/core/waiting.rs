//! What waits for an answer of another core.

use std::cell::RefCell;
use std::rc::Rc;

use super::context::RequestContext;
use super::gather::Gather;
use super::link::Link;

/// The waiter for an answer.
pub(super) enum Waiting {
    /// A request.
    One { link: Rc<Link>, reply: RequestContext },
    /// A part of a batch.
    Part { gather: Rc<RefCell<Gather>>, indices: Vec<u16> },
}
