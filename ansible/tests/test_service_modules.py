"""Modules that start, stop, drain and look at services: beside a process that answers, and a systemd that is written down."""

import unittest

from tests.edge import Edge
from tests.modules import module, ran
from ansible.module_utils.corelane_drain_note import PERSON, STEP
from ansible.module_utils.corelane_files import ProgramError
from ansible.module_utils.corelane_lock import LockError

NEW, OLD = "b" * 64, "a" * 64


class Lock:
    waited = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None


def locked(module_, purpose):
    return Lock()


def refused(module_, purpose):
    raise LockError("held by anna")


class Drain(unittest.TestCase):
    def drain(self, service, state, check_mode=False, changing=locked, **given):
        given = dict({"service": "edge", "state": state, "seconds_min": 0}, **given)
        return ran("corelane_drain", given, check_mode, Service=lambda kind: service, changing=changing, sender=lambda: "mia")

    def test_a_person_takes_it_out_and_puts_it_back(self):
        edge = Edge(self)
        service = edge.service()
        self.assertEqual(self.drain(service, "drained")["changed"], True)
        self.assertEqual((service.drained_by(), edge.told), ((PERSON, "mia"), ["/v1/drain"]))
        found = self.drain(service, "drained")
        self.assertEqual((found["changed"], found["drained_by"], edge.told), (False, "mia", ["/v1/drain"]))
        self.assertEqual(self.drain(service, "serving")["changed"], True)
        self.assertEqual((service.drained_by(), service.note.read(), edge.told[-1]), ((None, None), None, "/v1/undrain"))
        self.assertEqual(self.drain(service, "serving")["changed"], False)

    def test_check_mode_tells_nobody(self):
        edge = Edge(self)
        self.assertEqual((self.drain(edge.service(), "drained", True)["changed"], edge.told), (True, []))
        edge.drain = {"cause": "request", "since": edge.since}
        self.assertEqual((self.drain(edge.service(), "serving", True)["changed"], edge.told), (True, []))

    def test_what_a_step_left_becomes_the_persons(self):
        edge = Edge(self)
        service = edge.service()
        service.hold(STEP, "root")
        self.assertEqual(self.drain(service, "drained")["changed"], True)
        self.assertEqual(service.drained_by(), (PERSON, "mia"))

    def test_clients_that_stay_and_a_lock_that_is_held_are_failures(self):
        edge = Edge(self)
        edge.asked = edge.connections = 1
        found = self.drain(edge.service(), "drained", seconds=1)
        self.assertEqual((found["failed"], edge.told), (True, ["/v1/drain", "/v1/undrain"]))
        self.assertIn("does the balancer look at /readyz", found["msg"])
        self.assertIn("anna", self.drain(edge.service(), "drained", changing=refused)["msg"])


