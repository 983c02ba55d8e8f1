#!/usr/bin/python
"""Ansible module, for the controller: the state of a rollout, from one step to the next."""

from __future__ import annotations

DOCUMENTATION = r"""
module: corelane_rollout
short_description: The state of a rollout on the controller
description:
  - Reads the state file, does one transition, and writes it by a rename.
  - Runs on the controller; asks hosts for nothing but readiness.
options:
  path: { description: The state file, type: path, required: true }
  phase:
    description: Which transition
    type: str
    required: true
    choices: [begin, gate, record, watched, turn, returned, end]
  wanted: { description: At begin, what is asked for, type: dict, default: {} }
  hosts: { description: The hosts of this batch, type: list, elements: str, default: [] }
  looked: { description: "At begin, what corelane_service_facts saw, by host", type: dict, default: {} }
  accept_loss: { description: Whether nodes that hold values may be restarted, type: bool, default: false }
  results: { description: Registered results by host, as a list of staging and step, type: dict, default: {} }
  verdict: { description: The judge's verdict, type: dict, default: {} }
  accept_unknown: { description: Go on where there is not enough data to judge, type: bool, default: false }
author: Corelane
"""

EXAMPLES = r"""
- name: What a rollout came to
  corelane_rollout:
    path: ~/.local/state/corelane/rollouts/production.json
    phase: end
  delegate_to: localhost
"""

RETURN = r"""
decision: { description: "go, rollback, halt, done, rolled_back", returned: always, type: str }
said: { description: Sentences for an operator, returned: always, type: list }
batches: { description: "Batches of hosts, in order", returned: begin and turn, type: list }
goals: { description: What each host shall run, returned: begin and turn, type: dict }
go: { description: Hosts that may begin now, returned: gate, type: list }
untouched: { description: Hosts of the group that serve as before, returned: gate, type: list }
watch: { description: Hosts that are to be watched, returned: record, type: list }
"""

import time
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils import corelane_rollout_file as file
from ansible.module_utils import corelane_rollout_state as rollout
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_http import HttpError, request

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "phase": {"type": "str", "required": True, "choices": ["begin", "gate", "record", "watched", "turn", "returned", "end"]},
    "wanted": {"type": "dict", "default": {}},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "looked": {"type": "dict", "default": {}},
    "accept_loss": {"type": "bool", "default": False},
    "results": {"type": "dict", "default": {}},
    "verdict": {"type": "dict", "default": {}},
    "accept_unknown": {"type": "bool", "default": False},
}

# A host that does not answer in this time is not in service.
READY_SECONDS = 3.0

# Asked at once.
THREADS = 32


def begin(before, given):
    run = file.run_of_this()
    file.refuse_two(before, run)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    looked, groups = given["looked"], given["wanted"]["groups"]
    dead = [host for host, seen in looked.items() if seen.get("unreachable")]
    state = rollout.begin(before, dict(
        given["wanted"], dead=dead, current=_of_each(looked, "current"), previous=_of_each(looked, "previous")), now)
    _refuse_unknown(state, looked)
    state.update(run=run, admin=_of_each(looked, "admin_address"), http=_of_each(looked, "http_address"))
    batches = rollout.batches(state) if state["decision"] == rollout.GO else []
    said = ["%s: %s" % (rollout.name(state), "resumed" if state["runs"] > 1 else "begins")]
    said.extend("batch %d of %s: %s" % (index + 1, group, ", ".join(hosts)) for index, (group, hosts) in enumerate(batches))
    said.extend(_losses(state, batches, looked, given["accept_loss"]))
    if before is not None and before["started"] != state["started"]:
        file.keep(given["path"], before)
    return state, {"said": said, "batches": [hosts for _group, hosts in batches], "goals": _goals(state, "to")}


def _of_each(looked, key):
    return dict((host, seen.get(key)) for host, seen in looked.items())


