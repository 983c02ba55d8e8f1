"""Rollouts of three edges for tests: what is wanted, what was seen, and one batch from the gate to the verdict."""

import json

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_rollout_state as rollout
from ansible.module_utils.corelane_identity import identity
from ansible.module_utils.corelane_rollout_begin import begin as begin_run

OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64
HOSTS = ["e1", "e2", "e3"]
PASS = {"verdict": "pass", "sentence": "good"}
FAIL = {"verdict": "fail", "sentence": "slow"}
UNKNOWN = {"verdict": "not enough data", "sentence": "no load"}


def runs(hosts, release, settings="s0"):
    """What hosts run: the same release and settings on all."""
    return dict((host, identity(release, settings)) for host in hosts)


def seen(before, hosts):
    """What hosts run that do what the state says of them."""
    known = (before or {}).get("hosts", {})
    found = runs(hosts, OLD)
    for host in set(known) & set(hosts):
        key = "to" if known[host]["state"] == "updated" else "before"
        found[host] = known[host].get(key) or found[host]
    return found


def wanted(before=None, **changes):
    """What is asked for; a release on all hosts unless said otherwise."""
    hosts = sorted(set(host for group in changes.get("groups", {"edges": HOSTS}).values() for host in group))
    base = {
        "action": "update", "target": NEW, "groups": {"edges": HOSTS}, "chosen": hosts, "minimum": "50%",
        "steps": {"edges": [1, "100%"], "nodes": [1]}, "on_dead": "finish", "zones": {}, "dead": [], "current": seen(before, hosts),
        "previous": {}, "in_order": hosts, "configuration": dict.fromkeys(hosts, "s0"),
    }
    return dict(base, **changes)


def begin(before=None, **changes):
    # What is between two runs is a file.
    return begin_run(json.loads(json.dumps(before)), wanted(before, **changes), "now")


def back(before, **changes):
    """A rollback of what the state says."""
    return begin(before, **dict({"action": "rollback", "target": ""}, **changes))


def states(state):
    return dict((host, found["state"]) for host, found in state["hosts"].items())


def releases(state, key="to"):
    return dict((host, found[key] and found[key]["release"]) for host, found in state["hosts"].items())


def outcome(kind, *hosts):
    return dict((host, {"outcome": kind, "why": kind}) for host in hosts)


def step(state, batch, kind="updated", verdict=PASS, in_service=HOSTS):
    """One batch, from the gate to the verdict; without a verdict nobody watches."""
    state, go, _said = rollout.gate(state, batch, in_service)
    state = rollout.record(state, outcome(kind, *go))
    watch = rollout.to_watch(state, go)
    return rollout.watched(state, watch, verdict, False) if verdict and watch else state


def done(state, hosts=HOSTS, **options):
    """All hosts, one after the other, to the end of the run."""
    for host in hosts:
        state = step(state, [host], **options)
    return rollout.end(state)[0]
