"""The pure functions of module_utils as filters, for plays."""

from __future__ import annotations

import os

import ansible.module_utils as package
from ansible.errors import AnsibleError

# Ansible sends module_utils along with modules, and does not put them on the controller's own path.
OWN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "module_utils")
if OWN not in package.__path__:
    package.__path__.append(OWN)

from ansible.module_utils import corelane_address, corelane_declared, corelane_load, corelane_rollout_members  # noqa: E402
from ansible.module_utils import corelane_settings, corelane_slots, corelane_targets, corelane_topology, corelane_variables  # noqa: E402


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
        return {
            "corelane_edge_file": corelane_settings.edge_file,
            "corelane_edge_admin": lambda values: corelane_address.local(corelane_settings.edge_settings(values)["admin"]),
            "corelane_node_file": corelane_settings.node_file,
            "corelane_node_admin": lambda values: corelane_address.local(corelane_settings.node_settings(values)["admin"]),
            "corelane_topology_file": corelane_topology.file_text,
            "corelane_tune_file": corelane_settings.tune_file,
            "corelane_targets": corelane_targets.targets,
            "corelane_endpoints": corelane_targets.endpoints,
            "corelane_url_at": corelane_load.url_at,
            "corelane_items": corelane_slots.items_by_node,
            "corelane_rollout_members": members,
        }
