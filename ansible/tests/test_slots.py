"""Slots: the owners that the binaries find, and proposals that move no slot that they need not."""

import collections
import unittest

import tests.paths  # noqa: F401

from ansible.module_utils import corelane_slots as slots
from ansible.module_utils import corelane_slots_report as report
from ansible.module_utils import corelane_topology as checks


def nodes(weights):
    return [{"id": node, "address": "192.0.2.%d:7401" % node, "weight": weight} for node, weight in weights.items()]


def topology(weights, parts=None):
    found = {"cluster": "c", "epoch": 7, "nodes": nodes(weights)}
    if parts:
        found["slots"] = parts
    return found


HALVES = [{"slots": "0-8191", "node": 1}, {"slots": "8192-16383", "node": 2}]


class Owners(unittest.TestCase):
    def test_they_are_those_of_the_binaries(self):
        # The vector of shardstore/src/placement/tests.rs.
        owners = slots.owners_of(topology({1: 1.0, 2: 1.0, 3: 2.0, 4: 0.5, 5: 1.0}))
        digest = 0
        for node in owners:
            digest = ((((digest << 5) | (digest >> 59)) & slots.MASK) ^ node) * 0x9E37_79B9_7F4A_7C15 & slots.MASK
        self.assertEqual([collections.Counter(owners)[node] for node in range(1, 6)], [3086, 3039, 5879, 1500, 2880])
        self.assertEqual(digest, 0xF1E4_6118_89ED_9916)

    def test_assigned_slots_win(self):
        owners = slots.owners_of(topology({1: 1.0, 2: 1.0}, [{"slots": "9", "node": 2}, {"slots": "10-19", "node": 1}]))
        self.assertEqual(owners[9], 2)
        self.assertEqual(set(owners[10:20]), {1})

    def test_what_no_process_would_take(self):
        for wrong, words in (
            (topology({}), "at least one"),
            (topology({1: 0}), "weight"),
            (topology({1: 1.0}, [{"slots": "0-9", "node": 2}]), "node 2 is not"),
            (topology({1: 1.0}, [{"slots": "9-0", "node": 1}]), "FIRST-LAST"),
            (topology({1: 1.0}, [{"slots": "16384", "node": 1}]), "16383"),
        ):
            with self.assertRaisesRegex(slots.TopologyError, words):
                slots.owners_of(wrong)


class Proposals(unittest.TestCase):
    def check(self, before, after_nodes, moved, items=None):
        proposal = slots.propose(before, after_nodes, items)
        # What is proposed passes preflight, and is what a process that reads it finds.
        self.assertEqual(checks.check(proposal.topology), [])
        owners = slots.owners_of(proposal.topology)
        self.assertEqual(collections.Counter(owners), proposal.after)
        self.assertEqual(sum(slots.moves(slots.owners_of(before), owners).values()), proposal.slots_moved)
        if moved is not None:
            self.assertEqual(proposal.slots_moved, moved)
        return proposal

    def test_nothing_to_do(self):
        proposal = self.check(topology({1: 1.0, 2: 1.0}, HALVES), nodes({1: 1.0, 2: 1.0}), 0)
        self.assertEqual(proposal.topology["epoch"], 7)
        self.assertIn("No slot moves", report.table(proposal))

    def test_assigned_slots_move_as_few_as_can_be(self):
        before = topology({1: 1.0, 2: 1.0}, HALVES)
        for weights, moved in (({1: 1.0, 2: 3.0}, 4096), ({1: 1.0, 2: 1.0, 3: 2.0}, 8192), ({1: 1.0}, 8192), ({3: 1.0}, 16384)):
            proposal = self.check(before, nodes(weights), moved)
            self.assertEqual(proposal.topology["epoch"], 8)
            wanted = {node: slots.SLOT_COUNT * weight / sum(weights.values()) for node, weight in weights.items()}
            self.assertEqual(dict(proposal.after), wanted)

    def test_three_shares_of_a_number_that_three_does_not_divide(self):
        thirds = slots.propose(topology({1: 1.0, 2: 1.0}, HALVES), nodes({1: 1.0, 2: 1.0, 3: 1.0}))
        self.assertEqual(sorted(thirds.after.values()), [5461, 5461, 5462])
        # The odd one stays where it is, so that it need not move.
        again = self.check(thirds.topology, nodes({1: 1.0, 2: 1.0, 3: 1.0}), 0)
        self.assertEqual(again.after, thirds.after)

    def test_without_assigned_slots_only_the_new_node_gets_any(self):
        proposal = self.check(topology({1: 1.0, 2: 1.0, 3: 1.0}), nodes({1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0}), None)
        self.assertEqual({new for _old, new in proposal.moved}, {4})
        self.assertLess(abs(proposal.slots_moved - 4096), 164)
        self.assertNotIn("slots", proposal.topology)

    def test_items_that_are_lost(self):
        before = topology({1: 1.0, 2: 1.0}, HALVES)
        proposal = self.check(before, nodes({1: 1.0, 2: 3.0}), 4096, {1: 1000, 2: 500})
        self.assertEqual(proposal.items_lost(), {1: 500})
        self.assertIn("about 500 items", report.table(proposal))
        unknown = self.check(before, nodes({1: 1.0, 2: 3.0}), 4096)
        self.assertEqual(unknown.items_lost(), {1: None})
        self.assertIn("not known", report.table(unknown))

    def test_items_come_from_the_status_of_nodes(self):
        status = {"cores": [{"cache": {"items": 3}}, {"cache": {"items": 4}}]}
        hostvars = {"n1": {"corelane_node_id": 1, "read": {"json": status}}, "n2": {"corelane_node_id": 2, "read": {"status": -1}}, "n3": {}}
        self.assertEqual(slots.items_by_node(hostvars, hostvars, "read"), {1: 7})

    def test_the_text_is_the_topology(self):
        text = report.table(slots.propose(topology({1: 1.0, 2: 1.0}, HALVES), nodes({1: 1.0, 2: 3.0})))
        self.assertIn("  epoch: 8", text)
        self.assertIn('    - { slots: "0-4095", node: 1 }', text)
        self.assertIn('    - { slots: "4096-16383", node: 2 }', text)


if __name__ == "__main__":
    unittest.main()
