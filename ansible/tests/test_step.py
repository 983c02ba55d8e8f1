"""A host's step: that it ends with a service that serves, wherever it breaks off."""

import os
import tempfile
import unittest
from unittest import mock

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_configuration
from ansible.module_utils.corelane_drain_note import PERSON
from ansible.module_utils.corelane_service import KINDS, Kind, ServiceError, Service, seconds_of, settings_of, stop_seconds
from ansible.module_utils.corelane_snapshots import Snapshots
from ansible.module_utils.corelane_step import Releases, Step, StepError, Wanted

OLD, NEW = "a" * 64, "b" * 64


class Begun:
    """Stands for the note of what is begun."""

    def __init__(self):
        self.note = None

    def read(self, current):
        return self.note if self.note and current in self.note["releases"] else None

    def write(self, note):
        self.note = dict(note)

    def remove(self):
        self.note = None


class Host:
    """Stands for unit, process and releases of a host; writes down what is done, and fails where it is told to."""

    def __init__(self, kind="edge", fails=(), active=True, items=0):
        self.kind = KINDS[kind]
        self.fails = dict(fails)
        self.done = []
        self.link = self.process = OLD
        self.active = active
        self.drained = False
        self.items = items
        self.settings = {"lame_duck": "2m", "drain_timeout": "5m"}
        # Who drained it: None, or (owner, who).
        self.holder, self.note, self.restart_limits = (None, None), self, []
        self.drifts, self.looks_at_drift = [False], 0
        self.commands, self.begun = [], Begun()
        self.listen = "127.0.0.1:8080" if kind == "edge" else None

    def act(self, what, error=ServiceError):
        self.done.append(what)
        if self.fails.get(what, 0) > 0:
            self.fails[what] -= 1
            raise error("%s failed" % what)

    # The releases.
    def current(self):
        return self.link

    def install(self, archive, allow_downgrade):
        self.act("install", StepError)
        self.link = NEW

    def switch(self, digest):
        self.act("switch", StepError)
        self.link = digest

    def verify_signature(self):
        self.act("verify", StepError)

    def verify_sums(self, digest):
        assert digest == NEW
        self.act("sums", StepError)

    def has_drifted(self):
        self.looks_at_drift += 1
        return self.drifts[min(self.looks_at_drift, len(self.drifts)) - 1]

    # The service.
    def read_settings(self):
        return self

    def is_active(self):
        return self.active

    def running_release(self):
        return self.process if self.active else None

    def status(self):
        return {"totals": {"items": self.items}}

    def not_ready(self):
        return [] if self.active else ["it does not run"]

    def wait_ready(self, seconds):
        self.act("ready")

    # The note of the drain.
    def write(self, owner, who, since=None, restarting=False):
        assert restarting
        self.done.append("note")

    def restart(self, seconds):
        self.restart_limits.append(seconds)
        self.active = False
        self.act("restart")
        self.active, self.drained, self.process = True, False, self.link

    def drained_by(self):
        return self.holder

    def drain(self, seconds, seconds_min, owner, who):
        self.act("drain")
        self.drained, self.holder = True, (owner, who)

    def wait_quiet(self, seconds, seconds_min):
        self.act("quiet")

    def hold(self, owner, who):
        self.act("hold")
        self.drained, self.holder = True, (owner, who)

    def release(self):
        self.act("undrain")
        self.drained, self.holder = False, (None, None)

    def undrain_if_possible(self):
        self.drained, self.holder = False, (None, None)
        return self.active

    def run(self, command, seconds=60):
        self.done.append("check")
        self.commands.append(command)
        return (1, "key: unknown") if self.fails.get("check") else (0, "")

    def smoke(self, address, seconds, path):
        self.done.append("smoke")
        if self.fails.get("smoke", 0) > 0:
            self.fails["smoke"] -= 1
            return 3, "GET /a: byte 0 is 0x00 instead of 0x01"
        return 300, None


def step(host, action="update", snapshots=None, **options):
    return Step(host, host, Wanted(action, NEW, "/archive", **options), host.run, host.smoke, snapshots).result()


