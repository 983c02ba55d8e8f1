"""What rollouts take from the inventory, as a filter for plays."""

from __future__ import annotations

import os

import ansible.module_utils as package
from ansible.errors import AnsibleError

PLUGINS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Ansible sends module_utils along with modules, and does not put them on the controller's own path.
OWN = os.path.join(PLUGINS, "module_utils")
if OWN not in package.__path__:
    package.__path__.append(OWN)

from ansible.module_utils import corelane_declared, corelane_rollout_members, corelane_variables  # noqa: E402


def members(groups, hostvars):
    """What corelane_rollout_members says of each host of the groups, by host."""
    options, found = corelane_declared.declared(), {}
    for group, hosts in groups.items():
        for host in hosts:
            variables = variables_of(hostvars[host])
            found[host] = corelane_rollout_members.member(host, group, variables, corelane_variables.with_defaults(variables, options))
    return found


def variables_of(host):
    """Its variables, but for those that cannot be had."""
    found = {}
    for key in host:
        if key.startswith("corelane_") or key == "ansible_host":
            try:
                found[key] = host[key]
            except AnsibleError:
                continue
    return found


class FilterModule:
    """Filters by name."""

    def filters(self):
        return {"corelane_rollout_members": members}
