"""How a run of a rollout begins: anew, or where another was killed, halted, or done for other hosts.

**Not**: files, clocks, hosts. What was seen of hosts is an argument.

**Invariants**: hosts and their comparison are those of the whole inventory, whatever `--limit` says. A host that is `begun` when a run
begins is asked again. What a host goes back to is what it ran when the rollout began. A host whose wanted settings have changed since, or that
no longer runs what it was brought to, is waiting again, and must be judged again.
"""

from __future__ import annotations

import copy

from ansible.module_utils.corelane_batches import minimum_in_service
from ansible.module_utils.corelane_identity import identity, satisfies
from ansible.module_utils.corelane_rollout_model import (
    BEGUN, BROKEN, DEAD, DONE, FINISHED, FORMAT, GO, HALT, REFUSED, RETURNING, ROLLBACK, UNTOUCHED, UPDATED, WAITING, RolloutError, unfinished,
    was_touched)
from ansible.module_utils.corelane_rollout_words import name, short


def begin(before, wanted, now):
    """The state that a run begins with.

    ``before`` is the state of the file, or None. ``wanted`` has ``action`` (update, rollback), ``target`` (the release's digest;
    "" for a rollback to what each host ran before), ``groups`` (names to lists of hosts, in order), ``chosen`` (hosts that may be changed),
    ``minimum`` (a number or percentage of each group), ``steps`` (by group), ``on_dead`` (finish, rollback), ``zones``, ``configuration``
    (ids of the wanted settings by host); and of what was seen: ``dead`` (hosts that cannot be reached), ``current`` (what each host
    runs, None where it is not known), ``previous`` (the digest of its release before), ``in_order`` (hosts whose process is that of the
    release and ready).

    Raises RolloutError where another rollout has not ended.
    """
    state = copy.deepcopy(before) if _goes_on(before, wanted) else _new(wanted, now)
    is_done = state["decision"] == DONE
    state["runs"] += 1
    for key in ("groups", "chosen", "steps", "on_dead", "zones"):
        state[key] = wanted[key]
    state["minimum"] = dict((group, minimum_in_service(wanted["minimum"], len(members))) for group, members in wanted["groups"].items())
    hosts = [host for group in wanted["groups"].values() for host in group]
    state["hosts"] = dict((host, state["hosts"].get(host) or {"state": WAITING}) for host in hosts)
    if state["decision"] in (GO, HALT, DONE):
        # Whoever runs it again has read why it was not done.
        state["decision"], state["reasons"] = GO, []
    for host, found in state["hosts"].items():
        if state["decision"] != ROLLBACK:
            _aim(state, host, _goal(before, found, host, wanted), wanted["current"].get(host))
        _again(state, host, wanted)
    if is_done and not unfinished(state):
        state["decision"] = DONE
    if state["runs"] == 1 and not unfinished(state):
        _inherit(state, before)
    return state


def _inherit(state, before):
    """A rollout that finds nothing to do, as after `site.yml` wrote what takes a reload only, hides no way back: it has that of the last."""
    if before is None or (before["action"], state["action"]) != ("update", "update"):
        return
    for host, found in state["hosts"].items():
        last = before["hosts"].get(host, {"state": WAITING})
        if found["state"] == UPDATED and was_touched(last):
            found.update(before=last["before"], touched=True, settled=True)
            state["judged"].append(host)


def _goes_on(before, wanted):
    """Whether the state of the file is that of what is wanted now."""
    if before is None:
        return False
    is_same = (before["action"], before["target"]) == (wanted["action"], wanted["target"])
    if before["decision"] not in FINISHED:
        if not is_same and wanted["action"] == "update":
            raise RolloutError(
                "the %s has not ended: run it again, or take it back with rollback.yml, before %s is rolled out"
                % (name(before), short(wanted["target"])))
        return is_same
    # Other settings for hosts that are done are another rollout: its way back leads to the settings of this one.
    return is_same and before["decision"] == DONE and not (wanted["action"] == "update" and any(
        found["state"] == UPDATED and found["to"]["configuration"] != wanted["configuration"].get(host)
        for host, found in before["hosts"].items() if host in wanted["configuration"]))


def _new(wanted, now):
    return {
        "format": FORMAT, "action": wanted["action"], "target": wanted["target"], "started": now, "decision": GO,
        "reasons": [], "hosts": {}, "judged": [], "verdicts": [], "runs": 0,
    }


def _goal(before, found, host, wanted):
    """What a host shall run; None where a rollback has nothing to take back."""
    if wanted["action"] == "update":
        return identity(wanted["target"], wanted["configuration"].get(host))
    if "to" in found:
        return found["to"]
    if wanted["target"]:
        return identity(wanted["target"])
    if before is None:
        previous = wanted["previous"].get(host)
        return identity(previous) if previous else None
    last = before["hosts"].get(host, {"state": WAITING})
    if before["action"] == "rollback":
        # Asked for twice: the way back is not a way forward.
        return last.get("to")
    return last["before"] if was_touched(last) else None


def _aim(state, host, goal, current):
    """Sets what a host shall run, and what it ran before; one that is not where it was brought to is waiting again."""
    found = state["hosts"][host]
    has_changed = "to" in found and found["to"] != goal
    # Somebody else has changed it since: it was replaced.
    has_drifted = bool(current and found.get("to")) and not satisfies(current, found["to"])
    found["to"] = goal
    if goal is None:
        found["state"] = UNTOUCHED
    elif found["state"] == UPDATED and (has_changed or has_drifted):
        if found.pop("settled", False) and has_drifted:
            found["touched"] = False
        found["state"] = WAITING
        state["judged"] = [judged for judged in state["judged"] if judged != host]
    if current and not was_touched(found) or "before" not in found:
        found["before"] = current


def _again(state, host, wanted):
    """A host at the beginning of a run: what was not brought to an end is tried again."""
    found = state["hosts"][host]
    if found["state"] == UNTOUCHED:
        return
    touched = was_touched(found)
    if host in wanted["dead"]:
        found.update(touched=touched, state=DEAD, why="cannot be reached")
    elif state["decision"] == ROLLBACK:
        if touched and not found.get("settled") and found["state"] in (WAITING, BEGUN, UPDATED, RETURNING, DEAD, BROKEN):
            found.update(touched=True, state=RETURNING)
        elif found["state"] in (DEAD, BROKEN):
            found["state"] = WAITING
    elif found["state"] in (BEGUN, REFUSED, BROKEN, DEAD):
        found.update(touched=touched, state=WAITING)
    if state["decision"] == GO and found["state"] == WAITING and not touched and host in wanted["in_order"] \
            and satisfies(wanted["current"].get(host), found["to"]):
        # There is nothing to do, and so nothing to judge: it is no canary.
        found.update(state=UPDATED, why="")


def set_aside(state, faults):
    """The state without hosts that nothing can be done for now: ``faults`` says why by host. The others go on."""
    state = copy.deepcopy(state)
    for host, why in faults.items():
        found = state["hosts"][host]
        found.update(touched=was_touched(found), state=BROKEN, why=why)
    return state