class Forward(unittest.TestCase):
    def test_the_order_of_a_step(self):
        host = Host()
        result = step(host)
        self.assertEqual((result["outcome"], result["before"], result["after"]), ("updated", OLD, NEW))
        self.assertEqual(host.done, ["install", "check", "drain", "note", "restart", "hold", "ready", "verify", "smoke", "undrain", "ready"])
        self.assertFalse(host.drained)

    def test_a_rollback_switches_instead(self):
        host = Host()
        self.assertEqual(step(host, "rollback")["outcome"], "updated")
        self.assertEqual(host.done[0], "switch")
        # Whoever signed it then: what is installed was verified when it came.
        self.assertIn("sums", host.done)
        self.assertNotIn("verify", host.done)

    def test_what_is_there_is_not_touched_but_for_a_drain_that_was_left(self):
        host = Host()
        host.link = host.process = NEW
        host.drained = True
        result = step(host)
        self.assertEqual((result["outcome"], result["changed"], host.done, host.drained), ("unchanged", False, [], False))

    def test_a_restart_may_take_what_the_process_takes_to_end(self):
        host = Host()
        step(host, start_seconds=60)
        self.assertEqual(host.restart_limits, [7 * 60 + 60])

    def test_nothing_lies_between_the_restart_and_the_drain(self):
        host = Host()
        host.read_settings = lambda: host.done.append("settings") or host
        step(host)
        at = host.done.index("restart")
        self.assertEqual(host.done[at - 2:at + 2], ["settings", "note", "restart", "hold"])

    def test_another_process_than_the_link_says_is_restarted(self):
        host = Host()
        host.link = NEW
        self.assertEqual(step(host)["outcome"], "updated")
        self.assertNotIn("install", host.done)
        self.assertIn("restart", host.done)

    def test_a_service_that_is_down_needs_no_drain(self):
        host = Host(active=False)
        self.assertEqual(step(host)["outcome"], "updated")
        self.assertNotIn("drain", host.done)

    def test_nothing_is_restarted_where_nobody_knows_whether_it_runs(self):
        for kind in ("edge", "node"):
            host, looks = Host(kind, items=7), []

            def is_active():
                looks.append(1)
                if len(looks) == 1:
                    raise ServiceError("systemctl does not say")
                return True

            host.is_active = is_active
            self.assertEqual((step(host)["outcome"], "restart" in host.done), ("refused", False), kind)

    def test_a_node_is_not_drained_and_its_values_are_not_lost_in_silence(self):
        host = Host("node", items=7)
        result = step(host)
        self.assertEqual((result["outcome"], host.done), ("refused", []))
        self.assertIn("empty this node of 7 values", result["why"])
        self.assertEqual(step(host, accept_data_loss=True)["outcome"], "updated")
        self.assertNotIn("drain", host.done)


class Back(unittest.TestCase):
    def test_wherever_it_breaks_off_the_service_serves_what_it_did(self):
        for place, times, restarts in [
            ("install", 1, 0), ("check", 1, 0), ("drain", 1, 0), ("restart", 1, 2), ("ready", 1, 2), ("verify", 1, 2), ("smoke", 1, 2),
            ("undrain", 1, 2), ("hold", 1, 2),
        ]:
            host = Host(fails={place: times})
            result = step(host)
            self.assertEqual(result["outcome"], "refused", (place, result))
            self.assertEqual((host.link, host.process, host.active, host.drained), (OLD, OLD, True, False), place)
            self.assertEqual(host.done.count("restart"), restarts, place)
            self.assertTrue(result["why"], place)

    def test_what_nobody_expected_is_a_failure_like_any_other(self):
        for error in (KeyError("totals"), TypeError("'NoneType' object is not subscriptable"), PermissionError("/run")):
            host = Host()

            def smoke(*_arguments):
                host.smoke, raised = Host.smoke.__get__(host), error
                raise raised

            host.smoke = smoke
            result = Step(host, host, Wanted("update", NEW, "/archive"), host.run, lambda *words: host.smoke(*words)).result()
            self.assertEqual((result["outcome"], host.process, host.drained), ("refused", OLD, False), error)
            self.assertIn(str(error), result["why"])

    def test_what_cannot_be_put_back_is_broken(self):
        for fails in ({"restart": 2}, {"restart": 1, "switch": 1}, {"smoke": 2}, {"ready": 2}):
            host = Host(fails=fails)
            result = step(host)
            self.assertEqual(result["outcome"], "broken", (fails, result))
            self.assertIn("could not be put back", result["why"])

    def test_what_was_changed_is_said(self):
        self.assertTrue(step(Host())["changed"])
        self.assertFalse(step(Host(fails={"drain": 1}))["changed"])
        self.assertTrue(step(Host(fails={"smoke": 1}))["changed"])

    def test_a_host_that_is_no_longer_tuned_is_refused_if_the_release_did_it(self):
        host = Host()
        host.drifts = [False, True]
        result = step(host)
        self.assertEqual(result["outcome"], "refused")
        self.assertIn("no longer tuned", result["why"])
        host = Host()
        host.drifts = [True, True]
        self.assertEqual(step(host)["outcome"], "updated")

    def test_a_service_that_was_down_is_no_worse_for_a_refused_step(self):
        self.assertEqual(step(Host(active=False, fails={"install": 1}))["outcome"], "refused")
        host = Host(fails={"drain": 1})
        host.undrain_if_possible = lambda: False
        self.assertEqual(step(host)["outcome"], "broken")


