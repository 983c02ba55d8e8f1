//! Why an address cannot be listened on, and what to do about it.
//!
//! **Not** errors of peers: those end their connection.
//!
//! **Source**: bind(2), listen(2).

use std::io;

use reactor::Address;

/// Why an address cannot be listened on. The operator's to correct: the text names the key, the address and a remedy.
#[derive(Debug, thiserror::Error)]
pub enum ListenRefusal {
    /// Another process listens there.
    #[error("{key}: {address} is in use by another process; stop that process, or set another address{}", Ways(key))]
    InUse {
        /// The key that names the address.
        key: &'static str,
        /// The address asked for.
        address: Address,
    },
    /// The kernel refused it for another reason.
    #[error(
        "{key}: cannot listen on {address}: {reason}; {}{}",
        remedy(address, reason.kind()),
        Ways(key)
    )]
    Refused {
        /// The key that names the address.
        key: &'static str,
        /// The address asked for.
        address: Address,
        /// The kernel's error.
        #[source]
        reason: io::Error,
    },
}

impl ListenRefusal {
    /// The error of listening on `address`, which the setting `key` names; its kind is that of the kernel's error.
    #[must_use]
    pub fn of(key: &'static str, address: &Address, reason: io::Error) -> io::Error {
        let (kind, address) = (reason.kind(), address.clone());
        io::Error::new(
            kind,
            match kind {
                io::ErrorKind::AddrInUse => Self::InUse { key, address },
                _ => Self::Refused { key, address, reason },
            },
        )
    }
}

/// What to do about an address that the kernel refused with an error of this kind.
pub(crate) fn remedy(address: &Address, kind: io::ErrorKind) -> String {
    let folder = match address {
        Address::Unix(path) => path.parent(),
        Address::Tcp(_) => None,
    };
    match (folder, kind) {
        (Some(folder), io::ErrorKind::NotFound) => format!(
            "make the folder {}, or name another path (systemd-tmpfiles --create corelane.conf makes the folders of the package)",
            folder.display()
        ),
        (Some(folder), io::ErrorKind::PermissionDenied) => {
            format!("let this user make files in {}, or name a path in another folder", folder.display())
        }
        (Some(_), _) => "name a path in a folder of this user".to_owned(),
        (None, _) => "set an address of this host that this user may use".to_owned(),
    }
}

/// How the key is set.
struct Ways<'a>(&'a str);

impl std::fmt::Display for Ways<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(key) = self;
        let (flag, variable) = (key.replace('_', "-"), key.to_uppercase());
        write!(f, " (`{key}` in the configuration file, --{flag}, CORELANE_{variable})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_the_key_and_a_remedy() {
        let address = Address::Tcp(([127, 0, 0, 1], 9180).into());
        for (kind, what) in [
            (io::ErrorKind::AddrInUse, "127.0.0.1:9180 is in use by another process; stop that process"),
            (io::ErrorKind::PermissionDenied, "cannot listen on 127.0.0.1:9180: permission denied; set an address"),
        ] {
            let error = ListenRefusal::of("admin", &address, kind.into());
            assert_eq!(error.kind(), kind);
            let text = error.to_string();
            assert!(text.starts_with(&format!("admin: {what}")), "{text}");
            assert!(text.ends_with("(`admin` in the configuration file, --admin, CORELANE_ADMIN)"), "{text}");
        }
        let path = Address::Unix("/run/corelane/command".into());
        for (kind, what) in [
            (io::ErrorKind::NotFound, "make the folder /run/corelane, or name another path (systemd-tmpfiles "),
            (io::ErrorKind::PermissionDenied, "let this user make files in /run/corelane, or "),
            (io::ErrorKind::NotADirectory, "name a path in a folder of this user ("),
        ] {
            let text = ListenRefusal::of("command_listen", &path, kind.into()).to_string();
            assert!(
                text.contains(&format!(
                    "cannot listen on unix:/run/corelane/command: {}; {what}",
                    io::Error::from(kind)
                )),
                "{text}"
            );
        }
        let text = ListenRefusal::of("command_listen", &address, io::ErrorKind::AddrInUse.into()).to_string();
        assert!(text.ends_with(" file, --command-listen, CORELANE_COMMAND_LISTEN)"), "{text}");
    }
}
