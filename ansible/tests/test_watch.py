"""What asks processes over HTTP: watching, probes, smoke load, readiness; against a small server on loopback."""

import unittest

from tests import paths  # noqa: F401
from tests.edge import Edge
from tests.modules import module, ran
from ansible.module_utils.corelane_drain_note import PERSON, STEP, UNKNOWN
from ansible.module_utils.corelane_http import HttpError, request
from ansible.module_utils.corelane_service import ServiceError
from ansible.module_utils.corelane_smoke import smoke

class Watch(unittest.TestCase):
    def watch(self, edges):
        watch = module("corelane_watch")
        addresses = dict((host, edge.address) for host, edge in edges.items())
        before = watch.look_at_all(addresses)
        after = watch.look_at_all(addresses)
        windows = [watch.between(host, before[host], after[host]) for host in addresses]
        return watch.judge(windows[0], windows[1:], {"errors_share_max": 0.01, "latency_samples_min": 0})

    def test_hosts_that_are_alike(self):
        verdict = self.watch({"e1": Edge(self), "e2": Edge(self)})
        self.assertEqual(verdict["verdict"], "pass", verdict)

    def test_a_costly_one_is_found(self):
        costly = Edge(self)
        costly.cpu = 3.0
        self.assertEqual(self.watch({"e1": costly, "e2": Edge(self)})["verdict"], "fail")

    def test_an_address_that_is_not_known_is_a_reason(self):
        self.assertIn("not known", module("corelane_watch").look(None))

    def test_numbers_that_cannot_be_right_are_the_fault_of_their_host(self):
        ours, theirs, third = Edge(self), Edge(self), Edge(self)
        for edge in (ours, theirs, third):
            edge.requests_more = 9000
        given = {
            "hosts": ["e1"], "others": ["e2", "e3"], "seconds": 0, "limits": {"latency_samples_min": 0},
            "admin": {"e1": ours.address, "e2": theirs.address, "e3": third.address},
        }
        for cpu in (float("nan"), float("inf"), -1.0):
            ours.cpu, theirs.cpu = cpu, 1.0
            verdict = ran("corelane_watch", given)["verdict"]
            self.assertEqual(verdict["verdict"], "fail", verdict)
            self.assertIn("e1 could not be watched", verdict["sentence"])
            ours.cpu, theirs.cpu = 1.0, cpu
            self.assertEqual(ran("corelane_watch", given)["verdict"]["verdict"], "pass")

    def test_whatever_goes_wrong_is_that_of_one_host(self):
        watch = module("corelane_watch")
        asked = watch.request

        def request(method, address, path, **more):
            if address == "odd":
                raise OverflowError("too much")
            return asked(method, address, path, **more)

        watch.request = request
        self.assertEqual(watch.look("odd"), "OverflowError: too much")
        self.assertEqual(watch.answer_of("odd", "/a"), ("no answer (OverflowError: too much)", False))
        watch.LOOK_SECONDS = 0.01
        watch.stand_by({"e1": "odd"}, 3600)
        good = {"host": "e2", "requests": 9000, "responses": {}, "cpu_seconds": 1.0, "cpu_error_seconds": 0.01, "histograms": {}}
        limits = {"latency_samples_min": 0}
        self.assertEqual(watch.judged(dict(good, host="e1"), [good, {"host": "e3"}], limits)["verdict"], "pass")
        self.assertIn("e1 could not be watched: KeyError", watch.judged({"host": "e1"}, [good], limits)["sentence"])
        self.assertIn("e3 (cannot be compared with (KeyError", watch.judged(dict(good, host="e1"), [{"host": "e3"}], limits)["sentence"])

    def test_the_whole_module(self):
        ours, theirs = Edge(self), Edge(self)
        ours.requests_more = theirs.requests_more = 9000
        ours.values["/a"] = theirs.values["/a"] = b"same"
        for change, limits, expected in [
            ({}, {}, "pass"),
            ({}, {"latency_samples_min": 100}, "not enough data"),
            ({"others": []}, {}, "not enough data"),
            ({"untouched": []}, {}, "not enough data"),
            ({"clients": ["e2"]}, {"requests_min": 200}, "pass"),
            ({"clients": ["e3"]}, {}, "not enough data"),
            ({"hosts": ["e3"]}, {}, "fail"),
        ]:
            given = {
                "hosts": ["e1"], "others": ["e2"], "untouched": ["e2"], "admin": {"e1": ours.address, "e2": theirs.address, "e3": None},
                "http": {"e1": ours.address, "e2": theirs.address}, "seconds": 0, "probes": ["/a"],
                "limits": dict({"latency_samples_min": 0}, **limits),
            }
            found = ran("corelane_watch", dict(given, **change))
            self.assertEqual(found["verdict"]["verdict"], expected, (change, found["verdict"]))