class Drained(unittest.TestCase):
    """A host that a person has taken out of service stays out."""

    def drained(self, **options):
        host = Host(**options)
        host.drained, host.holder = True, (PERSON, "mia from 192.0.2.7")
        return host

    def test_an_update_leaves_it_out(self):
        host = self.drained()
        result = step(host)
        self.assertEqual((result["outcome"], result["drained_by"]), ("updated", "mia from 192.0.2.7"))
        self.assertEqual(host.done, ["install", "check", "quiet", "note", "restart", "hold", "ready", "verify", "smoke"])
        self.assertEqual((host.drained, host.holder), (True, (PERSON, "mia from 192.0.2.7")))

    def test_a_refused_update_leaves_it_out(self):
        for place in ("install", "check", "quiet", "restart", "hold", "ready", "verify", "smoke"):
            host = self.drained(fails={place: 1})
            result = step(host)
            self.assertEqual((result["outcome"], host.process, host.drained), ("refused", OLD, True), place)
            self.assertNotIn("undrain", " ".join(host.done), place)
            self.assertEqual(host.holder[0], PERSON)

    def test_a_host_with_the_release_is_left_as_it_is(self):
        host = self.drained()
        host.link = host.process = NEW
        self.assertEqual((step(host)["outcome"], host.done, host.drained), ("unchanged", [], True))

    def test_one_that_cannot_be_asked_is_not_put_back(self):
        host = self.drained()

        def drained_by():
            raise ServiceError("corelane does not say")

        host.drained_by = drained_by
        result = step(host)
        self.assertEqual((result["outcome"], result["changed"], host.done, host.drained), ("refused", False, [], True))

    def test_a_node_stays_drained_as_well(self):
        host = self.drained(kind="node")
        self.assertEqual((step(host)["outcome"], host.drained, host.holder[0]), ("updated", True, PERSON))
        self.assertEqual(host.done, ["install", "check", "note", "restart", "hold", "ready", "verify"])

    def test_a_drain_that_a_killed_step_left_is_taken_back(self):
        host = Host()
        host.link = host.process = NEW
        host.drained, host.holder = True, ("step", "root")
        result = step(host)
        self.assertEqual((result["outcome"], result["drained_by"], host.drained), ("unchanged", "", False))


class Configuration(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "corelane.toml")
        self.write("old\n")

    def write(self, text):
        with open(self.path, "w") as file:
            file.write(text)

    def read(self):
        with open(self.path) as file:
            return file.read()

    def test_it_is_written_after_it_was_checked(self):
        host = Host()
        self.assertEqual(step(host, configuration={self.path: "new\n"})["outcome"], "updated")
        self.assertEqual((self.read(), os.listdir(os.path.dirname(self.path))), ("new\n", ["corelane.toml"]))

    def test_a_refused_one_never_takes_the_place(self):
        host = Host(fails={"check": 1})
        result = step(host, configuration={self.path: "new\n"})
        self.assertEqual((result["outcome"], self.read(), os.listdir(os.path.dirname(self.path))), ("refused", "old\n", ["corelane.toml"]))
        self.assertIn("refused by the new release: key: unknown", result["why"])

    def test_one_that_does_not_work_is_put_back(self):
        host = Host(fails={"smoke": 1})
        self.assertEqual(step(host, configuration={self.path: "new\n"})["outcome"], "refused")
        self.assertEqual(self.read(), "old\n")

    def test_the_topology_is_checked_where_the_settings_name_it(self):
        topology = os.path.join(os.path.dirname(self.path), "topology.toml")
        patch = mock.patch.object(corelane_configuration, "TOPOLOGY_FILE", topology)
        patch.start()
        self.addCleanup(patch.stop)
        for settings, names_it in [('topology = "%s"\n' % topology, True), ('cores = "auto"\n', False)]:
            host = Host()
            host.kind = Kind("corelane", self.path, True)
            self.assertEqual(step(host, configuration={self.path: settings, topology: "epoch = 1\n"})["outcome"], "updated")
            self.assertEqual("--topology" in host.commands[0], names_it)
            self.assertRegex(" ".join(host.commands[0]), r"--config %s/\.corelane\.toml\.\w+\.staged" % os.path.dirname(self.path))
        host = Host(fails={"smoke": 1})
        os.unlink(topology)
        self.assertEqual(step(host, configuration={topology: "epoch = 2\n"})["outcome"], "refused")
        self.assertFalse(os.path.exists(topology))

    def test_it_alone_is_a_reason_for_a_step(self):
        host = Host()
        host.link = host.process = NEW
        self.assertEqual(step(host, configuration={self.path: "old\n"})["outcome"], "unchanged")
        self.assertEqual(step(host, configuration={self.path: "new\n"})["outcome"], "updated")
        self.assertNotIn("install", host.done)


