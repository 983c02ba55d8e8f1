"""The state machine of a rollout. A state is plain data: what the file on the controller holds.

```
 host:     waiting ─▶ begun ─▶ updated ─▶ returning ─▶ returned
              ▲         │ ├──▶ refused    it put itself back, or was never changed: it serves the release before
              └─────────┘ ├──▶ broken     it could not put itself back: a person is needed
             (not begun)  └──▶ dead       nobody knows; the next run asks it
 rollout:  go ─▶ done | rollback ─▶ rolled_back | halt
```

**Not**: files, clocks, hosts. Every function returns a new state, or plain data.

**Invariants**: a batch begins only after all hosts before it were watched and passed. Once it is `rollback`, no host is updated any
more. A host that is `begun` when a run begins is asked again, whatever became of the run before.
"""

from __future__ import annotations

import copy

from ansible.module_utils.corelane_batches import admit, minimum_in_service, plan

FORMAT = 1

WAITING, BEGUN, UPDATED, REFUSED, BROKEN, DEAD = "waiting", "begun", "updated", "refused", "broken", "dead"
RETURNING, RETURNED = "returning", "returned"
GO, ROLLBACK, HALT, DONE, ROLLED_BACK = "go", "rollback", "halt", "done", "rolled_back"

FINISHED = (DONE, ROLLED_BACK)


class RolloutError(ValueError):
    """The operator's: what is asked for contradicts what is under way."""


def begin(before, wanted, now):
    """The state that a run begins with: a new one, or the one before, resumed.

    ``before`` is the state of the file, or None. ``wanted`` has ``action`` (update, rollback), ``target`` (the release's digest;
    "" for a rollback to each host's release before), ``groups`` (names to lists of hosts, in order), ``minimum`` (a number
    or percentage of each group), ``steps`` (by group), ``on_dead`` (finish, rollback), ``zones``, ``dead`` (hosts that cannot be reached now), ``current`` and ``previous``
    (digests that each host runs, and ran before).

    Raises RolloutError where another rollout has not ended.
    """
    under_way = before is not None and before["decision"] not in FINISHED
    same = before is not None and (before["action"], before["target"]) == (wanted["action"], wanted["target"])
    if under_way and not same and wanted["action"] == "update":
        raise RolloutError(
            "the %s has not ended: run it again, or take it back with rollback.yml, before %s is rolled out"
            % (name(before), short(wanted["target"])))
    state = copy.deepcopy(before) if under_way and same else _new(wanted, now)
    state["runs"] += 1
    for key in ("groups", "steps", "on_dead", "zones"):
        state[key] = wanted[key]
    state["minimum"] = dict((group, minimum_in_service(wanted["minimum"], len(members))) for group, members in wanted["groups"].items())
    hosts = [host for group in wanted["groups"].values() for host in group]
    state["hosts"] = dict((host, state["hosts"].get(host) or {"state": WAITING}) for host in hosts)
    if state["decision"] == HALT:
        # Whoever runs it again has read why.
        state["decision"], state["reasons"] = GO, []
    for host, found in state["hosts"].items():
        # What it ran when the rollout began, not when this run did.
        found.setdefault("before", wanted["current"].get(host))
        found.setdefault("to", _goal(before, host, wanted))
        _again(found, host in wanted["dead"], state["decision"])
    return state


def _new(wanted, now):
    return {
        "format": FORMAT, "action": wanted["action"], "target": wanted["target"], "started": now, "decision": GO,
        "reasons": [], "hosts": {}, "watched": [], "verdicts": [], "runs": 0,
    }


def _goal(before, host, wanted):
    """The digest that a host shall run. Back to what it ran before the last rollout, where that is known."""
    if wanted["target"]:
        return wanted["target"]
    last = (before or {}).get("hosts", {}).get(host, {})
    if before and before["action"] == "rollback" and last.get("to"):
        # Asked for twice: the way back is not a way forward.
        return last["to"]
    was = last.get("before")
    if was and not (before["decision"] == DONE and was == wanted["current"].get(host)):
        return was
    # A rollout that found everything done says nothing of what there was before.
    return wanted["previous"].get(host)


def _again(found, is_dead, decision):
    """A host at the beginning of a run: what was not brought to an end is tried again."""
    touched = found.get("touched") or found["state"] in (BEGUN, UPDATED, RETURNING)
    if is_dead:
        found.update(touched=touched, state=DEAD, why="cannot be reached")
    elif decision == ROLLBACK:
        if touched and found["state"] in (BEGUN, UPDATED, RETURNING, DEAD) and found["before"] != found["to"]:
            found["state"] = RETURNING
        elif found["state"] == DEAD:
            found["state"] = WAITING
    elif found["state"] in (BEGUN, REFUSED, BROKEN, DEAD):
        found.update(touched=touched, state=WAITING)


