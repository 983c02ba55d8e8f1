"""The state of a rollout: plain data, what the file on the controller holds, and the words of it.

```
 host:     waiting ─▶ begun ─▶ updated ─▶ returning ─▶ returned
              ▲         │ ├──▶ refused    it put itself back, or was never changed: it serves what it did before
              └─────────┘ ├──▶ broken     it could not put itself back, or cannot be looked at: the next run tries again
             (not begun)  └──▶ dead       nobody knows; the next run asks it
           untouched        a rollback has nothing to take back there
 rollout:  go ─▶ done | rollback ─▶ rolled_back | halt
```

A host has, beside ``state``: ``before`` and ``to`` (what it ran when the rollout began, and shall run: corelane_identity), ``touched``
(a step was begun that may have changed it), ``settled`` (it was brought to its end by a run that is done), ``why``. The rollout has ``groups`` (all hosts of
the inventory), ``chosen`` (those that this run may change: `--limit`), ``judged`` (hosts that a verdict found good).

**Not**: transitions (corelane_rollout_begin, corelane_rollout_state), batches (corelane_rollout_plan).
"""

from __future__ import annotations

import re

FORMAT = 2

WAITING, BEGUN, UPDATED, REFUSED, BROKEN, DEAD = "waiting", "begun", "updated", "refused", "broken", "dead"
RETURNING, RETURNED, UNTOUCHED = "returning", "returned", "untouched"
GO, ROLLBACK, HALT, DONE, ROLLED_BACK = "go", "rollback", "halt", "done", "rolled_back"

FINISHED = (DONE, ROLLED_BACK)

HOST_STATES = (WAITING, BEGUN, UPDATED, REFUSED, BROKEN, DEAD, RETURNING, RETURNED, UNTOUCHED)
DECISIONS = (GO, ROLLBACK, HALT, DONE, ROLLED_BACK)

STARTED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z")


class RolloutError(ValueError):
    """The operator's: what is asked for contradicts what is under way."""


def shape_fault(state):
    """What is wrong with the outer shape of a state that was read from a file, for people; empty where nothing is."""
    hosts, run = state.get("hosts"), state.get("run")
    if not isinstance(state.get("started"), str) or not STARTED.fullmatch(state["started"]):
        return "started: found %r, allowed: a time such as 2026-01-01T00:00:00Z" % (state.get("started"),)
    if state.get("decision") not in DECISIONS:
        return "decision: found %r, allowed: %s" % (state.get("decision"), ", ".join(DECISIONS))
    for key in ("chosen", "judged"):
        if not isinstance(state.get(key), list):
            return "%s: allowed: a list of hosts" % key
    groups = state.get("groups")
    if not isinstance(groups, dict) or not all(isinstance(members, list) for members in groups.values()):
        return "groups: allowed: lists of hosts by name"
    if not isinstance(hosts, dict):
        return "hosts: allowed: what is known of each, by name"
    for host, found in hosts.items():
        if not isinstance(found, dict) or found.get("state") not in HOST_STATES:
            return "hosts.%s.state: allowed: %s" % (host, ", ".join(HOST_STATES))
    if run is not None and not (isinstance(run, dict) and isinstance(run.get("pid"), int) and isinstance(run.get("start"), (int, type(None)))):
        return "run: found %r, allowed: pid and start of a process" % (run,)
    return ""


def was_touched(found):
    """Whether a step may have changed this host since the rollout began."""
    return bool(found.get("touched")) or found["state"] == BEGUN


def group_of(state, host):
    """The group that a host is updated with."""
    return next(group for group, hosts in state["groups"].items() if host in hosts)


def has_canary(state, group):
    """Whether a host of the group was updated, watched, and found good."""
    return any(host in state["judged"] for host in state["groups"][group])


def is_unwatched(state, host):
    """Whether a host was changed and nobody has judged it yet. One that a person has drained has no clients to be judged by."""
    found = state["hosts"][host]
    return found["state"] == UPDATED and was_touched(found) and host not in state["judged"] and not found.get("drained_by")


def unfinished(state):
    """Hosts that this rollout has still to bring to an end: those that it may change, and those that it has changed."""
    return [host for host, found in state["hosts"].items()
            if (host in state["chosen"] or was_touched(found))
            and (found["state"] not in (UPDATED, RETURNED, UNTOUCHED) or is_unwatched(state, host))]