class Probes(unittest.TestCase):
    def probes(self, edges, untouched=None, probes=("/a",), **given):
        watch = module("corelane_watch")
        addresses = dict((host, edge.address if hasattr(edge, "address") else edge) for host, edge in edges.items())
        verdict = {"host": "e1", "verdict": "pass", "sentence": "", "criteria": []}
        given = dict({"untouched": list(edges)[1:] if untouched is None else untouched, "http": addresses, "clients": []}, **given)
        return watch.with_probes(verdict, dict(given, probes=list(probes)), "e1")

    def edges(self, *values):
        edges = {}
        for index, value in enumerate(values):
            edges["e%d" % (index + 1)] = edge = Edge(self)
            edge.values["/a"] = value
        return edges

    def test_answers_are_compared(self):
        self.assertEqual(self.probes(self.edges(b"same", b"same"))["verdict"], "pass")
        verdict = self.probes(self.edges(b"other", b"same"))
        self.assertEqual(verdict["verdict"], "fail")
        self.assertIn("1 of 1 probes otherwise than e2", verdict["sentence"])

    def test_a_host_that_does_not_answer_is_no_judge(self):
        # The next of them is asked; where none answers nothing is known.
        edges = self.edges(b"same", b"same")
        gone = {"e1": edges["e1"], "e0": "127.0.0.1:1", "e2": edges["e2"]}
        self.assertEqual(self.probes(gone)["verdict"], "pass")
        verdict = self.probes(gone, untouched=["e0"])
        self.assertEqual(verdict["verdict"], "not enough data")
        self.assertIn("e0: no answer", verdict["sentence"])

    def test_that_two_fail_alike_is_no_evidence(self):
        edges = self.edges(b"same", b"same")
        verdict = self.probes(edges, probes=["/a", "/missing"])
        self.assertEqual(verdict["verdict"], "not enough data")
        self.assertIn("/missing: e2: 404", verdict["sentence"])
        # The next that has an answer is asked.
        edges = self.edges(b"same", None, b"same")
        self.assertEqual(self.probes(edges)["verdict"], "pass")
        edges["e1"].values["/a"] = None
        self.assertEqual(self.probes(edges)["verdict"], "fail")

    def test_a_canary_that_does_not_answer_fails(self):
        edges = self.edges(b"same", b"same")
        self.assertEqual(self.probes({"e1": "127.0.0.1:1", "e2": edges["e2"]})["verdict"], "fail")

    def test_probes_that_cannot_be_asked_are_not_passed(self):
        edges = self.edges(b"same", b"same")
        self.assertEqual(self.probes({"e1": None, "e2": edges["e2"]})["verdict"], "not enough data")
        self.assertEqual(self.probes({"e1": edges["e1"], "e2": None})["verdict"], "not enough data")
        # Nodes serve no HTTP; their clients are watched instead.
        self.assertEqual(self.probes({"e1": None}, clients=["e2"])["verdict"], "pass")
        self.assertEqual(self.probes({"e1": None}, probes=[])["verdict"], "pass")

    def test_hosts_that_were_updated_already_say_nothing(self):
        self.assertEqual(self.probes(self.edges(b"new", b"new", b"old"), untouched=["e3"])["verdict"], "fail")
        self.assertEqual(self.probes(self.edges(b"new", b"new"), untouched=[])["verdict"], "not enough data")


