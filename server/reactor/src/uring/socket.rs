//! Sockets as the kernel makes them: options that every listener and every connection gets, and raw addresses.
//!
//! **Not** data: bytes go through the ring.
//!
//! **Source**: socket(7), tcp(7), unix(7).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::address::Address;
use crate::driver::{ListenOptions, STEERED_CPUS_MAX};

/// A socket address in the kernel's form.
pub(crate) struct RawAddress {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

impl RawAddress {
    pub(crate) fn new(address: &Address) -> io::Result<RawAddress> {
        match address {
            Address::Tcp(SocketAddr::V4(v4)) => Ok(RawAddress::from_value(libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            })),
            Address::Tcp(SocketAddr::V6(v6)) => Ok(RawAddress::from_value(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            })),
            Address::Unix(path) => RawAddress::unix(path.as_os_str().as_bytes()),
        }
    }

    fn unix(path: &[u8]) -> io::Result<RawAddress> {
        let mut sun_path = [0; 108];
        if path.len() >= sun_path.len() || path.contains(&0) {
            let text = "a Unix socket's path must be shorter than 108 bytes and free of NUL";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        for (to, from) in sun_path.iter_mut().zip(path) {
            *to = *from as libc::c_char;
        }
        Ok(RawAddress::from_value(libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path }))
    }

    fn from_value<T>(value: T) -> RawAddress {
        const { assert!(size_of::<T>() <= size_of::<libc::sockaddr_storage>()) };
        // SAFETY: sockaddr_storage is plain data for which zero is valid; it is at least as large and as aligned as
        // every sockaddr type (POSIX), so that the value can be written to its start.
        let storage = unsafe {
            let mut storage: libc::sockaddr_storage = std::mem::zeroed();
            (&raw mut storage).cast::<T>().write(value);
            storage
        };
        RawAddress { storage, len: size_of::<T>() as libc::socklen_t }
    }

    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub(crate) fn len(&self) -> libc::socklen_t {
        self.len
    }

    fn family(&self) -> i32 {
        i32::from(self.storage.ss_family)
    }

    fn to_address(&self) -> Option<Address> {
        let pointer = &raw const self.storage;
        match self.family() {
            libc::AF_INET => {
                // SAFETY: the kernel has filled `storage` with an address of the family it names, which fits in it.
                let v4 = unsafe { *pointer.cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(Address::Tcp(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into()))
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let v6 = unsafe { *pointer.cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                Some(Address::Tcp(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into()))
            }
            libc::AF_UNIX => {
                // SAFETY: as above.
                let unix = unsafe { *pointer.cast::<libc::sockaddr_un>() };
                let path = unix.sun_path.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
                Some(Address::Unix(PathBuf::from(std::ffi::OsString::from_vec(path))))
            }
            _ => None,
        }
    }
}

type NameOf = unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

fn address_by(call: NameOf, fd: RawFd) -> Option<Address> {
    // SAFETY: zero is a valid sockaddr_storage; the call writes at most `len` bytes of it.
    let raw = unsafe {
        let mut raw = RawAddress { storage: std::mem::zeroed(), len: size_of::<libc::sockaddr_storage>() as u32 };
        if call(fd, (&raw mut raw.storage).cast(), &raw mut raw.len) != 0 {
            return None;
        }
        raw
    };
    raw.to_address()
}

/// The other end of a connected socket.
pub(crate) fn peer(fd: RawFd) -> Option<Address> {
    address_by(libc::getpeername, fd)
}

/// Tells the peer that nothing more will be sent. A socket that is not connected any more needs no telling.
pub(crate) fn shutdown_send(fd: RawFd) {
    // SAFETY: shutdown(2) takes no pointers; the caller owns the descriptor.
    unsafe { libc::shutdown(fd, libc::SHUT_WR) };
}

/// Has the kernel give a connection up whose peer has acknowledged nothing for so long. A socket that has no such option needs
/// none: its peer is on this host.
pub(crate) fn limit_unacknowledged(fd: RawFd, longest: Duration) {
    let ms = libc::c_uint::try_from(longest.as_millis()).unwrap_or(libc::c_uint::MAX);
    let _ = set(&fd, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, ms);
}

/// Makes the close of a socket a reset.
pub(crate) fn reset_on_close(fd: RawFd) {
    // Of a socket that is not one any more there is nothing left to send.
    let _ = set(&fd, libc::SOL_SOCKET, libc::SO_LINGER, libc::linger { l_onoff: 1, l_linger: 0 });
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn open(address: &RawAddress) -> io::Result<OwnedFd> {
    // SAFETY: socket(2) takes no pointers, and the descriptor it returns belongs to nobody else.
    unsafe {
        let fd = check(libc::socket(address.family(), libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

fn set<T>(fd: &impl AsRawFd, level: libc::c_int, option: libc::c_int, value: T) -> io::Result<()> {
    let len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: `value` is `len` readable bytes, and the kernel checks that the option takes as many.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), len) }).map(drop)
}

/// Bytes of a connection that the kernel takes without having sent them (docs/adr/0012-unsent-bytes.md). What it takes it copies: 16
/// large answers at once are 1 MiB that way, and still in the cache when they are sent. For clients that do not read it is the bound
/// on what the kernel holds for each beyond its window.
const UNSENT_BYTES_MAX: libc::c_int = 64 * 1024;

/// Frames and answers are written whole, so that Nagle's delay would only add latency.
fn set_for_answers(fd: &OwnedFd) -> io::Result<()> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    set(fd, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)
}

/// A socket to connect from.
pub(crate) fn open_to_connect(address: &RawAddress) -> io::Result<OwnedFd> {
    let fd = open(address)?;
    if address.family() != libc::AF_UNIX {
        set_for_answers(&fd)?;
    }
    Ok(fd)
}

/// A listening socket with the address it got. Accepted sockets inherit its TCP options (tcp(7)).
pub(crate) fn listen(address: &Address, options: &ListenOptions) -> io::Result<(OwnedFd, Address)> {
    let raw = RawAddress::new(address)?;
    let fd = open(&raw)?;
    if let Address::Tcp(address) = address {
        if address.is_ipv6() {
            // IPv4 has addresses of its own: `0.0.0.0:80` and `[::]:80` do not take each other's.
            set(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        }
        if options.claim {
            claim(&raw)?;
        }
        set(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        set_for_answers(&fd)?;
        if options.reuse_port {
            set(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        }
    }
    match address {
        Address::Unix(path) => {
            bind_when_free(&fd, &raw, Some(path))?;
            // Nobody can connect yet.
            options.unix_mode.map_or(Ok(()), |mode| set_mode(path, mode))?;
        }
        Address::Tcp(_) => bind_when_free(&fd, &raw, None)?,
    }
    // SAFETY: listen(2) takes no pointers.
    check(unsafe { libc::listen(fd.as_raw_fd(), options.backlog as libc::c_int) })?;
    if !options.steered_cpus.is_empty() {
        steer_by_cpu(&fd, &options.steered_cpus)?;
    }
    let bound = address_by(libc::getsockname, fd.as_raw_fd()).unwrap_or_else(|| address.clone());
    Ok((fd, bound))
}

/// Binds, waiting a moment if the address is in use: the kernel takes some milliseconds to take a ring's sockets down
/// after its process was killed, and whoever restarts it at once must not fail for that. The file of a Unix socket is removed
/// as soon as nobody answers there. Blocks; only at start-up.
fn bind_when_free(fd: &OwnedFd, raw: &RawAddress, path: Option<&Path>) -> io::Result<()> {
    const TRIES: u32 = 25;
    const PAUSE_MS: libc::c_int = 20;
    for tries_left in (0..TRIES).rev() {
        if let Some(path) = path {
            remove_stale(path, raw)?;
        }
        // SAFETY: `raw` points to `len` bytes that outlive the call.
        let bound = check(unsafe { libc::bind(fd.as_raw_fd(), raw.as_ptr(), raw.len()) });
        match bound {
            Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) && tries_left > 0 => {
                // SAFETY: poll(2) of no descriptors touches no memory; it only waits.
                unsafe { libc::poll(std::ptr::null_mut(), 0, PAUSE_MS) };
            }
            bound => return bound.map(drop),
        }
    }
    unreachable!("the last try returns")
}

/// Gives the file of a socket that was just bound a mode, whatever the umask; where it can have none, it is removed.
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    let set = std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
    if set.is_err() {
        // The error that is reported is the mode's.
        let _ = std::fs::remove_file(path);
    }
    set
}

/// Makes sure that no other process listens on an address that ours are going to share among themselves.
fn claim(raw: &RawAddress) -> io::Result<()> {
    let probe = open(raw)?;
    set(&probe, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    let address = raw.to_address();
    if matches!(address, Some(Address::Tcp(address)) if address.is_ipv6()) {
        set(&probe, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    bind_when_free(&probe, raw, None)
}

/// Removes the socket file of a process that is gone; one that still answers is left alone, and bind then fails. What is no socket is
/// an error.
fn remove_stale(path: &Path, raw: &RawAddress) -> io::Result<()> {
    // Nothing there, or nothing that we may look at: bind says.
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()) {
        let text = "what lies at this path is not a socket, and is left alone";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    let probe = open(raw)?;
    // SAFETY: fcntl takes no pointers here, and `raw` points to `len` bytes that outlive the call to connect.
    let refused = unsafe {
        // A live listener with a full backlog must not hold us up.
        libc::fcntl(probe.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
        libc::connect(probe.as_raw_fd(), raw.as_ptr(), raw.len()) != 0
            && io::Error::last_os_error().raw_os_error() == Some(libc::ECONNREFUSED)
    };
    // Any other answer, or error, may be somebody alive: then bind says that the address is in use.
    if refused { std::fs::remove_file(path) } else { Ok(()) }
}

/// Removes the file of a listening Unix socket of ours, before it is closed: as long as it is open nobody else takes it over.
pub(crate) fn remove_own(fd: &OwnedFd) {
    if let Some(Address::Unix(path)) = address_by(libc::getsockname, fd.as_raw_fd()) {
        // Whoever removed it before has done what is to be done.
        let _ = std::fs::remove_file(path);
    }
}

/// Picks the socket of a reuse-port group by the CPU that took the packet: that of `cpus[n]` belongs to the `n`th that listened.
fn steer_by_cpu(fd: &OwnedFd, cpus: &[u32]) -> io::Result<()> {
    let mut program = steering_program(cpus);
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let len = size_of_val(&filter) as libc::socklen_t;
    // SAFETY: `filter` points to a program that outlives the call; the kernel copies it.
    check(unsafe {
        let option = libc::SO_ATTACH_REUSEPORT_CBPF;
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const filter).cast(), len)
    })
    .map(drop)
}

/// Returns the place of the current CPU among `cpus`; without one, what no group has as an index: then the kernel picks by a hash.
fn steering_program(cpus: &[u32]) -> Vec<libc::sock_filter> {
    debug_assert!(cpus.len() <= STEERED_CPUS_MAX, "the kernel bounds programs");
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let this_cpu = statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (libc::SKF_AD_OFF + libc::SKF_AD_CPU) as u32);
    let mut program = vec![this_cpu];
    for (index, &cpu) in cpus.iter().enumerate() {
        let is_other = libc::sock_filter { jf: 1, ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, cpu) };
        program.extend([is_other, statement(libc::BPF_RET | libc::BPF_K, index as u32)]);
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, u32::MAX));
    program
}

/// Takes what is left in a listening socket's backlog.
pub(crate) fn drain_backlog(fd: &OwnedFd) -> Vec<OwnedFd> {
    // Bounded by the backlog itself, since nothing new is waited for; the bound below only guards against a client
    // that connects as fast as we accept.
    const DRAIN_MAX: usize = 65_536;
    let mut taken = Vec::new();
    // SAFETY: fcntl and accept4 with null addresses touch no memory of ours; each descriptor accept4 returns belongs
    // to nobody else.
    unsafe {
        libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
        while taken.len() < DRAIN_MAX {
            let accepted =
                libc::accept4(fd.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_CLOEXEC);
            if accepted < 0 {
                break;
            }
            taken.push(OwnedFd::from_raw_fd(accepted));
        }
    }
    taken
}
