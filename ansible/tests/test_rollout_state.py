"""The state machine of a rollout: what a run does after another was killed, refused, or lost a host."""

import json
import unittest

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_rollout_state as rollout

OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64
PASS = {"verdict": "pass", "sentence": "good"}
FAIL = {"verdict": "fail", "sentence": "slow"}
UNKNOWN = {"verdict": "not enough data", "sentence": "no load"}


def wanted(**changes):
    hosts = ["e1", "e2", "e3"]
    base = {
        "action": "update", "target": NEW, "groups": {"edges": hosts}, "minimum": "50%", "steps": {"edges": [1, "100%"]},
        "on_dead": "finish", "zones": {}, "dead": [], "current": dict.fromkeys(hosts, OLD), "previous": {},
    }
    return dict(base, **changes)


def begin(before=None, **changes):
    # What is between two runs is a file.
    return rollout.begin(json.loads(json.dumps(before)), wanted(**changes), "now")


def states(state):
    return dict((host, found["state"]) for host, found in state["hosts"].items())


def outcome(kind, *hosts):
    return dict((host, {"outcome": kind, "why": kind}) for host in hosts)


def step(state, batch, kind="updated", verdict=PASS, in_service=("e1", "e2", "e3")):
    """One batch, from the gate to the verdict."""
    state, go, _said = rollout.gate(state, batch, in_service, 1)
    state = rollout.record(state, outcome(kind, *go))
    return rollout.watched(state, go, verdict, False) if verdict and kind == "updated" else state


