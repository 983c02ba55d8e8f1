#!/usr/bin/python
"""Ansible module: measures on an edge that is out of service, and puts it back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: corelane_tune_ab
short_description: Run a measurement on an edge that is out of service meanwhile
description:
  - Drains the edge, stops it, runs the measurement, and starts the edge again, whatever became of the measurement.
  - All of it is one process on the host, under the host's lock, so that the edge comes back also when the controller is gone.
  - An edge that somebody has drained stays drained.
options:
  command: { description: The measurement, type: list, elements: str, required: true }
  seconds_max: { description: After this time the measurement is ended, type: int, default: 86400 }
  drain_seconds: { description: How long clients may take to leave, type: int, default: 60 }
  drain_seconds_min: { description: How long a drain lasts at least, so that balancers have looked, type: int, default: 4 }
  start_seconds: { description: How long a start may take, type: int, default: 240 }
  ready_seconds: { description: How long it may take until the edge is ready again, type: int, default: 60 }
  lock_seconds: { description: How long to wait for the host's lock, type: int, default: 600 }
author: Corelane
"""

EXAMPLES = r"""
- name: What is a knob worth
  corelane_tune_ab:
    command: [/opt/corelane/current/bin/corectl, tune, ab, --profile, throughput]
"""

RETURN = r"""
status: { description: Exit status of the measurement; none where it was ended, returned: success, type: int }
lines: { description: What it printed, returned: success, type: list }
"""

import contextlib
import signal

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_drain_note import PERSON, STEP
from ansible.module_utils.corelane_files import ProgramError, attempt
from ansible.module_utils.corelane_http import HttpError
from ansible.module_utils.corelane_lock import LockError, changing, sender
from ansible.module_utils.corelane_service import Service, ServiceError, stop_seconds

ARGUMENTS = {
    "command": {"type": "list", "elements": "str", "required": True},
    "seconds_max": {"type": "int", "default": 86400},
    "drain_seconds": {"type": "int", "default": 60},
    "drain_seconds_min": {"type": "int", "default": 4},
    "start_seconds": {"type": "int", "default": 240},
    "ready_seconds": {"type": "int", "default": 60},
    "lock_seconds": {"type": "int", "default": 600},
}

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@contextlib.contextmanager
def out_of_service(service, wanted):
    """The edge drained and stopped while the context is open. One that did not run is left as it is, unless a measurement that was killed
    has stopped it."""
    service.read_settings()
    note = service.note.read() or {}
    is_left = not service.is_active() and note.get("restarting")
    if not service.is_active() and not is_left:
        yield
        return
    owner, who = (note.get("owner"), note.get("who")) if is_left else service.drained_by()
    if owner != PERSON:
        owner, who = STEP, sender()
    if not is_left:
        leave(service, wanted, owner)
    try:
        service.note.write(owner, who, restarting=True)
        service.stop()
        yield
    finally:
        service.restart(wanted["start_seconds"] + stop_seconds(service.settings))
        if owner == PERSON:
            service.hold(owner, who)
        else:
            service.note.remove()
        service.wait_ready(wanted["ready_seconds"])


def leave(service, wanted, owner):
    """Waits until clients have left; where they do not, ServiceError is raised and the edge serves on."""
    if owner == PERSON:
        service.wait_quiet(wanted["drain_seconds"], 0)
    else:
        service.drain(wanted["drain_seconds"], wanted["drain_seconds_min"], STEP, sender())


def ended(number, _frame):
    """Whoever ends this process ends the measurement, and the edge comes back; once, whatever else comes."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise ProgramError("ended by signal %d" % number)


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wanted = module.params
    if module.check_mode:
        module.exit_json(changed=True, status=0, lines=[])
    for number in SIGNALS:
        signal.signal(number, ended)
    try:
        with changing(module, "measuring"), out_of_service(Service("edge"), wanted):
            status, said = attempt(wanted["command"], wanted["seconds_max"])
    except (HttpError, LockError, ProgramError, ServiceError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    # 1: no knob could be tried; the table says why.
    if status not in (0, 1):
        module.fail_json(msg="exit status %s: %s" % (status, said))
    module.exit_json(changed=True, status=status, lines=said.splitlines())


if __name__ == "__main__":
    main()
