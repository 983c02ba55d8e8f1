"""How a run begins: anew, resumed, for other hosts, with other settings, or as a rollback."""

import unittest

from tests.rollouts import FAIL, HOSTS, NEW, OLD, OTHER, back, begin, done, outcome, releases, runs, states, step
from ansible.module_utils import corelane_rollout_state as rollout
from ansible.module_utils.corelane_rollout_model import RolloutError
from ansible.module_utils.corelane_rollout_plan import batches, others, returning


class Resumed(unittest.TestCase):
    def test_killed_in_mid_batch_the_rest_is_done_by_the_next_run(self):
        state = step(begin(), ["e1"])
        state, go, _said = rollout.gate(state, ["e2"], HOSTS)
        self.assertEqual(go, ["e2"])
        state = begin(state, current=dict(runs(["e1", "e2"], NEW), e3=runs(["e3"], OLD)["e3"]))
        self.assertEqual(states(state), {"e1": "updated", "e2": "waiting", "e3": "waiting"})
        self.assertEqual(batches(state), [("edges", ["e2"]), ("edges", ["e3"])])
        # What it ran before the first run is what it would go back to.
        self.assertEqual(releases(state, "before")["e2"], OLD)

    def test_another_release_waits_for_the_end_of_this_one(self):
        with self.assertRaisesRegex(RolloutError, "has not ended.*rollback.yml"):
            begin(begin(), target=OTHER)
        self.assertEqual(set(states(begin(done(begin()), target=OTHER)).values()), {"waiting"})

    def test_a_new_host_joins_and_one_that_left_is_forgotten(self):
        state = begin(step(begin(), ["e1"]), groups={"edges": ["e1", "e4"]})
        self.assertEqual(states(state), {"e1": "updated", "e4": "waiting"})

    def test_again_after_the_end_nothing_is_done(self):
        before = done(begin())
        state = begin(before)
        self.assertEqual((batches(state), state["decision"]), ([], "done"))
        self.assertEqual(dict(state, runs=1), before)
        # And a way back is still there.
        self.assertEqual(set(releases(back(state)).values()), {OLD})

    def test_a_host_that_no_longer_runs_it_is_brought_there_again(self):
        state = begin(done(begin()), current=dict(runs(HOSTS, NEW), e3=runs(["e3"], OTHER)["e3"]))
        self.assertEqual(batches(state), [("edges", ["e3"])])
        self.assertEqual(releases(state, "before"), {"e1": OLD, "e2": OLD, "e3": OTHER})
        # Those that were done long ago are not taken back with it.
        state = step(state, ["e3"], verdict=FAIL)
        self.assertEqual(returning(state), [("edges", ["e3"])])
        state, said, _good = rollout.end(rollout.record_return(state, outcome("updated", "e3")))
        self.assertEqual(state["decision"], "rolled_back")
        self.assertIn("updated by a run that was done, and not taken back: e1, e2; rollback.yml does that", said)