class WatchTogether(unittest.TestCase):
    def test_one_that_is_gone_is_not_watched_to_the_end(self):
        watch = module("corelane_watch")
        watch.LOOK_SECONDS, before = 0.01, watch.LOOK_SECONDS
        self.addCleanup(setattr, watch, "LOOK_SECONDS", before)
        # Ends long before the hour is over.
        watch.stand_by({"e1": "127.0.0.1:1"}, 3600)
        self.assertIn("refused", watch.look("127.0.0.1:1"))

    def test_verdicts_of_a_batch_are_the_worst(self):
        watch = module("corelane_watch")
        bad = {"host": "a", "verdict": "fail", "sentence": "slow", "criteria": []}
        good = {"host": "b", "verdict": "pass", "sentence": "good", "criteria": []}
        self.assertEqual(watch.together([good, bad])["sentence"], "slow")
        self.assertEqual(watch.together([good, good])["verdict"], "pass")

    def test_readiness_is_asked_of_all(self):
        rollout, edge, other = module("corelane_rollout"), Edge(self), Edge(self)
        other.ready = False
        found = rollout.ready(["e1", "e2", "e3", "e4"], {"e1": edge.address, "e2": other.address, "e3": "127.0.0.1:1"})
        self.assertEqual(found, ["e1"])


class Smoke(unittest.TestCase):
    def test_a_good_edge_is_left_as_it_was(self):
        edge = Edge(self)
        requests, fault = smoke(edge.address, 0.2)
        self.assertIsNone(fault)
        self.assertGreaterEqual(requests, 3)
        self.assertEqual(edge.values, {})

    def test_faults_are_told(self):
        for change, status, said in [
            (lambda value: b"x" + value[1:], 201, "instead of"),
            (lambda value: value + b"!", 201, "bytes instead of"),
            (bytes, 503, "PUT /v1/kv/default/corelane-smoke-"),
        ]:
            edge = Edge(self)
            edge.change, edge.put_status = change, status
            self.assertIn(said, smoke(edge.address, 5)[1])

    def test_nothing_is_left_where_an_answer_never_came(self):
        edge = Edge(self)
        edge.is_mute = True
        self.assertIn("PUT", smoke(edge.address, 5)[1])
        self.assertEqual(edge.values, {})

    def test_nobody_there(self):
        self.assertIn("refused", smoke("127.0.0.1:1", 5)[1])
        with self.assertRaises(HttpError):
            request("GET", "unix:/nowhere", "/")


class Drain(unittest.TestCase):
    def test_it_waits_until_nobody_asks(self):
        edge = Edge(self)
        edge.connections = 3
        service = edge.service()
        service.drain(30, 0, quiet_seconds=0.1)
        self.assertEqual((edge.told, service.drained_by()), (["/v1/drain"], (STEP, UNKNOWN)))
        edge.connections = 0
        edge.service().drain(30, 0, quiet_seconds=3600)

    def test_clients_that_stay_end_it_and_it_is_taken_back(self):
        edge = Edge(self)
        edge.asked = edge.connections = 1
        service = edge.service()
        with self.assertRaisesRegex(ServiceError, "does the balancer look at /readyz"):
            service.drain(0.5, 0, quiet_seconds=3600)
        self.assertEqual((edge.told, service.drained_by(), service.note.read()), (["/v1/drain", "/v1/undrain"], (None, None), None))

    def test_it_is_known_who_has_drained_it(self):
        edge = Edge(self)
        service = edge.service()
        self.assertEqual(service.drained_by(), (None, None))
        service.hold(STEP, "root")
        self.assertEqual(service.drained_by(), (STEP, "root"))
        service.release()
        edge.drain = {"cause": "request", "since": "2026-11-30T20:00:09Z"}
        self.assertEqual(service.drained_by(), (PERSON, UNKNOWN))
        service.is_active = lambda: False
        self.assertEqual(service.drained_by(), (None, None))

    def test_what_a_drain_says_of_readiness_is_no_fault(self):
        edge = Edge(self)
        edge.ready, edge.reasons = False, ["draining by request since x"]
        self.assertEqual(edge.service().not_ready(), [])
        edge.reasons.append("no node of the topology can be reached")
        self.assertEqual(edge.service().not_ready(), ["no node of the topology can be reached"])


if __name__ == "__main__":
    unittest.main()