def batches(state):
    """Batches of this run as (group, hosts), in order. Hosts that were updated and not watched yet come first, together."""
    ordered = []
    for group, hosts in state["groups"].items():
        states = dict((host, state["hosts"][host]["state"]) for host in hosts)
        unwatched = [host for host in hosts if states[host] == UPDATED and host not in state["watched"]]
        if unwatched:
            ordered.append((group, unwatched))
        done = [host for host in hosts if states[host] in (UPDATED, RETURNED)]
        out = [host for host in hosts if states[host] == DEAD]
        # One host first, as long as no host of the group has passed.
        steps = state["steps"][group]
        steps = steps[1:] or steps if has_canary(state, group) else steps
        ordered.extend((group, batch) for batch in plan(hosts, steps, state["minimum"][group], state["zones"], None, done, out))
    return ordered


def has_canary(state, group):
    """Whether a host of the group was updated and found good."""
    return any(host in state["watched"] for host in state["groups"][group])


def group_of(state, host):
    """The group that a host is updated with."""
    return next(group for group, hosts in state["groups"].items() if host in hosts)


def others(state, batch, in_service):
    """Hosts to compare a batch with: those of its group that serve and have the release before, else those that passed."""
    group = [host for host in state["groups"][group_of(state, batch[0])] if host in in_service and host not in batch]
    old = [host for host in group if state["hosts"][host]["state"] == WAITING]
    return old or [host for host in group if host in state["watched"]]


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


def gate(state, batch, in_service, needed):
    """(state, hosts that may begin now, sentences). None may where the rollout does not go on."""
    if state["decision"] != GO:
        return state, [], []
    state = copy.deepcopy(state)
    fresh = [host for host in batch if state["hosts"][host]["state"] == WAITING]
    done = [host for host in batch if state["hosts"][host]["state"] == UPDATED]
    go, held = admit(fresh, in_service, needed)
    said = []
    if held:
        said.append("%s: held back, since %d hosts serve and %d must" % (", ".join(held), len(set(in_service)), needed))
        state["reasons"].extend(said)
        if not go and not done:
            state["decision"] = HALT
    for host in go:
        state["hosts"][host].update(state=BEGUN, why="")
    return state, go + done, said


def outcome_of(staged, stepped):
    """What became of a host, of the registered results of the tasks that fetch the release and that do the step."""
    for result in (staged, stepped):
        if result.get("unreachable"):
            return {"outcome": DEAD, "why": "cannot be reached any more"}
    if staged.get("failed"):
        return {"outcome": REFUSED, "why": "the release could not be brought to the host: %s" % staged.get("msg", "")}
    if "outcome" in stepped:
        took = ", ".join("%s %.1f s" % (name, seconds) for name, seconds in stepped.get("timeline", []) if seconds >= 0.1)
        return {"outcome": stepped["outcome"], "why": stepped.get("why", ""), "took": took}
    return {"outcome": BROKEN, "why": "the step did not end as it should: %s" % (stepped.get("msg") or stepped)}


def record(state, results):
    """The state after a batch. ``results`` names what became of each host: {"outcome", "why", …}.

    Outcomes: updated and unchanged (it runs the release), refused (it serves the one before), broken, dead.
    """
    state = copy.deepcopy(state)
    for host, result in results.items():
        found, outcome = state["hosts"][host], result["outcome"]
        found["state"] = UPDATED if outcome == "unchanged" else outcome
        found["touched"] = found.get("touched") or outcome != "unchanged"
        found["why"] = result.get("why") or ""
        if outcome == "unchanged" and found["before"] == found["to"] and host not in state["watched"]:
            # It ran the release before anybody touched it: there is nothing to judge.
            state["watched"].append(host)
    failed = ["%s: %s" % (host, results[host].get("why")) for host in sorted(results)
              if results[host]["outcome"] in (REFUSED, BROKEN)]
    dead = [host for host in sorted(results) if results[host]["outcome"] == DEAD]
    if failed:
        _turn_back(state, failed)
    if dead:
        said = "%s died while it was updated" % ", ".join(dead)
        if state["on_dead"] == "rollback":
            _turn_back(state, [said])
        else:
            state["reasons"].append("%s; the others go on" % said)
    return state


