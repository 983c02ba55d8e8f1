"""Transitions of a rollout: what becomes of it when hosts are updated, refused, broken, judged, or die."""

import unittest

from tests.rollouts import FAIL, HOSTS, NEW, OLD, PASS, UNKNOWN, back, begin, done, outcome, releases, runs, states, step
from ansible.module_utils import corelane_rollout_state as rollout
from ansible.module_utils.corelane_rollout_begin import set_aside
from ansible.module_utils.corelane_rollout_plan import batches, needed, others, returning
from ansible.module_utils.corelane_rollout_words import losses


class Forward(unittest.TestCase):
    def test_a_rollout_without_trouble(self):
        state = begin()
        self.assertEqual(batches(state), [("edges", ["e1"]), ("edges", ["e2"]), ("edges", ["e3"])])
        for host in HOSTS:
            state = step(state, [host])
        state, said, good = rollout.end(state)
        self.assertTrue(good)
        self.assertEqual(said, ["rollout of bbbbbbbbbbbb: done (3 updated)"])

    def test_what_was_not_changed_by_anybody_is_not_watched(self):
        state = rollout.record(begin(), outcome("unchanged", "e1"))
        self.assertEqual((rollout.to_watch(state, ["e1"]), state["judged"]), ([], []))
        state = rollout.record(begin(), outcome("updated", "e1"))
        self.assertEqual(rollout.to_watch(state, ["e1"]), ["e1"])
        # Changed by a run that was killed before it watched.
        state = begin(rollout.gate(begin(), ["e1"], HOSTS)[0], current=runs(["e1"], NEW))
        self.assertEqual(rollout.to_watch(rollout.record(state, outcome("unchanged", "e1")), ["e1"]), ["e1"])
        self.assertEqual(rollout.to_watch(rollout.record(begin(), outcome("refused", "e1")), ["e1"]), [])

    def test_a_drained_edge_has_no_clients_to_be_judged_by_and_a_drained_node_has(self):
        state = begin(groups={"edges": ["e1"], "nodes": ["n1"]}, minimum=0)
        for host, watch in (("e1", []), ("n1", ["n1"])):
            state, go, _said = rollout.gate(state, [host], ["e1", "n1"])
            state = rollout.record(state, {host: {"outcome": "updated", "drained_by": "mia"}})
            self.assertEqual(rollout.to_watch(state, go), watch)

    def test_a_host_that_had_nothing_to_do_is_no_canary(self):
        hosts = ["e%d" % number for number in range(1, 9)]
        wide = {"groups": {"edges": hosts}, "steps": {"edges": [1, 4]}, "minimum": 1}
        # It has the release and is drained, so that the plan cannot pass it over.
        state = begin(current=dict(runs(hosts, OLD), e1=runs(["e1"], NEW)["e1"]), in_order=hosts[1:], **wide)
        self.assertEqual(batches(state)[0], ("edges", ["e1"]))
        state = step(state, ["e1"], "unchanged", in_service=hosts)
        state, go, said = rollout.gate(state, hosts[1:5], hosts)
        self.assertEqual((go, state["decision"]), (["e2"], "go"))
        self.assertEqual(said, ["e3, e4, e5: held back until a canary was judged"])
        # One that died is none either: the next pass begins with one host again.
        state = step(begin(**wide), ["e1"], "dead", in_service=hosts)
        self.assertEqual([len(batch) for _group, batch in batches(state)], [1, 4, 2])

    def test_a_canary_that_was_not_watched_is_watched_first(self):
        state = begin(step(begin(), ["e1"], verdict=None))
        self.assertEqual(batches(state)[0], ("edges", ["e1"]))
        state, go, _said = rollout.gate(state, ["e1"], ["e2", "e3"])
        self.assertEqual(go, ["e1"])
        self.assertEqual(batches(state)[1:], [("edges", ["e2"]), ("edges", ["e3"])])

    def test_without_enough_data_it_halts_and_the_next_run_goes_on(self):
        state = step(begin(), ["e1"], verdict=UNKNOWN)
        self.assertEqual(state["decision"], "halt")
        self.assertEqual(rollout.gate(state, ["e2"], HOSTS)[1], [])
        state = begin(state)
        self.assertEqual(batches(state)[0], ("edges", ["e1"]))
        state = rollout.watched(state, ["e1"], UNKNOWN, True)
        self.assertEqual((state["decision"], state["judged"]), ("go", ["e1"]))

    def test_hosts_are_compared_with_those_that_run_what_was_there_before(self):
        state = begin()
        self.assertEqual(others(state, ["e1"], HOSTS), (["e2", "e3"], True))
        self.assertEqual(others(state, ["e1"], ["e1", "e3"]), (["e3"], True))
        state = step(step(state, ["e1"]), ["e2"])
        self.assertEqual(others(state, ["e3"], HOSTS), (["e1", "e2"], False))
        # Settings for one host alone: the others had nothing to do.
        state = begin(target=OLD, configuration={"e1": "s1", "e2": "s0", "e3": "s0"})
        self.assertEqual(others(state, ["e1"], HOSTS), (["e2", "e3"], True))
        # Hosts that were replaced and have the new release already are no measure.
        state = begin(current=dict(runs(HOSTS, NEW), e1=runs(["e1"], OLD)["e1"]))
        self.assertEqual(others(state, ["e1"], HOSTS), (["e2", "e3"], False))
        # Updated and not judged yet: nothing to compare with.
        self.assertEqual(others(step(begin(), ["e1"], verdict=None), ["e2", "e3"], HOSTS), ([], False))

    def test_what_a_restart_loses_is_said(self):
        looked = {"n1": {"items": 5, "bytes": 3 << 20}, "n2": {"items": 0}, "e1": {"items": 2, "embedded": True}, "e2": {"items": 2}}
        said = losses(looked, {"edges": ["e1", "e2"], "nodes": ["n1", "n2"]})
        self.assertEqual(sorted(said), ["e1", "n1"])
        self.assertEqual(said["n1"], "n1 holds 5 values (3 MiB) in memory only; its restart loses them")

    def test_outcomes_of_tasks(self):
        full = {"failed": True, "msg": "One or more items failed", "results": [{"failed": False}, {"failed": True, "msg": "disk full"}]}
        for staged, stepped, kind, why in [
            ({}, {"outcome": "updated"}, "updated", ""),
            ({"unreachable": True}, {"skipped": True}, "dead", "reached"),
            ({}, {"unreachable": True}, "dead", "reached"),
            ({"failed": True, "msg": "disk full"}, {"skipped": True}, "refused", "could not be brought to the host: disk full"),
            (full, {"skipped": True}, "refused", "could not be brought to the host: disk full"),
            ({}, {"failed": True, "msg": "MODULE FAILURE"}, "broken", "MODULE FAILURE"),
        ]:
            found = rollout.outcome_of(staged, stepped)
            self.assertEqual(found["outcome"], kind, (staged, stepped))
            self.assertIn(why, found["why"])


