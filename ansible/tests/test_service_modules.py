"""Modules that start, stop, drain and look at services: beside a process that answers, and a systemd that is written down."""

import os
import signal
import unittest
from unittest import mock

from tests.edge import Edge
from tests.modules import module, ran
from ansible.module_utils import corelane_service
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

    def test_what_was_drained_before_is_not_put_back_where_clients_stay(self):
        edge = Edge(self)
        service = edge.service()
        service.hold(STEP, "root")
        edge.asked = edge.connections = 1
        self.assertTrue(self.drain(service, "drained", seconds=1)["failed"])
        self.assertEqual((edge.told, service.drained_by()), (["/v1/drain", "/v1/drain"], (PERSON, "mia")))

    def test_a_second_run_waits_for_the_clients_as_the_first_one_did(self):
        edge = Edge(self)
        service = edge.service()
        service.hold(PERSON, "mia")
        edge.asked = edge.connections = 1
        for _run in range(2):
            self.assertIn("clients still send", self.drain(service, "drained", seconds=0).get("msg", ""))
        self.assertFalse(self.drain(service, "drained", True, seconds=0)["failed"])
        edge.asked = edge.connections = 0
        self.assertEqual((self.drain(service, "drained")["changed"], edge.told), (False, ["/v1/drain"]))

    def test_a_drain_that_a_killed_restart_ended_is_made_again_or_ended(self):
        edge = Edge(self)
        service = edge.service()
        service.note.write(PERSON, "mia", restarting=True)
        self.assertEqual((self.drain(service, "drained")["changed"], edge.told), (True, ["/v1/drain"]))
        edge.drain = None
        service.note.write(PERSON, "mia", restarting=True)
        self.assertEqual((self.drain(service, "serving")["changed"], service.note.read()), (True, None))

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
        self.service.stop = lambda: self.must(["systemctl", "stop", self.service.kind.unit])
        # What it is asked by is known once its settings were read.
        settings, self.service.settings = self.service.settings, {}
        self.service.read_settings = lambda: setattr(self.service, "settings", settings)
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
        service = Edge(self).service()
        service.settings["drain_timeout"] = "5m"
        for status, said in ((0, ""), (1, "Job canceled"), (None, "not done after 360 s")):
            with mock.patch.object(corelane_service, "attempt", return_value=(status, said)) as attempt:
                if status == 0:
                    service.stop()
                else:
                    self.assertRaisesRegex(corelane_service.ServiceError, said, service.stop)
                attempt.assert_called_once_with(["systemctl", "stop", "corelane"], 360)

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


