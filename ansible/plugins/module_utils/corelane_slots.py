"""Who owns which slot under a topology, and what another topology would move.

    topology (nodes with weights, assigned ranges) --> owners of all slots --> moves between two of them --> what is lost

Not: a change of anything; a proposal is text that a person puts into the inventory.

Invariants: pure functions, integers only, the same owners as the binaries find. A proposal moves no slot that it need not.

Source: docs/wire.md, "Epochs and placement"; shardstore/src/placement, of which this is the same arithmetic.
"""

from __future__ import annotations

import collections
import re

SLOT_COUNT = 16384
WEIGHT_MILLI_MAX = 1_000_000
MASK = (1 << 64) - 1
FRACTION_BITS = 32
INVERSE_LN_2 = 6_196_328_019


class TopologyError(ValueError):
    """A topology that no process would take; the text names what is wrong."""


def log2_by_squaring(m):
    """The fraction of log2(m / 256) for m from 256 to 511, with 32 bits."""
    x, fraction = m << 54, 0
    for _bit in range(FRACTION_BITS):
        x = (x * x) >> 62
        fraction <<= 1
        if x >= 2 << 62:
            fraction |= 1
            x >>= 1
    return fraction


TABLE = tuple(log2_by_squaring(256 + i) for i in range(256))


def log2(value):
    """log2 of 1 to 2^64 - 1 in fixed point, with 32 fraction bits."""
    exponent = value.bit_length() - 1
    mantissa = value << (63 - exponent)
    index = ((mantissa << 1) & MASK) >> 56
    z = ((mantissa & ((1 << 55) - 1)) >> 23) // (256 + index)
    z2 = (z * z) >> FRACTION_BITS
    z3 = (z2 * z) >> FRACTION_BITS
    logarithm = z - z2 // 2 + z3 // 3
    return (exponent << FRACTION_BITS) + TABLE[index] + ((logarithm * INVERSE_LN_2) >> FRACTION_BITS)


def mix(value):
    """One step of SplitMix64."""
    z = (value + 0x9E37_79B9_7F4A_7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & MASK
    return z ^ (z >> 31)


def proposed(weights):
    """The owner of every slot by weighted rendezvous hashing; `weights` is a dictionary of node id to weight."""
    if not weights:
        raise TopologyError("a topology has at least one node")
    nodes = [(node, weight_milli(node, weights[node]), mix(node)) for node in sorted(weights)]
    owners = []
    for slot in range(SLOT_COUNT):
        best_cost, best_weight, winner = 0, 0, None
        for node, weight, seed in nodes:
            cost = (64 << FRACTION_BITS) - log2(max(mix(seed ^ slot), 1))
            if winner is None or cost * best_weight < best_cost * weight:
                best_cost, best_weight, winner = cost, weight, node
        owners.append(winner)
    return owners


def weight_milli(node, weight):
    milli = round(float(weight) * 1000)
    if not 1 <= milli <= WEIGHT_MILLI_MAX:
        raise TopologyError("node %s: weight: found %s, allowed: 0.001 to 1000" % (node, weight))
    return milli


def weights_of(topology):
    """Weights by node id of `corelane_topology`."""
    return {int(node["id"]): node.get("weight", 1.0) for node in topology.get("nodes", [])}


def owners_of(topology):
    """The owner of every slot of `corelane_topology`: as assigned, otherwise as proposed."""
    owners = proposed(weights_of(topology))
    for part in topology.get("slots", []):
        node = int(part["node"])
        if node not in weights_of(topology):
            raise TopologyError("slots %s: node %d is not in the topology" % (part["slots"], node))
        for slot in slots_in(part["slots"]):
            owners[slot] = node
    return owners


def slots_in(text):
    """The slots of "N" or "FIRST-LAST"."""
    first, _dash, last = str(text).partition("-")
    if not re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5})?", str(text)) or not 0 <= int(first) <= int(last or first) < SLOT_COUNT:
        raise TopologyError("slots %s: allowed: N or FIRST-LAST, 0 to %d" % (text, SLOT_COUNT - 1))
    return range(int(first), int(last or first) + 1)