class Minimum(unittest.TestCase):
    def test_the_gate_holds_back_what_would_break_the_minimum(self):
        state, go, said = rollout.gate(begin(), ["e2"], ["e2"])
        self.assertEqual((go, state["decision"]), ([], "halt"))
        self.assertIn("1 hosts serve and 2 must", said[0])
        self.assertEqual(states(state)["e2"], "waiting")

    def test_what_was_held_back_has_another_batch_in_the_same_run(self):
        state = step(begin(minimum=1), ["e1"], "dead")
        state = step(state, ["e2"], in_service=["e2", "e3"])
        state, go, said = rollout.gate(state, ["e3"], ["e3"])
        self.assertEqual((go, said), ([], ["e3: held back, since 1 hosts serve and 1 must"]))
        state = step(step(begin(minimum=1), ["e1"], "dead"), ["e2", "e3"], in_service=["e2", "e3"])
        self.assertEqual((states(state)["e3"], batches(state)), ("waiting", [("edges", ["e3"])]))
        state = step(state, ["e3"], in_service=["e2", "e3"])
        self.assertEqual(states(state), {"e1": "dead", "e2": "updated", "e3": "updated"})

    def test_the_way_back_has_the_gate(self):
        state = step(step(begin(), ["e1"]), ["e2"], verdict=FAIL)
        state, go, said = rollout.gate_back(state, ["e1", "e2"], HOSTS)
        self.assertEqual((go, said), (["e1"], ["e2: held back, since 3 hosts serve and 2 must"]))
        state = rollout.record_return(state, outcome("updated", "e1"))
        # Somebody else's host fell out meanwhile.
        state, go, _said = rollout.gate_back(state, ["e2"], ["e1", "e2"])
        self.assertEqual((go, states(state)["e2"], returning(state)), ([], "returning", [("edges", ["e2"])]))
        self.assertIn("e2 is returning: e2: held back, since 2 hosts serve and 2 must", rollout.end(state)[1])
        # One that does not serve takes nothing away.
        self.assertEqual(rollout.gate_back(state, ["e2"], ["e1", "e3"])[1], ["e2"])

    def test_what_is_lost_does_not_keep_the_others_from_going_back(self):
        state = step(step(begin(on_dead="rollback"), ["e1"]), ["e2"], "dead")
        self.assertEqual(needed(state, "edges"), 1)
        self.assertEqual(rollout.gate_back(state, ["e1"], ["e1", "e3"])[1], ["e1"])


