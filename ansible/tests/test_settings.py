"""Files of a host, and what settings name."""

import unittest

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_address as address
from ansible.module_utils import corelane_settings as settings
from ansible.module_utils import corelane_toml as toml

EDGE = {
    "corelane_listen_address": "0.0.0.0",
    "corelane_http_port": 8080,
    "corelane_admin_address": "fd00::1",
    "corelane_admin_port": "9180",
    "corelane_topology": {"epoch": 1},
    "corelane_edge_settings": {},
}


class Files(unittest.TestCase):
    def test_cpus_that_there_cannot_be(self):
        for text in ("0-99999999", "0-8192", "3-1", "99999999999", "٣", 8192, [9999], -1):
            self.assertIsNone(settings.cpu_list(text), text)
            self.assertEqual(settings.is_impossible(text), text not in ("٣", [9999]), text)
        self.assertEqual(settings.cpu_list("0-1,8191"), [0, 1, 8191])
        self.assertFalse(settings.is_impossible("auto") or settings.is_impossible("0-3") or settings.is_impossible([1]))

    def test_toml_has_plain_keys_before_tables(self):
        values = {"limits": {"a": 1}, "b": True, "c": ["x", 2], "keyspace": {"u.v": {"ttl": "1s"}}, "listener": [{"address": "a"}, {"address": 'q"'}]}
        wanted = 'b = true\nc = ["x", 2]\n\n[limits]\na = 1\n\n[keyspace]\n\n[keyspace."u.v"]\nttl = "1s"\n'
        wanted += '\n[[listener]]\naddress = "a"\n\n[[listener]]\naddress = "q\\""\n'
        self.assertEqual(toml.document(values), wanted)
        self.assertRaises(ValueError, toml.document, {"a": None})
        self.assertEqual(toml.value_text("a\x7f\n\"ö"), '"a\\u007f\\n\\"ö"')

    def test_an_edge(self):
        found = settings.edge_settings(EDGE)
        self.assertEqual(found["listen"], ["0.0.0.0:8080"])
        self.assertEqual(found["admin"], "[fd00::1]:9180")
        self.assertEqual(found["topology"], "/etc/corelane/topology.toml")
        self.assertNotIn("topology", settings.edge_settings(dict(EDGE, corelane_topology={})))

    def test_settings_of_the_inventory_win(self):
        found = settings.edge_settings(dict(EDGE, corelane_edge_settings={"admin": "unix:/a", "listener": [{"address": "a"}]}))
        self.assertEqual(found["admin"], "unix:/a")
        self.assertNotIn("listen", found)

    def test_a_node(self):
        values = dict(EDGE, corelane_node_id="2", corelane_shard_port=7401, corelane_node_admin_port=9280, corelane_node_settings={"memory": "1GiB"})
        self.assertTrue(settings.node_file(values).endswith('topology = "/etc/corelane/topology.toml"\nmemory = "1GiB"\n'))
        self.assertEqual(settings.node_settings(values)["node_id"], 2)

    def test_overrides(self):
        self.assertEqual(settings.tune_file({}), "")
        self.assertTrue(settings.tune_file({"knobs": {"net.core.somaxconn": 9}}).endswith('[knobs]\n"net.core.somaxconn" = 9\n'))
        self.assertEqual(len(settings.check_overrides({"knob": {}, "knobs": {}})), 1)


class Values(unittest.TestCase):
    def test_addresses_of_the_own_host(self):
        for listen, wanted in (("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")):
            self.assertEqual(address.local(listen), wanted)

    def test_addresses_from_outside(self):
        for listen, host, wanted in [
            ("0.0.0.0:9180", "192.0.2.1", "192.0.2.1:9180"), ("[::]:9180", "fd00::1", "[fd00::1]:9180"),
            ("192.0.2.9:1", "192.0.2.1", "192.0.2.9:1"), ("127.0.0.1:1", "192.0.2.1", None), ("127.0.0.1:1", "127.0.0.2", "127.0.0.1:1"),
            ("[::1]:1", "fd00::1", None), ("unix:/run/a", "192.0.2.1", None), (None, "192.0.2.1", None), ("", "192.0.2.1", None),
        ]:
            self.assertEqual(address.from_outside(listen, host), wanted, listen)

    def test_cpus(self):
        cases = [("auto", None), ("profile", None), ("0-2,8", [0, 1, 2, 8]), ([0, "4"], [0, 4]), (["a"], None), (3, [3]), ("", None), (True, None)]
        for value, wanted in cases:
            self.assertEqual(settings.cpu_list(value), wanted, value)

    def test_sizes(self):
        for text, wanted in (("1GiB", 1 << 30), ("2MB", 2000000), ("1.5GiB", None), ("7", None), (None, None)):
            self.assertEqual(settings.size_bytes(text), wanted)

    def test_cpus_that_are_named(self):
        values = {
            "corelane_edge_settings": {"cores": [7], "control_cpu": "auto"},
            "corelane_node_settings": {"cores": "8"},
            "corelane_profile_overrides": {"layout": {"housekeeping": "0", "workers": [1, 2]}},
        }
        found = settings.named_cpus(values, True, False)
        self.assertEqual([key.split(".", 1)[1] for key, _cpus in found], ["cores", "layout.housekeeping", "layout.workers"])
