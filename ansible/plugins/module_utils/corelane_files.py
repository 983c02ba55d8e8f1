"""Files and programs of a host: read, written by a rename, run with a deadline.

Invariants: a file that is replaced is the old one or the new one; a program that does not end in time is an error.
"""

from __future__ import annotations

import os
import subprocess
import tempfile

PROGRAM_SECONDS = 60
"""Longer than any program here takes on a busy host; installing a release writes some tens of MiB."""


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
    """Puts a file in the place of another."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle, new = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".new-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(new, path)
    except BaseException:
        os.unlink(new)
        raise


def remove(path):
    """Removes a file; whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def run(command, seconds=PROGRAM_SECONDS, env=None):
    """Runs a program; returns its exit status, standard output and standard error."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds, env=env, check=False)
    except subprocess.TimeoutExpired:
        raise ProgramError("%s: not done after %d s" % (" ".join(command), seconds))
    except OSError as error:
        raise ProgramError("%s: %s" % (command[0], error.strerror))
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def must(command, seconds=PROGRAM_SECONDS):
    """As `run`, where the program must succeed; returns its standard output."""
    status, out, err = run(command, seconds)
    if status:
        raise ProgramError("%s: exit status %d: %s" % (" ".join(command), status, (err + out).strip()))
    return out


def diff(path, before, after):
    """One file's change, as `--diff` shows it."""
    return {"before_header": path, "after_header": path, "before": before, "after": after}
