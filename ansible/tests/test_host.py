"""Facts of a host, from a folder that stands for it."""

import hashlib
import json
import os
import pathlib
import tempfile
import unittest

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_host as host
from ansible.module_utils import corelane_installed as installed

TCP = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
DIGEST = "a" * 64


class Facts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def put(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def link(self, path, target):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, file)

    def test_an_empty_host_has_no_facts_and_no_errors(self):
        found = host.gather(str(self.root))
        self.assertEqual((found["cpus"], found["interfaces"], found["release"], found["systemd"]), ([], {}, None, False))
        self.assertGreater(found["disk_free_bytes"], 0)

    def test_cpus_memory_and_limits(self):
        self.put("sys/devices/system/cpu/online", "0-3,8\n")
        self.put("sys/devices/system/node/node1/cpulist", "8\n")
        self.put("proc/meminfo", "MemTotal:       2048 kB\n")
        self.put("proc/sys/kernel/osrelease", "6.1.0\n")
        self.put("proc/sys/kernel/io_uring_disabled", "2\n")
        found = host.gather(str(self.root))
        self.assertEqual(found["cpus"], [0, 1, 2, 3, 8])
        self.assertEqual(found["numa_nodes"], {"1": [8]})
        self.assertEqual((found["memory_bytes"], found["kernel"], found["io_uring_disabled"]), (2 << 20, "6.1.0", 2))

    def test_network_cards(self):
        self.put("sys/class/net/lo/operstate", "unknown\n")
        self.put("sys/class/net/eth0/operstate", "up\n")
        self.put("sys/class/net/eth0/speed", "25000\n")
        self.put("sys/class/net/eth0/device/numa_node", "1\n")
        for queue in ("rx-0", "rx-1", "tx-0"):
            self.put("sys/class/net/eth0/queues/%s/x" % queue, "")
        wanted = {"up": True, "speed_mbps": 25000, "driver": None, "rx_queues": 2, "numa_node": 1}
        self.assertEqual(host.gather(str(self.root))["interfaces"], {"eth0": wanted})

    def test_who_listens(self):
        row = "   0: %s 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 %d 1\n"
        self.put("proc/net/tcp", TCP + row % ("00000000:1F90", "0A", 71) + row % ("0100007F:1F91", "01", 72))
        self.put("proc/net/tcp6", TCP + row % ("0" * 32 + ":23DC", "0A", 73))
        self.link("proc/42/fd/5", "socket:[71]")
        self.link("proc/42/exe", "/usr/sbin/nginx")
        self.assertEqual(host.gather(str(self.root))["listeners"], {"8080": "/usr/sbin/nginx", "9180": ""})

    def test_what_is_installed_and_what_runs(self):
        self.link("opt/corelane/current", "releases/" + DIGEST)
        self.link("proc/42/exe", "/opt/corelane/releases/%s/bin/corelane" % DIGEST)
        self.link("proc/43/exe", "/opt/corelane/releases/%s/bin/corectl" % DIGEST)
        found = host.gather(str(self.root))
        self.assertEqual((found["release"], found["running"]), (DIGEST, {"corelane": DIGEST}))
        self.assertEqual(installed.running_release(42, str(self.root)), DIGEST)
        self.assertIsNone(installed.running_release(44, str(self.root)))
        self.link("proc/45/exe", "/usr/bin/corelane")
        self.assertIsNone(installed.running_release(45, str(self.root)))

    def test_facts_have_no_secrets(self):
        for name in ("topology", "corelane", "shardstored"):
            self.put("etc/corelane/%s.toml" % name, "epoch = 3\nhash_seed = 24301\n")
        found = host.gather(str(self.root))
        self.assertNotIn("24301", str(found))
        self.assertIn("epoch = 3\n", found["topology"])

    def test_sums_of_an_installed_release(self):
        program = hashlib.sha256(b"program").hexdigest()
        manifest = json.dumps({"files": [{"path": "bin/corelane", "sha256": program}]})
        digest = hashlib.sha256(manifest.encode()).hexdigest()
        folder = "opt/corelane/releases/%s/" % digest
        self.assertIn("cannot be checked", installed.sums_fault(digest, str(self.root)))
        self.put(folder + "manifest.json", manifest)
        self.assertIn("bin/corelane", installed.sums_fault(digest, str(self.root)))
        self.put(folder + "bin/corelane", "program")
        self.assertIsNone(installed.sums_fault(digest, str(self.root)))
        self.put(folder + "bin/corelane", "another")
        self.assertIn("bin/corelane was changed", installed.sums_fault(digest, str(self.root)))
        self.put(folder + "manifest.json", manifest + " ")
        self.assertIn("is not that of release", installed.sums_fault(digest, str(self.root)))
