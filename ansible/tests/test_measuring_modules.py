"""corelane_scale and corelane_perf on folders, with a load generator that is a script."""

import json
import os
import pathlib
import stat
import tarfile
import tempfile
import unittest
from unittest import mock

from tests import paths  # noqa: F401
import corelane_perf
import corelane_scale
from ansible.module_utils import corelane_capacity as capacity
from ansible.module_utils import corelane_slots as slots

TOPOLOGY = {
    "cluster": "c",
    "epoch": 3,
    "nodes": [{"id": 1, "address": "192.0.2.1:7401"}, {"id": 2, "address": "192.0.2.2:7401"}],
    "slots": [{"slots": "0-8191", "node": 1}, {"slots": "8192-16383", "node": 2}],
}
RESULT = {
    "rate_answered": 1000.0, "valid": True, "invalid_reasons": [], "errors": {"total": 0},
    "latency": {"p50_us": 10.0, "p99_us": 20.0}, "scenario": {"rate": None},
}
SEARCH = {"schema": 1, "objective": "p99=1ms", "runs": []}

# Writes what coreperf writes, and keeps how it was called.
COREPERF = """#!/usr/bin/python3
import json, os, sys
with open(os.path.join(os.path.dirname(sys.argv[0]), "calls"), "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
word = lambda flag: sys.argv[sys.argv.index(flag) + 1]
if sys.argv[1] == "run":
    os.makedirs(word("--out"))
    json.dump(%s, open(word("--out") + "/result.json", "w"))
    sys.exit(%d)
if sys.argv[1] == "report":
    open(word("--html"), "w").write("<html></html>")
if sys.argv[1] == "search":
    json.dump({"objective": word("--slo"), "met": 980.0, "missed": 1000.0}, open(word("--out"), "w"))
"""


class Ended(Exception):
    """A module has ended; what it returned is its argument."""


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)


class Scale(Folder):
    def params(self, **changes):
        given = {
            "rate": 10_000.0, "measurements": [str(self.root / "cap")], "utilisation": 0.5, "spare_hosts": 1, "zones": 1, "scenario": "hit",
            "topology": {}, "weights": {}, "nodes": [], "removed": [], "items": {}, "out": str(self.root / "out"),
        }
        return dict(given, **changes)

    def measured(self, *rates):
        for number, rate in enumerate(rates):
            folder = self.root / "cap" / ("2026-%d" % number)
            folder.mkdir(parents=True)
            (folder / ("search-hit-%d.json" % number)).write_text(json.dumps(dict(SEARCH, met=rate, missed=rate)))

    def test_folders_have_other_results_as_well(self):
        self.measured(1000.0)
        (self.root / "cap" / "search-web-1.json").write_text(json.dumps(dict(SEARCH, met=5.0, missed=5.0)))
        (self.root / "cap" / "result.json").write_text(json.dumps(dict(RESULT, rate_answered=9e9)))
        found = corelane_scale.read([str(self.root / "cap")], "hit")
        self.assertEqual([one.middle for one in found], [1000.0])
        # Named, it counts.
        found = corelane_scale.read([str(self.root / "cap" / "result.json")], "hit")
        self.assertEqual([one.middle for one in found], [9e9])

    def test_a_plan_is_written_once(self):
        self.measured(990.0, 1000.0, 1010.0)
        files, result = corelane_scale.plan(self.params())
        self.assertEqual(result["hosts"]["likely"], 21)
        self.assertEqual(sorted(files), ["hosts.svg", "scale.json", "scale.md"])
        out = str(self.root / "out")
        self.assertTrue(corelane_scale.write(out, files))
        self.assertFalse(corelane_scale.write(out, files))
        self.assertTrue(corelane_scale.write(out, dict(files, **{"scale.md": "other"})))
        self.assertEqual(sorted(os.listdir(out)), sorted(files))

    def test_nodes_are_weighed_added_and_removed(self):
        self.measured(1000.0)
        new = {"id": 3, "address": "192.0.2.3:7401"}
        _files, result = corelane_scale.plan(self.params(
            topology=TOPOLOGY, weights={"3": 2}, nodes=[new], removed=[2], items={"1": 600, "2": 300}))
        found = result["topology"]
        self.assertEqual([node["id"] for node in found["topology"]["nodes"]], [1, 3])
        self.assertEqual(found["slots_after"], {1: 5462, 3: 10922})
        # The odd slot stays where it is. Lost: all that node 2 held, and of node 1 the third that it gives up.
        self.assertEqual(found["items_lost"], {1: 200, 2: 300})
        self.assertEqual(TOPOLOGY["nodes"][0], {"id": 1, "address": "192.0.2.1:7401"})
        with self.assertRaisesRegex(slots.TopologyError, "node 9"):
            corelane_scale.plan(self.params(topology=TOPOLOGY, weights={"9": 1}))

    def test_the_seed_stays_where_it_is(self):
        self.measured(1000.0)
        for slots_ in (TOPOLOGY["slots"], None):
            given = {key: value for key, value in dict(TOPOLOGY, hash_seed=987654321, slots=slots_).items() if value is not None}
            files, result = corelane_scale.plan(self.params(topology=given, weights={"1": 2}))
            self.assertNotIn("987654321", json.dumps(result) + "".join(files.values()))
            self.assertIn("hash_seed stays as it is", result["text"])

    def test_mistakes_are_told(self):
        self.measured(1000.0)
        for changes, said in [
            ({"rate": 0.0}, "rate: found 0.0"),
            ({"rate": float("nan")}, "rate: found nan"),
            ({"rate": float("inf")}, "rate: found inf"),
            ({"rate": 1e300}, "rate: found 1e\\+300"),
            ({"topology": TOPOLOGY, "weights": {"x": 1}}, "allowed: ids of nodes"),
            ({"topology": TOPOLOGY, "weights": {"1": "abc"}}, "node 1: found a value of type str"),
            ({"topology": TOPOLOGY, "weights": {"1": float("nan")}}, "weight: found nan"),
            ({"topology": TOPOLOGY, "weights": {"1": 10 ** 400}}, "weight: found 1000"),
            ({"topology": TOPOLOGY, "nodes": [{"address": "c:1"}]}, "id: found None"),
            ({"topology": TOPOLOGY, "removed": [1, 2]}, "name 1 to 4096 nodes"),
            ({"topology": {"epoch": 1}}, "in force: corelane_topology.cluster"),
            ({"topology": dict(TOPOLOGY, nodes=None)}, "no list of nodes"),
            ({"topology": dict(TOPOLOGY, slots="x")}, "not a list of slots"),
            ({"topology": dict(TOPOLOGY, slots=[{"slots": "1"}])}, "not a list of slots"),
            ({"topology": TOPOLOGY, "items": {"x": 1}}, "items: found"),
        ]:
            with self.assertRaisesRegex((capacity.CapacityError, slots.TopologyError), said, msg=changes):
                corelane_scale.plan(self.params(**changes))
        # With -e numbers are texts.
        _files, result = corelane_scale.plan(self.params(
            topology=TOPOLOGY, weights={"1": "2"}, nodes=[{"id": "3", "address": "c:1", "weight": "1.5"}]))
        self.assertEqual([node.get("weight") for node in result["topology"]["topology"]["nodes"]], [2.0, None, 1.5])

    def test_files_that_are_no_measurements_are_told(self):
        file = self.root / "one.json"
        for content, said in [
            (b"null", "neither of"), (b"[]", "neither of"), (b"[", "no JSON"), (b"\xff", "no JSON"),
            (b'{"objective": 1, "met": "9", "missed": 10}', "type str"), (b'{"objective": 1, "met": 9, "missed": true}', "type bool"),
            (b'{"objective": 1, "met": NaN, "missed": 1}', "no range"), (b'{"rate_answered": null, "valid": true}', "type NoneType"),
        ]:
            file.write_bytes(content)
            with self.assertRaisesRegex(capacity.CapacityError, said, msg=content):
                corelane_scale.plan(self.params(measurements=[str(file)]))
        file.write_bytes(b'{"rate_answered": 5, "valid": true, "scenario": null}')
        self.assertEqual(corelane_scale.read([str(file)], "hit")[0].met, 5)

    def test_what_is_missing_is_said(self):
        with self.assertRaisesRegex(capacity.CapacityError, "no such file"):
            corelane_scale.plan(self.params())
        (self.root / "cap").mkdir()
        with self.assertRaisesRegex(capacity.CapacityError, "no measurement"):
            corelane_scale.plan(self.params())


