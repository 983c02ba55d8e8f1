"""Topologies: what is one, what is not, and the file."""

import unittest

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_topology as topology


def of(**changes):
    values = {
        "cluster": "lab",
        "epoch": 3,
        "nodes": [{"id": 1, "address": "10.0.0.1:7401", "zone": "a"}, {"id": 2, "address": "[fd00::2]:7401", "weight": 2.0}],
        "slots": [{"slots": "0-8191", "node": 1}, {"slots": "8192-16382", "node": 2}, {"slots": 16383, "node": 1}],
    }
    values.update(changes)
    return {key: value for key, value in values.items() if value is not None}


def faults(**changes):
    return [str(fault) for fault in topology.check(of(**changes))]


class Check(unittest.TestCase):
    def test_what_is_right_passes(self):
        self.assertEqual(faults(), [])
        self.assertEqual(faults(slots=None, hash_seed=0), [])

    def test_slots_without_an_owner_and_with_two(self):
        slots = [{"slots": "0-99", "node": 1}, {"slots": "50-60", "node": 2}, {"slots": "200-16383", "node": 1}]
        self.assertEqual(
            faults(slots=slots),
            [
                "corelane_topology.slots[1]: slots 50-60 have an owner already; give each slot to one node",
                "corelane_topology.slots: slots 100-199 have no owner; give each to a node, or leave slots out altogether",
            ],
        )

    def test_the_seed_is_never_told(self):
        for seed in ("987654321", 98765432100000000000, [987654321], True):
            found = "".join(faults(hash_seed=seed))
            self.assertIn("hash_seed: found a value of type " + type(seed).__name__, found)
            self.assertNotIn("987654321", found)
        self.assertNotIn("987654321", "".join(faults(cluster={"hash_seed": 987654321})))

    def test_values_of_wrong_types_are_faults(self):
        for node in ({"id": [1]}, {"id": {}}, {"address": ["a:1"]}, {"weight": 10 ** 400}, {"weight": 10 ** 5000}, {"id": 1.0}):
            wrong = dict({"id": 1, "address": "a:1"}, **node)
            found = "".join(faults(nodes=[wrong, wrong], slots=None))
            self.assertIn("corelane_topology.nodes[0].%s: found" % list(node)[0], found)
            self.assertEqual(topology.check_hosts(of(nodes=[wrong]), {}), [])
        self.assertIn("is not one of the topology", "".join(faults(slots=[{"slots": "0-16383", "node": [1]}])))
        self.assertIn("allowed: \"N\"", "".join(faults(slots=[{"slots": "٥", "node": 1}])))
        self.assertEqual(len(topology.check_hosts({"nodes": 5}, {"n": {"id": 1, "zone": None, "port": None}})), 1)

    def test_each_fault_is_named(self):
        cases = [
            ({"epoch": 0}, "corelane_topology.epoch: found 0; allowed: 1 to 4294967295"),
            ({"epoch": True}, "corelane_topology.epoch: found True"),
            ({"cluster": "a b"}, "corelane_topology.cluster: found 'a b'"),
            ({"hash_seed": -1}, "corelane_topology.hash_seed: found a value of type int; allowed: an integer without quotes"),
            ({"colour": "red"}, 'corelane_topology: unknown key "colour"'),
            ({"nodes": []}, "corelane_topology.nodes: no list of nodes"),
            ({"nodes": [{"id": 1, "address": "a:1"}, {"id": 1, "address": "b:1"}], "slots": None}, "corelane_topology.nodes[1].id: 1 is that of nodes[0]"),
            ({"nodes": [{"id": 1, "address": "a"}], "slots": None}, "corelane_topology.nodes[0].address: found 'a'"),
            ({"nodes": [{"id": 1, "address": "a:1", "weight": 0}], "slots": None}, "corelane_topology.nodes[0].weight: found 0"),
            ({"nodes": [{"id": 1, "address": "a:1", "zone": "!"}], "slots": None}, "corelane_topology.nodes[0].zone: found '!'"),
            ({"slots": [{"slots": "0-16383", "node": 9}]}, "corelane_topology.slots[0]: node 9 is not one of the topology"),
            ({"slots": [{"slots": "0-16384", "node": 1}]}, "corelane_topology.slots[0]: found '0-16384'"),
            ({"slots": {"0": 1}}, "corelane_topology.slots: not a list"),
        ]
        for changes, expected in cases:
            self.assertTrue(any(line.startswith(expected) for line in faults(**changes)), (changes, faults(**changes)))

    def test_ranges_in_messages_are_bounded(self):
        slots = [{"slots": str(slot), "node": 1} for slot in range(0, 16384, 2)]
        self.assertIn("slots 1, 3, 5, 7 and 8188 more ranges have no owner", faults(slots=slots)[0])


class Hosts(unittest.TestCase):
    def faults(self, hosts):
        full = {name: dict({"zone": None, "port": None}, **values) for name, values in hosts.items()}
        return ["%s: %s" % pair for pair in topology.check_hosts(of(), full)]

    def test_hosts_that_fit(self):
        self.assertEqual(self.faults({"n1": {"id": 1, "zone": "a", "port": 7401}, "n2": {"id": 2}}), [])

    def test_two_nodes_with_one_id(self):
        found = self.faults({"n1": {"id": 1}, "n2": {"id": 1}})
        self.assertEqual(found, ["n2: corelane_node_id: 1 is that of n1 as well; give each node its own"])

    def test_a_node_that_the_topology_does_not_have(self):
        self.assertIn("no node of the topology has the id 9", self.faults({"n": {"id": 9}})[0])
        self.assertIn("a node without an id", self.faults({"n": {"id": None}})[0])

    def test_zone_and_port_that_contradict(self):
        found = self.faults({"n1": {"id": 1, "zone": "b", "port": 7402}})
        self.assertEqual(len(found), 2)
        self.assertIn("corelane_zone: b, and the topology has node 1 in a", found[0])
        self.assertIn("corelane_shard_port: 7402, and the topology has node 1 at 10.0.0.1:7401", found[1])


class File(unittest.TestCase):
    def test_its_text(self):
        text = topology.file_text(of(slots=[{"slots": "0-16383", "node": 1}]))
        body = text.split("\n", 1)[1]
        self.assertEqual(
            body,
            'cluster = "lab"\nepoch = 3\n\n[[node]]\nid = 1\naddress = "10.0.0.1:7401"\nzone = "a"\n\n[[node]]\nid = 2\n'
            'address = "[fd00::2]:7401"\nweight = 2.0\n\n[[assign]]\nslots = "0-16383"\nnode = 1\n',
        )
        self.assertEqual(topology.epoch_of(text), 3)
        self.assertEqual(topology.file_text({}), "")

    def test_an_epoch_does_not_go_back_and_is_not_used_twice(self):
        three, other, four = topology.file_text(of()), topology.file_text(of(slots=None)), topology.file_text(of(epoch=4))
        self.assertIsNone(topology.succession_fault(three, three))
        self.assertIsNone(topology.succession_fault(three, four))
        self.assertIsNone(topology.succession_fault("", three))
        self.assertIn("3, and the host has 4", str(topology.succession_fault(four, three)))
        self.assertIn("3 is that of another topology on the host", str(topology.succession_fault(three, other)))
