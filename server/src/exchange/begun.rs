//! What a poll made of a request.

/// What became of a request in the poll that parsed it; `P` is what is planned for one that needs more.
pub(crate) enum Begun<P> {
    /// Its response is written.
    Done,
    /// Its response is written; bytes that are sent in place end it.
    Lent,
    /// The response needs more than this poll; nothing is written.
    Later(P),
}

impl<P> Begun<P> {
    #[inline(always)]
    pub(crate) fn map<Q>(self, plan: impl FnOnce(P) -> Q) -> Begun<Q> {
        match self {
            Begun::Done => Begun::Done,
            Begun::Lent => Begun::Lent,
            Begun::Later(planned) => Begun::Later(plan(planned)),
        }
    }
}