class Settings(unittest.TestCase):
    NEWER = dict.fromkeys(HOSTS, "s1")

    def test_hosts_are_waiting_again_where_the_settings_changed_meanwhile(self):
        state = begin(step(step(begin(), ["e1"]), ["e2"]), configuration=dict(self.NEWER, e2="s0"))
        self.assertEqual(states(state), {"e1": "waiting", "e2": "updated", "e3": "waiting"})
        self.assertEqual(state["judged"], ["e2"])
        self.assertEqual(state["hosts"]["e1"]["to"], {"release": NEW, "configuration": "s1"})
        # It goes back to what it ran when the rollout began, and through another canary where all have changed.
        self.assertEqual(state["hosts"]["e1"]["before"], {"release": OLD, "configuration": "s0"})
        state = begin(step(begin(), ["e1"]), configuration=self.NEWER)
        self.assertEqual((state["judged"], batches(state)[0]), ([], ("edges", ["e1"])))
        # Also of hosts that nobody looks at in this run.
        state = begin(step(begin(), ["e1"]), configuration=self.NEWER, chosen=["e2"], current=runs(["e2"], OLD))
        self.assertEqual(states(state)["e1"], "waiting")

    def test_a_host_that_is_done_keeps_its_way_back_when_the_settings_change(self):
        # Another run of the same rollout is under way.
        state = rollout.gate(begin(done(begin(chosen=["e1"]), ["e1"])), ["e2"], HOSTS)[0]
        for seen in (dict(runs(HOSTS, OLD), e1=runs(["e1"], NEW)["e1"]), runs(["e2"], OLD)):
            again = begin(state, configuration=self.NEWER, current=seen)
            self.assertEqual((states(again)["e1"], again["hosts"]["e1"]["touched"]), ("waiting", True))
            self.assertEqual(releases(back(again))["e1"], OLD)

    def test_other_settings_after_the_end_are_another_rollout(self):
        first = done(begin())
        state = begin(first, configuration=self.NEWER, current=runs(HOSTS, NEW))
        self.assertEqual((state["runs"], set(states(state).values())), (1, {"waiting"}))
        state = back(done(state))
        self.assertEqual(state["hosts"]["e1"]["to"], {"release": NEW, "configuration": "s0"})
        self.assertEqual(set(states(done(state)).values()), {"updated"})

    def test_a_rollout_that_finds_nothing_to_do_hides_no_way_back(self):
        first = done(begin())
        # site.yml wrote what takes a reload only.
        state = begin(first, configuration=self.NEWER, current=runs(HOSTS, NEW, "s1"))
        self.assertEqual((state["runs"], batches(state)), (1, []))
        state, _said, good = rollout.end(state)
        self.assertTrue(good)
        self.assertEqual(back(state)["hosts"]["e1"]["to"], {"release": OLD, "configuration": "s0"})
        # One that has something to do has its own way back, and what was taken back has none.
        state = begin(first, configuration=self.NEWER, current=dict(runs(HOSTS, NEW, "s1"), e1=runs(["e1"], NEW)["e1"]))
        self.assertEqual(releases(back(done(state, ["e1"]))), {"e1": NEW, "e2": None, "e3": None})
        state = begin(done(back(first)), target=OLD)
        self.assertEqual((batches(state), set(releases(back(rollout.end(state)[0])).values())), ([], {None}))

    def test_a_rollback_after_settings_alone_keeps_the_release(self):
        state = begin(target=OLD, configuration=self.NEWER)
        state = back(done(state), previous=dict.fromkeys(HOSTS, OTHER))
        self.assertEqual(set(releases(state).values()), {OLD})
        self.assertEqual(state["hosts"]["e1"]["to"]["configuration"], "s0")
        self.assertEqual(set(states(state).values()), {"waiting"})


