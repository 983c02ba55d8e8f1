#!/usr/bin/python
"""Ansible module, for the controller: the state of a rollout, from one step to the next."""

from __future__ import annotations

DOCUMENTATION = r"""
module: corelane_rollout
short_description: The state of a rollout on the controller
description:
  - Reads the state file, does one transition, and writes it by a rename, all under the lock of that file.
  - Runs on the controller; asks hosts for nothing but readiness.
options:
  path: { description: The state file, type: path, required: true }
  phase:
    description: Which transition
    type: str
    required: true
    choices: [begin, plan, gate, record, watched, end]
  way: { description: Whether hosts are brought to what is wanted or back, type: str, choices: [forward, back], default: forward }
  wanted: { description: "At begin, what is asked for: action, target, groups, chosen, minimum, steps, on_dead", type: dict, default: {} }
  members: { description: "At begin, what the inventory says of every host of the groups (corelane_rollout_members)", type: dict, default: {} }
  hosts: { description: The hosts of this batch, type: list, elements: str, default: [] }
  looked: { description: "At begin, what corelane_service_facts saw, by host; hosts that --limit leaves out have nothing", type: dict, default: {} }
  accept_loss: { description: Whether nodes that hold values may be restarted, type: bool, default: false }
  results: { description: Registered results by host, as a list of staging and step, type: dict, default: {} }
  verdict: { description: The judge's verdict, type: dict, default: {} }
  accept_unknown: { description: Go on where there is not enough data to judge, type: bool, default: false }
  identity: { description: "Files with which admin listeners over TLS are asked: ca, chain, key", type: dict, default: {} }
author: Corelane
"""

EXAMPLES = r"""
- name: What a rollout came to
  corelane_rollout:
    path: ~/.local/state/corelane/rollouts/production-0a1b2c3d.json
    phase: end
  delegate_to: localhost
"""

RETURN = r"""
decision: { description: "go, rollback, halt, done, rolled_back", returned: always, type: str }
said: { description: Sentences for an operator, returned: always, type: list }
batches: { description: "Batches of hosts, in order", returned: begin and plan, type: list }
goals: { description: "What each host shall run: release and configuration", returned: begin and plan, type: dict }
go: { description: Hosts that may begin now, returned: gate, type: list }
others: { description: Hosts to compare with, returned: gate, type: list }
untouched: { description: "Those of them that run what was there before; empty where none is left", returned: gate, type: list }
watch: { description: Hosts that are to be watched, returned: record, type: list }
good: { description: Whether all is as it was asked for, returned: end, type: bool }
"""

import time

from ansible.module_utils import corelane_rollout_file as file
from ansible.module_utils import corelane_rollout_state as rollout
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_batches import BatchError
from ansible.module_utils.corelane_http import identify
from ansible.module_utils.corelane_identity import identity
from ansible.module_utils.corelane_readiness import ready
from ansible.module_utils.corelane_rollout_begin import begin as begin_run
from ansible.module_utils.corelane_rollout_begin import set_aside
from ansible.module_utils.corelane_rollout_model import DEAD, GO, RETURNING, ROLLBACK, UNTOUCHED, RolloutError, group_of, has_canary
from ansible.module_utils.corelane_rollout_plan import batches, others, returning
from ansible.module_utils.corelane_rollout_words import drained, losses, name

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "phase": {"type": "str", "required": True, "choices": ["begin", "plan", "gate", "record", "watched", "end"]},
    "way": {"type": "str", "default": "forward", "choices": ["forward", "back"]},
    "wanted": {"type": "dict", "default": {}},
    "members": {"type": "dict", "default": {}},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "looked": {"type": "dict", "default": {}},
    "accept_loss": {"type": "bool", "default": False},
    "results": {"type": "dict", "default": {}},
    "verdict": {"type": "dict", "default": {}},
    "accept_unknown": {"type": "bool", "default": False},
    "identity": {"type": "dict", "default": {}},
}

