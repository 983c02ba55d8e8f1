"""The file of a rollout on the controller, and who works on it.

Not: what it means (corelane_rollout_state).

Invariants: the file is whole at any time: it is written under another name and renamed. A state that has ended is kept beside it when
another one begins. Two runs at once are refused; a run that was killed is none.

Source: proc(5): pid and start time together name a process until the machine is restarted.
"""

from __future__ import annotations

import json
import os

from ansible.module_utils.corelane_rollout_state import FORMAT, RolloutError


def read(path):
    """The state, or None where there is none; raises RolloutError where the file is not one."""
    try:
        with open(path) as file:
            state = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RolloutError("%s cannot be read as the state of a rollout: %s" % (path, error)) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise RolloutError("%s: found format %r, allowed: %d" % (path, state.get("format") if isinstance(state, dict) else None, FORMAT))
    return state


def write(path, state):
    """Replaces the file, and is on the disk when it returns."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = "%s.%d" % (path, os.getpid())
    with open(new, "w") as file:
        json.dump(state, file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, path)


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