class WayBack(unittest.TestCase):
    """A change of the settings alone is taken back from what the host kept."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "corelane.toml")
        self.snapshots = Snapshots(os.path.join(folder.name, "kept"))
        self.host = Host()
        self.host.kind = Kind("corelane", self.path, True)
        self.host.link = self.host.process = NEW
        self.put("old\n")

    def put(self, text):
        with open(self.path, "w") as file:
            file.write(text)

    def text(self):
        with open(self.path) as file:
            return file.read()

    def step(self, action, **options):
        return step(self.host, action, self.snapshots, **options)

    def test_settings_alone_come_back(self):
        result = self.step("update", configuration={self.path: "new\n"})
        self.assertEqual((result["outcome"], self.text(), result["was"]["release"]), ("updated", "new\n", NEW))
        back = self.step("rollback", configuration_id=result["was"]["configuration"])
        self.assertEqual((back["outcome"], self.text()), ("updated", "old\n"))
        self.assertNotIn("switch", self.host.done)
        self.assertEqual(self.host.done.count("restart"), 2)
        # Asked for twice, nothing is done.
        done = list(self.host.done)
        again = self.step("rollback", configuration_id=result["was"]["configuration"])
        self.assertEqual((again["outcome"], self.host.done), ("unchanged", done))
        # And the way forward again is kept as well.
        self.assertEqual(self.step("rollback", configuration_id=back["was"]["configuration"])["outcome"], "updated")
        self.assertEqual(self.text(), "new\n")

    def test_a_file_that_was_not_there_goes_again(self):
        os.unlink(self.path)
        result = self.step("update", configuration={self.path: "new\n"})
        self.assertEqual(self.step("rollback", configuration_id=result["was"]["configuration"])["outcome"], "updated")
        self.assertFalse(os.path.exists(self.path))

    def test_what_is_not_kept_is_refused_and_nothing_is_restarted(self):
        result = self.step("rollback", configuration_id="f" * 64)
        self.assertEqual((result["outcome"], self.text(), self.host.done), ("refused", "old\n", []))
        self.assertIn("ffffffffffff) are not kept on this host; corelane_rollback_to", result["why"])

    def test_a_refused_update_puts_back_the_settings_of_before_not_those_that_the_release_had_once(self):
        self.host.link = self.host.process = OLD
        install, switch = self.host.install, self.host.switch

        def installed(archive, allow_downgrade):
            install(archive, allow_downgrade)
            self.put("of an earlier attempt\n")

        def switched(digest):
            switch(digest)
            self.put("old\n")

        self.host.install, self.host.switch = installed, switched
        self.host.fails = {"smoke": 1}
        self.assertEqual(self.step("update", configuration={self.path: "new\n"})["outcome"], "refused")
        self.assertEqual(self.text(), "old\n")

    def test_the_release_brings_its_own_settings_where_none_are_named(self):
        self.host.link = self.host.process = OLD
        self.assertEqual(self.step("rollback")["outcome"], "updated")
        self.assertEqual(self.host.done[0], "switch")


class Parts(unittest.TestCase):
    def test_settings_as_the_program_prints_them(self):
        text = 'listen = ["0.0.0.0:8080"]  # from: file a:1\n# topology is not set  # from: default\nlame_duck = "3s"  # from: x\n\n[log]\nlevel = "info"\n'
        self.assertEqual(settings_of(text), {"listen": ["0.0.0.0:8080"], "lame_duck": "3s"})

    def test_durations_and_addresses(self):
        for text, seconds in [("0s", 0), ("250ms", 0.25), ("2m", 120), ("1h", 3600)]:
            self.assertEqual(seconds_of(text), seconds)
        with self.assertRaises(ValueError):
            seconds_of("soon")
        self.assertEqual(stop_seconds({"lame_duck": "6s"}), 6)

    def test_a_drain_that_is_not_taken_is_taken_back(self):
        service = Service("edge")
        service.settings = {"command_listen": None}
        with mock.patch.object(Service, "release") as undrain, self.assertRaisesRegex(ServiceError, "command_listen"):
            service.drain(1, 0)
        undrain.assert_called_once()

    def test_corectl_is_told_the_key(self):
        calls = []
        Releases(lambda command, seconds=60: calls.append(command) or (0, "")).install("/a", True)
        self.assertEqual(calls[0][1:], ["release", "install", "/a", "--key", "/etc/corelane/release.pub", "--allow-downgrade"])


if __name__ == "__main__":
    unittest.main()
