"""What becomes of a rollout: one transition for each thing that happens to its hosts.

**Not**: files, clocks, hosts. Every function returns a new state, or plain data. How a run begins: corelane_rollout_begin.

**Invariants**: a batch begins only after all hosts before it were watched and passed, and, both ways, only as far as the minimum in service
allows at that moment. Once it is `rollback`, no host is updated any more. Hosts go back whenever they were touched: also where only their settings changed.
"""

from __future__ import annotations

import copy

from ansible.module_utils.corelane_batches import admit
from ansible.module_utils.corelane_identity import satisfies
from ansible.module_utils.corelane_rollout_model import (
    BEGUN, BROKEN, DEAD, DONE, GO, HALT, REFUSED, RETURNED, RETURNING, ROLLBACK, ROLLED_BACK, UPDATED, WAITING, group_of, has_canary, is_unwatched,
    unfinished, was_touched)
from ansible.module_utils.corelane_rollout_plan import canary_size, needed
from ansible.module_utils.corelane_rollout_words import sentences

# A rollback that has failed on so many hosts, and on more than it has succeeded on, halts.
FAILED_MAX = 2


def gate(state, batch, in_service):
    """(state, hosts that may begin now, sentences). None may where the rollout does not go on.

    ``in_service`` are the hosts of the group that serve at this moment.
    """
    if state["decision"] != GO:
        return state, [], []
    state, group = copy.deepcopy(state), group_of(state, batch[0])
    fresh = [host for host in batch if state["hosts"][host]["state"] == WAITING]
    done = [host for host in batch if state["hosts"][host]["state"] == UPDATED]
    said = []
    if not has_canary(state, group):
        # The canary before may have died, or had nothing to do.
        fresh, later = fresh[:canary_size(state, group)], fresh[canary_size(state, group):]
        said.extend(["%s: held back until a canary was judged" % ", ".join(later)] if later else [])
    go, held = admit(fresh, in_service, needed(state, group))
    if held:
        said.append(_held(held, in_service, needed(state, group)))
        state["reasons"].append(said[-1])
        if not go and not done:
            state["decision"] = HALT
    for host in go:
        state["hosts"][host].update(state=BEGUN, why="")
    return state, go + done, said


def gate_back(state, batch, in_service):
    """As `gate`, on the way back. Hosts that are held back stay `returning`."""
    state, group = copy.deepcopy(state), group_of(state, batch[0])
    go, held = admit([host for host in batch if state["hosts"][host]["state"] == RETURNING], in_service, needed(state, group))
    said = [_held(held, in_service, needed(state, group))] if held else []
    for host in held:
        state["hosts"][host]["why"] = said[0]
    return state, go, said


def _held(held, in_service, count):
    return "%s: held back, since %d hosts serve and %d must" % (", ".join(held), len(set(in_service)), count)


def outcome_of(staged, stepped):
    """What became of a host, of the registered results of the tasks that fetch the release and that do the step."""
    for result in (staged, stepped):
        if result.get("unreachable"):
            return {"outcome": DEAD, "why": "cannot be reached any more"}
    if staged.get("failed"):
        failed = next((item for item in staged.get("results", []) if item.get("failed")), staged)
        return {"outcome": REFUSED, "why": "the release could not be brought to the host: %s" % failed.get("msg", "")}
    if "outcome" in stepped:
        took = ", ".join("%s %.1f s" % (name, seconds) for name, seconds in stepped.get("timeline", []) if seconds >= 0.1)
        return {"outcome": stepped["outcome"], "why": stepped.get("why", ""), "was": stepped.get("was"), "took": took,
                "drained_by": stepped.get("drained_by") or ""}
    return {"outcome": BROKEN, "why": "the step did not end as it should: %s" % (stepped.get("msg") or stepped)}