class Measuring(unittest.TestCase):
    def setUp(self):
        self.edge = Edge(self)
        self.service = self.edge.service()
        self.done, self.active, self.status, self.start_fails = [], True, 0, False
        self.service.is_active = lambda: self.active
        self.service.stop, self.service.restart = self.stop, self.restart

    def stop(self):
        self.done.append("stop")
        # A drain does not outlive the process.
        self.active, self.edge.drain = False, None

    def restart(self, seconds):
        self.done.append("start")
        self.active = True

    def measure(self, command, seconds):
        self.done.append("measure")
        return self.status, "| knob | gain |"

    def run_module(self, **names):
        names = dict({"attempt": self.measure, "changing": locked}, **names)
        return ran("corelane_tune_ab", {"command": ["ab"], "drain_seconds_min": 0}, Service=lambda kind: self.service, sender=lambda: "root", **names)

    def test_it_is_drained_before_and_serves_again(self):
        found = self.run_module()
        self.assertEqual((found["status"], found["lines"], self.done), (0, ["| knob | gain |"], ["stop", "measure", "start"]))
        self.assertEqual((self.edge.told, self.service.note.read()), (["/v1/drain"], None))

    def test_a_measurement_that_failed_leaves_it_serving(self):
        self.status = 2
        self.assertIn("exit status 2", self.run_module()["msg"])
        self.assertEqual((self.done[-1], self.active), ("start", True))
        self.status = 1
        self.assertFalse(self.run_module()["failed"])

    def test_whoever_ends_it_has_the_edge_back(self):
        def measure(command, seconds):
            os.kill(os.getpid(), signal.SIGTERM)
            return 0, ""

        self.addCleanup(lambda: [signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)])
        self.addCleanup(signal.signal, signal.SIGINT, signal.default_int_handler)
        self.assertIn("ended by signal 15", self.run_module(attempt=measure)["msg"])
        self.assertEqual((self.done, self.active), (["stop", "start"], True))

    def test_clients_that_stay_keep_it_running(self):
        self.edge.asked = self.edge.connections = 1
        with mock.patch.object(self.service, "wait_quiet", side_effect=corelane_service.ServiceError("clients still send requests")):
            self.assertIn("clients still", self.run_module()["msg"])
        self.assertEqual((self.done, self.edge.told), ([], ["/v1/drain", "/v1/undrain"]))

    def test_one_that_a_person_has_drained_stays_drained(self):
        self.service.hold(PERSON, "mia")
        self.run_module()
        self.assertEqual((self.service.drained_by(), self.done), ((PERSON, "mia"), ["stop", "measure", "start"]))

    def test_one_that_did_not_run_is_not_started(self):
        self.active = False
        self.run_module()
        self.assertEqual(self.done, ["measure"])

    def test_one_that_a_killed_measurement_has_stopped_is_started(self):
        self.active = False
        self.service.note.write(STEP, "root", restarting=True)
        self.run_module()
        self.assertEqual((self.done, self.service.note.read()), (["stop", "measure", "start"], None))

    def test_with_check_nothing_is_done(self):
        found = ran("corelane_tune_ab", {"command": ["ab"]}, True, Service=lambda kind: self.service)
        self.assertEqual((found["changed"], self.done), (True, []))


class InService(unittest.TestCase):
    def run_module(self, leaving, serving=("e1", "e2", "e3"), minimum="2", unknown=()):
        def ready(hosts, admin):
            self.asked = True
            return [host for host in hosts if admin[host] and host in serving]

        self.asked = False
        members = dict((host, {"admin": None if host in unknown else host + ":1"}) for host in ("e1", "e2", "e3"))
        return ran("corelane_in_service", {"leaving": leaving, "members": members, "minimum": minimum}, ready=ready)

    def test_table(self):
        for leaving, serving, minimum, says in [
            (["e1"], ("e1", "e2", "e3"), 2, None),
            (["e1", "e2"], ("e1", "e2", "e3"), 2, "e2 must stay: 3 of 3 hosts serve, and 2 must"),
            (["e1"], ("e1", "e2"), 2, "e1 must stay: 2 of 3 hosts serve, and 2 must (corelane_rollout_min_in_service); not ready: e3"),
            # One that does not serve takes nothing away.
            (["e3"], ("e1", "e2"), 2, None),
            (["e1", "e2", "e3"], ("e1", "e2", "e3"), "75%", "must stay"),
            (["e1"], (), "many", "allowed: a number of hosts"),
        ]:
            found = self.run_module(leaving, serving, minimum)
            self.assertEqual(found["failed"], says is not None, (leaving, serving, minimum))
            self.assertIn(says or "", found.get("msg", ""))

    def test_nobody_is_asked_where_nothing_is_to_be_kept(self):
        for leaving, minimum in ((["e1"], 0), (["n1"], 3), ([], 3)):
            self.assertFalse(self.run_module(leaving, minimum=minimum)["failed"])
            self.assertFalse(self.asked)

    def test_hosts_that_cannot_be_asked_do_not_count(self):
        self.assertIn("set corelane_admin_address: e2, e3", self.run_module(["e1"], minimum=1, unknown=("e2", "e3"))["msg"])


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
        self.assertIn("answers otherwise than this release: totals.requests is no number", found["problem"])
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