class Back(unittest.TestCase):
    def test_a_refused_canary_is_not_followed(self):
        state = step(begin(), ["e1"], "refused")
        self.assertEqual(state["decision"], "rollback")
        self.assertEqual(rollout.gate(state, ["e2"], HOSTS)[1], [])
        self.assertEqual(returning(state), [])
        state, said, good = rollout.end(state)
        self.assertEqual((state["decision"], good), ("rolled_back", False))
        self.assertIn("because: e1: refused", said)

    def test_a_bad_verdict_takes_back_all_that_was_touched(self):
        state = step(step(begin(), ["e1"]), ["e2"], verdict=FAIL)
        self.assertEqual(returning(state), [("edges", ["e1"]), ("edges", ["e2"])])
        state = rollout.record_return(state, outcome("updated", "e1", "e2"))
        state, _said, good = rollout.end(state)
        self.assertEqual((state["decision"], good), ("rolled_back", False))
        self.assertEqual(states(state), {"e1": "returned", "e2": "returned", "e3": "waiting"})
        # A new attempt begins anew.
        self.assertEqual(set(states(begin(state)).values()), {"waiting"})

    def test_settings_alone_are_taken_back_as_well(self):
        state = begin(target=OLD, configuration=dict.fromkeys(HOSTS, "s1"))
        self.assertEqual(batches(state)[0], ("edges", ["e1"]))
        state = step(state, ["e1"], verdict=FAIL)
        self.assertEqual(returning(state), [("edges", ["e1"])])
        self.assertEqual(state["hosts"]["e1"]["before"], {"release": OLD, "configuration": "s0"})
        state, said, _good = rollout.end(rollout.record_return(state, outcome("updated", "e1")))
        self.assertEqual((state["decision"], said[0]), ("rolled_back", "rollout of aaaaaaaaaaaa: taken back (1 returned, 2 waiting)"))

    def test_what_a_host_ran_is_what_the_step_found(self):
        state = rollout.gate(begin(), ["e1"], HOSTS)[0]
        was = {"release": OLD, "configuration": "of somebody"}
        state = rollout.record(state, {"e1": {"outcome": "updated", "was": was}})
        self.assertEqual(state["hosts"]["e1"]["before"], was)
        # Not of a second attempt: the first had changed it already.
        state = begin(rollout.gate(begin(), ["e1"], HOSTS)[0])
        state = rollout.record(rollout.gate(state, ["e1"], HOSTS)[0], {"e1": {"outcome": "updated", "was": was}})
        self.assertEqual(state["hosts"]["e1"]["before"]["configuration"], "s0")

    def test_what_a_run_before_may_have_changed_goes_back_too(self):
        # The run was killed in its step; this one has not come to the host yet.
        state = begin(rollout.gate(step(begin(), ["e1"]), ["e2"], HOSTS)[0])
        state = step(state, ["e3"], verdict=FAIL)
        self.assertEqual(states(state), dict.fromkeys(HOSTS, "returning"))
        # It has come, and the second step changes nothing: what the first one did stays.
        for was, found in [(None, "returning"), (runs(["e1"], NEW)["e1"], "returning"), (runs(["e1"], OLD)["e1"], "refused")]:
            state = begin(rollout.gate(begin(), ["e1"], HOSTS)[0])
            state = rollout.record(rollout.gate(state, ["e1"], HOSTS)[0], {"e1": {"outcome": "refused", "why": "the lock", "was": was}})
            self.assertEqual((state["decision"], states(state)["e1"]), ("rollback", found))

    def test_killed_while_going_back_it_goes_on_going_back(self):
        state = begin(step(step(begin(), ["e1"]), ["e2"], verdict=FAIL))
        self.assertEqual(state["decision"], "rollback")
        self.assertEqual(rollout.gate(state, ["e3"], ["e3"])[1], [])
        self.assertEqual(returning(state), [("edges", ["e1"]), ("edges", ["e2"])])

    def test_a_host_that_had_the_release_before_keeps_it(self):
        state = begin(current=dict(runs(HOSTS, OLD), e1=runs(["e1"], NEW)["e1"]))
        self.assertEqual(states(state)["e1"], "updated")
        state = step(state, ["e2"], verdict=FAIL)
        self.assertEqual(returning(state), [("edges", ["e2"])])

    def test_after_the_canary_batches_are_those_that_follow_it(self):
        hosts = ["e1", "e2", "e3", "e4", "e5"]
        wide = {"groups": {"edges": hosts}, "steps": {"edges": [1, 2]}, "minimum": 1}
        state = begin(**wide)
        self.assertEqual([len(batch) for _group, batch in batches(state)], [1, 2, 2])
        state = begin(step(state, ["e1"], in_service=hosts), **wide)
        self.assertEqual([len(batch) for _group, batch in batches(state)], [2, 2])

    def test_outcomes_of_the_way_back(self):
        for kind, found in [("updated", "returned"), ("unchanged", "returned"), ("refused", "broken"), ("broken", "broken"), ("dead", "dead")]:
            state = rollout.record_return(step(begin(), ["e1"], verdict=FAIL), outcome(kind, "e1"))
            self.assertEqual((states(state)["e1"], state["hosts"]["e1"]["touched"]), (found, True))
            self.assertEqual(rollout.end(state)[0]["decision"], "rolled_back" if found == "returned" else "rollback")

    def test_a_broken_host_is_tried_again_until_it_is_back(self):
        state = rollout.record_return(step(begin(), ["e1"], verdict=FAIL), outcome("broken", "e1"))
        state, said, _good = rollout.end(state)
        self.assertIn("e1 is broken: broken", said)
        state = begin(state)
        self.assertEqual(returning(state), [("edges", ["e1"])])
        state = rollout.end(rollout.record_return(state, outcome("updated", "e1")))[0]
        self.assertEqual(state["decision"], "rolled_back")
        # Broken on its way forward, too.
        state = begin(rollout.end(step(begin(), ["e1"], "broken"))[0])
        self.assertEqual(returning(state), [("edges", ["e1"])])

    def test_a_run_that_goes_back_leaves_hosts_alone_that_it_has_not_touched(self):
        state = begin(step(step(begin(dead=["e3"], minimum=1), ["e1"]), ["e2"], verdict=FAIL))
        self.assertEqual(states(state), {"e1": "returning", "e2": "returning", "e3": "waiting"})
        state = begin(step(begin(), ["e1"], "refused"))
        self.assertEqual(states(state)["e1"], "refused")


