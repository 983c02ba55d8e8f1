//! Which limit of the process is behind an error of the kernel, and how to raise it.
//!
//! **Not** the number of open files, which has a plan of its own: [`crate::descriptors`].
//!
//! **Source**: getrlimit(2), ftruncate(2), mmap(2).

use std::io;

use rustix::process::{Resource, getrlimit};

/// Memory that is not given, and a file that may not be so large.
const ENOMEM: i32 = 12;
const EFBIG: i32 = 27;

/// What this process may take of the address space, where that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessLimits {
    /// `RLIMIT_AS`, in bytes.
    address_space: Option<u64>,
}

impl ProcessLimits {
    /// Those of this process.
    pub(crate) fn read() -> Self {
        Self { address_space: getrlimit(Resource::As).current }
    }

    /// The limit that the error comes from, and a remedy; `None` where it comes from none.
    pub(crate) fn behind(&self, error: &io::Error) -> Option<&'static str> {
        match (error.raw_os_error(), self.address_space) {
            (Some(EFBIG), _) => Some(
                "the limit on the size of files is too low, which holds for shared memory too: raise RLIMIT_FSIZE (systemd: \
                 LimitFSIZE=infinity; shell: ulimit -f unlimited)",
            ),
            (Some(ENOMEM), Some(_)) => Some(
                "the limit on the address space is too low: raise RLIMIT_AS (systemd: LimitAS=infinity; shell: ulimit -v \
                 unlimited)",
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_traced_to_its_limit() {
        const EMFILE: i32 = 24;
        let limited = ProcessLimits { address_space: Some(1 << 30) };
        let unlimited = ProcessLimits { address_space: None };
        for (limits, errno, limit) in [
            (limited, ENOMEM, Some("RLIMIT_AS")),
            (unlimited, ENOMEM, None),
            (unlimited, EFBIG, Some("RLIMIT_FSIZE")),
            (limited, EMFILE, None),
        ] {
            let found = limits.behind(&io::Error::from_raw_os_error(errno));
            assert_eq!(found.is_some(), limit.is_some(), "{errno}");
            assert!(found.unwrap_or_default().contains(limit.unwrap_or_default()), "{errno}: {found:?}");
        }
    }
}
