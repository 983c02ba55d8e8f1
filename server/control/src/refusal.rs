//! How a process ends whose start has failed: whether another try makes sense.
//!
//! ```text
//!  address in use or not there yet, memory, descriptors, threads, a file system that hangs ─▶ TryAgain     everything else ─▶ Refused
//! ```
//!
//! **Not** saying what is wrong, which the error does.
//!
//! **Invariants**: what only an operator can change, a limit of the process too, is never tried again, or a service manager would do so
//! for good.
//!
//! **Source**: errno(3), bind(2); docs/operations.md, "Exit statuses".

use std::{error::Error, io};

use reactor::RingUnavailable;

use crate::{exit::Exit, reading::FilesHang};

/// What is not there now and may be later.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MissingNow(pub String);

/// Descriptors that are used up, of the host and of the process, and buffers of the network: `std` has no kinds for them.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOBUFS: i32 = 105;

/// How a process ends that could not start for this reason.
#[must_use]
pub fn exit_of(error: &(dyn Error + 'static)) -> Exit {
    if error.is::<MissingNow>() || error.is::<FilesHang>() {
        return Exit::TryAgain;
    }
    if error.downcast_ref::<RingUnavailable>().is_some_and(RingUnavailable::is_by_limit) {
        return Exit::Refused;
    }
    let io_error = error.downcast_ref::<io::Error>();
    if io_error.is_some_and(is_missing_now) {
        return Exit::TryAgain;
    }
    // An error that `std` wraps is not among the sources of what wraps it.
    let inner = io_error.and_then(io::Error::get_ref).map(|inner| inner as &(dyn Error + 'static));
    inner.or_else(|| error.source()).map_or(Exit::Refused, exit_of)
}

fn is_missing_now(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, OutOfMemory, WouldBlock};
    matches!(error.kind(), AddrInUse | AddrNotAvailable | OutOfMemory | WouldBlock)
        || matches!(error.raw_os_error(), Some(ENFILE | EMFILE | ENOBUFS))
}

#[cfg(test)]
mod tests {
    use reactor::Address;

    use super::*;
    use crate::ListenRefusal;

    #[test]
    fn what_may_be_there_later_is_tried_again() {
        let address = Address::Tcp(([127, 0, 0, 1], 1).into());
        let listen = |error| ListenRefusal::of("listen", &address, error);
        let os = io::Error::from_raw_os_error;
        let (eperm, eagain, enomem, einval, eacces) = (1, 11, 12, 22, 13);
        for (error, expected) in [
            (listen(io::ErrorKind::AddrInUse.into()), Exit::TryAgain),
            (listen(io::ErrorKind::AddrNotAvailable.into()), Exit::TryAgain),
            (listen(os(EMFILE)), Exit::TryAgain),
            (listen(os(eacces)), Exit::Refused),
            (os(ENFILE), Exit::TryAgain),
            (os(ENOBUFS), Exit::TryAgain),
            (os(eagain), Exit::TryAgain),
            (os(enomem), Exit::TryAgain),
            (os(einval), Exit::Refused),
            (os(eperm), Exit::Refused),
            (io::Error::other(os(EMFILE)), Exit::TryAgain),
            (io::Error::other(io::Error::other(MissingNow("memory".to_owned()))), Exit::TryAgain),
            (io::Error::other("a reason"), Exit::Refused),
        ] {
            assert_eq!(exit_of(&error), expected, "{error:?}");
        }
        let text: Box<dyn Error> = "cores: found 9".into();
        assert_eq!(exit_of(&*text), Exit::Refused);
        assert_eq!(exit_of(&MissingNow("memory".to_owned())), Exit::TryAgain);
    }
}