def record(state, results):
    """The state after a batch. ``results`` names what became of each host: {"outcome", "why", "was", …}.

    Outcomes: updated and unchanged (it runs what was wanted), refused (it serves what it did before), broken, dead.
    """
    state = copy.deepcopy(state)
    for host, result in results.items():
        found, outcome = state["hosts"][host], result["outcome"]
        if outcome == "updated" and not found.get("touched") and result.get("was"):
            # Somebody may have changed it since the plan was made.
            found["before"] = result["was"]
        found["state"] = UPDATED if outcome == "unchanged" else outcome
        if outcome == REFUSED and found.get("touched") and not satisfies(result.get("was"), found["before"]):
            # It serves what it did before this step, which a step of a run before may have brought.
            found["state"] = BEGUN
        found["touched"] = bool(found.get("touched")) or outcome != "unchanged"
        found["why"] = result.get("why") or ""
        # Edges follow the topology: a node that was drained is asked, and so it is judged.
        found["drained_by"] = result.get("drained_by") if group_of(state, host) != "nodes" else None
    failed = ["%s: %s" % (host, results[host].get("why")) for host in sorted(results)
              if results[host]["outcome"] in (REFUSED, BROKEN)]
    if failed:
        _turn_back(state, failed)
    dead = [host for host in sorted(results) if results[host]["outcome"] == DEAD]
    if dead:
        said = "%s died while it was updated" % ", ".join(dead)
        if state["on_dead"] == "rollback":
            _turn_back(state, [said])
        else:
            state["reasons"].append("%s; the others go on" % said)
    return state


def to_watch(state, hosts):
    """Those of a batch that are to be watched: none where the rollout does not go on."""
    return [host for host in hosts if is_unwatched(state, host)] if state["decision"] == GO else []


def watched(state, hosts, verdict, accept_unknown):
    """The state after hosts were watched; ``verdict`` is the judge's."""
    state = copy.deepcopy(state)
    state["verdicts"].append({"hosts": list(hosts), "verdict": verdict["verdict"], "sentence": verdict["sentence"]})
    # What a host goes back to served before: too little load is no reason to stay with what is worse.
    accept_unknown = accept_unknown or state["action"] == "rollback"
    if verdict["verdict"] == "pass" or (verdict["verdict"] != "fail" and accept_unknown):
        state["judged"].extend(host for host in hosts if host not in state["judged"])
    elif verdict["verdict"] == "fail" and state["action"] == "update":
        _turn_back(state, [verdict["sentence"]])
    elif verdict["verdict"] == "fail":
        # There is nothing to go back to from a rollback.
        state["decision"] = HALT
        state["reasons"].append(verdict["sentence"])
    else:
        state["decision"] = HALT
        state["reasons"].append(
            "%s; run it again with more load, a longer corelane_rollout_bake_seconds, or corelane_canary_require_data: false"
            % verdict["sentence"])
    return state


def _turn_back(state, reasons):
    state["reasons"].extend(reasons)
    hosts = state["hosts"].values()
    if state["action"] == "rollback":
        # A host that does not go back must not keep the others from it, unless none does.
        failed = len([found for found in hosts if found["state"] in (REFUSED, BROKEN, BEGUN) and was_touched(found)])
        good = len([found for found in hosts if found["state"] == UPDATED and was_touched(found)])
        if failed >= FAILED_MAX and failed > good:
            state["decision"] = HALT
        return
    state["decision"] = ROLLBACK
    for found in hosts:
        # Waiting again after another run has begun with it: it may run what is wanted already.
        if found["state"] in (UPDATED, BEGUN, WAITING) and was_touched(found) and not found.get("settled"):
            found["state"] = RETURNING


def record_return(state, results):
    """The state after hosts went back; outcomes as for `record`, where updated means that what was there before runs again."""
    state = copy.deepcopy(state)
    for host, result in results.items():
        found = state["hosts"][host]
        good = result["outcome"] in ("updated", "unchanged")
        found.update(state=RETURNED if good else BROKEN if result["outcome"] == REFUSED else result["outcome"])
        found.update(touched=True, why=result.get("why") or "")
    return state


def halt(state, reason):
    """The state of a rollout that cannot go on."""
    state = copy.deepcopy(state)
    state["decision"] = HALT
    state["reasons"].append(reason)
    return state


def end(state):
    """(state, sentences, whether all is as it was asked for)."""
    state = copy.deepcopy(state)
    if state["decision"] == GO and not unfinished(state):
        state["decision"] = DONE
        for found in state["hosts"].values():
            if found["state"] == UPDATED:
                found["settled"] = True
    elif state["decision"] == ROLLBACK and not any(
            found["state"] in (BEGUN, RETURNING) or found["state"] in (DEAD, BROKEN) and was_touched(found)
            for found in state["hosts"].values()):
        state["decision"] = ROLLED_BACK
    return state, sentences(state), state["decision"] == DONE
