"""The lock of a host: one step at a time, whoever sent it.

Not: a lock for longer than a module runs. A step is one module, so that the host ends what it began also when its controller is gone.

Invariants: the kernel holds the lock (flock), so it ends with the process; what the file says is for people alone. Waiting has a deadline.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time

PATH = "/run/lock/corelane-deploy"


class LockError(Exception):
    """Somebody else held the lock until the deadline; says who."""


class HostLock:
    """Holds the lock while it is a context; `waited` is how many seconds it took to get it."""

    def __init__(self, owner, purpose, seconds, path=PATH):
        self.owner = owner
        self.purpose = purpose
        self.seconds = seconds
        self.path = path
        self.waited = 0.0
        self.file = None

    def __enter__(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        # Not truncated: until the lock is ours it says who has it.
        self.file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644), "r+")
        began = time.monotonic()
        while not self._taken():
            self.waited = time.monotonic() - began
            if self.waited >= self.seconds:
                held = holder(self.path)
                self.file.close()
                raise LockError("%s: held for more than %d s by %s" % (self.path, self.seconds, held))
            time.sleep(0.1)
        self.waited = time.monotonic() - began
        self._say({"owner": self.owner, "pid": os.getpid(), "purpose": self.purpose, "since": int(time.time())})
        return self

    def __exit__(self, *_error):
        self._say(None)
        self.file.close()

    def _taken(self):
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            return False

    def _say(self, what):
        self.file.seek(0)
        self.file.truncate()
        if what is not None:
            self.file.write(json.dumps(what))
        self.file.flush()


@contextlib.contextmanager
def changing(module, purpose):
    """Holds the host's lock while a module changes something; in check mode nothing is held."""
    if module.check_mode:
        yield
        return
    with HostLock(sender(), purpose, module.params["lock_seconds"]):
        yield


def sender():
    """Who sent this module, and from where."""
    user = os.environ.get("SUDO_USER") or os.environ.get("USER") or "uid %d" % os.getuid()
    address = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    return "%s from %s" % (user, address) if address else user


def holder(path=PATH):
    """Who holds the lock, for people."""
    try:
        with open(path) as file:
            found = json.loads(file.read() or "null") or {}
    except (OSError, ValueError):
        found = {}
    if not isinstance(found, dict) or "pid" not in found:
        return "somebody who did not say"
    return "%s (pid %s): %s, since %d s" % (
        found.get("owner"), found["pid"], found.get("purpose"), time.time() - found.get("since", time.time()))
