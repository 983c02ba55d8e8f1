"""Files and programs of a host: read, written by a rename, run with a deadline.

Invariants: a file that is replaced is the old one or the new one; a program that does not end in time is an error.
"""

from __future__ import annotations

import contextlib
import difflib
import grp
import hashlib
import os
import re
import stat
import subprocess
import tempfile
import time

LEFT_SECONDS = 600
"""After that long a file that was to replace another is what a killed writer left."""

PROGRAM_SECONDS = 60
"""Longer than any program here takes on a busy host; installing a release writes some tens of MiB."""


SECRET = re.compile(r"""(\bhash_seed["']?\s*=\s*)([^,}\n]*)""")
"""The seed of the key hash, with which clients could choose keys that meet in one place."""


class ProgramError(Exception):
    """A program failed: what was called, and what it printed."""


def read(path):
    """The text of a file; empty without the file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def write(path, text, mode=0o644):
    """Puts a file in the place of another, whose mode and owners it keeps; a new file has `mode`."""
    _put(path, text, lambda: rights_of(path, mode))


def replace(path, text, mode, group):
    """As `write`, with this mode and group also where there was a file. A group that the host lacks is left out."""
    def rights():
        owner, own_group, _mode = rights_of(path, mode)
        try:
            own_group = grp.getgrnam(group).gr_gid
        except KeyError:
            pass
        return owner, own_group, mode

    _put(path, text, rights)


def _put(path, text, rights):
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    prefix = ".new-%s-" % name
    _remove_left(folder, prefix)
    handle, new = tempfile.mkstemp(dir=folder, prefix=prefix)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            owner, group_id, mode = rights()
            os.fchown(file.fileno(), owner, group_id)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(new, path)
    except BaseException:
        os.unlink(new)
        raise
    _sync(folder)


def _remove_left(folder, prefix):
    """Removes what writers of this file left that were killed: nobody takes so long to write one."""
    for name in os.listdir(folder):
        left = os.path.join(folder, name)
        with contextlib.suppress(FileNotFoundError):
            if name.startswith(prefix) and time.time() - os.lstat(left).st_mtime > LEFT_SECONDS:
                os.unlink(left)


def _sync(folder):
    """Puts the names of a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rights_of(path, mode):
    """Owner, group and mode of a file, or what it is to have where there is none; -1 leaves an owner as it is."""
    try:
        found = os.stat(path)
        return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)
    except FileNotFoundError:
        return -1, -1, mode


def remove(path):
    """Removes a file; whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def run(command, seconds=PROGRAM_SECONDS):
    """Runs a program; returns its exit status, standard output and standard error. Raises ProgramError where it cannot be run, or takes
    too long: then it is killed."""
    # Settings come from files, not from whoever called this.
    env = dict((name, value) for name, value in os.environ.items() if not name.startswith("CORELANE_"))
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds, env=env, check=False)
    except subprocess.TimeoutExpired:
        raise ProgramError("%s: not done after %d s" % (" ".join(command), seconds))
    except OSError as error:
        raise ProgramError("%s: %s" % (command[0], error.strerror))
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def attempt(command, seconds=PROGRAM_SECONDS):
    """As `run`, for those who go on in any case: (exit status, what it said). A status of 0 says its standard output, any other both; None
    is a program that could not be run, or was killed."""
    try:
        status, out, err = run(command, seconds)
    except ProgramError as error:
        return None, str(error)
    return status, (out if status == 0 else err + out).strip()


def must(command, seconds=PROGRAM_SECONDS):
    """As `run`, where the program must succeed; returns its standard output."""
    status, out, err = run(command, seconds)
    if status:
        raise ProgramError("%s: exit status %d: %s" % (" ".join(command), status, (err + out).strip()))
    return out


def diff(path, before, after):
    """One file's change, as `--diff` shows it, without secrets."""
    return {"before_header": path, "after_header": path, "before": redacted(before), "after": redacted(after)}


def line_diff(path, before, after):
    """As `diff`, line by line: for texts that come as arguments without a log, which Ansible blackens wherever it finds them whole."""
    lines = difflib.unified_diff(redacted(before).splitlines(), redacted(after).splitlines(), path, path, lineterm="")
    return {"prepared": "".join(line + "\n" for line in lines)}


def redacted(text):
    """A text without the values of secret keys; a value that changes is seen to change."""
    return SECRET.sub(lambda match: "%s(redacted, %s)" % (match.group(1), hashlib.sha256(match.group(2).encode()).hexdigest()[:6]), text)
