#!/usr/bin/python
"""Ansible module: takes a service out of its balancers' sight, or puts it back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: corelane_drain
short_description: Drain or undrain a service
description:
  - Tells the service by its command listener, and waits until nobody asks any more, or until it is ready.
  - A drain that does not succeed in time is taken back, and the module fails.
options:
  service: { description: Which service, type: str, required: true, choices: [edge, node] }
  state: { description: What it shall be, type: str, required: true, choices: [drained, serving] }
  seconds: { description: How long that may take, type: int, default: 60 }
  seconds_min: { description: How long a drain lasts at least, so that balancers have looked, type: int, default: 4 }
  lock_seconds: { description: How long to wait for the host's lock, type: int, default: 600 }
  owner: { description: Who asks, for those who wait for the lock, type: str, default: ansible }
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
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_http import HttpError
from ansible.module_utils.corelane_lock import HostLock, LockError
from ansible.module_utils.corelane_service import Service, ServiceError

ARGUMENTS = {
    "service": {"type": "str", "required": True, "choices": ["edge", "node"]},
    "state": {"type": "str", "required": True, "choices": ["drained", "serving"]},
    "seconds": {"type": "int", "default": 60},
    "seconds_min": {"type": "int", "default": 4},
    "lock_seconds": {"type": "int", "default": 600},
    "owner": {"type": "str", "default": "ansible"},
}


def reach(service, wanted, check_mode):
    """Brings the service to the state; returns whether that changed anything, and the connections that are left."""
    service.read_settings()
    status = service.status()
    is_drained = status["drain"] is not None
    changes = is_drained != (wanted["state"] == "drained")
    if changes and not check_mode:
        if wanted["state"] == "drained":
            service.drain(wanted["seconds"], wanted["seconds_min"])
        else:
            service.tell("undrain")
            service.wait_ready(wanted["seconds"])
        status = service.status()
    return changes, status["totals"]["connections"]


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wanted = module.params
    try:
        with HostLock(wanted["owner"], wanted["state"], wanted["lock_seconds"]):
            changed, connections = reach(Service(wanted["service"]), wanted, module.check_mode)
    except (ServiceError, HttpError, LockError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, connections=connections)


if __name__ == "__main__":
    main()
