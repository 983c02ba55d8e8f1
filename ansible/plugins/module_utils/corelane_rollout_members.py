"""What the inventory says of the hosts of a fleet that a rollout must know, also of those that `--limit` leaves out.

**Not**: asking hosts.

**Invariants**: pure functions. What cannot be made of a host's variables is None: preflight says why.
"""

from __future__ import annotations

from ansible.module_utils.corelane_address import admin_from_outside, from_outside
from ansible.module_utils.corelane_identity import configuration_id
from ansible.module_utils.corelane_settings import FOLDER, edge_file, edge_settings, node_file, node_settings
from ansible.module_utils.corelane_targets import address_of

KINDS = {"edges": ("corelane", edge_settings, edge_file), "nodes": ("shardstored", node_settings, node_file)}


def member(host, group, variables, values):
    """``configuration`` (the id of its wanted settings), ``admin`` and ``http`` (where the controller reaches it), ``zone``, of a host.

    ``variables`` are those of the inventory, ``values`` the same with defaults.
    """
    program, settings_of, file_of = KINDS[group]
    found = {"configuration": None, "admin": None, "http": None, "zone": values.get("corelane_zone") or ""}
    try:
        settings, address = settings_of(values), address_of(host, variables)
        found["configuration"] = configuration_id({"%s/%s.toml" % (FOLDER, program): file_of(values)})
        found["admin"] = admin_from_outside(settings, address)
        listen = settings.get("listen") or [None]
        found["http"] = from_outside(listen if isinstance(listen, str) else listen[0], address) if group == "edges" else None
    except (KeyError, TypeError, ValueError):
        pass
    return found