# What may differ between two states that say the same.
OF_THE_RUN = ("run", "runs")


def begin(before, given):
    run = file.run_of_this()
    file.refuse_two(before, run)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    looked, members = given["looked"], given["members"]
    state = begin_run(before, dict(given["wanted"], **seen(looked, members)), now)
    state.update(run=run, admin=_addresses(looked, members, "admin"), http=_addresses(looked, members, "http"))
    found = faults(state, looked)
    if found and state["action"] == "update" and state["decision"] != ROLLBACK:
        raise RolloutError("\n".join("%s: %s" % pair for pair in sorted(found.items())))
    found = dict((host, why) for host, why in found.items() if host in state["chosen"])
    state = set_aside(state, found)
    planned = batches(state)
    said = ["%s: %s" % (name(state), "resumed" if state["runs"] > 1 else "begins")]
    said.extend("%s: cannot go back: %s" % pair for pair in sorted(found.items()))
    untouched = [host for host in state["chosen"] if state["hosts"][host]["state"] == UNTOUCHED]
    said.extend(["nothing to take back: %s" % ", ".join(untouched)] if untouched else [])
    said.extend("batch %d of %s: %s" % (index + 1, group, ", ".join(hosts)) for index, (group, hosts) in enumerate(planned))
    said.extend(drained(looked, planned))
    said.extend(_losses(state, planned, looked, given["accept_loss"]))
    if before is not None and before["started"] != state["started"]:
        file.keep(given["path"], before)
    return state, {"said": said, "batches": [hosts for _group, hosts in planned], "goals": _goals(state, "to")}


def seen(looked, members):
    """What was seen of hosts, as `corelane_rollout_begin` takes it."""
    return {
        "zones": dict((host, member["zone"]) for host, member in members.items()),
        "configuration": dict((host, member["configuration"]) for host, member in members.items()),
        "dead": [host for host, found in looked.items() if found.get("unreachable")],
        "current": dict((host, identity(found["current"], found.get("configuration")) if found.get("current") else None)
                        for host, found in looked.items()),
        "previous": dict((host, found.get("previous")) for host, found in looked.items()),
        "in_order": [host for host, found in looked.items() if found.get("ready") and found.get("running") == found.get("current")],
    }


def _addresses(looked, members, key):
    """As hosts were found to listen; of those that were not looked at, as the inventory says."""
    return dict((host, looked.get(host, {}).get(key + "_address") or member[key]) for host, member in members.items())


def faults(state, looked):
    """Hosts that cannot be rolled anything out to, and why, all at once."""
    found = dict((host, "edge and node on one host share a release; roll them out on hosts of their own")
                 for host in state["groups"].get("edges", []) if host in state["groups"].get("nodes", []))
    for host, known in state["hosts"].items():
        host_seen = looked.get(host, {})
        if known["state"] in (DEAD, UNTOUCHED) or host in found:
            continue
        if host in state["chosen"] and not host_seen.get("current"):
            found[host] = "no release is installed; site.yml does that (%s)" % (host_seen.get("problem") or host_seen.get("msg") or "nothing else is wrong")
        elif host in state["chosen"] and host_seen.get("problem") and not host_seen.get("admin"):
            found[host] = host_seen["problem"]
        elif _is_asked(state, host) and not state["admin"].get(host):
            found[host] = "the admin listener (%s) cannot be reached from here; set corelane_admin_address" % host_seen.get("admin")
    return found


def _is_asked(state, host):
    """Whether the controller must reach a host: those of the groups that are changed, and the edges where nodes are."""
    chosen = set(state["chosen"])
    groups = [group for group, hosts in state["groups"].items() if chosen.intersection(hosts)]
    return any(host in state["groups"].get(group, []) for group in groups + (["edges"] if "nodes" in groups else []))