class Dead(unittest.TestCase):
    def test_finish(self):
        state = step(begin(), ["e1"])
        state = step(state, ["e2"], "dead")
        self.assertEqual(state["decision"], "go")
        state = step(state, ["e3"], in_service=("e1", "e2", "e3"))
        state, said, good = rollout.end(state)
        self.assertFalse(good)
        self.assertIn("e2 is dead: dead", said)
        # It is back: the next run brings it to an end.
        state = begin(state)
        self.assertEqual(batches(state), [("edges", ["e2"])])
        state, said, good = rollout.end(step(state, ["e2"], "unchanged"))
        self.assertEqual((said, good), (["rollout of bbbbbbbbbbbb: done (3 updated)"], True))

    def test_rollback(self):
        state = step(begin(on_dead="rollback"), ["e1"])
        state = step(state, ["e2"], "dead")
        self.assertEqual(returning(state), [("edges", ["e1"])])
        state = rollout.record_return(state, outcome("updated", "e1"))
        state, said, _good = rollout.end(state)
        self.assertEqual(state["decision"], "rollback")
        self.assertIn("e2 is dead: dead", said)
        # Still dead: still to be done. Back again: taken back.
        self.assertEqual(rollout.end(begin(state, dead=["e2"]))[0]["decision"], "rollback")
        state = begin(state)
        self.assertEqual(returning(state), [("edges", ["e2"])])
        state = rollout.record_return(state, outcome("unchanged", "e2"))
        self.assertEqual(rollout.end(state)[0]["decision"], "rolled_back")

    def test_a_host_that_is_dead_from_the_start_is_in_no_batch(self):
        self.assertEqual(batches(begin(dead=["e2"], minimum=1)), [("edges", ["e1"]), ("edges", ["e3"])])
        with self.assertRaisesRegex(ValueError, "none may be updated"):
            batches(begin(dead=["e2"]))

    def test_a_dead_host_that_nobody_touched_needs_no_way_back(self):
        state = step(begin(dead=["e3"], minimum=1), ["e1"], "refused")
        self.assertEqual(rollout.end(state)[0]["decision"], "rolled_back")


