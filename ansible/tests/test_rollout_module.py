"""The module of the state on the controller: what it takes from what was seen, whom it asks, and that two runs do not mix."""

import os
import tempfile
import threading
import unittest
from unittest import mock

from tests import modules
from ansible.module_utils import corelane_readiness
from tests.rollouts import HOSTS, NEW, OLD, outcome

module = modules.module("corelane_rollout")

RUN = {"pid": os.getpid(), "start": module.file.start_of(os.getpid())}


def looked(host, **changes):
    return dict({"current": OLD, "previous": None, "configuration": "s0", "running": OLD, "ready": True, "items": 0, "admin": "0.0.0.0:9180",
                 "admin_address": host + ":9180", "http_address": host + ":8080", "problem": None}, **changes)


def member(host, **changes):
    return dict({"configuration": "s0", "admin": host + ":1", "http": host + ":2", "zone": ""}, **changes)


class Phases(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "rollouts", "state.json")
        # Who answers /readyz.
        self.ready = [host + ":9180" for host in HOSTS] + [host + ":1" for host in HOSTS]
        self.asked = []
        patch = mock.patch.object(corelane_readiness, "is_ready", self.is_ready)
        patch.start()
        self.addCleanup(patch.stop)

    def is_ready(self, address):
        self.asked.append(address)
        return address in self.ready

    def phase(self, name, run=None, is_check=False, **given):
        with mock.patch.object(module.file, "run_of_this", return_value=run or RUN):
            defaults = {key: option.get("default") for key, option in module.ARGUMENTS.items()}
            return module.transition(dict(defaults, path=self.path, phase=name, **given), is_check)

    def begin(self, hosts=HOSTS, wanted=(), seen=(), members=(), **given):
        base = {"action": "update", "target": NEW, "groups": {"edges": HOSTS, "nodes": []}, "chosen": list(hosts), "minimum": 2,
                "steps": {"edges": [1, "100%"], "nodes": [1]}, "on_dead": "rollback"}
        found = dict((host, looked(host)) for host in hosts)
        told = dict((host, member(host)) for host in HOSTS)
        return self.phase("begin", wanted=dict(base, **dict(wanted)), looked=dict(found, **dict(seen)), members=dict(told, **dict(members)), **given)

    def state(self):
        return module.file.read(self.path)


