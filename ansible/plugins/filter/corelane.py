"""The pure functions of module_utils as filters, for plays."""

from __future__ import annotations

import os

import ansible.module_utils as package

# Ansible sends module_utils along with modules, and does not put them on the controller's own path.
OWN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "module_utils")
if OWN not in package.__path__:
    package.__path__.append(OWN)

from ansible.module_utils import corelane_address, corelane_settings, corelane_topology  # noqa: E402


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
        }
