#!/usr/bin/python3
"""How a host is tuned."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_tune
short_description: Sets a host as its profile says, with corectl
description:
  - With O(state=applied) corectl changes what differs from the plan, and takes it back by itself unless a later task with O(state=confirmed)
    reaches the host. Where nothing differs, nothing is called that writes.
  - What interrupts traffic is not changed while a service runs, unless O(may_restart) is set; RV(pending) says so. With it an edge is drained
    meanwhile, by this module, so that it comes back also when the controller is gone.
author: Corelane
options:
  state:
    description: What is wanted.
    type: str
    choices: [applied, confirmed, absent]
    required: true
  profile:
    description: The profile.
    type: str
    default: safe
  max_risk:
    description: The largest risk that is taken.
    type: str
  only:
    description: Only these groups of knobs.
    type: list
    elements: str
    default: []
  overrides:
    description: Text of the file in which the host says what it needs otherwise; empty without one.
    type: str
    default: ""
  acknowledge:
    description: Who has agreed that a protection is given up, and why.
    type: str
  may_restart:
    description: Whether traffic may be interrupted.
    type: bool
    default: false
  revert_after:
    description: After this time everything is taken back unless it was confirmed.
    type: str
    default: 2m
  drain_seconds:
    description: How long clients of an edge may take to leave.
    type: int
    default: 60
  drain_seconds_min:
    description: How long a drain lasts at least, so that balancers have looked.
    type: int
    default: 4
  lock_seconds:
    description: How long to wait for the lock of the host, which a step of another run may hold.
    type: int
    default: 600
"""

EXAMPLES = """
- name: Apply the profile
  corelane_tune:
    state: applied
    profile: throughput

- name: Keep it, since the host still answers
  corelane_tune:
    state: confirmed
"""

RETURN = """
changes:
  description: Knobs that were, or would be, changed.
  returned: state is applied
  type: list
pending:
  description: Why nothing was changed; empty where it was.
  returned: state is applied
  type: str
"""

import contextlib
import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_drain_note import PERSON, STEP
from ansible.module_utils.corelane_files import ProgramError, diff, must, read, remove, run, write
from ansible.module_utils.corelane_fleet import current_text
from ansible.module_utils.corelane_host import tune_plan
from ansible.module_utils.corelane_http import HttpError
from ansible.module_utils.corelane_installed import CORECTL, running
from ansible.module_utils.corelane_lock import LockError, changing, sender
from ansible.module_utils.corelane_service import Service, ServiceError
from ansible.module_utils.corelane_settings import TUNE_FILE

UNIT = "corelane-tune.service"
PENDING = 3
"""Exit status of `corectl tune status` while a change waits to be confirmed."""


def options_of(wanted):
    options = ["--profile", wanted["profile"]]
    options += ["--max-risk", wanted["max_risk"]] if wanted["max_risk"] else []
    return options + (["--only", ",".join(wanted["only"])] if wanted["only"] else [])


def planned(wanted):
    """The lines of the plan that change something. Raises ProgramError with the plan's problems."""
    status, out, err = tune_plan(wanted["profile"], wanted["max_risk"], wanted["only"], wanted["overrides"])
    try:
        plan = json.loads(out)
    except ValueError:
        raise ProgramError("corectl tune plan: %s" % (err or out).strip())
    if status or plan["problems"]:
        raise ProgramError("the plan has problems: %s" % "; ".join(plan["problems"]))
    return [line for line in plan["lines"] if line["action"] == "change"]


def line_text(line, value):
    target = "[%s]" % line["target"] if line["target"] else ""
    return "%s%s = %s\n" % (line["knob"], target, value)


def diff_of(lines):
    before = "".join(line_text(line, current_text(line)) for line in lines)
    return diff("corectl tune", before, "".join(line_text(line, line["wanted"]) for line in lines))


def disturbing(lines):
    """Knobs whose change interrupts traffic, or could."""
    return sorted({line["knob"] for line in lines if line["risk"] != "safe"})


