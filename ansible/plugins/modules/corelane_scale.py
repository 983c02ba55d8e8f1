#!/usr/bin/python
"""Plans hosts for a load, and a topology for weights. Runs on the controller; changes nothing but the files of the plan."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_scale
short_description: Plans how many hosts a load needs, and which slots a change of weights moves
description:
  - Reads what C(coreperf search) and C(coreperf run --closed) measured about single hosts, and writes C(scale.md), C(hosts.svg) and C(scale.json).
options:
  rate: {type: float, required: true, description: Requests per second that the fleet is to carry.}
  measurements: {type: list, elements: path, required: true, description: "Files of coreperf about one host each, or folders of searches."}
  scenario: {type: str, default: web, description: In folders, searches with this scenario count.}
  utilisation: {type: float, default: 0.6, description: Share of its capacity that a host is given.}
  spare_hosts: {type: int, default: 1, description: Hosts that may be gone at once.}
  zones: {type: int, default: 1, description: Zones of which one may be gone; 1 for none.}
  topology: {type: dict, default: {}, description: The topology in force.}
  weights: {type: dict, default: {}, description: Weights by node id that the next topology is to have; others stay.}
  nodes: {type: list, elements: dict, default: [], description: Nodes that are to be added to the topology.}
  removed: {type: list, elements: int, default: [], description: Ids of nodes that are to leave it.}
  items: {type: dict, default: {}, description: Items by node id, where they are known.}
  out: {type: path, required: true, description: Folder for the files.}
author: Corelane
"""

EXAMPLES = """
- name: Plan for two million requests per second
  corelane_scale:
    rate: 2000000
    measurements: [capacity]
    zones: 2
    out: plan
"""

RETURN = """
text: {type: str, returned: always, description: The plan as a table.}
hosts: {type: dict, returned: always, description: Hosts, recommended, likely and fewest, for the rate.}
topology: {type: dict, returned: when a topology is given, description: The proposed topology and what it costs.}
"""

import json
import os
import re

from ansible.module_utils import corelane_capacity as capacity
from ansible.module_utils import corelane_capacity_report as capacity_report
from ansible.module_utils import corelane_slots as slots
from ansible.module_utils import corelane_slots_report as slots_report
from ansible.module_utils import corelane_topology as topology_checks
from ansible.module_utils.basic import AnsibleModule

# Folders are searched so deep: perf makes one for each measurement.
DEPTH_MAX = 4


def read(paths, scenario):
    """The measurements in files, and those of searches in folders.

    Other results in folders are left out: runs through a balancer are of many hosts, and other scenarios of another load.
    """
    found = []
    for path in paths:
        if not os.path.exists(path):
            raise capacity.CapacityError("%s: no such file or folder; playbooks/perf.yml with corelane_perf_objective measures first" % path)
        for file in sorted(files_below(path, scenario)):
            found.append(capacity.measurement_of(document_of(file), file))
    return found


def document_of(file):
    try:
        with open(file, encoding="utf-8") as text:
            return json.load(text)
    except (ValueError, RecursionError) as error:
        raise capacity.CapacityError("%s: no JSON: %s" % (file, error))


def files_below(path, scenario):
    if os.path.isfile(path):
        return [path]
    base = path.rstrip("/").count("/")
    searches = re.compile(r"search-%s-[0-9]+\.json" % re.escape(scenario))
    return [
        os.path.join(folder, name)
        for folder, _folders, names in os.walk(path)
        if folder.count("/") - base <= DEPTH_MAX
        for name in names
        if searches.fullmatch(name)
    ]


def next_nodes(topology, weights, added, removed):
    """The nodes of the next topology."""
    for node in weights:
        if not re.fullmatch(r"[0-9]{1,5}", str(node)):
            raise slots.TopologyError("weights: found %r, allowed: ids of nodes" % str(node)[:80])
    by_id = {int(node): weight_of(node, weight) for node, weight in weights.items()}
    nodes = [dict(node) for node in topology["nodes"] if int(node["id"]) not in removed] + [
        dict(node, id=whole_of(node.get("id")), **({"weight": weight_of(node.get("id"), node["weight"])} if "weight" in node else {}))
        for node in added
    ]
    unknown = set(by_id) - {node["id"] for node in nodes}
    if unknown:
        raise slots.TopologyError("weights: node %s is not in the topology" % ", ".join(map(str, sorted(unknown))))
    for node in nodes:
        if node["id"] in by_id:
            node["weight"] = by_id[node["id"]]
    return nodes