class Unit(unittest.TestCase):
    def setUp(self):
        self.told = []
        self.active, self.enabled, self.start_fails = True, True, False

    def run_program(self, command, seconds=60):
        self.told.append((" ".join(command), seconds))
        verb = command[1]
        if verb == "is-active":
            return (0, "active\n", "") if self.active else (3, "inactive\n", "")
        if verb == "is-enabled":
            return (0, "enabled\n", "") if self.enabled else (1, "linked\n", "")
        if verb == "restart" and self.start_fails:
            return 1, "", "Job failed"
        return 0, "", ""

    def must(self, command, seconds=60):
        status, out, err = self.run_program(command, seconds)
        if status:
            raise ProgramError(err)
        return out

    def attempt(self, command, seconds=60):
        status, out, err = self.run_program(command, seconds)
        return status, "bad settings" if command[0] == "journalctl" else out + err

    def unit(self, edge, check_mode=False, kind="edge", **given):
        self.service = edge.service(kind)
        given = dict({"service": "corelane", "admin": edge.address, "drain_seconds_min": 0}, **given)
        return ran(
            "corelane_unit", given, check_mode, Service=lambda kind: self.service, run=self.run_program, must=self.must, attempt=self.attempt,
            changing=locked, running=lambda: {"corelane": NEW}, STILL_SECONDS=0.01)

    def changes(self):
        return [words for words, _seconds in self.told if words.split()[1] not in ("is-active", "is-enabled")]

    def test_a_service_that_runs_is_left_alone(self):
        found = self.unit(Edge(self))
        self.assertEqual((found["changed"], found["digest"], self.changes()), (False, NEW, []))
        found = self.unit(Edge(self), restart=True)
        self.assertEqual((found["changed"], self.changes()), (True, ["systemctl reset-failed corelane", "systemctl restart corelane"]))

    def test_a_first_start(self):
        self.active = self.enabled = False
        found = self.unit(Edge(self))
        self.assertEqual(found["diff"][0]["after"], "started\nstarted at boot\n")
        self.assertIn("systemctl enable corelane", self.changes())
        self.told.clear()
        self.assertEqual((self.unit(Edge(self), check_mode=True)["changed"], self.changes()), (True, []))

    def test_a_service_that_does_not_come_is_a_failure_with_its_journal(self):
        self.active, self.start_fails = False, True
        self.assertIn("did not start: Job failed\nbad settings", self.unit(Edge(self))["msg"])
        edge = Edge(self)
        edge.ready, edge.reasons, self.active = False, ["no node can be reached"], True
        self.assertIn("not ready after 0 s: {\"reasons\": [\"no node can be reached\"]}\nbad settings", self.unit(edge, ready_seconds=0)["msg"])
        self.assertIn("refused", self.unit(Edge(self), admin="127.0.0.1:1", ready_seconds=0)["msg"])

    def test_an_edge_is_drained_before_it_is_stopped(self):
        edge = Edge(self)
        found = self.unit(edge, state="stopped")
        self.assertEqual((found["changed"], edge.told), (True, ["/v1/drain"]))
        self.assertEqual(self.changes(), ["systemctl stop corelane", "systemctl disable corelane"])
        self.assertIsNone(self.service.note.read())

    def test_one_that_a_person_has_drained_is_stopped_once_nobody_asks(self):
        edge = Edge(self)
        edge.drain = {"cause": "request", "since": edge.since}
        self.assertEqual((self.unit(edge, state="stopped")["changed"], edge.told), (True, []))

    def test_clients_that_stay_keep_it_running(self):
        edge = Edge(self)
        edge.asked = edge.connections = 1
        found = self.unit(edge, state="stopped", drain_seconds=1)
        self.assertEqual((found["failed"], self.changes(), edge.told), (True, [], ["/v1/drain", "/v1/undrain"]))

    def test_a_stop_may_take_what_the_settings_allow(self):
        edge = Edge(self)
        service = edge.service()
        service.settings["drain_timeout"] = "5m"
        edge.service = lambda kind: service
        self.unit(edge, state="stopped")
        self.assertIn(("systemctl stop corelane", 360), self.told)

    def test_a_node_is_stopped_once_edges_have_left_it(self):
        edge = Edge(self)
        # The address of the inventory is another: the host has left its group.
        found = self.unit(edge, kind="node", service="shardstored", state="stopped", admin="127.0.0.1:1")
        self.assertEqual((found["changed"], edge.told), (True, []))
        self.assertIn("systemctl stop shardstored", self.changes())
        self.told.clear()
        edge.node_requests = 1
        found = self.unit(edge, kind="node", service="shardstored", state="stopped", ready_seconds=0)
        self.assertIn("edges still ask this node", found["msg"])
        self.assertEqual(self.changes(), [])

    def test_what_does_not_run_is_not_asked(self):
        self.active = False
        edge = Edge(self)
        self.assertEqual((self.unit(edge, state="stopped")["changed"], edge.told), (True, []))
        self.assertEqual(self.changes(), ["systemctl disable corelane"])


class Facts(unittest.TestCase):
    LIST = '[{"digest": "%s", "current": true}, {"digest": "%s", "current": false}]' % (NEW, OLD)

    def facts(self, service, listed=(0, LIST)):
        return ran(
            "corelane_service_facts", {"service": "edge", "host": "192.0.2.1"}, Service=lambda kind: service, attempt=lambda command: listed)

    def test_what_a_service_says(self):
        edge = Edge(self)
        service = edge.service()
        service.settings.update(admin="0.0.0.0:" + edge.address.split(":")[1])
        found = self.facts(service)
        self.assertEqual(
            (found["current"], found["previous"], found["running"], found["ready"], found["items"], found["problem"]), (NEW, OLD, NEW, True, 7, None))
        # What listens on loopback cannot be asked from the controller.
        self.assertEqual((found["admin_address"], found["http_address"]), ("192.0.2.1:" + edge.address.split(":")[1], None))

    def test_who_has_drained_it(self):
        edge = Edge(self)
        service = edge.service()
        service.hold(PERSON, "mia")
        found = self.facts(service)
        self.assertEqual((found["drained"], found["drained_by"], found["ready"]), (True, "mia", False))
        service.hold(STEP, "root")
        found = self.facts(service)
        self.assertEqual((found["drained"], found["drained_by"]), (True, None))

    def test_a_host_that_cannot_say_has_a_problem(self):
        edge = Edge(self)
        edge.status = lambda: {"totals": {}, "drain": None}
        found = self.facts(edge.service(), (1, "no releases"))
        self.assertEqual((found["current"], found["previous"]), (None, None))
        self.assertIn("answers otherwise than this release: KeyError", found["problem"])
        service = edge.service()
        service.settings["admin"] = "127.0.0.1:1"
        self.assertIn("refused", self.facts(service)["problem"])
        self.assertIsNone(self.facts(service, (0, "nonsense"))["current"])

    def test_a_service_that_is_down_has_no_problem_of_its_own(self):
        service = Edge(self).service()
        service.is_active = lambda: False
        found = self.facts(service)
        self.assertEqual((found["ready"], found["running"], found["problem"]), (False, None, None))


class Loaded(unittest.TestCase):
    def test_modules_are_not_shared_between_tests(self):
        self.assertIsNot(module("corelane_unit"), module("corelane_unit"))


if __name__ == "__main__":
    unittest.main()
