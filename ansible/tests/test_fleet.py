"""Preflight's judgement, on fleets that are made up."""

import copy
import json
import unittest

from tests.test_variables import declared
from ansible.module_utils import corelane_files as files
from ansible.module_utils import corelane_fleet as fleet

FACTS = {
    "kernel": "6.1.0-28-amd64",
    "io_uring_errno": 0,
    "io_uring_disabled": None,
    "nr_open": 1048576,
    "cpus": [0, 1, 2, 3],
    "numa_nodes": {"0": [0, 1], "1": [2, 3]},
    "memory_bytes": 64 << 30,
    "interfaces": {"eth0": {"up": True, "speed_mbps": 25000, "driver": "ice", "rx_queues": 4, "numa_node": 0}},
    "disk_free_bytes": 10 << 30,
    "clock_synchronized": True,
    "clock_offset_seconds": 0.1,
    "listeners": {},
    "systemd": True,
    "release": None,
    "topology": "",
    "settings": {"corelane": "", "shardstored": ""},
    "running": {},
}
TOPOLOGY = {"cluster": "t", "epoch": 1, "nodes": [{"id": 1, "address": "a:7401"}], "slots": [{"slots": "0-16383", "node": 1}]}
FLEET = {"corelane_release": "/r.tar.zst", "corelane_release_public_key": "/k", "corelane_topology": TOPOLOGY}


class Release:
    """A release whose programs refuse what they are told to."""

    def __init__(self, fault=None, refused=()):
        self.is_wrong = fault
        self.refused = refused

    def faults(self, _archive, _key):
        return [self.is_wrong] if self.is_wrong else []

    def digest(self):
        return "b" * 64

    def refusals(self, service, text):
        return [line for part, line in self.refused if part in text and service == "corelane"]


