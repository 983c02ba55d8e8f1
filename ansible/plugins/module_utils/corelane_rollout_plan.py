"""Which hosts of a rollout are next, and beside which others they are judged.

**Not**: asking hosts anything; changing a state.

**Invariants**: shares, minimum and comparison are those of whole groups; batches have only hosts that this run may change. As long as no host
of a group was judged good, a batch is no larger than a canary.
"""

from __future__ import annotations

from ansible.module_utils.corelane_batches import batch_size, plan
from ansible.module_utils.corelane_rollout_model import (
    BROKEN, DEAD, GO, REFUSED, RETURNING, ROLLBACK, UNTOUCHED, UPDATED, WAITING, group_of, has_canary, is_unwatched, was_touched)


def batches(state):
    """Batches of this run as (group, hosts), in order. Hosts that were updated and not watched yet come first, together.

    Raises BatchError where the minimum in service leaves no host to update.
    """
    if state["decision"] != GO:
        return []
    ordered = []
    for group, hosts in state["groups"].items():
        unwatched = [host for host in hosts if host in state["chosen"] and is_unwatched(state, host)]
        if unwatched:
            ordered.append((group, unwatched))
        steps = state["steps"][group]
        # One host first, as long as no host of the group has passed.
        steps = steps[1:] or steps if has_canary(state, group) else steps
        ordered.extend((group, batch) for batch in _plan(state, group, WAITING, steps))
    return ordered


def returning(state):
    """Batches of the hosts that go back, as (group, hosts); none while the rollout goes on."""
    if state["decision"] != ROLLBACK:
        return []
    return [(group, batch) for group in state["groups"] for batch in _plan(state, group, RETURNING, ["100%"])]


def _plan(state, group, kind, steps):
    """Batches of the hosts of a group that are in a state and may be changed."""
    hosts = state["groups"][group]
    those = [host for host in hosts if host in state["chosen"] and state["hosts"][host]["state"] == kind]
    lost = out(state, group)
    others = [host for host in hosts if host not in those and host not in lost]
    return plan(hosts, steps, needed(state, group), state["zones"], others, lost) if those else []


def out(state, group):
    """Hosts of a group that are known not to serve."""
    return [host for host in state["groups"][group] if state["hosts"][host]["state"] in (DEAD, BROKEN)]


def needed(state, group):
    """Hosts of a group that must serve at any time: what was asked for; on a way back all that are left but one, where that is less. What
    is lost already must not keep the others from going back."""
    total, minimum = len(state["groups"][group]), state["minimum"][group]
    if state["decision"] != ROLLBACK and state["action"] != "rollback":
        return minimum
    return max(0, min(minimum, total - len(out(state, group)) - 1))


def canary_size(state, group):
    """Hosts of a group that may be updated before one was judged."""
    return batch_size(state["steps"][group][0], len(state["groups"][group]))


def others(state, batch, in_service):
    """(hosts to compare a batch with, whether they run what was there before): those of its group that serve and were not updated, else those that
    need not be judged any more."""
    group = [host for host in state["groups"][group_of(state, batch[0])] if host in in_service and host not in batch]
    old = [host for host in group if _is_as_before(state["hosts"][host], state["hosts"][batch[0]])]
    good = [host for host in group if state["hosts"][host]["state"] in (UPDATED, UNTOUCHED) and not is_unwatched(state, host)]
    return old or good, bool(old)


def _is_as_before(found, judged):
    """Whether a host runs the release that the judged one ran before. One that nobody has touched may have had nothing to do, as where settings
    change for some hosts only."""
    if found["state"] in (WAITING, REFUSED):
        return True
    runs, ran = found.get("before"), judged.get("before")
    return not was_touched(found) and bool(runs) and bool(ran) and runs["release"] == ran["release"]