def _losses(state, planned, looked, accepted):
    restarted = set(host for _group, hosts in planned for host in hosts)
    restarted.update(host for host, found in state["hosts"].items() if found["state"] == RETURNING and host in state["chosen"])
    lost = dict((host, said) for host, said in losses(looked, state["groups"]).items() if host in restarted)
    nodes = [host for host in lost if host in state["groups"].get("nodes", [])]
    if nodes and not accepted:
        raise RolloutError("%s\nnothing was changed; set corelane_accept_node_data_loss: true to go on" % "\n".join(
            lost[host] for host in sorted(nodes)))
    return [lost[host] for host in sorted(lost)]


def plan(state, given):
    """The batches of a pass: those of the run, as far as no pass before has brought them to an end."""
    is_back, said = given["way"] == "back", []
    try:
        planned = returning(state) if is_back else batches(state)
    except BatchError as error:
        planned, said = [], [str(error)]
        state = state if is_back else rollout.halt(state, str(error))
    said.extend("%s: %s" % ("going back" if is_back else "batch", ", ".join(hosts)) for _group, hosts in planned)
    return state, {"said": said, "batches": [hosts for _group, hosts in planned], "goals": _goals(state, "before" if is_back else "to")}


def gate(state, given):
    group = group_of(state, given["hosts"][0])
    members = [host for host in state["groups"][group] if state["hosts"][host]["state"] != DEAD]
    in_service = ready(members, state["admin"])
    is_canary = not has_canary(state, group)
    opened = rollout.gate_back if given["way"] == "back" else rollout.gate
    state, go, said = opened(state, given["hosts"], in_service)
    beside, are_before = others(state, go, in_service) if go else ([], False)
    edges = [host for host in state["groups"].get("edges", []) if state["hosts"][host]["state"] != DEAD]
    return state, {
        "go": go, "said": said, "in_service": in_service, "is_canary": is_canary, "admin": state["admin"], "http": state["http"],
        "others": beside, "untouched": beside if are_before else [], "clients": edges if group == "nodes" else [],
    }


def outcomes(given):
    return dict((host, rollout.outcome_of(*results)) for host, results in given["results"].items())


def record(state, given):
    found = outcomes(given)
    recorded = rollout.record_return if given["way"] == "back" else rollout.record
    state = recorded(state, found)
    return state, {"said": _told(found), "watch": rollout.to_watch(state, sorted(found))}


def _told(found):
    said = []
    for host, outcome in sorted(found.items()):
        why, took = outcome["why"], outcome.get("took")
        stays = "; stays drained by %s" % outcome["drained_by"] if outcome.get("drained_by") else ""
        said.append("%s: %s%s%s%s" % (host, outcome["outcome"], ": %s" % why if why else "", " (%s)" % took if took else "", stays))
    return said


def watched(state, given):
    state = rollout.watched(state, given["hosts"], given["verdict"], given["accept_unknown"])
    return state, {"said": ["%s: %s" % (given["verdict"]["verdict"], given["verdict"]["sentence"])]}


def end(state, _given):
    state, said, good = rollout.end(state)
    state.pop("run")
    return state, {"said": said, "good": good}


def _goals(state, key):
    return dict((host, found.get(key)) for host, found in state["hosts"].items())


PHASES = {"plan": plan, "gate": gate, "record": record, "watched": watched, "end": end}


def transition(given, is_check):
    """The answer of the module: the state of the file before and after one phase, and what the phase says."""
    before = file.read(given["path"])
    if given["phase"] == "begin":
        state, answer = begin(before, given)
    elif before is None:
        raise RolloutError("%s is not there: no rollout has begun" % given["path"])
    else:
        file.refuse_other(before, file.run_of_this())
        state, answer = PHASES[given["phase"]](before, given)
    if not is_check:
        file.write(given["path"], state)
    return dict(answer, decision=state["decision"], changed=_said(before) != _said(state))


def _said(state):
    return dict((key, value) for key, value in (state or {}).items() if key not in OF_THE_RUN)


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    identify(given["identity"])
    try:
        if module.check_mode:
            answer = transition(given, True)
        else:
            with file.locked(given["path"]):
                answer = transition(given, False)
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
