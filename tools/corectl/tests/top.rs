//! `corectl top` in a terminal, before a process that has fallen silent: how it ends, and what it leaves.
//!
//! **Not** what is shown, which unit tests hold.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up has failed")]
#![expect(clippy::disallowed_types, reason = "a process that is asked, without a reactor")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// What a terminal is sent when a program takes all of it, and when it gives it back.
const ENTER: &[u8] = b"\x1b[?1049h";
const LEAVE: &[u8] = b"\x1b[?1049l";

/// A `corectl top` that shows what a process has said, and has asked it again.
struct Shown {
    folder: PathBuf,
    /// The other end of the terminal, and the terminal.
    master: File,
    terminal: File,
    child: Child,
    /// The request that is not answered.
    silent: UnixStream,
    listener: UnixListener,
}

impl Shown {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("corectl-top-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let listener = UnixListener::bind(folder.join("admin")).unwrap();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let flags = OFlags::NOCTTY.bits().cast_signed();
        let terminal = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).unwrap();
        tcsetwinsize(&terminal, Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_corectl"))
            .args(["top", "--interval", "100ms", "--admin"])
            .arg(format!("unix:{}", folder.join("admin").display()))
            .env("TERM", "xterm")
            .stdin(terminal.try_clone().unwrap())
            .stdout(terminal.try_clone().unwrap())
            .stderr(terminal.try_clone().unwrap())
            .spawn()
            .unwrap();
        for body in [r#"{"program": "corelane", "totals": {}}"#, ""] {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&mut stream);
            write!(stream, "HTTP/1.1 200 OK\r\n\r\n{body}").unwrap();
        }
        let mut master = File::from(master);
        read_until(&mut master, ENTER);
        let (mut silent, _) = listener.accept().unwrap();
        read_request(&mut silent);
        Shown { folder, master, terminal, child, silent, listener }
    }

    /// Waits for its end, and looks at what it left of the terminal. Returns the signal that ended it.
    fn ended(mut self) -> Option<i32> {
        let Shown { child, terminal, master, .. } = &mut self;
        let (status, shown) = thread::scope(|scope| {
            let ending = scope.spawn(|| {
                let status = child.wait().unwrap();
                // Nobody writes behind this.
                terminal.write_all(b"<end>").unwrap();
                status
            });
            let shown = read_until(master, b"<end>");
            (ending.join().unwrap(), shown)
        });
        assert!(
            contains(&shown, LEAVE),
            "the screen is given back: {}",
            String::from_utf8_lossy(&shown).escape_debug()
        );
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON), "{modes:?}");
        // It was not answered, and there was no second request beside it.
        let mut rest = Vec::new();
        self.silent.read_to_end(&mut rest).unwrap();
        self.listener.set_nonblocking(true).unwrap();
        assert_eq!(self.listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        fs::remove_dir_all(&self.folder).unwrap();
        status.signal()
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn read_request(stream: &mut UnixStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
}

/// What is shown up to `end`, with it.
fn read_until(master: &mut File, end: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    while !contains(&shown, end) {
        let mut chunk = [0; 4096];
        let bytes = master.read(&mut chunk).unwrap();
        shown.extend_from_slice(&chunk[..bytes]);
    }
    shown
}

#[test]
fn a_signal_from_outside_gives_the_terminal_back() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let shown = Shown::new(&format!("signal-{}", signal.as_raw()));
        kill_process(Pid::from_child(&shown.child), signal).unwrap();
        assert_eq!(shown.ended(), Some(signal.as_raw()));
    }
}

#[test]
fn a_key_ends_it_while_the_process_is_silent() {
    let mut shown = Shown::new("key");
    shown.master.write_all(b"q").unwrap();
    assert_eq!(shown.ended(), None);
}