def _refuse_unknown(state, looked):
    """Hosts that cannot be rolled anything out to, all at once."""
    faults = []
    twice = [host for host in state["groups"].get("edges", []) if host in state["groups"].get("nodes", [])]
    faults.extend("%s: edge and node on one host share a release; roll them out on hosts of their own" % host for host in twice)
    for host, found in sorted(state["hosts"].items()):
        seen = looked.get(host, {})
        if found["state"] == rollout.DEAD:
            continue
        if not seen.get("current"):
            faults.append("%s: no release is installed; site.yml does that" % host)
        elif not seen.get("admin_address"):
            faults.append("%s: the admin listener (%s) cannot be reached from here; set corelane_admin_address" % (
                host, seen.get("admin") or seen.get("problem") or seen.get("msg")))
        elif not found.get("to"):
            faults.append("%s: there is no release before the current one to go back to" % host)
    if faults:
        raise rollout.RolloutError("\n".join(faults))


def _losses(state, batches, looked, accepted):
    restarted = set(host for _group, hosts in batches for host in hosts)
    lost = dict((host, said) for host, said in rollout.losses(looked, state["groups"]).items() if host in restarted)
    nodes = [host for host in lost if host in state["groups"].get("nodes", [])]
    if nodes and not accepted:
        raise rollout.RolloutError("%s\nnothing was changed; set corelane_accept_node_data_loss: true to go on" % "\n".join(
            lost[host] for host in sorted(nodes)))
    return [lost[host] for host in sorted(lost)]


def gate(state, given):
    group = rollout.group_of(state, given["hosts"][0])
    members = [host for host in state["groups"][group] if state["hosts"][host]["state"] != rollout.DEAD]
    in_service = ready(members, state["admin"])
    is_canary = not rollout.has_canary(state, group)
    state, go, said = rollout.gate(state, given["hosts"], in_service, state["minimum"][group])
    edges = [host for host in state["groups"].get("edges", []) if state["hosts"][host]["state"] != rollout.DEAD]
    return state, {
        "go": go, "said": said, "in_service": in_service, "is_canary": is_canary, "admin": state["admin"], "http": state["http"],
        "others": rollout.others(state, go, in_service) if go else [],
        "untouched": [host for host in in_service if host not in go and state["hosts"][host]["state"] == rollout.WAITING],
        "clients": edges if group == "nodes" else [],
    }


def ready(hosts, admin):
    """The hosts that answer that they are ready."""
    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(_is_ready, [admin.get(host) for host in hosts]))
    return [host for host, answer in zip(hosts, answers) if answer]


def _is_ready(address):
    try:
        return bool(address) and request("GET", address, "/readyz", seconds=READY_SECONDS).status == 200
    except HttpError:
        return False


def outcomes(given):
    return dict((host, rollout.outcome_of(*results)) for host, results in given["results"].items())


def record(state, given):
    found = outcomes(given)
    state = rollout.record(state, found)
    return state, {"said": _told(found), "watch": rollout.to_watch(state, sorted(found))}


def _told(found):
    said = []
    for host, outcome in sorted(found.items()):
        why, took = outcome["why"], outcome.get("took")
        said.append("%s: %s%s%s" % (host, outcome["outcome"], ": %s" % why if why else "", " (%s)" % took if took else ""))
    return said


def watched(state, given):
    state = rollout.watched(state, given["hosts"], given["verdict"], given["accept_unknown"])
    return state, {"said": ["%s: %s" % (given["verdict"]["verdict"], given["verdict"]["sentence"])]}


def turn(state, _given):
    batches = rollout.returning(state)
    said = ["going back: %s" % ", ".join(hosts) for _group, hosts in batches]
    return state, {"said": said, "batches": [hosts for _group, hosts in batches], "goals": _goals(state, "before")}


def returned(state, given):
    found = outcomes(given)
    return rollout.record_return(state, found), {"said": _told(found)}


def end(state, _given):
    state, said, good = rollout.end(state)
    state.pop("run", None)
    return state, {"said": said, "good": good}


def _goals(state, key):
    return dict((host, found.get(key)) for host, found in state["hosts"].items())


PHASES = {"gate": gate, "record": record, "watched": watched, "turn": turn, "returned": returned, "end": end}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    try:
        before = file.read(given["path"])
        if given["phase"] == "begin":
            state, answer = begin(before, given)
        elif before is None:
            raise rollout.RolloutError("%s is not there: no rollout has begun" % given["path"])
        else:
            state, answer = PHASES[given["phase"]](before, given)
        if not module.check_mode:
            file.write(given["path"], state)
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=state != before, decision=state["decision"], **answer)


if __name__ == "__main__":
    main()
