"""Targets: addresses, labels, hosts that have none."""

import unittest

import tests.paths  # noqa: F401

from ansible.module_utils import corelane_targets as targets

HOSTS = {
    "e1": {"ansible_host": "192.0.2.1", "corelane_zone": "a", "corelane_rack": "r1", "corelane_topology": {"cluster": "c"}},
    "e2": {"ansible_host": "2001:db8::2", "corelane_admin_port": 9999},
    "e3": {"corelane_admin_port": 0},
    "e4": {"corelane_zone": ""},
}


class Targets(unittest.TestCase):
    def test_every_host_with_a_port_has_an_entry(self):
        self.assertEqual(
            targets.targets(HOSTS, HOSTS, "corelane_admin_port", 9180),
            [
                {"targets": ["192.0.2.1:9180"], "labels": {"instance": "e1", "cluster": "c", "zone": "a", "rack": "r1"}},
                {"targets": ["[2001:db8::2]:9999"], "labels": {"instance": "e2", "cluster": "none"}},
                {"targets": ["e4:9180"], "labels": {"instance": "e4", "cluster": "none"}},
            ],
        )

    def test_endpoints(self):
        self.assertEqual(targets.endpoints(["e1", "e2"], HOSTS, "corelane_perf_agent_port", 7700), ["192.0.2.1:7700", "[2001:db8::2]:7700"])


if __name__ == "__main__":
    unittest.main()
