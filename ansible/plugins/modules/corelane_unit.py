#!/usr/bin/python3
"""The first start and the last stop of a service."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_unit
short_description: Starts a service at every boot and waits until it is ready, or stops it for good
description:
  - A service that runs is left alone unless O(restart) is set, whatever release it runs. With O(state=stopped) an edge is drained before it is stopped, and a node is stopped
    only when edges have left it; where that does not come about, the service runs on and the module fails.
author: Corelane
options:
  service:
    description: The service.
    type: str
    choices: [corelane, shardstored]
    required: true
  state:
    description: What is wanted.
    type: str
    choices: [started, stopped]
    default: started
  admin:
    description: Address of its admin listener, as this host reaches it. A service that is to be stopped is asked where its own settings say.
    type: str
  restart:
    description: Whether a service that runs is restarted.
    type: bool
    default: false
  ready_seconds:
    description: How long it may take until it is ready, or until edges ask a node nothing any more.
    type: int
    default: 60
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
- name: Start the edge
  corelane_unit:
    service: corelane
    admin: 127.0.0.1:9180
"""

RETURN = """
digest:
  description: The release that runs.
  returned: state is started, outside check mode
  type: str
"""

import re
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_drain_note import STEP
from ansible.module_utils.corelane_files import ProgramError, attempt, diff, must, run
from ansible.module_utils.corelane_http import HttpError, request, wait
from ansible.module_utils.corelane_installed import running
from ansible.module_utils.corelane_lock import LockError, changing, sender
from ansible.module_utils.corelane_service import Service, ServiceError

KINDS = {"corelane": "edge", "shardstored": "node"}

ASKED = re.compile(r"^corelane_node_requests_total(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
"""Requests of edges; a node that they have left is asked nothing any more."""

STILL_SECONDS = 2.0
"""Twice the time in which an edge reads a changed topology, and asks other nodes."""

RESTART_SECONDS = 3700
"""lame_duck and drain_timeout are an hour at most; who starts a service anew does not know those of the process before."""

LOOK_SECONDS = 0.1
"""A service is ready within a tenth to a quarter of a second of its start."""


def is_active(service):
    return run(["systemctl", "is-active", service])[0] == 0


def is_enabled(service):
    return run(["systemctl", "is-enabled", service])[1].strip() == "enabled"


def started(module):
    service = module.params["service"]
    starts, enables = not is_active(service), not is_enabled(service)
    restarts = module.params["restart"] and not starts
    if not module.check_mode:
        if enables:
            must(["systemctl", "enable", service])
        if starts or restarts:
            start(service)
        wait_until_ready(module.params["admin"], module.params["ready_seconds"], service)
    lines = (("stopped\n", "started\n", starts), ("not started at boot\n", "started at boot\n", enables), ("", "restarted\n", restarts))
    before, after = ("".join(line[index] for line in lines if line[2]) for index in (0, 1))
    changed = starts or enables or restarts
    digest = running().get(service, "")
    module.exit_json(changed=changed, digest=digest, diff=[diff(service, before, after)] if changed else [])


def start(service):
    attempt(["systemctl", "reset-failed", service])
    status, _out, err = run(["systemctl", "restart", service], RESTART_SECONDS)
    if status:
        raise ProgramError("%s did not start: %s\n%s" % (service, err.strip(), journal(service)))


def journal(service):
    return attempt(["journalctl", "--no-pager", "--output=cat", "--lines=20", "--unit", service])[1]


def wait_until_ready(admin, seconds, service):
    reasons = ["it does not answer"]

    def is_ready():
        try:
            answer = request("GET", admin, "/readyz")
        except HttpError as error:
            reasons[0] = str(error)
            return False
        reasons[0] = answer.text.strip()
        return answer.status == 200

    if not wait(seconds, is_ready, LOOK_SECONDS):
        raise ProgramError("%s is not ready after %d s: %s\n%s" % (service, seconds, reasons[0], journal(service)))


def asked(admin):
    """Requests of edges so far."""
    return sum(float(value) for value in ASKED.findall(request("GET", admin, "/metrics").text))


def wait_until_left(admin, seconds):
    """Waits until edges ask a node nothing any more."""
    seen = [asked(admin)]

    def is_left():
        seen.append(asked(admin))
        return seen[-1] == seen[-2]

    time.sleep(STILL_SECONDS)
    if not wait(seconds, is_left, STILL_SECONDS):
        raise ProgramError("edges still ask this node: give all of them a topology without it (site.yml), or see which one has not read it")


def left(service, wanted):
    """Clients, or edges, have gone from a service that runs. Its own settings say where it is asked: those of the inventory have gone."""
    service.read_settings()
    if not service.kind.has_http:
        wait_until_left(service.admin, wanted["ready_seconds"])
    elif service.drained_by()[0] is None:
        service.drain(wanted["drain_seconds"], wanted["drain_seconds_min"], STEP, sender())
    else:
        service.wait_quiet(wanted["drain_seconds"], 0)


def stopped(module):
    name, service = module.params["service"], Service(KINDS[module.params["service"]])
    stops, disables = is_active(name), is_enabled(name)
    if not module.check_mode:
        if stops:
            left(service, module.params)
            service.stop()
            service.note.remove()
        if disables:
            must(["systemctl", "disable", name])
    module.exit_json(changed=stops or disables)


def main():
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "choices": ["corelane", "shardstored"], "required": True},
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "admin": {"type": "str"},
            "restart": {"type": "bool", "default": False},
            "ready_seconds": {"type": "int", "default": 60},
            "drain_seconds": {"type": "int", "default": 60},
            "drain_seconds_min": {"type": "int", "default": 4},
            "lock_seconds": {"type": "int", "default": 600},
        },
        required_if=[("state", "started", ("admin",))],
        supports_check_mode=True,
    )
    try:
        with changing(module, "%s %s" % (module.params["service"], module.params["state"])):
            {"started": started, "stopped": stopped}[module.params["state"]](module)
    except (HttpError, LockError, ProgramError, ServiceError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
