//! Whether a start could listen on an address, found out without listening there.
//!
//! **Not** whether another process listens there: it may be the one that is to be restarted, or reloaded, with these settings.
//!
//! **Invariants**: no connection of anybody is taken: the socket is bound and never listens; no file is made.
//!
//! **Source**: bind(2), ip(7), socket(7) (`SO_REUSEPORT`), unix(7).

use std::{io, net::SocketAddr, path::Path};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with, sockopt};

use crate::settings::ListenAddress;

/// Whether this process may listen on `address`, were nobody else there.
///
/// # Errors
///
/// The operator's: the address is not of this host, the port not for this user, the folder of the path not there.
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
    if folder.metadata()?.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
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
}