class Perf(Folder):
    def run_module(self, status=0, result=None, **changes):
        program = self.root / "coreperf"
        program.write_text(COREPERF % (repr(result or RESULT), status))
        program.chmod(stat.S_IRWXU)
        scenario = self.root / "hit.toml"
        scenario.write_text('url = "http://127.0.0.1:8080/v1/kv/default/k"\n')
        params = {
            "coreperf": str(program), "scenarios": [str(scenario)], "target": "192.0.2.9:80", "agents": ["192.0.2.5:7700"],
            "rounds": 2, "options": ["--duration 1s"], "objective": "", "seconds_max": 30, "out": str(self.root / "results"),
        }
        params.update(changes)
        module = mock.Mock(params=params, check_mode=False)
        module.run_command.side_effect = lambda command: run(command)
        module.exit_json.side_effect = lambda **values: ended(values)
        module.fail_json.side_effect = lambda **values: ended(values)
        with mock.patch.object(corelane_perf, "AnsibleModule", return_value=module), self.assertRaises(Ended) as end:
            corelane_perf.main()
        self.calls = [json.loads(line) for line in (self.root / "calls").read_text().splitlines()]
        return end.exception.args[0]

    def test_every_round_is_run_and_collected(self):
        found = self.run_module()
        self.assertTrue(found["valid"])
        self.assertEqual(found["lines"][1], "hit, round 2: 1000 requests/s, p50 10 us, p99 20 us, 0 errors")
        self.assertEqual([call[0] for call in self.calls], ["run", "run", "report"])
        self.assertIn("http://192.0.2.9:80/v1/kv/default/k", self.calls[0])
        with tarfile.open(found["archive"]) as tar:
            names = tar.getnames()
        for name in ("./report.html", "./summary.txt", "./hit/corelane/1/result.json", "./hit/corelane/2/result.json"):
            self.assertIn(name, names)

    def test_a_run_that_was_not_valid_is_reported(self):
        found = self.run_module(status=1, result=dict(RESULT, valid=False, invalid_reasons=["late"], latency=None))
        self.assertFalse(found["valid"])
        self.assertIn("not valid: late", found["lines"][0])
        self.assertIn("archive", found)

    def test_a_run_that_failed_fails(self):
        found = self.run_module(status=2)
        self.assertIn("exit status 2", found["msg"])
        self.assertEqual(len(self.calls), 1)

    def test_a_search_needs_no_agents_and_makes_no_page(self):
        found = self.run_module(objective="p99=1ms", agents=[])
        self.assertEqual([call[0] for call in self.calls], ["search", "search"])
        self.assertIn("980 requests/s met p99=1ms", found["lines"][0])


def run(command):
    import subprocess

    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def ended(values):
    raise Ended(values)


if __name__ == "__main__":
    unittest.main()