class Begin(Phases):
    def test_a_limit_leaves_the_others_in_the_fleet(self):
        answer = self.begin(["e1"])
        self.assertEqual(answer["batches"], [["e1"]])
        self.assertEqual(answer["goals"]["e1"], {"release": NEW, "configuration": "s0"})
        answer = self.phase("gate", hosts=["e1"])
        # Those that were not looked at are asked where the inventory says.
        self.assertEqual(sorted(self.asked), ["e1:9180", "e2:1", "e3:1"])
        self.assertEqual((answer["go"], answer["others"], answer["untouched"]), (["e1"], ["e2", "e3"], ["e2", "e3"]))

    def test_a_limit_does_not_lower_the_minimum(self):
        self.begin(["e1"])
        self.ready.remove("e3:1")
        answer = self.phase("gate", hosts=["e1"])
        self.assertEqual((answer["go"], answer["decision"]), ([], "halt"))

    def test_a_host_that_a_person_has_drained_is_in_the_plan_as_such(self):
        answer = self.begin(seen={"e1": looked("e1", ready=False, drained_by="mia")})
        self.assertIn("e1: drained by mia; it stays so, and is not watched", answer["said"])
        self.ready.remove("e1:9180")
        self.assertEqual(self.phase("gate", hosts=["e1"])["go"], ["e1"])
        stepped = {"outcome": "updated", "drained_by": "mia"}
        answer = self.phase("record", results={"e1": [{}, stepped]})
        self.assertEqual((answer["watch"], answer["said"]), ([], ["e1: updated; stays drained by mia"]))
        # The next one is the canary.
        answer = self.phase("gate", hosts=["e2", "e3"])
        self.assertEqual((answer["go"], answer["is_canary"]), ([], True))

    def test_hosts_that_are_where_they_shall_be_are_in_no_batch(self):
        there = looked("e1", current=NEW, running=NEW)
        self.assertEqual(self.begin(seen={"e1": there})["batches"], [["e2"], ["e3"]])

    def test_one_whose_process_is_another_or_that_is_not_ready_is(self):
        for changes in ({"running": OLD}, {"running": NEW, "ready": False}):
            os.path.exists(self.path) and os.unlink(self.path)
            self.assertEqual(self.begin(seen={"e1": looked("e1", current=NEW, **changes)})["batches"][0], ["e1"])

    def test_hosts_that_cannot_be_updated_are_named_at_once(self):
        seen = {"e1": looked("e1", current=None, problem="no program"), "e2": looked("e2", admin=None, problem="corelane.toml cannot be read: x")}
        with self.assertRaises(ValueError) as raised:
            self.begin(seen=seen, members={"e3": member("e3", admin=None)}, wanted={"chosen": ["e1", "e2"]}, hosts=["e1", "e2"])
        lines = str(raised.exception).split("\n")
        self.assertEqual([line.split(":")[0] for line in lines], HOSTS)
        self.assertIn("site.yml", lines[0])
        self.assertIn("corelane.toml cannot be read", lines[1])
        self.assertIn("corelane_admin_address", lines[2])
        self.assertIsNone(self.state())

    def test_of_groups_that_are_left_alone_nobody_is_asked(self):
        apart = {"groups": {"edges": ["e1", "e2"], "nodes": ["e3"]}, "minimum": "50%"}
        self.begin(["e1", "e2"], wanted=apart, members={"e3": member("e3", admin=None)})
        with self.assertRaisesRegex(ValueError, "e1.*corelane_admin_address"):
            os.unlink(self.path)
            self.begin(["e3"], wanted=apart, members={"e1": member("e1", admin=None)})

    def test_a_rollback_goes_on_without_hosts_that_cannot_be_read(self):
        self.begin(wanted={"action": "rollback", "target": OLD}, seen={"e2": looked("e2", current=None, problem="x")})
        self.assertEqual(self.state()["hosts"]["e2"]["state"], "broken")
        self.assertEqual(self.phase("plan")["batches"], [])
        # What is there already has nothing to do; another release has.
        os.unlink(self.path)
        answer = self.begin(wanted={"action": "rollback", "target": NEW}, seen={"e2": looked("e2", current=None, problem="x")})
        self.assertEqual(answer["batches"], [["e1"], ["e3"]])
        self.assertTrue(any("e2: cannot go back: no release is installed" in line for line in answer["said"]))

    def test_nodes_that_lose_values_want_a_word_also_on_the_way_back(self):
        nodes = {"groups": {"edges": [], "nodes": HOSTS}, "target": NEW}
        full = {"e1": looked("e1", items=5)}
        with self.assertRaisesRegex(ValueError, "e1 holds 5 values.*\n.*corelane_accept_node_data_loss"):
            self.begin(wanted=nodes, seen=full)
        self.begin(wanted=nodes, seen=full, accept_loss=True)
        self.phase("gate", hosts=["e1"])
        self.phase("record", results={"e1": [{}, {"outcome": "updated"}]})
        self.phase("watched", hosts=["e1"], verdict={"verdict": "fail", "sentence": "slow"})
        with self.assertRaisesRegex(ValueError, "e1 holds 5 values"):
            self.begin(wanted=nodes, seen=full)
        self.begin(wanted=nodes, seen=full, accept_loss=True)

    def test_with_check_nothing_is_written(self):
        self.assertTrue(self.begin(is_check=True)["changed"])
        self.assertFalse(os.path.exists(self.path))


