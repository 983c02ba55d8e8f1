#!/usr/bin/python
"""Ansible module, for the controller: refuses to take hosts out of service where too few would stay."""

from __future__ import annotations

DOCUMENTATION = r"""
module: corelane_in_service
short_description: Refuse to take hosts out of service where too few would stay
description:
  - Asks all hosts of a group for /readyz. Changes nothing, and asks nobody where no minimum is to be kept.
options:
  leaving: { description: The hosts that are to leave, type: list, elements: str, required: true }
  members: { description: "All hosts of the group, as corelane_rollout_members describes them", type: dict, required: true }
  minimum: { description: How many of the group must serve; a number or percent, type: raw, required: true }
  identity: { description: "Files with which admin listeners over TLS are asked: ca, chain, key", type: dict, default: {} }
author: Corelane
"""

EXAMPLES = r"""
- name: May this edge leave
  corelane_in_service:
    leaving: [edge-1]
    members: "{{ {'edges': groups['edges']} | corelane_rollout_members(hostvars) }}"
    minimum: 75%
  delegate_to: localhost
"""

RETURN = r"""
in_service: { description: Hosts that serve, returned: where they were asked, type: list }
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_batches import BatchError, minimum_in_service
from ansible.module_utils.corelane_http import identify
from ansible.module_utils.corelane_readiness import leave_fault, ready

ARGUMENTS = {
    "leaving": {"type": "list", "elements": "str", "required": True},
    "members": {"type": "dict", "required": True},
    "minimum": {"type": "raw", "required": True},
    "identity": {"type": "dict", "default": {}},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    identify(given["identity"])
    members, admin = sorted(given["members"]), dict((host, member["admin"]) for host, member in given["members"].items())
    leaving = [host for host in given["leaving"] if host in members]
    try:
        if not leaving or not minimum_in_service(given["minimum"], len(members)):
            module.exit_json(changed=False)
        in_service = ready(members, admin)
        fault = leave_fault(leaving, members, in_service, given["minimum"])
    except BatchError as error:
        module.fail_json(msg=str(error))
    unknown = [host for host in members if not admin[host]]
    if fault and unknown:
        fault += "; these cannot be asked from here, set corelane_admin_address: %s" % ", ".join(unknown)
    if fault:
        module.fail_json(msg=fault)
    module.exit_json(changed=False, in_service=in_service)


if __name__ == "__main__":
    main()
