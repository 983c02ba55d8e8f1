#!/usr/bin/python
"""Ansible module: what runs on a host, and which releases it has."""

from __future__ import annotations

DOCUMENTATION = r"""
module: corelane_service_facts
short_description: What a service runs, holds and says of itself
description:
  - Looks at releases, unit and admin listener of a host. Changes nothing.
options:
  service: { description: Which service, type: str, required: true, choices: [edge, node] }
  host: { description: The name or address under which the controller reaches this host, type: str, required: true }
author: Corelane
"""

EXAMPLES = r"""
- name: Look
  corelane_service_facts:
    service: edge
    host: "{{ ansible_host }}"
"""

RETURN = r"""
current: { description: Digest of the release that a start runs, returned: always, type: str }
configuration: { description: The id of the settings on the disk, returned: always, type: str }
previous: { description: Digest of the release before, returned: always, type: str }
running: { description: Digest of the release that runs, returned: always, type: str }
ready: { description: Whether it is ready, returned: always, type: bool }
items: { description: Values that it holds, which a restart loses, returned: always, type: int }
bytes: { description: Their memory, returned: always, type: int }
admin: { description: The address of its admin listener as configured, returned: always, type: str }
admin_address: { description: Where the controller reaches the admin listener; none where it is on loopback, returned: always, type: str }
http_address: { description: Where the controller reaches the service; none where it is on loopback, returned: always, type: str }
drained: { description: Whether it is out of its balancers' sight, returned: always, type: bool }
drained_by: { description: "The person who has drained it, where that was no step of ours", returned: always, type: str }
embedded: { description: Whether an edge is its own store, returned: always, type: bool }
problem: { description: Why the service could not be looked at, returned: always, type: str }
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_address import admin_from_outside, from_outside
from ansible.module_utils.corelane_drain_note import PERSON
from ansible.module_utils.corelane_files import attempt
from ansible.module_utils.corelane_http import HttpError
from ansible.module_utils.corelane_identity import configuration_id
from ansible.module_utils.corelane_installed import CORECTL
from ansible.module_utils.corelane_service import KINDS, Service, ServiceError
from ansible.module_utils.corelane_step import settings_texts


def releases():
    """Digests of what is installed, the latest first, and of the current one."""
    status, text = attempt([CORECTL, "release", "list", "--json"])
    try:
        listed = json.loads(text) if status == 0 else []
    except ValueError:
        listed = []
    current = next((entry["digest"] for entry in listed if entry["current"]), None)
    previous = next((entry["digest"] for entry in listed if not entry["current"]), None)
    return current, previous


def facts(kind, host):
    current, previous = releases()
    found = {
        "current": current, "previous": previous, "configuration": configuration_id(settings_texts(KINDS[kind])),
        "running": None, "ready": False, "items": 0, "bytes": 0, "admin": None,
        "admin_address": None, "http_address": None, "embedded": False, "drained": False, "drained_by": None, "problem": None,
    }
    service = Service(kind)
    try:
        service.read_settings()
        found["admin"] = service.settings.get("admin")
        found["admin_address"] = admin_from_outside(service.settings, host)
        found["http_address"] = from_outside((service.settings.get("listen") or [None])[0] if service.kind.has_http else None, host)
        if service.is_active():
            status, found["running"] = service.status(), service.running_release()
            owner, who = service.drained_by()
            found["drained_by"] = who if owner == PERSON else None
            found["drained"], found["embedded"] = status["drain"] is not None, status.get("mode") == "embedded"
            found["items"], found["bytes"] = status["totals"]["items"], status["totals"]["memory_used_bytes"]
            found["ready"] = not service.not_ready() and not found["drained"]
    except (ServiceError, HttpError, ValueError) as error:
        found["problem"] = str(error)
    except (KeyError, TypeError, AttributeError) as error:
        found["problem"] = "%s answers otherwise than this release: %s: %s" % (service.admin, type(error).__name__, error)
    return found


def main():
    module = AnsibleModule(supports_check_mode=True, argument_spec={
        "service": {"type": "str", "required": True, "choices": ["edge", "node"]},
        "host": {"type": "str", "required": True},
    })
    module.exit_json(changed=False, **facts(module.params["service"], module.params["host"]))


if __name__ == "__main__":
    main()
