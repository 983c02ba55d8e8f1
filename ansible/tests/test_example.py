"""The example of an inventory is one that preflight accepts, on hosts that fit it."""

import json
import pathlib
import subprocess
import sys
import unittest

from tests.paths import ANSIBLE
from tests.test_fleet import FACTS, Release
from tests.test_variables import declared
from ansible.module_utils import corelane_fleet as fleet

CARD = {"up": True, "speed_mbps": 100000, "driver": "mlx5_core", "rx_queues": 64, "numa_node": 0}
HOST = dict(FACTS, cpus=list(range(64)), memory_bytes=256 << 30, interfaces={"eth0": CARD})


def inventory(name):
    """What Ansible reads: variables by host, and the groups of each."""
    program = pathlib.Path(sys.executable).parent / "ansible-inventory"
    command = [str(program), "-i", str(ANSIBLE / "inventories" / name), "--list"]
    read = json.loads(subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True, cwd=ANSIBLE).stdout)
    groups = {}

    def walk(group, path):
        for host in read.get(group, {}).get("hosts", []):
            groups.setdefault(host, set()).update(path + [group])
        for child in read.get(group, {}).get("children", []):
            walk(child, path + [group])

    walk("all", [])
    return read["_meta"]["hostvars"], groups


class Example(unittest.TestCase):
    def test_preflight_accepts_it(self):
        variables, groups = inventory("example")
        members = [fleet.Member(host, groups[host], variables.get(host, {}), {"facts": HOST}) for host in sorted(groups)]
        self.assertEqual(["%s: %s" % pair for pair in fleet.judge(members, declared(), Release()).faults], [])
        self.assertEqual(sum(len(member.services()) for member in members), 8)

    def test_it_has_two_zones_two_racks_and_two_profiles(self):
        variables, groups = inventory("example")
        product = [variables[host] for host in groups if "corelane" in groups[host]]
        for key in ("corelane_zone", "corelane_rack", "corelane_profile", "corelane_link_mbps_min"):
            self.assertEqual(len({values[key] for values in product}), 2, key)
