"""What all playbooks that change hosts have in common."""

import unittest

import yaml

from tests.paths import ANSIBLE


class Playbooks(unittest.TestCase):
    def test_a_rollout_decides_by_whole_groups_and_has_the_gate_on_both_ways(self):
        plays = yaml.safe_load((ANSIBLE / "playbooks/rollout.yml").read_text())
        look = next(play for play in plays if play["name"] == "Look at every host, and plan")
        plan = next(task for task in look["tasks"] if task["name"] == "Plan")
        self.assertNotIn("ansible_play_hosts", str(plan["vars"]["rollout_groups"]))
        self.assertIn("ansible_play_hosts_all", plan["corelane_rollout"]["wanted"]["chosen"])
        ways = [play["vars"]["rollout_way"] for play in plays if play.get("ansible.builtin.import_playbook") == "rollout_batches.yml"]
        self.assertEqual((ways, sorted(ways, reverse=True)), (ways, ways))
        self.assertGreaterEqual(min(ways.count("forward"), ways.count("back")), 2)

    def test_a_play_that_ends_with_its_first_error_ends_the_run(self):
        # With any_errors_fatal alone ansible-core 2.19 goes on to the next play when all hosts of a play are unreachable.
        for path in sorted(ANSIBLE.glob("playbooks/*.yml")):
            for play in yaml.safe_load(path.read_text()):
                if play.get("any_errors_fatal"):
                    self.assertEqual(play.get("max_fail_percentage"), 0, "%s: %s" % (path.name, play["name"]))

    def test_site_looks_before_it_changes_and_starts_nodes_before_edges(self):
        plays = yaml.safe_load((ANSIBLE / "playbooks/site.yml").read_text())
        self.assertEqual(plays[0].get("ansible.builtin.import_playbook"), "preflight.yml")
        order = [play["hosts"].split(":")[0] for play in plays if "hosts" in play]
        self.assertLess(order.index("nodes"), order.index("edges"))