def pending(lines, wanted):
    if not disturbing(lines) or wanted["may_restart"] or not running():
        return ""
    return "%s would interrupt traffic: tune.yml sets them, host by host" % ", ".join(disturbing(lines))


def applied(module):
    wanted, overrides = module.params, read(TUNE_FILE)
    differs = [diff(TUNE_FILE, overrides, wanted["overrides"])] if overrides != wanted["overrides"] else []
    if not os.path.exists(CORECTL):
        if not module.check_mode:
            module.fail_json(msg="corectl is not installed: the role release comes first")
        after = "profile = %s\n" % wanted["profile"]
        module.exit_json(changed=True, changes=[], pending="", diff=differs + [diff("corectl tune", "", after)])
    lines = planned(wanted)
    waits = pending(lines, wanted)
    if not waits and (lines or differs) and not module.check_mode:
        apply(wanted, lines)
    if waits:
        module.warn(waits)
        lines, differs = [], []
    differs += [diff_of(lines)] if lines else []
    module.exit_json(changed=bool(differs), changes=[line["knob"] for line in lines], pending=waits, diff=differs)


def apply(wanted, lines):
    if wanted["overrides"]:
        write(TUNE_FILE, wanted["overrides"])
    else:
        remove(TUNE_FILE)
    if lines and disturbing(lines) and "corelane" in running():
        with drained(Service("edge").read_settings(), wanted):
            change(wanted)
    elif lines:
        change(wanted)


@contextlib.contextmanager
def drained(service, wanted):
    """An edge out of its balancers' sight. One that a person has drained stays so; what a killed step left is taken back."""
    if service.drained_by()[0] == PERSON:
        yield
        return
    service.drain(wanted["drain_seconds"], wanted["drain_seconds_min"], STEP, sender())
    try:
        yield
    finally:
        service.undrain_if_possible()


def change(wanted):
    command = [CORECTL, "tune", "apply", "--revert-after", wanted["revert_after"]] + options_of(wanted)
    must(command + (["--acknowledge", wanted["acknowledge"]] if wanted["acknowledge"] else []))


def confirmed(module):
    """Keeps a change that waits, and has it made again at every boot."""
    if not os.path.exists(CORECTL):
        module.exit_json(changed=module.check_mode)
    waits = run([CORECTL, "tune", "status"])[0] == PENDING
    enables = run(["systemctl", "is-enabled", UNIT])[0] != 0
    if not module.check_mode:
        if waits:
            must([CORECTL, "tune", "confirm"])
        if enables:
            must(["systemctl", "enable", UNIT])
    module.exit_json(changed=waits or enables)


def absent(module):
    """Puts the host back as it was before corectl came."""
    kept = os.path.exists("/var/lib/corelane/tune/confirmed.json")
    if kept and not module.check_mode:
        must([CORECTL, "tune", "rollback"])
    enabled = run(["systemctl", "is-enabled", UNIT])[0] == 0
    if enabled and not module.check_mode:
        must(["systemctl", "disable", UNIT])
    module.exit_json(changed=kept or enabled)


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["applied", "confirmed", "absent"], "required": True},
            "profile": {"type": "str", "default": "safe"},
            "max_risk": {"type": "str"},
            "only": {"type": "list", "elements": "str", "default": []},
            "overrides": {"type": "str", "default": ""},
            "acknowledge": {"type": "str"},
            "may_restart": {"type": "bool", "default": False},
            "revert_after": {"type": "str", "default": "2m"},
            "drain_seconds": {"type": "int", "default": 60},
            "drain_seconds_min": {"type": "int", "default": 4},
            "lock_seconds": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    states = {"applied": applied, "confirmed": confirmed, "absent": absent}
    try:
        with changing(module, "tuning"):
            states[module.params["state"]](module)
    except (HttpError, LockError, ProgramError, ServiceError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
