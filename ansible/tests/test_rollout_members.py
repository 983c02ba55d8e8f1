"""What the inventory says of hosts for a rollout: the settings that they shall have, and where the controller asks them."""

import unittest

from tests import paths  # noqa: F401
from ansible.module_utils.corelane_declared import declared
from ansible.module_utils.corelane_identity import configuration_id
from ansible.module_utils.corelane_rollout_members import member
from ansible.module_utils.corelane_settings import edge_file
from ansible.module_utils.corelane_variables import with_defaults


def of(group, **variables):
    return member("h1", group, variables, with_defaults(variables, declared()))


class Members(unittest.TestCase):
    def test_an_edge(self):
        variables = {"ansible_host": "10.0.0.1", "corelane_admin_address": "0.0.0.0", "corelane_zone": "a"}
        found = of("edges", **variables)
        self.assertEqual((found["admin"], found["http"], found["zone"]), ("10.0.0.1:9180", "10.0.0.1:8080", "a"))
        # The very text that a step writes.
        text = edge_file(with_defaults(variables, declared()))
        self.assertEqual(found["configuration"], configuration_id({"/etc/corelane/corelane.toml": text}))
        self.assertNotEqual(found["configuration"], of("edges", corelane_edge_settings={"memory": "1GiB"}, **variables)["configuration"])

    def test_a_node(self):
        found = of("nodes", corelane_node_id=1, ansible_host="fd00::1", corelane_admin_address="::")
        self.assertEqual((found["admin"], found["http"]), ("[fd00::1]:9280", None))
        self.assertIsNotNone(found["configuration"])

    def test_what_cannot_be_made_of_variables_is_nothing(self):
        found = of("nodes", corelane_admin_address="0.0.0.0")
        self.assertEqual(found, {"configuration": None, "admin": None, "http": None, "zone": ""})
        # On loopback nobody else asks it.
        self.assertIsNone(of("edges")["admin"])

    def test_settings_win(self):
        found = of("edges", corelane_edge_settings={"admin": "10.1.1.1:99", "listen": ["unix:/run/x"]})
        self.assertEqual((found["admin"], found["http"]), ("10.1.1.1:99", None))


if __name__ == "__main__":
    unittest.main()