def to_watch(state, hosts):
    """Those of a batch that are to be watched: none where the rollout does not go on."""
    if state["decision"] != GO:
        return []
    return [host for host in hosts if state["hosts"][host]["state"] == UPDATED and host not in state["watched"]]


def watched(state, hosts, verdict, accept_unknown):
    """The state after hosts were watched; ``verdict`` is the judge's."""
    state = copy.deepcopy(state)
    state["verdicts"].append({"hosts": list(hosts), "verdict": verdict["verdict"], "sentence": verdict["sentence"]})
    if verdict["verdict"] == "pass" or (verdict["verdict"] != "fail" and accept_unknown):
        state["watched"].extend(host for host in hosts if host not in state["watched"])
    elif verdict["verdict"] == "fail":
        _turn_back(state, [verdict["sentence"]])
    else:
        state["decision"] = HALT
        state["reasons"].append(
            "%s; run it again with more load, a longer corelane_rollout_bake_seconds, or corelane_canary_require_data: false"
            % verdict["sentence"])
    return state


def _turn_back(state, reasons):
    state["reasons"].extend(reasons)
    if state["action"] == "rollback":
        # There is nothing to go back to from a rollback.
        state["decision"] = HALT
        return
    state["decision"] = ROLLBACK
    for found in state["hosts"].values():
        if found["state"] == UPDATED and found["before"] != found["to"]:
            found["state"] = RETURNING


def returning(state):
    """Batches of the hosts that go back, as (group, hosts); none while the rollout goes on."""
    if state["decision"] != ROLLBACK:
        return []
    ordered = []
    for group, hosts in state["groups"].items():
        states = dict((host, state["hosts"][host]["state"]) for host in hosts)
        keep = [host for host in hosts if states[host] != RETURNING]
        if len(keep) < len(hosts):
            out = [host for host in keep if states[host] in (DEAD, BROKEN)]
            ordered.extend((group, batch) for batch in plan(
                hosts, ["100%"], _possible(state, group, len(out)), state["zones"], None, keep, out))
    return ordered


def _possible(state, group, out):
    """The minimum in service while going back: what was asked for, or all but one where that would forbid it."""
    total, needed = len(state["groups"][group]), state["minimum"][group]
    return max(0, min(needed, total - out - 1))


def record_return(state, results):
    """The state after hosts went back; outcomes as for `record`, where updated means that the release before runs again."""
    state = copy.deepcopy(state)
    for host, result in results.items():
        found = state["hosts"][host]
        good = result["outcome"] in ("updated", "unchanged")
        found.update(state=RETURNED if good else BROKEN if result["outcome"] == REFUSED else result["outcome"])
        found["why"] = result.get("why") or ""
        if result["outcome"] == DEAD:
            found["touched"] = True
    return state


def end(state):
    """(state, sentences, whether all is as it was asked for)."""
    state = copy.deepcopy(state)
    left = dict((host, found) for host, found in state["hosts"].items() if found["state"] not in (UPDATED, RETURNED))
    if state["decision"] == GO and not left:
        state["decision"] = DONE
    elif state["decision"] == ROLLBACK and not any(
            found["state"] in (BEGUN, BROKEN, RETURNING, DEAD) and (found["state"] != DEAD or found.get("touched"))
            for found in left.values()):
        state["decision"] = ROLLED_BACK
    return state, sentences(state), state["decision"] == DONE


def sentences(state):
    """What an operator reads at the end."""
    by_state = {}
    for host, found in state["hosts"].items():
        by_state.setdefault(found["state"], []).append(host)
    counted = ", ".join("%d %s" % (len(by_state[kind]), kind) for kind in sorted(by_state))
    said = ["%s: %s (%s)" % (name(state), {
        GO: "not finished, run it again", DONE: "done", ROLLBACK: "being taken back, run it again to go on",
        ROLLED_BACK: "taken back", HALT: "halted",
    }[state["decision"]], counted)]
    said.extend("because: %s" % reason for reason in state["reasons"])
    for kind in (DEAD, BROKEN, BEGUN, RETURNING):
        for host in sorted(by_state.get(kind, [])):
            why = state["hosts"][host].get("why")
            said.append("%s is %s%s" % (host, kind, ": %s" % why if why else ""))
    return said


def name(state):
    """What a rollout is called."""
    if state["action"] == "update":
        return "rollout of %s" % short(state["target"])
    return "rollback to %s" % (short(state["target"]) or "the release before")


def short(digest):
    """The first digits of a digest, as `corectl release` takes them."""
    return digest[:12]
