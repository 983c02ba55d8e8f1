"""The lock of a host: one step at a time, whoever sent it.

Not: a lock for longer than a module runs. A step is one module, so that the host ends what it began also when its controller is gone.

Invariants: the kernel holds the lock (flock), so it ends with the process; what the file says is for people alone. Waiting has a deadline.
Only the user of the steps (root) can take it: /run/lock is open to all, so a file that is somebody else's is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import time

PATH = "/run/lock/corelane-deploy"


class LockError(Exception):
    """Somebody else held the lock until the deadline, or it cannot be taken; says who, or why."""


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
        self.file = self._opened()
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

    def _opened(self):
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            # Not truncated: until the lock is ours it says who has it.
            file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+")
            owner = os.fstat(file.fileno()).st_uid
            if owner != os.geteuid():
                file.close()
                raise LockError("%s belongs to user %d: see who that is, and remove it" % (self.path, owner))
            # Whoever can open it can hold it.
            os.fchmod(file.fileno(), 0o600)
            return file
        except OSError as error:
            raise LockError("%s cannot be taken: %s" % (self.path, error)) from error

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
    with looking(module, purpose):
        yield


def looking(module, purpose):
    """The host's lock for a module that needs it in check mode as well: it puts something beside what others may put there."""
    return HostLock(sender(), purpose, module.params["lock_seconds"])


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
    since = found.get("since")
    # Whatever stands there: it is for people, and must not keep anybody from waiting.
    is_time = isinstance(since, (int, float)) and math.isfinite(since)
    age = ", since %d s" % (time.time() - since) if is_time else ""
    return "%s (pid %s): %s%s" % (found.get("owner"), found["pid"], found.get("purpose"), age)