class Forward(unittest.TestCase):
    def test_a_rollout_without_trouble(self):
        state = begin()
        self.assertEqual(rollout.batches(state), [("edges", ["e1"]), ("edges", ["e2"]), ("edges", ["e3"])])
        for host in ("e1", "e2", "e3"):
            state = step(state, [host])
        state, said, good = rollout.end(state)
        self.assertTrue(good)
        self.assertEqual(said, ["rollout of bbbbbbbbbbbb: done (3 updated)"])

    def test_killed_in_mid_batch_the_rest_is_done_by_the_next_run(self):
        state = step(begin(), ["e1"])
        state, go, _said = rollout.gate(state, ["e2"], ["e1", "e2", "e3"], 1)
        self.assertEqual(go, ["e2"])
        state = begin(state, current={"e1": NEW, "e2": NEW, "e3": OLD})
        self.assertEqual(states(state), {"e1": "updated", "e2": "waiting", "e3": "waiting"})
        self.assertEqual(rollout.batches(state), [("edges", ["e2"]), ("edges", ["e3"])])
        # What it ran before the first run is what it would go back to.
        self.assertEqual(state["hosts"]["e2"]["before"], OLD)

    def test_hosts_that_have_the_release_already_need_not_be_watched(self):
        state = begin(current=dict.fromkeys(["e1", "e2", "e3"], NEW))
        state, go, _said = rollout.gate(state, ["e1"], ["e1", "e2", "e3"], 1)
        state = rollout.record(state, outcome("unchanged", *go))
        self.assertEqual((rollout.to_watch(state, go), state["watched"]), ([], ["e1"]))
        state = rollout.record(begin(), outcome("updated", "e1"))
        self.assertEqual(rollout.to_watch(state, ["e1"]), ["e1"])
        # Changed by a run that was killed before it watched.
        state = rollout.record(begin(begin(), current={"e1": NEW}), outcome("unchanged", "e1"))
        self.assertEqual(rollout.to_watch(state, ["e1"]), ["e1"])
        self.assertEqual(rollout.to_watch(rollout.record(begin(), outcome("refused", "e1")), ["e1"]), [])

    def test_a_canary_that_was_not_watched_is_watched_first(self):
        state = begin(step(begin(), ["e1"], verdict=None))
        self.assertEqual(rollout.batches(state)[0], ("edges", ["e1"]))
        state, go, _said = rollout.gate(state, ["e1"], ["e2", "e3"], 2)
        self.assertEqual(go, ["e1"])
        self.assertEqual(rollout.batches(state)[1:], [("edges", ["e2"]), ("edges", ["e3"])])

    def test_another_release_waits_for_the_end_of_this_one(self):
        with self.assertRaisesRegex(rollout.RolloutError, "has not ended.*rollback.yml"):
            begin(begin(), target=OTHER)
        done = begin()
        for host in ("e1", "e2", "e3"):
            done = step(done, [host])
        done = rollout.end(done)[0]
        self.assertEqual(set(states(begin(done, target=OTHER)).values()), {"waiting"})

    def test_a_new_host_joins_and_one_that_left_is_forgotten(self):
        state = begin(step(begin(), ["e1"]), groups={"edges": ["e1", "e4"]})
        self.assertEqual(states(state), {"e1": "updated", "e4": "waiting"})

    def test_without_enough_data_it_halts_and_the_next_run_goes_on(self):
        state = step(begin(), ["e1"], verdict=UNKNOWN)
        self.assertEqual(state["decision"], "halt")
        self.assertEqual(rollout.gate(state, ["e2"], ["e1", "e2", "e3"], 1)[1], [])
        state = begin(state)
        self.assertEqual(rollout.batches(state)[0], ("edges", ["e1"]))
        state = rollout.watched(state, ["e1"], UNKNOWN, True)
        self.assertEqual((state["decision"], state["watched"]), ("go", ["e1"]))


    def test_hosts_are_compared_with_those_that_have_the_old_release(self):
        state = begin()
        self.assertEqual(rollout.others(state, ["e1"], ["e1", "e2", "e3"]), ["e2", "e3"])
        self.assertEqual(rollout.others(state, ["e1"], ["e1", "e3"]), ["e3"])
        state = step(step(state, ["e1"]), ["e2"])
        self.assertEqual(rollout.others(state, ["e3"], ["e1", "e2", "e3"]), ["e1", "e2"])

    def test_what_a_restart_loses_is_said(self):
        looked = {"n1": {"items": 5, "bytes": 3 << 20}, "n2": {"items": 0}, "e1": {"items": 2, "embedded": True}, "e2": {"items": 2}}
        said = rollout.losses(looked, {"edges": ["e1", "e2"], "nodes": ["n1", "n2"]})
        self.assertEqual(sorted(said), ["e1", "n1"])
        self.assertEqual(said["n1"], "n1 holds 5 values (3 MiB) in memory only; its restart loses them")

    def test_outcomes_of_tasks(self):
        for staged, stepped, outcome in [
            ({}, {"outcome": "updated"}, "updated"),
            ({"unreachable": True}, {"skipped": True}, "dead"),
            ({}, {"unreachable": True}, "dead"),
            ({"failed": True, "msg": "disk full"}, {"skipped": True}, "refused"),
            ({}, {"failed": True, "msg": "MODULE FAILURE"}, "broken"),
        ]:
            self.assertEqual(rollout.outcome_of(staged, stepped)["outcome"], outcome, (staged, stepped))


class Minimum(unittest.TestCase):
    def test_the_gate_holds_back_what_would_break_the_minimum(self):
        state = begin()
        state, go, said = rollout.gate(state, ["e2"], ["e2"], 1)
        self.assertEqual((go, state["decision"]), ([], "halt"))
        self.assertIn("1 hosts serve and 1 must", said[0])
        self.assertEqual(states(state)["e2"], "waiting")


