"""What a service says of itself, and what is made of it where it does not say it, or says it otherwise."""

import unittest
from unittest import mock

from tests import paths  # noqa: F401
from tests.edge import Edge
from ansible.module_utils import corelane_service
from ansible.module_utils.corelane_drain_note import PERSON, STEP
from ansible.module_utils.corelane_http import Answer, HttpError, request
from ansible.module_utils.corelane_service import Service, ServiceError, seconds_of


class Active(unittest.TestCase):
    def is_active(self, *answer):
        with mock.patch.object(corelane_service, "attempt", return_value=answer):
            return Service("node").is_active()

    def test_states_of_a_unit(self):
        for state, substate, expected in [
            ("active", "running", True), ("reloading", "reload", True), ("activating", "start", True), ("deactivating", "stop-sigterm", True),
            ("maintenance", "cleaning", True), ("inactive", "dead", False), ("failed", "failed", False), ("dead", "dead", False),
            # It ends again and again: without a process there are no clients and no values.
            ("activating", "auto-restart", False), ("activating", "auto-restart-queued", False),
        ]:
            self.assertEqual(self.is_active(0, "ActiveState=%s\nSubState=%s" % (state, substate)), expected, (state, substate))

    def test_a_systemd_that_does_not_answer_is_no_service_that_is_down(self):
        for status, text, says in [
            (None, "systemctl: not done after 60 s", "whether shardstored runs: systemctl: not done after 60 s"),
            (1, "Failed to connect to bus", "Failed to connect"), (1, "", "status 1"), (0, "", "status 0"), (0, "SubState=dead", "SubState"),
        ]:
            with self.assertRaisesRegex(ServiceError, says):
                self.is_active(status, text)


TOTALS = {"requests": 1, "connections": 0, "items": 0, "memory_used_bytes": 0}


class Shapes(unittest.TestCase):
    """Answers of another program, or of another release."""

    def test_a_status_of_another_shape_is_an_error_and_leaves_nothing_drained(self):
        for found in [
            {}, [], None, "x", {"totals": TOTALS}, {"drain": None}, {"drain": None, "totals": []}, {"drain": None, "totals": {}},
            {"drain": None, "totals": dict(TOTALS, requests="1")}, {"drain": None, "totals": dict(TOTALS, connections=None)},
        ]:
            edge = Edge(self)
            edge.status = lambda: found
            service = edge.service()
            self.assertRaisesRegex(HttpError, "otherwise than this release", service.status)
            with self.assertRaisesRegex(ServiceError, "not drained: .*otherwise than this release"):
                service.drain(1, 0)
            self.assertEqual((edge.told, edge.drain, service.note.read()), (["/v1/drain", "/v1/undrain"], None, None), found)

    def test_a_drain_that_is_said_otherwise_is_one(self):
        edge = Edge(self)
        edge.status = lambda: {"drain": [1], "totals": TOTALS}
        edge.service().drain(5, 0)
        self.assertEqual(edge.told, ["/v1/drain"])

    def test_whatever_ends_a_drain_takes_it_back(self):
        for error, raised in ((AttributeError(), ServiceError), (KeyError("x"), ServiceError), (KeyboardInterrupt(), KeyboardInterrupt)):
            edge = Edge(self)
            service = edge.service()
            with mock.patch.object(service, "wait_quiet", side_effect=error), self.assertRaises(raised):
                service.drain(1, 0)
            self.assertEqual((edge.drain, service.note.read()), (None, None))
        edge = Edge(self)
        service = edge.service()
        service.settings["lame_duck"] = 5
        self.assertRaisesRegex(ServiceError, "found 5, allowed: a duration", service.drain, 1, 0)
        self.assertIsNone(edge.drain)
        self.assertRaises(ValueError, seconds_of, [])

    def test_a_readiness_of_another_shape_is_a_reason(self):
        for body in (b"[]", b'{"reasons": [1]}', b'{"reasons": null}', b'{"reasons": []}', b"null", b'{"reasons": "abc"}', b"", b"\xff", b"[" * 100000):
            service = Edge(self).service()
            with mock.patch.object(corelane_service, "request", lambda *words: Answer(503, body, {})):
                self.assertRegex(service.not_ready()[0], "^127.0.0.1:[0-9]+/readyz: status 503")
                self.assertEqual(len(service.not_ready()), 1)


class Owner(unittest.TestCase):
    """Who has drained a service that runs, where `/v1/status` fails."""

    def failing(self, service, times):
        left = [times]

        def asked(method, address, path, *more):
            if path == "/v1/status" and left[0]:
                left[0] -= 1
                raise HttpError("timed out")
            return request(method, address, path, *more)

        return mock.patch.multiple(corelane_service, request=asked, LOOK_SECONDS=0)

    def test_one_failure_is_asked_again(self):
        edge = Edge(self)
        edge.drain = {"cause": "request", "since": edge.since}
        with self.failing(edge.service(), 2):
            self.assertEqual(edge.service().drained_by(), (PERSON, "somebody"))

    def test_without_an_answer_it_is_the_persons_of_the_note_or_not_known(self):
        service = Edge(self).service()
        with self.failing(service, -1), mock.patch.object(corelane_service, "ASK_SECONDS", 0):
            self.assertRaisesRegex(ServiceError, "whether a person has drained it: timed out", service.drained_by)
            service.note.write(STEP, "root")
            self.assertRaises(ServiceError, service.drained_by)
            service.note.write(PERSON, "mia")
            self.assertEqual(service.drained_by(), (PERSON, "mia"))
            service.is_active = lambda: False
            self.assertEqual(service.drained_by(), (None, None))


if __name__ == "__main__":
    unittest.main()
