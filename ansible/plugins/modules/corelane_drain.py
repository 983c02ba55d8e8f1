#!/usr/bin/python
"""Ansible module: takes a service out of its balancers' sight, or puts it back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: corelane_drain
short_description: Drain or undrain a service
description:
  - Tells the service by its command listener, and waits until nobody asks any more, or until it is ready.
  - A drain that does not succeed in time is taken back, and the module fails.
  - Who drained it is noted on the host, so that rollouts and tuning leave it out of service.
options:
  service: { description: Which service, type: str, required: true, choices: [edge, node] }
  state: { description: What it shall be, type: str, required: true, choices: [drained, serving] }
  seconds: { description: How long that may take, type: int, default: 60 }
  seconds_min: { description: How long a drain lasts at least, so that balancers have looked, type: int, default: 4 }
  lock_seconds: { description: How long to wait for the host's lock, type: int, default: 600 }
author: Corelane
"""

EXAMPLES = r"""
- name: Drain
  corelane_drain:
    service: edge
    state: drained
"""

RETURN = r"""
connections: { description: Connections that are left, returned: success, type: int }
drained_by: { description: Who had drained it before, returned: success, type: str }
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_drain_note import PERSON
from ansible.module_utils.corelane_http import HttpError
from ansible.module_utils.corelane_lock import LockError, changing, sender
from ansible.module_utils.corelane_service import Service, ServiceError

ARGUMENTS = {
    "service": {"type": "str", "required": True, "choices": ["edge", "node"]},
    "state": {"type": "str", "required": True, "choices": ["drained", "serving"]},
    "seconds": {"type": "int", "default": 60},
    "seconds_min": {"type": "int", "default": 4},
    "lock_seconds": {"type": "int", "default": 600},
}


def reach(service, wanted, check_mode):
    """Brings the service to the state; returns what the module returns."""
    service.read_settings()
    is_drained = service.status()["drain"] is not None
    owner, who = service.drained_by()
    # What a step left, or what is noted nowhere, becomes a person's.
    is_there = is_drained and owner == PERSON and service.note.read() if wanted["state"] == "drained" else not is_drained and not owner
    if is_there and is_drained and not check_mode:
        # Whoever drained it may have been killed, or have given up, while clients were there.
        service.wait_quiet(wanted["seconds"], 0)
    elif not is_there and not check_mode:
        if wanted["state"] == "serving":
            service.release()
            service.wait_ready(wanted["seconds"])
        elif is_drained:
            # Not taken back where clients stay: it was out of service before.
            service.hold(PERSON, sender())
            service.wait_quiet(wanted["seconds"], 0)
        else:
            service.drain(wanted["seconds"], wanted["seconds_min"], PERSON, sender())
    return {"changed": not is_there, "connections": service.status()["totals"]["connections"], "drained_by": who or ""}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wanted = module.params
    try:
        with changing(module, wanted["state"]):
            found = reach(Service(wanted["service"]), wanted, module.check_mode)
    except (ServiceError, HttpError, LockError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**found)


if __name__ == "__main__":
    main()
