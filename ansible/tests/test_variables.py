"""Variables: their declaration, the README's table, and what is refused."""

import unittest

import yaml

from tests.paths import ANSIBLE
from ansible.module_utils import corelane_variables as variables


def specs():
    """The argument specifications of all roles."""
    return {path.parts[-3]: yaml.safe_load(path.read_text()) for path in ANSIBLE.glob("roles/*/meta/argument_specs.yml")}


def declared():
    return variables.declarations(specs())


class Declaration(unittest.TestCase):
    def test_the_readme_has_the_table(self):
        page = (ANSIBLE / "README.md").read_text()
        found = page.split("<!-- begin: variables -->\n")[1].split("<!-- end: variables -->")[0]
        wanted = variables.table(declared())
        self.assertEqual(found, wanted, "put this between the markers of ansible/README.md:\n" + wanted)

    def test_defaults_are_those_of_the_specification(self):
        for path in ANSIBLE.glob("roles/*/meta/argument_specs.yml"):
            defaults = path.parent.parent / "defaults" / "main.yml"
            found = (yaml.safe_load(defaults.read_text()) if defaults.exists() else None) or {}
            options = yaml.safe_load(path.read_text())["argument_specs"]["main"].get("options", {})
            wanted = {key: option["default"] for key, option in options.items() if "default" in option}
            self.assertEqual(found, wanted, str(path))

    def test_what_is_named_again_is_the_same(self):
        options = declared()
        for role, spec in specs().items():
            for key, option in spec["argument_specs"]["main"].get("options", {}).items():
                self.assertEqual(option.get("type"), options[key].get("type"), "%s: %s" % (role, key))
                self.assertIn("description", options[key], "%s: %s" % (role, key))

    def test_defaults_lie_in_their_ranges(self):
        for key, option in declared().items():
            if "default" in option:
                self.assertEqual(variables.check_value(key, option["default"], option), [])

    def test_ranges_are_of_declared_variables(self):
        named = set(variables.RANGES) | set(variables.NAMES) | set(variables.ADDRESSES)
        self.assertLessEqual(named, set(declared()))


class Faults(unittest.TestCase):
    def faults(self, **values):
        return [str(fault) for fault in variables.check_host(values, declared())]

    def test_what_is_right_passes(self):
        self.assertEqual(self.faults(corelane_profile="latency", corelane_http_port="80", corelane_zone="a-1", other=1), [])

    def test_an_unknown_variable_is_named_with_the_nearest(self):
        self.assertEqual(self.faults(corelane_profil="safe"), ['corelane_profil: unknown variable; did you mean "corelane_profile"?'])
        self.assertEqual(self.faults(corelane_xyzzy=1), ["corelane_xyzzy: unknown variable; ansible/README.md lists all variables"])

    def test_all_faults_come_at_once(self):
        cases = {
            "corelane_profile": ("fast", "found 'fast'; allowed: safe, throughput, latency, extreme"),
            "corelane_http_port": (0, "found 0; allowed: 1 to 65535"),
            "corelane_node_id": ("x", "found 'x'; allowed: a value of type int"),
            "corelane_shard_port": (1.5, "found 1.5; allowed: a value of type int"),
            "corelane_admin_port": (True, "found True; allowed: a value of type int"),
            "corelane_allow_downgrade": ("maybe", "found 'maybe'; allowed: a value of type bool"),
            "corelane_topology": ([], "found a value of type list; allowed: a value of type dict"),
            "corelane_zone": ("a b", "found 'a b'; allowed: 1 to 63 of a-z A-Z 0-9 . _ -"),
            "corelane_listen_address": ("eth0", "found 'eth0'; allowed: an IP address"),
            "corelane_tune_only": (["net", "nic"], "found 'nic'; allowed: net, filter, stack, irq, cpu, memory, kernel, service, boot"),
            "corelane_release": (None, "has no value; set it or remove it"),
        }
        found = self.faults(**{key: value for key, (value, _) in cases.items()})
        self.assertEqual(sorted(found), sorted("%s: %s" % (key, text) for key, (_, text) in cases.items()))

    def test_numbers_are_written_in_digits(self):
        for text in ("8_080", "٨٠٨٠", "8080\n", " 8080", "+8080", "0x50", "", "9" * 5000, [8080]):
            self.assertIn("allowed: a value of type int", "".join(self.faults(corelane_http_port=text)), text)
        for text in ("1_0", "nan", "inf", "1.", "1\n", "٢"):
            self.assertIn("allowed: a value of type float", "".join(self.faults(corelane_canary_cpu_ratio_max=text)), text)
        self.assertEqual(self.faults(corelane_canary_cpu_ratio_max="1.5", corelane_http_port="8080"), [])

    def test_large_numbers_are_faults(self):
        for value in (10 ** 400, 10 ** 5000, float("nan"), float("inf"), "1e400"):
            self.assertIn("allowed: 1.0 to 1000.0", "".join(self.faults(corelane_canary_cpu_ratio_max=value)))
        self.assertIn("allowed: 1 to 65535", "".join(self.faults(corelane_http_port=10 ** 5000)))
        self.assertIn("type bool", "".join(self.faults(corelane_allow_downgrade=10 ** 5000)))

    def test_no_message_has_the_seed(self):
        for key, value in [
            ("corelane_topology", "hash_seed = 987654321"), ("corelane_topology", [{"hash_seed": 987654321}]),
            ("corelane_edge_settings", "hash_seed = 987654321"), ("corelane_node_settings", [{"hash_seed": 987654321}]),
            ("corelane_release", {"hash_seed": 987654321}),
        ]:
            found = "".join(self.faults(**{key: value}))
            self.assertIn("found a value of type " + type(value).__name__, found)
            self.assertNotIn("987654321", found)