class Judgement(unittest.TestCase):
    def member(self, name, group, facts=None, tune=None, **values):
        found = {"facts": dict(copy.deepcopy(FACTS), **(facts or {})), "tune": tune}
        return fleet.Member(name, [group, "corelane"], dict(copy.deepcopy(FLEET), **values), found)

    def edge(self, name="e1", **changes):
        return self.member(name, "edges", **changes)

    def node(self, name="n1", **changes):
        return self.member(name, "nodes", **dict({"corelane_node_id": 1}, **changes))

    def faults(self, *members, release=None, refused=()):
        return ["%s: %s" % pair for pair in fleet.judge(list(members), declared(), Release(release, refused)).faults]

    def test_a_fleet_that_fits(self):
        verdict = fleet.judge([self.edge(), self.node()], declared(), Release())
        self.assertEqual(verdict.faults, [])
        self.assertEqual(verdict.warnings, [])
        self.assertIn(("n1", "topology: epoch none -> 1 (site.yml)"), verdict.changes)
        self.assertIn(("n1", "release: none -> bbbbbbbbbbbb"), verdict.changes)

    def test_another_release_of_a_host_that_serves_is_a_rollout(self):
        facts = {"release": "a" * 64, "running": {"corelane": "a" * 64}}
        verdict = fleet.judge([self.edge(facts=facts), self.node(facts={"release": "b" * 64})], declared(), Release())
        found = [change for change in verdict.changes if change[1].startswith("release")]
        self.assertEqual(found, [("e1", "release: aaaaaaaaaaaa -> bbbbbbbbbbbb (rollout.yml)")])

    def test_wrong_types_are_faults_and_not_the_end(self):
        for name, value, said in [
            ("corelane_release", True, "e1: corelane_release: found True; allowed: a value of type path"),
            ("corelane_topology", dict(TOPOLOGY, nodes=[{"id": [1], "address": "a:1"}]), "nodes[0].id: found [1]"),
            ("corelane_canary_cpu_ratio_max", 10 ** 400, "allowed: 1.0 to 1000.0"),
            ("corelane_edge_settings", {"cores": "0-99999999"}, "corelane_edge_settings.cores: found '0-99999999'; allowed"),
            ("corelane_edge_settings", {"cores": "3-1"}, "corelane_edge_settings.cores: found '3-1'; allowed"),
        ]:
            self.assertIn(said, "\n".join(self.faults(self.edge(**{name: value}))))

    def test_what_was_not_foreseen_is_a_fault_of_its_host(self):
        odd = self.edge("e2")
        del odd.found["facts"]["kernel"]
        found = self.faults(self.edge(corelane_http_port=0), odd)
        self.assertIn("e1: corelane_http_port: found 0; allowed: 1 to 65535", found)
        self.assertIn("e2: preflight: it could not be judged: KeyError in check", "\n".join(found))

    def test_each_fault_of_a_host(self):
        cases = [
            ({"kernel": "5.15.0"}, "kernel: 5.15.0; install 6.1 or later"),
            ({"systemd": False}, "systemd: it does not run here"),
            ({"io_uring_disabled": 2}, "io_uring: kernel.io_uring_disabled is 2"),
            ({"io_uring_errno": 1}, "io_uring: io_uring_setup fails with EPERM"),
            ({"nr_open": 1024}, "limits: fs.nr_open is 1024; sysctl fs.nr_open=1048576"),
            ({"disk_free_bytes": 1 << 20}, "disk: 1 MiB are free"),
            ({"clock_offset_seconds": -9.0}, "clock: -9.0 s from the controller's"),
            ({"listeners": {"8080": "/usr/sbin/nginx"}}, "corelane_http_port: port 8080 is taken by /usr/sbin/nginx"),
            ({"memory_bytes": 1 << 20}, "corelane_edge_settings.memory: 1GiB, and the host has 1 MiB"),
        ]
        for facts, expected in cases:
            found = self.faults(self.edge(facts=facts), self.node())
            self.assertEqual(len(found), 1, found)
            self.assertTrue(found[0].startswith("e1: " + expected), found)

    def test_a_link_that_came_up_slower(self):
        for wanted, count in ((25000, 0), (100000, 1)):
            found = self.faults(self.edge(corelane_link_mbps_min=wanted), self.node())
            self.assertEqual(len(found), count, found)
        self.assertEqual(len(self.faults(self.edge(facts={"interfaces": {}}, corelane_link_mbps_min=1), self.node())), 1)

    def test_a_port_that_the_own_service_has_is_not_taken(self):
        program = "/opt/corelane/releases/%s/bin/corelane" % ("a" * 64)
        self.assertEqual(self.faults(self.edge(facts={"listeners": {"8080": program}}), self.node()), [])

    def test_a_core_that_does_not_exist(self):
        found = self.faults(self.edge(corelane_edge_settings={"cores": [0, 4, 99]}), self.node())
        self.assertEqual(found, ["e1: corelane_edge_settings.cores: CPU 4, 99 does not exist; the host has 0-3; name CPUs of this host"])

    def test_all_faults_of_all_hosts_come_at_once(self):
        edge = self.edge(corelane_profile="fast", corelane_edge_settings={"cores": "9"})
        wrong = ("corelane_release", "/r.json: signed with another key", "take it again")
        found = self.faults(edge, self.node(), self.node("n2", corelane_profil="safe"), release=wrong)
        self.assertEqual(len(found), 5, found)
        for line, part in zip(found, ("fast", "CPU 9", "corelane_profil", "1 is that of n1", "signed with another key")):
            self.assertIn(part, line)

    def test_settings_that_the_program_refuses(self):
        refused = [("lame_duk", 'lame_duk: unknown key; did you mean "lame_duck"?')]
        found = self.faults(self.edge(corelane_edge_settings={"lame_duk": "1s"}), self.node(), refused=refused)
        wanted = 'e1: corelane_edge_settings: lame_duk: unknown key; did you mean "lame_duck"?; docs/config.md lists all keys'
        self.assertEqual(found, [wanted])
        self.assertIn("None has no form in TOML", self.faults(self.edge(corelane_edge_settings={"memory": None}), self.node())[0])

    def test_a_host_that_does_not_answer(self):
        dead = fleet.Member("e1", ["edges"], dict(FLEET), None)
        self.assertIn("e1: unreachable", self.faults(dead, self.node())[0])
        verdict = fleet.judge([dead, self.node()], declared(), Release(), True)
        self.assertEqual((verdict.faults, len(verdict.warnings)), ([], 1))

    def test_a_host_that_a_run_leaves_out(self):
        left_out = fleet.Member("e1", ["edges"], dict(FLEET, corelane_profile="fast"), fleet.NOT_ASKED)
        self.assertEqual(self.faults(left_out, self.node()), ["e1: corelane_profile: found 'fast'; allowed: safe, throughput, latency, extreme"])

    def test_one_topology_for_all(self):
        other = dict(TOPOLOGY, epoch=2)
        self.assertEqual(
            self.faults(self.edge(), self.node(corelane_topology=other)), ["n1: corelane_topology: not that of e1; set it once for the group corelane"]
        )

    def test_a_node_without_a_topology(self):
        node = self.node()
        del node.values["corelane_topology"]
        self.assertEqual(self.faults(node), ["n1: corelane_topology: not set, and the host is a node; set it for the group corelane: docs/topology.md"])

    def test_a_topology_that_is_older_than_the_hosts(self):
        self.assertIn("1, and the host has 7", self.faults(self.edge(facts={"topology": "epoch = 7\n"}), self.node())[0])

    def test_zones_are_of_all_hosts_or_of_none(self):
        self.assertEqual(len(self.faults(self.edge(corelane_zone="a"), self.node())), 1)
        self.assertEqual(self.faults(self.edge(corelane_zone="a"), self.node(corelane_zone="b")), [])

    def test_two_services_of_a_host_need_ports_of_their_own(self):
        both = self.node(corelane_admin_port=9280)
        both.groups.add("edges")
        self.assertIn("corelane_node_admin_port: 9280 is corelane_admin_port as well", self.faults(both)[0])

    def test_settings_that_differ(self):
        edge = self.edge(corelane_edge_settings={"memory": "2GiB"})
        text = fleet.settings.edge_file(fleet.variables.with_defaults(edge.values, declared()))
        edge.found["facts"]["settings"]["corelane"] = text.replace("2GiB", "1GiB")
        verdict = fleet.judge([edge, self.node()], declared(), Release())
        found = [line for _host, line in verdict.changes if line.startswith("settings")]
        self.assertEqual(found, ['settings of corelane: -memory = "1GiB"', 'settings of corelane: +memory = "2GiB"'])
        edge.values["corelane_edge_settings"]["hash_seed"] = 24301
        edge.found["facts"]["settings"]["corelane"] = files.redacted(text.replace("memory", "hash_seed = 5\nmemory"))
        found = [str(change) for change in fleet.judge([edge], declared(), Release()).changes]
        self.assertNotIn("24301", str(found))
        self.assertIn("settings of corelane: +hash_seed = (redacted, ", str(found))

    def test_what_is_not_of_the_product_is_checked_for_its_variables_alone(self):
        self.assertEqual(self.faults(self.edge(), self.node(), fleet.Member("m", ["monitoring"], {"corelane_zone": "a"}, None)), [])
        self.assertEqual(len(self.faults(self.edge(), self.node(), fleet.Member("m", ["monitoring"], {"corelane_zon": "a"}, None))), 1)

    def test_the_plan_of_corectl(self):
        line = {"action": "change", "knob": "nic.rps", "target": "eth0", "current": {"value": "f"}, "wanted": "0"}
        absent = {"action": "change", "knob": "service.core_map", "target": "", "current": "absent", "wanted": "a\nb"}
        plan = json.dumps({"problems": [], "lines": [line, absent, dict(line, action="keep")]})
        verdict = fleet.judge([self.edge(tune=[0, plan, ""]), self.node()], declared(), Release())
        self.assertIn(("e1", "tuning: nic.rps[eth0]: f -> 0"), verdict.changes)
        self.assertIn(("e1", "tuning: service.core_map is written"), verdict.changes)
        problems = json.dumps({"problems": ["NUMA nodes are not alike"], "lines": []})
        self.assertIn("corelane_profile: NUMA nodes are not alike", self.faults(self.edge(tune=[2, problems, ""]), self.node())[0])
        self.assertIn('unknown knob "x"', self.faults(self.edge(tune=[1, "", 'error: unknown knob "x"']), self.node())[0])

    def test_numa_nodes_that_are_not_alike_are_warned_of(self):
        facts = {"numa_nodes": {"0": [0, 1, 2], "1": [3]}}
        verdict = fleet.judge([self.edge(facts=facts), self.node()], declared(), Release())
        self.assertEqual([str(fault).split(";")[0] for _host, fault in verdict.warnings], ["numa: nodes have 1 and 3 CPUs"])
