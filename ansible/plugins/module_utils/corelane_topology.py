"""The topology of a fleet: whether it is one, and the file that all its processes read.

Not: where slots should be (that is placement); reading files.

Invariants: pure functions; every fault is reported. Source: docs/topology.md.
"""

from __future__ import annotations

import re

from ansible.module_utils.corelane_toml import document
from ansible.module_utils.corelane_variables import NAME, Fault, shown

KEY = "corelane_topology"
SLOTS = 16384
EPOCH_MAX = 4294967295
SEED_MAX = 9223372036854775807
WEIGHTS = (0.001, 1000.0)
NODES_MAX = 4096
KEYS = ("cluster", "epoch", "hash_seed", "nodes", "slots")
NODE_KEYS = ("id", "address", "weight", "zone")
LISTED_MAX = 4
"""Slots that a message names, before it says how many more there are."""

HEADER = "# Written by Ansible from corelane_topology. Raise the epoch there with every change.\n"


def check(topology):
    """The faults of a topology by itself."""
    faults = [Fault(KEY, 'unknown key "%s"' % key, "allowed: " + ", ".join(KEYS)) for key in topology if key not in KEYS]
    if not isinstance(topology.get("cluster"), str) or not NAME.fullmatch(topology["cluster"]):
        faults.append(Fault(KEY + ".cluster", found(topology.get("cluster")), "allowed: 1 to 63 of a-z A-Z 0-9 . _ -"))
    if not is_whole(topology.get("epoch"), 1, EPOCH_MAX):
        faults.append(Fault(KEY + ".epoch", found(topology.get("epoch")), "allowed: 1 to %d" % EPOCH_MAX))
    if "hash_seed" in topology and not is_whole(topology["hash_seed"], 0, SEED_MAX):
        # A secret, also where it is wrong.
        problem = "found a value of type %s" % type(topology["hash_seed"]).__name__
        faults.append(Fault(KEY + ".hash_seed", problem, "allowed: an integer without quotes, 0 to %d" % SEED_MAX))
    nodes = topology.get("nodes")
    if not isinstance(nodes, list) or not 1 <= len(nodes) <= NODES_MAX or not all(isinstance(node, dict) for node in nodes):
        return faults + [Fault(KEY + ".nodes", "no list of nodes", "name 1 to %d nodes, each with id and address" % NODES_MAX)]
    return faults + check_nodes(nodes) + check_slots(topology.get("slots"), [node.get("id") for node in nodes])


def check_nodes(nodes):
    faults = []
    for index, node in enumerate(nodes):
        faults += check_node("%s.nodes[%d]" % (KEY, index), node)
    for field in ("id", "address"):
        seen = {}
        for index, node in enumerate(nodes):
            value = node.get(field)
            if isinstance(value, bool) or not isinstance(value, (int, str)):
                # Of the wrong type, which is said already.
                continue
            if value in seen:
                places = (KEY, index, field), "%s is that of nodes[%d] as well" % (shown(field, value), seen[value])
                faults.append(Fault("%s.nodes[%d].%s" % places[0], places[1], "give each node its own"))
            seen.setdefault(value, index)
    return faults


def check_node(place, node):
    faults = [Fault(place, 'unknown key "%s"' % key, "allowed: " + ", ".join(NODE_KEYS)) for key in node if key not in NODE_KEYS]
    if not is_whole(node.get("id"), 1, 65535):
        faults.append(Fault(place + ".id", found(node.get("id")), "allowed: 1 to 65535"))
    address = node.get("address")
    if not isinstance(address, str) or port_of(address) is None:
        faults.append(Fault(place + ".address", found(address), 'allowed: "HOST:PORT", an IP address or a name'))
    weight = node.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not WEIGHTS[0] <= weight <= WEIGHTS[1]:
        faults.append(Fault(place + ".weight", found(weight), "allowed: %s to %s" % WEIGHTS))
    zone = node.get("zone", "")
    if not isinstance(zone, str) or (zone and not NAME.fullmatch(zone)):
        faults.append(Fault(place + ".zone", found(zone), "allowed: up to 63 of a-z A-Z 0-9 . _ -"))
    return faults


