"""What an operator reads of a rollout.

**Not**: deciding anything. Pure functions.
"""

from __future__ import annotations

from ansible.module_utils.corelane_rollout_model import (
    BEGUN, BROKEN, DEAD, DONE, GO, HALT, REFUSED, RETURNING, ROLLBACK, ROLLED_BACK, UPDATED, WAITING, was_touched)

WORDS = {
    GO: "not finished, run it again", DONE: "done", ROLLBACK: "being taken back, run it again to go on", ROLLED_BACK: "taken back",
    HALT: "halted",
}


def sentences(state):
    """What a rollout came to, the outcome first."""
    by_state = {}
    for host, found in state["hosts"].items():
        by_state.setdefault(found["state"], []).append(host)
    counted = ", ".join("%d %s" % (len(by_state[kind]), kind) for kind in sorted(by_state))
    said = ["%s: %s (%s)" % (name(state), WORDS[state["decision"]], counted)]
    said.extend("because: %s" % reason for reason in state["reasons"])
    for kind in (DEAD, BROKEN, BEGUN, RETURNING, REFUSED):
        for host in sorted(by_state.get(kind, [])):
            why = state["hosts"][host].get("why")
            said.append("%s is %s%s" % (host, kind, ": %s" % why if why else ""))
    return said + _left_out(state)


def _left_out(state):
    """Hosts that this run left as they are, though they are not where the others are."""
    hosts = state["hosts"]
    outside = sorted(host for host, found in hosts.items()
                     if host not in state["chosen"] and (found["state"] in (WAITING, RETURNING)))
    kept = sorted(host for host, found in hosts.items() if found.get("settled") and found["state"] == UPDATED and was_touched(found))
    said = ["left as they are by --limit: %s" % ", ".join(outside)] if outside else []
    if kept and state["decision"] in (ROLLBACK, ROLLED_BACK):
        said.append("updated by a run that was done, and not taken back: %s; rollback.yml does that" % ", ".join(kept))
    return said


def name(state):
    """What a rollout is called."""
    if state["action"] == "update":
        return "rollout of %s" % short(state["target"])
    return "rollback to %s" % (short(state["target"]) or "what each host ran before")


def short(digest):
    """The first digits of a digest, as `corectl release` takes them."""
    return digest[:12]


def drained(looked, planned):
    """Sentences on hosts that a person has taken out of service; ``planned`` are batches as (group, hosts)."""
    said = []
    for group, hosts in planned:
        for host in hosts:
            who = looked.get(host, {}).get("drained_by")
            if who:
                said.append("%s: drained by %s; it stays so%s" % (host, who, "" if group == "nodes" else ", and is not watched"))
    return said


def losses(looked, groups):
    """Sentences on what restarts lose: {host: sentence}, of what was seen of each host (``items``, ``bytes``, ``embedded``)."""
    lost = {}
    for group, hosts in groups.items():
        for host in hosts:
            seen = looked.get(host, {})
            if seen.get("items") and (group == "nodes" or seen.get("embedded")):
                lost[host] = "%s holds %d values (%d MiB) in memory only; its restart loses them" % (
                    host, seen["items"], seen.get("bytes", 0) >> 20)
    return lost
