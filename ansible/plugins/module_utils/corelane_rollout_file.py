"""The file of a rollout on the controller, and who works on it.

Not: what it means (corelane_rollout_state).

Invariants: the file is whole at any time: it is written under another name and renamed. It is read, changed and written under one lock, and by one
run alone: a second one is refused when it begins, and one that was taken for dead is refused when it goes on. A state that has ended
is kept beside it when another one begins. A run that was killed is none.

Source: proc(5): pid and start time together name a process until the machine is restarted. flock(2).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time

from ansible.module_utils import corelane_files as files
from ansible.module_utils.corelane_rollout_model import FORMAT, RolloutError, shape_fault

LOCK_SECONDS = 60.0
"""How long a transition of another run may take: it asks hosts for readiness at most."""


@contextlib.contextmanager
def locked(path, seconds=LOCK_SECONDS):
    """Nobody else reads or writes the state meanwhile; raises RolloutError where another run has it for so long."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    until = time.monotonic() + seconds
    with open(path + ".lock", "a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise RolloutError("%s.lock: held by another run for more than %d s" % (path, seconds)) from None
                time.sleep(0.05)
        yield


def read(path):
    """The state, or None where there is none; raises RolloutError where the file is not one."""
    try:
        with open(path) as file:
            state = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RolloutError("%s cannot be read as the state of a rollout: %s" % (path, error)) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else None
        raise RolloutError(
            "%s: found format %r, allowed: %d; where no rollout is under way, move the file away" % (path, found, FORMAT))
    fault = shape_fault(state)
    if fault:
        raise RolloutError("%s: %s; the file was damaged: mend it, or move it away where no rollout is under way" % (path, fault))
    return state


def write(path, state):
    """Replaces the file, and is on the disk when it returns."""
    files.write(path, json.dumps(state, indent=2, sort_keys=True) + "\n")


def keep(path, state):
    """Keeps a state that is replaced by another rollout's."""
    root, suffix = os.path.splitext(path)
    write("%s-%s%s" % (root, state["started"].replace(":", ""), suffix), state)


def run_of_this(proc="/proc"):
    """The ansible-playbook that this module is run by, as {"pid", "start"}; the module's own parent where there is none."""
    process, found = os.getppid(), os.getppid()
    for _generation in range(64):
        if process <= 0:
            break
        try:
            with open("%s/%d/cmdline" % (proc, process), "rb") as file:
                if b"ansible-playbook" in file.read():
                    found = process
            process = int(_stat(process, proc)[1])
        except OSError:
            break
    return {"pid": found, "start": start_of(found, proc)}


def start_of(process, proc="/proc"):
    """When a process began, in ticks since the machine did; None where it is gone."""
    try:
        return int(_stat(process, proc)[19])
    except OSError:
        return None


def _stat(process, proc):
    with open("%s/%d/stat" % (proc, process)) as file:
        # The name of the program may have spaces; what follows it has none.
        return file.read().rpartition(")")[2].split()


def refuse_two(state, run, proc="/proc"):
    """Raises RolloutError where another run that lives works on the state."""
    other = (state or {}).get("run")
    if other and other != run and other["start"] is not None and start_of(other["pid"], proc) == other["start"]:
        raise RolloutError("a rollout is under way in process %d of this controller" % other["pid"])


def refuse_other(state, run):
    """Raises RolloutError where the state is no longer that of this run."""
    if state.get("run") != run:
        other = (state.get("run") or {}).get("pid")
        raise RolloutError("the rollout was taken over by %s" % ("process %s" % other if other else "another run, which has ended"))