class Rollback(unittest.TestCase):
    def test_a_host_that_does_not_go_back_does_not_keep_the_others_from_it(self):
        for kind in ("refused", "broken", "dead"):
            state = step(back(done(begin()), minimum=1), ["e1"], kind)
            self.assertEqual(state["decision"], "go")
            self.assertEqual(batches(state)[0], ("edges", ["e2"]))
            state = step(step(state, ["e2"]), ["e3"])
            state, said, good = rollout.end(state)
            self.assertEqual((states(state), good), ({"e1": kind, "e2": "updated", "e3": "updated"}, False))
            self.assertIn("e1 is %s: %s" % (kind, kind), said)
            self.assertEqual(batches(back(state)), [("edges", ["e1"])])

    def test_too_little_load_does_not_halt_it(self):
        state = step(back(done(begin())), ["e1"], verdict=UNKNOWN)
        self.assertEqual((state["decision"], state["judged"]), ("go", ["e1"]))

    def test_it_halts_where_no_host_goes_back(self):
        state = step(step(back(done(begin())), ["e1"], "refused"), ["e2"], "refused")
        self.assertEqual((state["decision"], returning(state)), ("halt", []))
        hosts = ["e%d" % number for number in range(1, 7)]
        wide = {"groups": {"edges": hosts}, "minimum": 1}
        state = back(done(begin(**wide), hosts, in_service=hosts), **wide)
        for host, kind in zip(hosts, ["updated", "updated", "refused", "broken"]):
            state = step(state, [host], kind, in_service=hosts)
        self.assertEqual(state["decision"], "go")
        state = step(back(done(begin())), ["e1"], verdict=FAIL)
        self.assertEqual((state["decision"], returning(state)), ("halt", []))

    def test_hosts_that_cannot_be_looked_at_are_named_and_the_others_go_back(self):
        state = set_aside(back(done(begin())), {"e2": "its settings cannot be read"})
        self.assertEqual(batches(state), [("edges", ["e1"]), ("edges", ["e3"])])
        state = step(step(state, ["e1"], in_service=["e1", "e3"]), ["e3"], in_service=["e1", "e3"])
        state, said, good = rollout.end(state)
        self.assertEqual((good, releases(state)["e1"]), (False, OLD))
        self.assertIn("e2 is broken: its settings cannot be read", said)
        # Two of three: one goes back at least.
        state = set_aside(back(done(begin())), {"e1": "x", "e2": "x"})
        self.assertEqual(step(state, ["e3"], in_service=["e3"])["hosts"]["e3"]["state"], "updated")
        self.assertEqual(states(back(state))["e2"], "waiting")


if __name__ == "__main__":
    unittest.main()