class Limit(unittest.TestCase):
    def test_the_fleet_is_the_whole_group(self):
        state = begin(chosen=["e1"], minimum=2, current=runs(["e1"], OLD), in_order=["e1"])
        self.assertEqual(batches(state), [("edges", ["e1"])])
        self.assertEqual(others(state, ["e1"], HOSTS), (["e2", "e3"], True))
        state, go, said = rollout.gate(state, ["e1"], ["e1", "e2"])
        self.assertEqual((go, state["decision"]), ([], "halt"))
        self.assertIn("2 hosts serve and 2 must", said[0])

    def test_it_ends_with_its_own_hosts_and_the_next_goes_on_with_the_others(self):
        state = begin(chosen=["e1"], current=runs(["e1"], OLD))
        state, said, good = rollout.end(step(state, ["e1"]))
        self.assertEqual((good, state["decision"]), (True, "done"))
        self.assertIn("left as they are by --limit: e2, e3", said)
        state = begin(state)
        # The canary was judged by the run before.
        self.assertEqual((states(state)["e1"], batches(state)), ("updated", [("edges", ["e2"]), ("edges", ["e3"])]))
        self.assertEqual(state["judged"], ["e1"])
        # Another release is another rollout.
        self.assertEqual(states(begin(dict(state, decision="done"), target=OTHER))["e1"], "waiting")

    def test_a_resumed_run_with_another_limit_forgets_no_host(self):
        state, _go, _said = rollout.gate(step(begin(chosen=["e1", "e2"]), ["e1"]), ["e2"], HOSTS)
        state = begin(state, chosen=["e3"])
        self.assertEqual(states(state), {"e1": "updated", "e2": "waiting", "e3": "waiting"})
        self.assertEqual(batches(state), [("edges", ["e3"])])
        state, said, good = rollout.end(step(state, ["e3"]))
        # What became of the host that was begun is not known: it is not over.
        self.assertEqual((good, state["decision"]), (False, "go"))
        self.assertIn("left as they are by --limit: e2", said)
        self.assertEqual(releases(back(state)), dict.fromkeys(HOSTS, OLD))

    def test_what_must_go_back_and_is_left_out_stays_to_be_done(self):
        state = begin(step(step(begin(), ["e1"]), ["e2"], verdict=FAIL), chosen=["e1"])
        self.assertEqual(returning(state), [("edges", ["e1"])])
        state, said, _good = rollout.end(rollout.record_return(state, outcome("updated", "e1")))
        self.assertEqual(state["decision"], "rollback")
        self.assertIn("left as they are by --limit: e2, e3", said)

    def test_a_rollback_touches_what_the_rollout_touched(self):
        state = done(begin(chosen=["e1"]), ["e1"])
        state = back(state, previous=dict.fromkeys(HOSTS, OTHER))
        self.assertEqual(releases(state), {"e1": OLD, "e2": None, "e3": None})
        self.assertEqual((states(state)["e2"], batches(state)), ("untouched", [("edges", ["e1"])]))
        self.assertEqual(others(state, ["e1"], HOSTS), (["e2", "e3"], False))
        state, said, good = rollout.end(step(state, ["e1"]))
        self.assertTrue(good, said)
        # With a target, all of them.
        self.assertEqual(releases(back(state, target=OTHER)), dict.fromkeys(HOSTS, OTHER))


class Rollback(unittest.TestCase):
    def test_each_host_goes_back_to_what_it_ran(self):
        state = back(done(begin()), previous=dict.fromkeys(HOSTS, OTHER))
        self.assertEqual(set(releases(state).values()), {OLD})
        # Without a word of the last rollout: to what the host had before, and where it had nothing it stays.
        state = back(None, previous={"e1": OTHER})
        self.assertEqual(releases(state), {"e1": OTHER, "e2": None, "e3": None})

    def test_after_a_rollout_that_was_taken_back_there_is_nothing_to_go_back_from(self):
        state = rollout.record_return(step(begin(), ["e1"], verdict=FAIL), outcome("updated", "e1"))
        state = back(rollout.end(state)[0], previous=dict.fromkeys(HOSTS, NEW))
        self.assertEqual(releases(state), {"e1": OLD, "e2": None, "e3": None})
        self.assertEqual(batches(state), [])

    def test_asked_for_twice_it_does_not_go_forward(self):
        state = done(back(done(begin())))
        state = back(state, previous=dict.fromkeys(HOSTS, NEW))
        self.assertEqual((set(releases(state).values()), batches(state), state["decision"]), ({OLD}, [], "done"))

    def test_a_rollout_that_has_not_ended_can_be_taken_back(self):
        state = back(step(begin(), ["e1"]))
        self.assertEqual(releases(state), {"e1": OLD, "e2": None, "e3": None})
        # Also of a host of which nobody knows what became of it.
        state = back(rollout.gate(begin(), ["e1"], HOSTS)[0])
        self.assertEqual(releases(state)["e1"], OLD)

    def test_a_rollback_that_was_killed_goes_on(self):
        state, _go, _said = rollout.gate(back(done(begin())), ["e1"], HOSTS)
        state = back(state)
        self.assertEqual((states(state)["e1"], set(releases(state).values())), ("waiting", {OLD}))


if __name__ == "__main__":
    unittest.main()
