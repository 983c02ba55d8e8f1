"""A step after one that was killed: what that one has begun is verified before it serves, or goes back to what ran before it."""

import os
import tempfile
import unittest

from tests.test_step import NEW, OLD, Host, step
from ansible.module_utils.corelane_begun import BegunNote
from ansible.module_utils.corelane_drain_note import PERSON
from ansible.module_utils.corelane_service import Kind
from ansible.module_utils.corelane_snapshots import Snapshots


class Kill(BaseException):
    """The process ends here: nothing is taken back."""


class Mortal(Host):
    """A host whose step is killed once, right after it has done `place`."""

    def __init__(self, place, *arguments, **options):
        super().__init__(*arguments, **options)
        self.place = place
        for name in ("install", "run", "drain", "write", "restart", "hold", "wait_ready", "verify_signature", "smoke", "release"):
            setattr(self, name, self.mortal(getattr(self, name)))

    def mortal(self, function):
        def called(*arguments, **options):
            count = len(self.done)
            found = function(*arguments, **options)
            if self.place in self.done[count:]:
                self.place = None
                raise Kill
            return found
        return called


def killed(place, *arguments, **options):
    host = Mortal(place, *arguments, **options)
    try:
        step(host)
    except Kill:
        host.done.clear()
        return host
    raise AssertionError("not killed at %s" % place)


class Killed(unittest.TestCase):
    def test_the_same_again_is_verified_before_it_serves(self):
        for place in ("install", "check", "drain", "restart", "hold", "ready", "verify", "smoke"):
            host = killed(place)
            self.assertEqual(host.begun.note["release"], OLD)
            result = step(host)
            self.assertEqual((result["outcome"], result["was"]["release"], host.process, host.drained), ("updated", OLD, NEW, False), place)
            self.assertEqual([name for name in host.done if name in ("ready", "verify", "smoke")][:3], ["ready", "verify", "smoke"], place)
            self.assertIsNone(host.begun.note)
            self.assertEqual(step(host)["outcome"], "unchanged")

    def test_a_bad_release_goes_back_to_what_ran_before(self):
        for place in ("install", "check", "drain", "restart", "hold", "ready", "verify"):
            host = killed(place)
            host.fails = {"smoke": 1}
            result = step(host)
            self.assertEqual((result["outcome"], result["before"]), ("refused", OLD), (place, result))
            self.assertEqual((host.link, host.process, host.active, host.drained), (OLD, OLD, True, False), place)
            self.assertIsNone(host.begun.note)

    def test_one_that_does_not_start_goes_back_as_well(self):
        for place in ("install", "check", "drain"):
            host = killed(place)
            host.fails = {"restart": 1}
            self.assertEqual((step(host)["outcome"], host.link, host.process, host.drained), ("refused", OLD, OLD, False), place)

    def test_what_was_killed_before_its_drain_is_drained_on_the_way_back(self):
        host = killed("restart")
        host.fails = {"verify": 1}
        self.assertEqual(step(host)["outcome"], "refused")
        self.assertEqual(host.done, ["ready", "verify", "drain", "switch", "note", "restart", "hold", "ready", "smoke"])

    def test_what_is_not_proved_stays_noted(self):
        host = killed("restart")
        host.fails = {"smoke": 2}
        self.assertEqual((step(host)["outcome"], host.begun.note["release"]), ("broken", OLD))

    def test_a_persons_drain_stays(self):
        host = killed("restart")
        host.drained, host.holder = True, (PERSON, "mia")
        self.assertEqual((step(host)["outcome"], host.drained), ("updated", True))
        self.assertIn("smoke", host.done)

    def test_the_values_of_a_node_are_not_lost_on_the_way_back(self):
        host = killed("restart", "node")
        host.items, host.fails = 7, {"verify": 1}
        result = step(host)
        self.assertEqual((result["outcome"], host.process, "restart" in host.done), ("broken", NEW, False))
        self.assertIn("empty this node of 7 values", result["why"])

    def test_what_somebody_has_installed_since_makes_it_void(self):
        host = killed("restart")
        host.link = host.process = "c" * 64
        self.assertEqual((step(host)["was"]["release"], host.process), ("c" * 64, NEW))

    def test_a_finished_step_leaves_no_note(self):
        for fails in ({}, {"smoke": 1}, {"install": 1}, {"drain": 1}):
            host = Host(fails=fails)
            step(host)
            self.assertIsNone(host.begun.note, fails)


class Settings(unittest.TestCase):
    def test_the_settings_of_before_the_killed_step_come_back(self):
        with tempfile.TemporaryDirectory() as folder:
            path, snapshots = os.path.join(folder, "corelane.toml"), Snapshots(os.path.join(folder, "kept"))
            for place, wanted in (("drain", "new\n"), ("restart", "new\n"), ("restart", "newer\n")):
                with open(path, "w") as file:
                    file.write("old\n")
                host = Mortal(place)
                host.kind = Kind("corelane", path, True)
                with self.assertRaises(Kill):
                    step(host, snapshots=snapshots, configuration={path: "new\n"})
                host.fails = {"smoke": 1}
                self.assertEqual(step(host, snapshots=snapshots, configuration={path: wanted})["outcome"], "refused")
                with open(path) as file:
                    self.assertEqual((file.read(), host.process), ("old\n", OLD))

    def test_settings_that_the_process_has_not_read_yet_need_the_restart(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "corelane.toml")
            host = Mortal("note")
            host.link = host.process = NEW
            host.kind = Kind("corelane", path, True)
            with self.assertRaises(Kill):
                step(host, configuration={path: "new\n"})
            host.done.clear()
            self.assertEqual((step(host, configuration={path: "new\n"})["outcome"], host.done.count("restart")), ("updated", 1))


class Note(unittest.TestCase):
    def test_it_is_read_by_the_releases_that_it_is_of(self):
        with tempfile.TemporaryDirectory() as folder:
            note = BegunNote("edge", os.path.join(folder, "notes"))
            self.assertIsNone(note.read(OLD))
            note.write({"release": OLD, "releases": [OLD, NEW], "configuration": "x"})
            self.assertEqual([(note.read(release) or {}).get("release") for release in (OLD, NEW, "c", None)], [OLD, OLD, None, None])
            for text in ("nonsense", "[1]", "{}"):
                with open(note.path, "w") as file:
                    file.write(text)
                self.assertIsNone(note.read(OLD))
            note.remove()
            note.remove()
            self.assertIsNone(note.read(OLD))


if __name__ == "__main__":
    unittest.main()
