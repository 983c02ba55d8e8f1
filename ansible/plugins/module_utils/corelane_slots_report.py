"""A proposed topology as people read it: shares, moves, what is lost, and the text for the inventory.

Invariants: pure functions; what is printed as a topology is what a person puts into `corelane_topology`.
"""

from __future__ import annotations

from ansible.module_utils.corelane_slots import SLOT_COUNT

# More ranges than these are left to the JSON file: nobody reads them.
RANGES_SHOWN = 64


def table(proposal):
    """Everything about a proposal, in Markdown."""
    if not proposal.slots_moved:
        return "No slot moves: every node has the share of its weight already.\n"
    lines = ["| node | slots now | then | moves away | items lost |", "|---:|---:|---:|---:|---:|"]
    away = {}
    for (old, _new), slots in proposal.moved.items():
        away[old] = away.get(old, 0) + slots
    lost = proposal.items_lost()
    for node in sorted(set(proposal.before) | set(proposal.after)):
        items = lost.get(node, 0)
        lines.append("| %d | %d | %d | %d | %s |" % (
            node, proposal.before[node], proposal.after[node], away.get(node, 0), "not known" if items is None else items))
    lines += ["", summary(proposal), "", "```yaml"]
    lines += topology(proposal.topology) + ["```"]
    return "\n".join(lines) + "\n"


def summary(proposal):
    """What it costs, in a sentence or three."""
    share = 100 * proposal.slots_moved / SLOT_COUNT
    text = "%d of %d slots move (%.1f %%). Values do not move with them: what is held of these slots is dropped" % (
        proposal.slots_moved, SLOT_COUNT, share)
    lost = list(proposal.items_lost().values())
    known = sum(items for items in lost if items is not None)
    if None not in lost:
        text += ", about %d items." % known
    elif known:
        text += ", more than %d items; what some nodes hold is not known." % known
    else:
        text += "; how many items the nodes hold is not known."
    return text


def topology(proposed):
    """`corelane_topology` as YAML, line by line."""
    lines = ["corelane_topology:"]
    lines += ["  %s: %s" % (key, value) for key, value in proposed.items() if key not in ("nodes", "slots", "hash_seed")]
    lines.append("  # hash_seed stays as it is, where it is set: it is no part of a plan")
    lines.append("  nodes:")
    for node in proposed["nodes"]:
        inner = ", ".join("%s: %s" % (key, quoted(value)) for key, value in node.items())
        lines.append("    - { %s }" % inner)
    parts = proposed.get("slots", [])
    if parts:
        lines.append("  slots:")
        lines += ["    - { slots: %s, node: %d }" % (quoted(part["slots"]), part["node"]) for part in parts[:RANGES_SHOWN]]
    if len(parts) > RANGES_SHOWN:
        lines.append("    # and %d more: scale.json has all of them" % (len(parts) - RANGES_SHOWN))
    return lines


def quoted(value):
    return '"%s"' % value if isinstance(value, str) and not value.replace("-", "").isalpha() else value