def check_slots(slots, ids):
    """Without slots, rendezvous hashing gives all of them to nodes; with slots, each must be given to one node."""
    if slots is None:
        return []
    key = KEY + ".slots"
    if not isinstance(slots, list) or not all(isinstance(one, dict) and set(one) == {"slots", "node"} for one in slots):
        return [Fault(key, "not a list of slots and node", 'write {slots: "0-5460", node: 1}')]
    faults, owners = [], [None] * SLOTS
    for index, one in enumerate(slots):
        place = "%s[%d]" % (key, index)
        bounds = slot_range(one["slots"])
        if bounds is None:
            faults.append(Fault(place, found(one["slots"]), 'allowed: "N" or "FIRST-LAST", 0 to %d' % (SLOTS - 1)))
            continue
        if not is_whole(one["node"], 1, 65535) or one["node"] not in ids:
            faults.append(Fault(place, "node %s is not one of the topology" % shown("node", one["node"]), "name one of its nodes"))
        twice = [slot for slot in bounds if owners[slot] is not None]
        if twice:
            faults.append(Fault(place, "slots %s have an owner already" % listed(twice), "give each slot to one node"))
        for slot in bounds:
            owners[slot] = one["node"]
    without = [slot for slot, owner in enumerate(owners) if owner is None]
    if without:
        faults.append(Fault(key, "slots %s have no owner" % listed(without), "give each to a node, or leave slots out altogether"))
    return faults


def check_hosts(topology, hosts):
    """The faults of hosts against the topology: `hosts` has for each node's host its id, zone and port (or None).

    Yields pairs of host and fault.
    """
    found, by_id = [], {}
    listed_nodes = topology.get("nodes")
    nodes = {node["id"]: node for node in (listed_nodes if isinstance(listed_nodes, list) else [])
             if isinstance(node, dict) and is_whole(node.get("id"), 1, 65535)}  # fmt: skip
    for host in sorted(hosts):
        node_id = hosts[host]["id"]
        if node_id is None:
            found.append((host, Fault("corelane_node_id", "a node without an id", "set it in the host's variables")))
            continue
        if node_id in by_id:
            problem = "%s is that of %s as well" % (node_id, by_id[node_id])
            found.append((host, Fault("corelane_node_id", problem, "give each node its own")))
        by_id.setdefault(node_id, host)
        node = nodes.get(node_id)
        if node is None:
            problem = "no node of the topology has the id %s" % node_id
            found.append((host, Fault(KEY, problem, "add it to the nodes and raise the epoch, or take the host out of the group")))
            continue
        found += [(host, fault) for fault in check_host(node, hosts[host])]
    return found


def check_host(node, host):
    faults = []
    if node.get("zone") and host["zone"] and node["zone"] != host["zone"]:
        problem = "%s, and the topology has node %s in %s" % (host["zone"], node["id"], node["zone"])
        faults.append(Fault("corelane_zone", problem, "correct one of the two"))
    port = port_of(str(node.get("address")))
    if port is not None and host["port"] is not None and port != host["port"]:
        problem = "%s, and the topology has node %s at %s" % (host["port"], node["id"], node["address"])
        faults.append(Fault("corelane_shard_port", problem, "correct one of the two"))
    return faults


def found(value):
    return "found " + shown("", value)


def is_whole(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def port_of(address):
    """The port of HOST:PORT, or None where it is no such address."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", address)
    return int(match.group(2)) if match and 1 <= int(match.group(2)) <= 65535 else None


def slot_range(text):
    """The slots of "N" or "FIRST-LAST", or None."""
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", str(text) if is_whole(text, 0, SLOTS) or isinstance(text, str) else "")
    if not match:
        return None
    first = int(match.group(1))
    last = int(match.group(2) or first)
    return range(first, last + 1) if first <= last < SLOTS else None


def listed(slots):
    """Slots as ranges, for a message."""
    ranges, start = [], slots[0]
    for slot, following in zip(slots, slots[1:] + [None]):
        if following != slot + 1:
            ranges.append(str(start) if start == slot else "%d-%d" % (start, slot))
            start = following
    more = len(ranges) - LISTED_MAX
    return ", ".join(ranges[:LISTED_MAX]) + (" and %d more ranges" % more if more > 0 else "")


def file_text(topology):
    """The topology file; empty without a topology."""
    if not topology:
        return ""
    values = {key: topology[key] for key in ("cluster", "epoch", "hash_seed") if key in topology}
    values["node"] = [{key: node[key] for key in NODE_KEYS if key in node} for node in topology["nodes"]]
    if topology.get("slots"):
        values["assign"] = [{"slots": str(one["slots"]), "node": one["node"]} for one in topology["slots"]]
    return document(values, HEADER)


def epoch_of(text):
    """The epoch in a topology file, or None."""
    match = re.search(r"^epoch\s*=\s*(\d+)\s*$", text, re.MULTILINE)
    return int(match.group(1)) if match else None


def succession_fault(before, after):
    """Why the topology file `after` cannot follow `before`, or None."""
    if not before or before == after:
        return None
    old, new = epoch_of(before), epoch_of(after)
    if old is None or new is None or new > old:
        return None
    if new < old:
        return Fault(KEY + ".epoch", "%d, and the host has %d" % (new, old), "raise the epoch above that of the host")
    return Fault(KEY + ".epoch", "%d is that of another topology on the host" % new, "raise it by one with every change")
