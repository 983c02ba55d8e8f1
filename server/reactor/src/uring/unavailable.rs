//! Why io_uring is not to be had here, and what to change.
//!
//! **Not** a fallback: there is none; the process says which of the known causes it is, and ends.
//!
//! **Source**: io_uring_setup(2) ERRORS; Documentation/admin-guide/sysctl/kernel.rst, `io_uring_disabled`.

use std::fmt;
use std::io;

/// io_uring was refused.
#[derive(Debug)]
pub struct RingUnavailable {
    step: &'static str,
    error: io::Error,
    cause: Cause,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cause {
    NotInKernel,
    DisabledForAll,
    DisabledForGroup,
    Filtered,
    LockedMemory,
    Memory,
    OldKernel,
    Descriptors,
    Other,
}

/// What the process can observe to distinguish the causes.
#[derive(Clone, Copy, Default)]
struct Surroundings {
    /// `kernel.io_uring_disabled`, where it exists (6.6 and later).
    disabled: Option<u8>,
    /// Whether this process may lock as much memory as there is.
    has_locked_memory_unlimited: bool,
}

impl RingUnavailable {
    pub(crate) fn new(step: &'static str, error: io::Error) -> Self {
        let text = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok();
        let disabled = text.and_then(|text| text.trim().parse().ok());
        let surroundings = Surroundings { disabled, has_locked_memory_unlimited: has_locked_memory_unlimited() };
        let cause = diagnose(error.raw_os_error().unwrap_or(0), surroundings);
        RingUnavailable { step, error, cause }
    }

    /// Whether a limit of this process is the cause, which stays until an operator raises it.
    #[must_use]
    pub fn is_by_limit(&self) -> bool {
        self.cause == Cause::LockedMemory
    }
}

/// `RLIMIT_MEMLOCK` of this process; one that cannot be read is taken for a limit.
fn has_locked_memory_unlimited() -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit to write to.
    let status = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    status == 0 && limit.rlim_cur == libc::RLIM_INFINITY
}

fn diagnose(errno: i32, surroundings: Surroundings) -> Cause {
    match (errno, surroundings.disabled) {
        (libc::ENOSYS, _) => Cause::NotInKernel,
        (libc::EPERM, Some(2)) => Cause::DisabledForAll,
        (libc::EPERM, Some(1)) => Cause::DisabledForGroup,
        (libc::EPERM | libc::EACCES, _) => Cause::Filtered,
        (libc::ENOMEM, _) if surroundings.has_locked_memory_unlimited => Cause::Memory,
        (libc::ENOMEM, _) => Cause::LockedMemory,
        (libc::EINVAL, _) => Cause::OldKernel,
        (libc::EMFILE | libc::ENFILE, _) => Cause::Descriptors,
        _ => Cause::Other,
    }
}

impl Cause {
    fn remedy(self) -> &'static str {
        match self {
            Cause::NotInKernel => {
                "this kernel has no io_uring (or a seccomp filter hides it): run Linux 6.1 or later with \
                 CONFIG_IO_URING=y, and allow io_uring_setup, io_uring_enter and io_uring_register"
            }
            Cause::DisabledForAll => {
                "sysctl kernel.io_uring_disabled is 2 (refused to everybody): set it to 0, or to 1 with \
                 kernel.io_uring_group naming a group of this user"
            }
            Cause::DisabledForGroup => {
                "sysctl kernel.io_uring_disabled is 1: make this user a member of the group in \
                 kernel.io_uring_group, or give the process CAP_SYS_ADMIN, or set it to 0"
            }
            Cause::Filtered => {
                "a security policy refuses it: allow io_uring_setup, io_uring_enter and io_uring_register in the \
                 seccomp filter of the container or unit (systemd: SystemCallFilter=@system-service allows them; \
                 SELinux: the io_uring class)"
            }
            Cause::LockedMemory => {
                "the limit on locked memory is too low for the rings: raise RLIMIT_MEMLOCK (systemd: \
                 LimitMEMLOCK=infinity; shell: ulimit -l unlimited)"
            }
            Cause::Memory => "the kernel has no memory for the rings now",
            Cause::OldKernel => "the kernel lacks a feature that is needed: run Linux 6.1 or later",
            Cause::Descriptors => "no file descriptor is left: raise RLIMIT_NOFILE (systemd: LimitNOFILE=1048576)",
            Cause::Other => "see io_uring_setup(2) for this error",
        }
    }
}

impl fmt::Display for RingUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "io_uring is not available: {} failed: {}: {}", self.step, self.error, self.cause.remedy())
    }
}

impl std::error::Error for RingUnavailable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Tries everything that a core will need, so that a refusal is explained before anything starts.
///
/// # Errors
/// The operator's; the text says what to change.
pub fn probe() -> Result<(), RingUnavailable> {
    let doorbell = crate::mailbox::doorbell::Doorbell::for_ring(crate::mailbox::WakeMethod::EventFd)
        .map_err(|error| RingUnavailable::new("eventfd", error))?;
    let mut driver = super::UringDriver::new(&doorbell)?;
    // A filter may let a ring be made and nothing be done with it.
    crate::driver::Driver::enter(&mut driver, crate::driver::Wait::No)
        .map_err(|error| RingUnavailable::new("io_uring_enter", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_its_cause() {
        let cases = [
            (libc::ENOSYS, None, Cause::NotInKernel, "CONFIG_IO_URING"),
            (libc::EPERM, Some(2), Cause::DisabledForAll, "io_uring_disabled is 2"),
            (libc::EPERM, Some(1), Cause::DisabledForGroup, "io_uring_group"),
            (libc::EPERM, Some(0), Cause::Filtered, "seccomp"),
            (libc::EPERM, None, Cause::Filtered, "seccomp"),
            (libc::ENOMEM, Some(0), Cause::LockedMemory, "RLIMIT_MEMLOCK"),
            (libc::EINVAL, Some(0), Cause::OldKernel, "6.1"),
            (libc::EMFILE, Some(0), Cause::Descriptors, "RLIMIT_NOFILE"),
        ];
        for (errno, disabled, expected, word) in cases {
            let cause = diagnose(errno, Surroundings { disabled, has_locked_memory_unlimited: false });
            assert_eq!(cause, expected, "errno {errno}, io_uring_disabled {disabled:?}");
            let refusal = RingUnavailable { step: "io_uring_setup", error: io::Error::from_raw_os_error(errno), cause };
            assert!(refusal.to_string().contains(word), "{refusal}");
            assert_eq!(refusal.is_by_limit(), errno == libc::ENOMEM, "{refusal}");
        }
        let unlimited = Surroundings { has_locked_memory_unlimited: true, ..Surroundings::default() };
        assert_eq!(diagnose(libc::ENOMEM, unlimited), Cause::Memory);
    }
}