def quotas(weights, owners):
    """How many slots each node should own: its share of the weights; what rounding leaves goes where fewest slots move."""
    held = collections.Counter(owners)
    total = sum(weight_milli(node, weight) for node, weight in weights.items())
    exact = {node: SLOT_COUNT * weight_milli(node, weight) / total for node, weight in weights.items()}
    whole = {node: int(share) for node, share in exact.items()}
    left = SLOT_COUNT - sum(whole.values())
    # First those that hold more than their whole share already, then by what rounding took from them.
    order = sorted(weights, key=lambda node: (held[node] <= whole[node], whole[node] - exact[node], node))
    for node in order[:left]:
        whole[node] += 1
    return whole


def balanced(owners, weights):
    """Owners by which each node has its quota, with as few slots moved as there can be."""
    wanted = quotas(weights, owners)
    kept = collections.Counter()
    result = list(owners)
    free = []
    for slot, node in enumerate(owners):
        if kept[node] < wanted.get(node, 0):
            kept[node] += 1
        else:
            free.append(slot)
    takers = iter([node for node in sorted(weights) for _slot in range(wanted[node] - kept[node])])
    for slot in free:
        result[slot] = next(takers)
    return result


def moves(before, after):
    """Slots that change their owner, by (old, new)."""
    return collections.Counter((old, new) for old, new in zip(before, after) if old != new)


def ranges(owners):
    """The `slots` of a topology in which every slot is assigned."""
    found = []
    for slot, node in enumerate(owners):
        if found and found[-1][2] == node:
            found[-1][1] = slot
        else:
            found.append([slot, slot, node])
    return [{"slots": str(first) if first == last else "%d-%d" % (first, last), "node": node} for first, last, node in found]


class Proposal:
    """A topology, and what it costs to go there."""

    def __init__(self, topology, before, after, items):
        self.topology = topology
        self.moved = moves(before, after)
        self.before = collections.Counter(before)
        self.after = collections.Counter(after)
        self.items = items

    @property
    def slots_moved(self):
        return sum(self.moved.values())

    def items_lost(self):
        """Items by the node that drops them: its share of what it holds. None for nodes whose items are not known."""
        lost = {}
        for (old, _new), slots in self.moved.items():
            lost[old] = lost.get(old, 0) + slots
        return {
            node: None if node not in self.items else round(self.items[node] * slots / self.before[node])
            for node, slots in sorted(lost.items())
        }

    def to_json(self):
        """What is known of it, without the seed: that stays as it is, and is a secret."""
        return {
            "topology": {key: value for key, value in self.topology.items() if key != "hash_seed"},
            "slots_moved": self.slots_moved,
            "moves": [{"from": old, "to": new, "slots": slots} for (old, new), slots in sorted(self.moved.items())],
            "slots_before": dict(sorted(self.before.items())),
            "slots_after": dict(sorted(self.after.items())),
            "items_lost": self.items_lost(),
        }


def propose(topology, nodes, items=None):
    """The next topology, with `nodes` (as in `corelane_topology.nodes`) instead of those of `topology`.

    A topology without assigned slots stays one: rendezvous hashing moves a slot only to a node whose share grows, or from one
    whose share shrinks. With assigned slots each node gets its share exactly, and as few slots move as can be.
    """
    before = owners_of(topology)
    weights = weights_of({"nodes": nodes})
    new = {key: value for key, value in topology.items() if key not in ("nodes", "slots")}
    new.update(epoch=int(topology["epoch"]) + 1, nodes=nodes)
    if topology.get("slots"):
        after = balanced(before, weights)
        new["slots"] = ranges(after)
    else:
        after = proposed(weights)
    if after == before:
        new["epoch"] = int(topology["epoch"])
    return Proposal(new, before, after, items or {})


def items_by_node(hosts, hostvars, registered):
    """Items by node id, of the hosts whose /v1/status was read into the variable `registered`."""
    found = {}
    for host in hosts:
        variables = hostvars[host]
        status = (variables.get(registered) or {}).get("json") or {}
        node = variables.get("corelane_node_id")
        if node is not None and "cores" in status:
            found[int(node)] = sum(int(core["cache"]["items"]) for core in status["cores"])
    return found
