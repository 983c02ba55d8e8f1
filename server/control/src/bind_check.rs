//! Whether a start could listen on an address, found out without listening there.
//!
//! **Not** whether another process listens there: it may be the one that is to be restarted, or reloaded, with these settings.
//!
//! **Invariants**: no connection of anybody is taken: the socket is bound and never listens; no file is made or removed.
//!
//! **Source**: bind(2), ip(7), socket(7) (`SO_REUSEPORT`), unix(7), access(2).

use std::{io, net::SocketAddr, os::unix::fs::FileTypeExt as _, path::Path};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with, sockopt};

use crate::settings::ListenAddress;

/// Whether this process may listen on `address`, were nobody else there.
///
/// # Errors
///
/// The operator's: the address is not of this host, the port not for this user, the folder of the path not there or not for this
/// user to make files in, or something that is no socket lies at the path.
pub(crate) fn check(address: &ListenAddress) -> io::Result<()> {
    match address {
        ListenAddress::Tcp(address) => check_tcp(address),
        ListenAddress::Unix(path) => check_path(path),
    }
}

fn check_tcp(address: &SocketAddr) -> io::Result<()> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    match bind(&socket, address) {
        Err(error) if error == rustix::io::Errno::ADDRINUSE => Ok(()),
        outcome => outcome.map_err(io::Error::from),
    }
}

fn check_path(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    if !folder.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    // A start leaves alone what it cannot have left there itself.
    if path.symlink_metadata().is_ok_and(|facts| !facts.file_type().is_socket()) {
        let text = "what lies at this path is not a socket, and is left alone";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    Ok(accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(), io::ErrorKind> {
        check(&text.parse().unwrap()).map_err(|error| error.kind())
    }

    #[test]
    fn an_address_of_another_host_is_found_and_one_that_is_taken_is_not() {
        #[expect(clippy::disallowed_types, reason = "somebody else who listens")]
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(of(&other.local_addr().unwrap().to_string()), Ok(()));
        assert_eq!((of("127.0.0.1:0"), of("[::1]:0")), (Ok(()), Ok(())));
        // TEST-NET-1, which no host has (RFC 5737).
        assert_eq!(of("192.0.2.1:80"), Err(io::ErrorKind::AddrNotAvailable));
    }

    #[test]
    fn a_path_needs_a_folder() {
        assert_eq!(of("unix:/nonexistent/s"), Err(io::ErrorKind::NotFound));
        assert_eq!(of("unix:/dev/null/s"), Err(io::ErrorKind::NotADirectory));
        let path = std::env::temp_dir().join(format!("corelane-bind-{}", std::process::id()));
        assert_eq!(of(&format!("unix:{}", path.display())), Ok(()));
        assert!(!path.exists(), "nothing is made");
    }

    #[test]
    fn a_path_is_for_a_socket_alone() {
        let folder = std::env::temp_dir().join(format!("corelane-bind-at-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("folder")).unwrap();
        std::fs::write(folder.join("file"), "").unwrap();
        std::os::unix::fs::symlink(folder.join("socket"), folder.join("link")).unwrap();
        #[expect(clippy::disallowed_types, reason = "what a process left, or still listens on")]
        let socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
        for (name, expected) in [
            ("file", Err(io::ErrorKind::AlreadyExists)),
            ("folder", Err(io::ErrorKind::AlreadyExists)),
            ("link", Err(io::ErrorKind::AlreadyExists)),
            ("socket", Ok(())),
            ("none", Ok(())),
        ] {
            assert_eq!(of(&format!("unix:{}", folder.join(name).display())), expected, "{name}");
        }
        drop(socket);
        assert!(folder.join("socket").exists(), "nothing is removed");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_in_which_this_user_makes_no_files_is_found() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = std::env::temp_dir().join(format!("corelane-bind-mode-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
        let address = format!("unix:{}", folder.join("s").display());
        // Of this thread alone, and gone with it: root may do what the mode forbids.
        let asked = std::thread::scope(|scope| {
            let ask = || {
                if rustix::process::geteuid().is_root() {
                    rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65_534)).unwrap();
                }
                of(&address)
            };
            scope.spawn(ask).join().unwrap()
        });
        std::fs::remove_dir(&folder).unwrap();
        assert_eq!(asked, Err(io::ErrorKind::PermissionDenied));
    }
}