def whole_of(value):
    """An id that is given with -e is a text."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}", value) else value


def weight_of(node, weight):
    """A weight; numbers in quotes are numbers, as variables given with -e are."""
    try:
        return weight if isinstance(weight, int) else float(weight)
    except (TypeError, ValueError):
        raise slots.TopologyError("weights: node %s: found a value of type %s that is no number" % (node, type(weight).__name__))


def check(what, given):
    """Raises TopologyError with all faults of a topology."""
    faults = topology_checks.check(given)
    if faults:
        raise slots.TopologyError("%s: %s" % (what, "; ".join(map(str, faults))))


def proposal_of(params):
    """The next topology; both it and the one in force must be topologies."""
    check("the topology in force", params["topology"])
    nodes = next_nodes(params["topology"], params["weights"], params["nodes"], params["removed"])
    check("the next topology", dict({key: value for key, value in params["topology"].items() if key != "slots"}, nodes=nodes))
    for node, count in params["items"].items():
        if not all(re.fullmatch(r"[0-9]{1,20}", str(one)) for one in (node, count)):
            raise slots.TopologyError("items: found %r of node %r, allowed: numbers of items by ids of nodes" % (str(count)[:80], str(node)[:80]))
    items = {int(node): int(count) for node, count in params["items"].items()}
    return slots.propose(params["topology"], nodes, items)


def plan(params):
    """The files by name, and what the module returns."""
    if not 0 < params["rate"] <= capacity.RATE_MAX:
        raise capacity.CapacityError("rate: found %s, allowed: above 0, up to %g requests/s" % (params["rate"], capacity.RATE_MAX))
    safety = capacity.Safety(params["utilisation"], params["spare_hosts"], params["zones"])
    measurements = read(params["measurements"], params["scenario"])
    host = capacity.capacity(measurements)
    wanted = capacity.plan(params["rate"], host, safety)
    text = "# Hosts\n\n" + capacity_report.table(capacity.plans(params["rate"], host, safety), host, safety)
    document = {
        "hosts": wanted.to_json(),
        "capacity": {"mean": host.mean, "low": host.low, "high": host.high, "measurements": [one.source for one in measurements]},
        "safety": vars(safety),
        "plans": [one.to_json() for one in capacity.plans(params["rate"], host, safety)],
    }
    if params["topology"]:
        proposal = proposal_of(params)
        text += "\n# Topology\n\n" + slots_report.table(proposal)
        document["topology"] = proposal.to_json()
    files = {
        "scale.md": text,
        "hosts.svg": capacity_report.picture(params["rate"], host, safety),
        "scale.json": json.dumps(document, indent=2) + "\n",
    }
    return files, dict(text=text, **{key: document[key] for key in ("hosts", "topology") if key in document})


def write(folder, files):
    """Writes what differs, each file whole; says whether any did."""
    changed = False
    for name, text in files.items():
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as old:
                if old.read() == text:
                    continue
        changed = True
        os.makedirs(folder, exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as new:
            new.write(text)
        os.replace(path + ".new", path)
    return changed


def main():
    module = AnsibleModule(
        argument_spec={
            "rate": {"type": "float", "required": True},
            "measurements": {"type": "list", "elements": "path", "required": True},
            "scenario": {"type": "str", "default": "web"},
            "utilisation": {"type": "float", "default": 0.6},
            "spare_hosts": {"type": "int", "default": 1},
            "zones": {"type": "int", "default": 1},
            "topology": {"type": "dict", "default": {}},
            "weights": {"type": "dict", "default": {}},
            "nodes": {"type": "list", "elements": "dict", "default": []},
            "removed": {"type": "list", "elements": "int", "default": []},
            "items": {"type": "dict", "default": {}},
            "out": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        files, result = plan(module.params)
        changed = False if module.check_mode else write(module.params["out"], files)
    except (capacity.CapacityError, slots.TopologyError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, **result)


if __name__ == "__main__":
    main()