class Runs(Phases):
    def through(self):
        for batch in self.phase("plan")["batches"]:
            go = self.phase("gate", hosts=batch)["go"]
            watch = self.phase("record", results=dict((host, [{}, {"outcome": "updated"}]) for host in go))["watch"]
            self.phase("watched", hosts=watch, verdict={"verdict": "pass", "sentence": "good"})
        return self.phase("end")

    def test_to_the_end_and_again_without_a_change(self):
        self.begin()
        self.assertTrue(self.through()["good"])
        seen = dict((host, looked(host, current=NEW, running=NEW)) for host in HOSTS)
        changed = [self.begin(seen=seen)["changed"], self.phase("plan")["changed"], self.phase("plan", way="back")["changed"]]
        end = self.phase("end")
        self.assertEqual((changed + [end["changed"]], end["good"]), ([False] * 4, True))

    def test_the_way_back(self):
        self.begin()
        self.phase("gate", hosts=["e1"])
        self.phase("record", results={"e1": [{}, {"outcome": "updated"}]})
        self.phase("watched", hosts=["e1"], verdict={"verdict": "fail", "sentence": "slow"})
        answer = self.phase("plan", way="back")
        self.assertEqual((answer["batches"], answer["goals"]["e1"]), ([["e1"]], {"release": OLD, "configuration": "s0"}))
        self.ready.remove("e3:9180")
        self.assertEqual(self.phase("gate", hosts=["e1"], way="back")["go"], [])
        self.ready.append("e3:9180")
        self.assertEqual(self.phase("gate", hosts=["e1"], way="back")["go"], ["e1"])
        self.assertEqual(self.phase("record", results={"e1": [{}, {"outcome": "updated"}]}, way="back")["watch"], [])
        self.assertEqual((self.phase("end")["good"], self.state()["decision"]), (False, "rolled_back"))

    def test_too_few_that_are_left_halt_it_in_the_file(self):
        self.begin(wanted={"on_dead": "finish"})
        self.phase("gate", hosts=["e1"])
        self.phase("record", results={"e1": [{"unreachable": True}, {}]})
        answer = self.phase("plan")
        self.assertEqual((answer["batches"], answer["decision"]), ([], "halt"))
        self.assertIn("none may be updated", self.phase("end")["said"][2])

    def test_another_run_is_refused_and_one_that_was_replaced_does_not_go_on(self):
        self.begin()
        with self.assertRaisesRegex(ValueError, "under way in process %d" % os.getpid()):
            self.begin(run={"pid": 1, "start": 1})
        dead = {"pid": os.getpid(), "start": RUN["start"] - 1}
        self.phase("end")
        self.begin(run=dead)
        self.begin()
        with self.assertRaisesRegex(ValueError, "taken over"):
            self.phase("gate", hosts=["e1"], run=dead)

    def test_of_two_that_begin_together_one_is_refused(self):
        reading, results = threading.Barrier(2, timeout=60), []
        read = module.file.read

        class Module:
            check_mode = False

            def __init__(self, given):
                self.params = given

            def fail_json(self, msg):
                results.append(msg)
                raise SystemExit

            def exit_json(self, **answer):
                results.append("begun")
                raise SystemExit

        def slow(path):
            found = read(path)
            try:
                # Both have read before one writes, unless a lock keeps them apart.
                reading.wait(0.5)
            except threading.BrokenBarrierError:
                pass
            return found

        given = {key: option.get("default") for key, option in module.ARGUMENTS.items()}
        given.update(path=self.path, phase="begin", looked=dict((host, looked(host)) for host in HOSTS),
                     members=dict((host, member(host)) for host in HOSTS),
                     wanted={"action": "update", "target": NEW, "groups": {"edges": HOSTS}, "chosen": HOSTS, "minimum": 2,
                             "steps": {"edges": [1]}, "on_dead": "rollback"})
        own = threading.local()

        def begin(run):
            own.run = run
            try:
                module.main()
            except SystemExit:
                pass

        with mock.patch.object(module, "AnsibleModule", lambda **_: Module(given)), mock.patch.object(module.file, "read", slow), \
                mock.patch.object(module.file, "run_of_this", lambda: own.run):
            # Two runs that live: this process, and its parent.
            parent = os.getppid()
            runs = [RUN, {"pid": parent, "start": module.file.start_of(parent)}]
            threads = [threading.Thread(target=begin, args=(run,)) for run in runs]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(sorted(result.split(" in ")[0] for result in results), ["a rollout is under way", "begun"])


class Told(unittest.TestCase):
    def test_outcomes_with_their_reasons(self):
        found = {"e1": dict(outcome("refused", "e1")["e1"], took="smoke 2.0 s")}
        self.assertEqual(module._told(found), ["e1: refused: refused (smoke 2.0 s)"])


if __name__ == "__main__":
    unittest.main()