class Back(unittest.TestCase):
    def test_a_refused_canary_is_not_followed(self):
        state = step(begin(), ["e1"], "refused")
        self.assertEqual(state["decision"], "rollback")
        self.assertEqual(rollout.gate(state, ["e2"], ["e1", "e2", "e3"], 1)[1], [])
        self.assertEqual(rollout.returning(state), [])
        state, said, good = rollout.end(state)
        self.assertEqual((state["decision"], good), ("rolled_back", False))
        self.assertIn("because: e1: refused", said)

    def test_a_bad_verdict_takes_back_all_that_was_touched(self):
        state = step(step(begin(), ["e1"]), ["e2"], verdict=FAIL)
        self.assertEqual(rollout.returning(state), [("edges", ["e1"]), ("edges", ["e2"])])
        state = rollout.record_return(state, outcome("updated", "e1", "e2"))
        state, _said, good = rollout.end(state)
        self.assertEqual((state["decision"], good), ("rolled_back", False))
        self.assertEqual(states(state), {"e1": "returned", "e2": "returned", "e3": "waiting"})
        # A new attempt begins anew.
        self.assertEqual(set(states(begin(state)).values()), {"waiting"})

    def test_killed_while_going_back_it_goes_on_going_back(self):
        state = begin(step(step(begin(), ["e1"]), ["e2"], verdict=FAIL))
        self.assertEqual(state["decision"], "rollback")
        self.assertEqual(rollout.gate(state, ["e3"], ["e3"], 0)[1], [])
        self.assertEqual(rollout.returning(state), [("edges", ["e1"]), ("edges", ["e2"])])

    def test_a_host_that_had_the_release_before_keeps_it(self):
        state = begin(current={"e1": NEW, "e2": OLD, "e3": OLD})
        state = step(state, ["e1"], "unchanged")
        state = step(state, ["e2"], verdict=FAIL)
        self.assertEqual(rollout.returning(state), [("edges", ["e2"])])

    def test_after_the_canary_batches_are_those_that_follow_it(self):
        hosts = ["e1", "e2", "e3", "e4", "e5"]
        wide = {"groups": {"edges": hosts}, "steps": {"edges": [1, 2]}, "minimum": 1, "current": dict.fromkeys(hosts, OLD)}
        state = begin(**wide)
        self.assertEqual([len(batch) for _group, batch in rollout.batches(state)], [1, 2, 2])
        state = begin(step(state, ["e1"], in_service=hosts), **wide)
        self.assertEqual([len(batch) for _group, batch in rollout.batches(state)], [2, 2])

    def test_outcomes_of_the_way_back(self):
        for kind, found, touched in [("updated", "returned", True), ("unchanged", "returned", True), ("refused", "broken", True),
                                     ("broken", "broken", True), ("dead", "dead", True)]:
            state = step(begin(), ["e1"], verdict=FAIL)
            state = rollout.record_return(state, outcome(kind, "e1"))
            self.assertEqual((states(state)["e1"], state["hosts"]["e1"]["touched"]), (found, touched))
            self.assertEqual(rollout.end(state)[0]["decision"], "rolled_back" if found == "returned" else "rollback")

    def test_a_run_that_goes_back_leaves_hosts_alone_that_it_has_not_touched(self):
        state = begin(step(step(begin(dead=["e3"], minimum=1), ["e1"]), ["e2"], verdict=FAIL))
        self.assertEqual(states(state), {"e1": "returning", "e2": "returning", "e3": "waiting"})
        state = begin(step(begin(), ["e1"], "refused"))
        self.assertEqual(states(state)["e1"], "refused")

    def test_a_host_that_could_not_go_back_is_named(self):
        state = step(begin(), ["e1"], "broken")
        state, said, _good = rollout.end(state)
        self.assertEqual(state["decision"], "rollback")
        self.assertIn("e1 is broken: broken", said)


