"""Rollouts of fleets in which everything happens: runs that are killed, other limits, other settings, hosts that die, refuse and break.

The fleet is a model: what each host runs, and whether it serves. What the state says is held against it.
"""

import json
import random
import unittest

from tests.rollouts import NEW, OLD, OTHER
from ansible.module_utils import corelane_rollout_state as rollout
from ansible.module_utils.corelane_batches import BatchError
from ansible.module_utils.corelane_identity import identity, satisfies
from ansible.module_utils.corelane_rollout_begin import begin
from ansible.module_utils.corelane_rollout_model import FINISHED, RolloutError, is_unwatched
from ansible.module_utils.corelane_rollout_plan import batches, needed, returning

SEEDS = 600
RUNS = 6


class Killed(Exception):
    """The controller has died."""


class Fleet:
    """Hosts, and the controller's file."""

    def __init__(self, chance):
        self.chance = chance
        self.hosts = ["h%d" % number for number in range(chance.randint(2, 9))]
        self.runs = dict((host, identity(OLD, "s0")) for host in self.hosts)
        self.alive = set(self.hosts)
        self.state = None
        # What each host ran when the rollout of the file began.
        self.origin = dict(self.runs)
        self.is_calm = False
        self.action, self.target, self.settings = "update", NEW, "s0"

    def happens(self, share):
        return not self.is_calm and self.chance.random() < share

    def run(self, action, chosen):
        """One run of rollout.yml or rollback.yml, to its end or until it is killed."""
        seen = [host for host in chosen if host in self.alive]
        wanted = {
            "action": action, "target": self.target if action == "update" else "", "groups": {"edges": self.hosts}, "chosen": chosen, "minimum": "50%",
            "steps": {"edges": [1, "50%"]}, "on_dead": self.chance.choice(["finish", "rollback"]), "zones": {},
            "dead": [host for host in chosen if host not in self.alive], "current": dict((host, self.runs[host]) for host in seen),
            "previous": {}, "in_order": seen, "configuration": dict.fromkeys(self.hosts, self.settings),
        }
        before = self.state
        state = begin(before, wanted, "now")
        if state["runs"] == 1:
            # A rollback has no way back of its own, and a rollout without work has that of the last one.
            kept = [host for host in self.hosts if state["hosts"][host]["to"] and action == "rollback" or state["hosts"][host].get("touched")]
            self.origin = dict((host, self.origin[host] if host in kept else self.runs[host]) for host in self.hosts)
        self.write(state)
        try:
            for is_back in (False, False, False, True, True):
                self.walk(is_back)
            self.write(rollout.end(self.state)[0])
            self.check()
        except Killed:
            pass
        return self.state["decision"]

    def check(self):
        """What an end says of hosts is so."""
        for host, found in self.state["hosts"].items():
            if self.state["decision"] == "rolled_back" and found.get("touched") and not found.get("settled"):
                assert satisfies(self.runs[host], found["before"]), (host, found, self.runs[host])
            if self.state["decision"] == "done" and found["state"] == "updated":
                assert satisfies(self.runs[host], found["to"]), (host, found, self.runs[host])

    def write(self, state):
        self.state = json.loads(json.dumps(state))

    def walk(self, is_back):
        """One pass."""
        try:
            planned = returning(self.state) if is_back else batches(self.state)
        except BatchError as error:
            self.write(rollout.halt(self.state, str(error)))
            return
        for _group, batch in planned:
            assert set(batch) <= set(self.state["chosen"])
            serving = sorted(self.alive)
            state, go, _said = (rollout.gate_back if is_back else rollout.gate)(self.state, batch, serving)
            taken = [host for host in go if host in self.alive and not is_unwatched(state, host)]
            assert not taken or len(serving) - len(taken) >= needed(state, "edges"), (serving, taken)
            self.write(state)
            self.step(go, is_back)

    def step(self, go, is_back):
        """What becomes of the hosts of a batch."""
        if self.happens(0.08):
            raise Killed
        results = dict((host, self.outcome(host, self.state["hosts"][host]["before" if is_back else "to"])) for host in go)
        if self.happens(0.08):
            raise Killed
        self.write((rollout.record_return if is_back else rollout.record)(self.state, results))
        watch = [] if is_back else rollout.to_watch(self.state, go)
        if self.happens(0.08):
            raise Killed
        if watch:
            verdict = "fail" if self.happens(0.15) else "not enough data" if self.happens(0.1) else "pass"
            self.write(rollout.watched(self.state, watch, {"verdict": verdict, "sentence": "said"}, self.is_calm))

    def outcome(self, host, wanted):
        was = self.runs[host]
        if host not in self.alive or self.happens(0.1):
            self.alive.discard(host)
            # It may have ended its step before.
            self.runs[host] = self.chance.choice([was, wanted])
            return {"outcome": "dead", "why": "dead"}
        if self.happens(0.1):
            return {"outcome": self.chance.choice(["refused", "broken"]), "why": "no", "was": was}
        self.runs[host] = wanted
        return {"outcome": "unchanged" if satisfies(was, wanted) else "updated", "why": "", "was": was}

    def trouble(self):
        """Some runs, as they come."""
        for _run in range(RUNS):
            chosen = self.chance.sample(self.hosts, self.chance.randint(1, len(self.hosts))) if self.happens(0.4) else self.hosts
            if self.happens(0.2):
                self.settings = self.chance.choice(["s0", "s1", "s2"])
            if self.happens(0.2):
                self.target = self.chance.choice([OLD, NEW, OTHER])
            try:
                self.run("rollback" if self.happens(0.2) else "update", chosen)
            except (RolloutError, BatchError):
                continue
            if self.happens(0.5):
                self.alive = set(self.hosts)

    def calm(self):
        self.is_calm, self.alive = True, set(self.hosts)


class Chaos(unittest.TestCase):
    def fleet(self, seed):
        fleet = Fleet(random.Random(seed))
        fleet.trouble()
        fleet.calm()
        return fleet

    def test_a_rollback_brings_every_host_to_what_it_ran(self):
        for seed in range(SEEDS):
            fleet = self.fleet(seed)
            origin = dict(fleet.origin)
            for _run in range(3):
                decision = fleet.run("rollback", fleet.hosts)
            self.assertEqual((decision, fleet.runs), ("done", origin), "seed %d" % seed)

    def test_a_rollout_brings_every_host_to_what_is_wanted_once_it_may(self):
        for seed in range(SEEDS):
            fleet = self.fleet(seed)
            if fleet.state and fleet.state["decision"] not in FINISHED:
                # Its own end first; a rollback's is rollback.yml.
                fleet.target = fleet.state["target"] if fleet.state["action"] == "update" else fleet.target
                for _run in range(2):
                    fleet.run(fleet.state["action"], fleet.hosts)
            for _run in range(3):
                decision = fleet.run("update", fleet.hosts)
            wanted = identity(fleet.target, fleet.settings)
            self.assertEqual((decision, set(map(str, fleet.runs.values()))), ("done", {str(wanted)}), "seed %d" % seed)


if __name__ == "__main__":
    unittest.main()
