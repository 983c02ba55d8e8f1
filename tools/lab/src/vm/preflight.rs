//! What the virtual machine needs of the developer's machine.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use rustix::process::geteuid;

use crate::capture::capture;
use crate::poll::Stop;
use crate::preflight::{Preflight, Program, is_installed};

const PROGRAMS: &[Program] = &[
    Program { name: "mmdebstrap", package: "mmdebstrap" },
    Program { name: "mke2fs", package: "e2fsprogs" },
    Program { name: "ip", package: "iproute2" },
    Program { name: "setpriv", package: "util-linux" },
    Program { name: "ssh", package: "openssh-client" },
    Program { name: "ssh-keygen", package: "openssh-client" },
    Program { name: "strip", package: "binutils" },
    Program { name: "chroot", package: "coreutils" },
];

/// The image is half of it; the rest is the tree it is made from.
const ROOM_MIB: u64 = 2048;

/// Bookworm's own QEMU has no igb. The lists of packages that this takes are its own: the machine's stay as they are.
const QEMU: &str = r#"QEMU 8 or later with the card igb (Debian 12 has it in bookworm-backports). Install it with:
      d=$(mktemp -d); mkdir -p $d/lists/partial $d/archives/partial
      for s in bookworm bookworm-backports; do echo "deb http://deb.debian.org/debian $s main"; done > $d/list
      printf 'Dir { Etc { SourceList "%s"; SourceParts "-"; }; State::Lists "%s"; Cache::Archives "%s"; };\n' \
          $d/list $d/lists $d/archives > $d/conf
      APT_CONFIG=$d/conf apt-get update
      APT_CONFIG=$d/conf apt-get install --no-install-recommends -t bookworm-backports qemu-system-x86"#;

/// Looks at everything.
///
/// # Errors
/// The operator's: all that is missing, and what brings it.
pub(super) fn check(cache: &Path) -> Result<()> {
    let mut preflight = Preflight::default();
    preflight.require(geteuid().is_root(), || "root: namespaces, taps and the tree of an image take it".into());
    preflight.require(Path::new("/dev/net/tun").exists(), || "/dev/net/tun; load it with: modprobe tun".into());
    preflight.require_programs(PROGRAMS);
    preflight.require(has_igb(), || QEMU.into());
    preflight.require_room(cache, ROOM_MIB);
    preflight.finish()
}

fn has_igb() -> bool {
    let mut command = Command::new("qemu-system-x86_64");
    let mut cards = || capture(command.args(["-device", "help"]), Duration::from_secs(60), &Stop::never());
    is_installed("qemu-system-x86_64") && cards().is_ok_and(|cards| cards.stdout.contains("\"igb\""))
}
