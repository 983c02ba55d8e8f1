"""The pure functions about addresses, loads, and what nodes hold, as filters for plays."""

import pathlib

import ansible.module_utils as package

# Ansible sends this folder along with modules, but does not import from it on the controller.
FOLDER = str(pathlib.Path(__file__).resolve().parent.parent / "module_utils")
if FOLDER not in package.__path__:
    package.__path__.append(FOLDER)

from ansible.module_utils import corelane_load, corelane_slots, corelane_targets  # noqa: E402


class FilterModule:
    """Filters by name."""

    def filters(self):
        return {
            "corelane_targets": corelane_targets.targets,
            "corelane_endpoints": corelane_targets.endpoints,
            "corelane_url_at": corelane_load.url_at,
            "corelane_items": corelane_slots.items_by_node,
        }