class Dead(unittest.TestCase):
    def test_finish(self):
        state = step(begin(), ["e1"])
        state = step(state, ["e2"], "dead")
        self.assertEqual(state["decision"], "go")
        state = step(state, ["e3"], in_service=("e1", "e3"))
        state, said, good = rollout.end(state)
        self.assertFalse(good)
        self.assertIn("e2 is dead: dead", said)
        # It is back: the next run brings it to an end.
        state = begin(state, current={"e1": NEW, "e2": OLD, "e3": NEW})
        self.assertEqual(rollout.batches(state), [("edges", ["e2"])])
        self.assertTrue(rollout.end(step(state, ["e2"], "unchanged"))[2])

    def test_rollback(self):
        state = step(begin(on_dead="rollback"), ["e1"])
        state = step(state, ["e2"], "dead")
        self.assertEqual(rollout.returning(state), [("edges", ["e1"])])
        state = rollout.record_return(state, outcome("updated", "e1"))
        state, said, _good = rollout.end(state)
        self.assertEqual(state["decision"], "rollback")
        self.assertIn("e2 is dead: dead", said)
        # Still dead: still to be done. Back again: taken back.
        self.assertEqual(rollout.end(begin(state, dead=["e2"]))[0]["decision"], "rollback")
        state = begin(state)
        self.assertEqual(rollout.returning(state), [("edges", ["e2"])])
        state = rollout.record_return(state, outcome("unchanged", "e2"))
        self.assertEqual(rollout.end(state)[0]["decision"], "rolled_back")

    def test_a_host_that_is_dead_from_the_start_is_in_no_batch(self):
        self.assertEqual(rollout.batches(begin(dead=["e2"], minimum=1)), [("edges", ["e1"]), ("edges", ["e3"])])
        with self.assertRaisesRegex(ValueError, "none may be updated"):
            rollout.batches(begin(dead=["e2"]))

    def test_a_dead_host_that_nobody_touched_needs_no_way_back(self):
        state = begin(dead=["e3"])
        state = step(state, ["e1"], "refused")
        self.assertEqual(rollout.end(state)[0]["decision"], "rolled_back")


class Rollback(unittest.TestCase):
    def fleet(self):
        state = begin()
        for host in ("e1", "e2", "e3"):
            state = step(state, [host])
        return rollout.end(state)[0]

    def back(self, before, **changes):
        return begin(before, action="rollback", target="", current=dict.fromkeys(["e1", "e2", "e3"], NEW), **changes)

    def test_each_host_goes_back_to_what_it_ran(self):
        state = self.back(self.fleet(), previous=dict.fromkeys(["e1", "e2", "e3"], OTHER))
        self.assertEqual(set(found["to"] for found in state["hosts"].values()), {OLD})
        state = self.back(None, previous={"e1": OTHER})
        self.assertEqual(state["hosts"]["e1"]["to"], OTHER)

    def test_a_rollout_that_changed_nothing_hides_no_way_back(self):
        hosts = ["e1", "e2", "e3"]
        state = begin(self.fleet(), current=dict.fromkeys(hosts, NEW))
        for host in hosts:
            state = step(state, [host], "unchanged")
        state = self.back(rollout.end(state)[0], previous=dict.fromkeys(hosts, OLD))
        self.assertEqual(set(found["to"] for found in state["hosts"].values()), {OLD})

    def test_after_a_rollout_that_was_taken_back_there_is_nothing_to_go_back_from(self):
        state = rollout.record_return(step(begin(), ["e1"], verdict=FAIL), outcome("updated", "e1"))
        state = begin(rollout.end(state)[0], action="rollback", target="", previous=dict.fromkeys(["e1", "e2", "e3"], NEW))
        self.assertEqual(set(found["to"] for found in state["hosts"].values()), {OLD})

    def test_asked_for_twice_it_does_not_go_forward(self):
        state = self.back(self.fleet())
        for host in ("e1", "e2", "e3"):
            state = step(state, [host])
        state = self.back(rollout.end(state)[0], previous=dict.fromkeys(["e1", "e2", "e3"], NEW))
        self.assertEqual(set(found["to"] for found in state["hosts"].values()), {OLD})

    def test_a_rollout_that_has_not_ended_can_be_taken_back(self):
        state = self.back(step(begin(), ["e1"]))
        self.assertEqual(state["hosts"]["e1"]["to"], OLD)

    def test_a_rollback_that_fails_halts(self):
        state = step(self.back(self.fleet()), ["e1"], "refused")
        self.assertEqual((state["decision"], rollout.returning(state)), ("halt", []))


if __name__ == "__main__":
    unittest.main()
