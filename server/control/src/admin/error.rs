//! Why the admin listener could not be opened, and what to do about it.
//!
//! **Not** errors of peers: those are answered on their connection.

use std::io;

use reactor::Address;

/// Why the admin listener could not be opened. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Another process listens there.
    #[error(
        "admin: {address} is in use by another process; end that process, or set another address (`admin` in the \
         configuration file, --admin, CORELANE_ADMIN)"
    )]
    InUse {
        /// The address asked for.
        address: Address,
    },
    /// The kernel refused it for another reason.
    #[error(
        "admin: cannot listen on {address}: {reason}; set an address of this host that this user may use (`admin` in the \
         configuration file, --admin, CORELANE_ADMIN)"
    )]
    Refused {
        /// The address asked for.
        address: Address,
        /// What the kernel said.
        reason: io::Error,
    },
}

impl AdminError {
    /// The error of listening on `address`, with the kind that the kernel's had.
    pub(super) fn of(address: &Address, reason: io::Error) -> io::Error {
        let (kind, address) = (reason.kind(), address.clone());
        io::Error::new(
            kind,
            match kind {
                io::ErrorKind::AddrInUse => Self::InUse { address },
                _ => Self::Refused { address, reason },
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_the_key_and_a_remedy() {
        let address = Address::Tcp(([127, 0, 0, 1], 9180).into());
        for (kind, what) in [
            (io::ErrorKind::AddrInUse, "127.0.0.1:9180 is in use by another process; end that process"),
            (io::ErrorKind::PermissionDenied, "cannot listen on 127.0.0.1:9180: permission denied; set an address"),
        ] {
            let error = AdminError::of(&address, kind.into());
            assert_eq!(error.kind(), kind);
            let text = error.to_string();
            assert!(text.starts_with(&format!("admin: {what}")), "{text}");
            assert!(text.contains("--admin, CORELANE_ADMIN"), "{text}");
        }
    }
}
