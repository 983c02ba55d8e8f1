#!/usr/bin/python3
"""The first start and the last stop of a service."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_unit
short_description: Starts a service at every boot and waits until it is ready, or stops it for good
description:
  - A service that runs is left alone unless O(restart) is set, whatever release it runs. With O(state=stopped) a node is stopped only when edges have left it, and both
    drain as their settings say.
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
    description: Address of its admin listener, as this host reaches it.
    type: str
  restart:
    description: Whether a service that runs is restarted.
    type: bool
    default: false
  ready_seconds:
    description: How long it may take until it is ready, or until edges ask a node nothing any more.
    type: int
    default: 60
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
import urllib.error
import urllib.request

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_files import ProgramError, diff, must, run
from ansible.module_utils.corelane_host import running
from ansible.module_utils.corelane_lock import LockError, changing

ASKED = re.compile(r"^corelane_node_requests_total(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
"""Requests of edges; a node that they have left is asked nothing any more."""

STILL_SECONDS = 2.0
"""Twice the time in which an edge reads a changed topology, and asks other nodes."""

STOP_SECONDS = 3700
"""lame_duck and drain_timeout are an hour at most."""

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
    digest = running("/").get(service, "")
    module.exit_json(changed=changed, digest=digest, diff=[diff(service, before, after)] if changed else [])


def start(service):
    run(["systemctl", "reset-failed", service])
    status, _out, err = run(["systemctl", "restart", service], STOP_SECONDS)
    if status:
        raise ProgramError("%s did not start: %s\n%s" % (service, err.strip(), journal(service)))


def journal(service):
    return run(["journalctl", "--no-pager", "--output=cat", "--lines=20", "--unit", service])[1]


def fetch(admin, path):
    # Not through a proxy, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open("http://%s%s" % (admin, path), timeout=5) as response:
        return response.read().decode()


def wait_until_ready(admin, seconds, service):
    deadline, reason = time.monotonic() + seconds, "it does not answer"
    while time.monotonic() < deadline:
        try:
            fetch(admin, "/readyz")
            return
        except urllib.error.HTTPError as error:
            reason = error.read(4096).decode(errors="replace").strip()
        except OSError as error:
            reason = str(error)
        time.sleep(LOOK_SECONDS)
    raise ProgramError("%s is not ready after %d s: %s\n%s" % (service, seconds, reason, journal(service)))


def wait_until_left(admin, seconds):
    """Waits until edges ask a node nothing any more."""
    def asked():
        return sum(float(value) for value in ASKED.findall(fetch(admin, "/metrics")))

    deadline, before = time.monotonic() + seconds, asked()
    while time.monotonic() < deadline:
        time.sleep(STILL_SECONDS)
        now = asked()
        if now == before:
            return
        before = now
    raise ProgramError("edges still ask this node: give all of them a topology without it (site.yml), or see which one has not read it")


def stopped(module):
    service, admin = module.params["service"], module.params["admin"]
    stops, disables = is_active(service), is_enabled(service)
    if not module.check_mode:
        if stops:
            if service == "shardstored" and admin:
                wait_until_left(admin, module.params["ready_seconds"])
            must(["systemctl", "stop", service], STOP_SECONDS)
        if disables:
            must(["systemctl", "disable", service])
    module.exit_json(changed=stops or disables)


def main():
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "choices": ["corelane", "shardstored"], "required": True},
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "admin": {"type": "str"},
            "restart": {"type": "bool", "default": False},
            "ready_seconds": {"type": "int", "default": 60},
            "lock_seconds": {"type": "int", "default": 600},
        },
        required_if=[("state", "started", ("admin",))],
        supports_check_mode=True,
    )
    try:
        with changing(module, "%s %s" % (module.params["service"], module.params["state"])):
            {"started": started, "stopped": stopped}[module.params["state"]](module)
    except (LockError, ProgramError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
