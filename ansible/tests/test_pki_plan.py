"""What there is to do in the folder of an authority."""

import unittest

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_pki_plan as plan


def authority(kind, name):
    return {"name": "ca-" + name, "role": "authority", "id": kind, "names": [], "state": "good", "authority": name}


def leaf(name, names=(), state="good", issuer="a"):
    role, _dash, own = name.partition("-")
    return {"name": name, "role": role, "id": own, "names": list(names), "state": state, "authority": issuer}


def shown(*rows, lists=90):
    return {"rows": list(rows), "lists_seconds_left": lists * 86400}


class Certificates(unittest.TestCase):
    def test_what_is_missing_is_issued_and_what_has_other_names_replaced(self):
        wanted = [{"role": "edge", "id": "e1", "names": ["n"], "ips": ["10.0.0.1"]}, {"role": "node", "id": "1", "names": [], "ips": ["10.0.0.2"]}]
        words = ["issue", "edge", "e1", "--name", "n", "--ip", "10.0.0.1"]
        there = leaf("node-1", ["10.0.0.2"])
        self.assertEqual(plan.issue_calls(shown(there), wanted), [words])
        self.assertEqual(plan.issue_calls(shown(there, leaf("edge-e1", ["n"])), wanted), [words + ["--replace"]])
        self.assertEqual(plan.issue_calls(shown(there, leaf("edge-e1", ["10.0.0.1", "n"])), wanted), [])

    def test_what_is_due(self):
        for rows, lists, wanted in [
            ([leaf("edge-e1")], 90, False), ([leaf("edge-e1", state="due")], 90, True), ([leaf("edge-e1", state="ended")], 90, True),
            ([leaf("edge-e1", issuer="b")], 90, True), ([leaf("edge-e1", state="revoked")], 90, False), ([leaf("edge-e1")], 29, True),
        ]:
            self.assertEqual(plan.is_renewal_due(shown(authority("current", "a"), *rows, lists=lists)), wanted, rows)


class Rotation(unittest.TestCase):
    OLD = shown(authority("current", "a"))
    BEGUN = shown(authority("current", "a"), authority("next", "b"))
    SWITCHED = shown(authority("current", "b"), authority("previous", "a"))
    DONE = shown(authority("current", "b"))

    def test_each_step_from_each_state(self):
        """A run that was cut off is continued by one that takes all steps again."""
        for state, started, begin, switch, finish, left in [
            (self.OLD, None, "begin", None, None, None),
            (self.OLD, "a", "begin", None, None, "a"),
            (self.BEGUN, "a", None, "switch", None, "a"),
            (self.SWITCHED, "a", None, None, "finish", "a"),
            (self.DONE, "a", None, None, None, None),
        ]:
            for step, call in (("begin", begin), ("switch", switch), ("finish", finish)):
                calls = plan.rotation_step(step, state, started)[0]
                self.assertEqual(calls, [["rotate-ca", call]] if call else [], (state, started, step))
            self.assertEqual(plan.rotation_step("end", state, started), ([], left))

    def test_what_is_started_is_noted_before_it_is_done(self):
        self.assertEqual(plan.rotation_step("begin", self.OLD, None)[1], "a")
        # One that a person has begun is continued.
        self.assertEqual(plan.rotation_step("begin", self.BEGUN, None), ([], "a"))
