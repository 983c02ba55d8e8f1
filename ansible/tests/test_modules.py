"""What modules decide, on a host that is a folder: its programs and units are replaced."""

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
import unittest
from unittest import mock

from tests import paths  # noqa: F401
from tests.modules import ran
from tests.test_minisign import KEY
import corelane_config
import corelane_release
import corelane_tune
from ansible.module_utils import corelane_configuration as configuration
from ansible.module_utils.corelane_files import ProgramError, read
from ansible.module_utils.corelane_minisign import SignatureError

NEW = 'topology = "%s"\nmemory = "2GiB"\n'
EPOCH_1, EPOCH_2 = "epoch = 1\n", "epoch = 2\n"


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def replace(self, module, **names):
        for name, value in names.items():
            patch = mock.patch.object(module, name, value)
            patch.start()
            self.addCleanup(patch.stop)


class Config(Folder):
    def setUp(self):
        super().setUp()
        self.etc = self.root / "etc"
        self.etc.mkdir()
        self.topology = str(self.etc / "topology.toml")
        self.calls = []
        self.replace(corelane_config, FOLDER=str(self.etc), TOPOLOGY_FILE=self.topology, CURRENT=str(self.root / "current"))
        self.replace(configuration, TOPOLOGY_FILE=self.topology, attempt=self.attempt)
        self.replace(corelane_config, running=lambda: {"corelane": "a"} if self.is_running else {}, must=self.told)
        self.replace(corelane_config, looking=lambda module, purpose: contextlib.nullcontext())
        self.is_running = False
        self.answer = 0, ""
        self.reload_fails = False

    def attempt(self, command):
        self.calls.append(command)
        return self.answer

    def told(self, command):
        self.calls.append(command)
        if self.reload_fails:
            raise ProgramError("reload failed")

    def run_module(self, settings, topology="", check_mode=False, **more):
        given = dict({"service": "corelane", "settings": settings, "topology": topology, "admin": "127.0.0.1:1"}, **more)
        return ran(corelane_config, given, check_mode)

    def install(self):
        program = self.root / "current/bin/corelane"
        program.parent.mkdir(parents=True)
        program.touch()

    def test_a_fresh_host_is_not_checked(self):
        found = self.run_module("a = 1\n", EPOCH_1)
        self.assertEqual((found["checked"], found["changed"], len(found["diff"]), self.calls), (False, True, 2, []))
        self.assertFalse(self.run_module("a = 1\n", EPOCH_1)["changed"])

    def test_check_mode_says_the_same_and_writes_nothing(self):
        self.install()
        found = self.run_module("a = 1\n", EPOCH_1, check_mode=True)
        self.assertEqual((found["changed"], len(found["diff"]), os.listdir(self.etc)), (True, 2, []))

    def test_what_is_shown_is_shown_by_lines(self):
        # The whole text is an argument without a log, and Ansible blackens it wherever it is found.
        text = "a = 1\nhash_seed = 1234\n"
        found = self.run_module(text, EPOCH_1)
        shown = found["diff"][0]["prepared"]
        self.assertIn("+a = 1\n+hash_seed = (redacted, ", shown)
        self.assertNotIn("1234", str(found))
        self.assertTrue(all(self.spec()[key]["no_log"] for key in ("settings", "topology")))

    def spec(self):
        with mock.patch.object(corelane_config, "AnsibleModule", side_effect=lambda **given: self.fail_with(given)), self.assertRaises(Spec) as caught:
            corelane_config.main()
        return caught.exception.args[0]

    def fail_with(self, given):
        raise Spec(given["argument_spec"])

    def test_a_refusal_leaves_all_as_it_was(self):
        self.install()
        self.answer = 2, "corelane.toml:2: memory: found"
        found = self.run_module(NEW % self.topology)
        self.assertEqual((found["failed"], os.listdir(self.etc)), (True, []))
        self.assertIn("corelane refuses its settings: corelane.toml:2: memory", found["msg"])

    def test_a_restart_is_waited_for(self):
        self.install()
        self.is_running = True
        self.answer = 4, 'memory: "1GiB" -> "2GiB" (needs a restart)\ntopology: "a" -> "b" (needs a restart)'
        found = self.run_module(NEW % self.topology, EPOCH_1)
        self.assertEqual((found["restart_keys"], found["changed"], os.listdir(self.etc)), (["memory"], True, ["topology.toml"]))
        self.assertIn("wait for rollout.yml: memory", found["pending"])
        found = self.run_module(NEW % self.topology, EPOCH_1, may_restart=True)
        self.assertEqual((found["pending"], sorted(os.listdir(self.etc))), ("", ["corelane.toml", "topology.toml"]))

    def test_what_a_reload_brings_is_written_and_read(self):
        self.install()
        self.is_running = True
        self.answer = 3, 'lame_duck: "1s" -> "2s" (takes effect by a reload)'
        self.run_module("a = 1\n")
        self.assertEqual(read(str(self.etc / "corelane.toml")), "a = 1\n")
        self.assertEqual(self.calls[-1], ["systemctl", "reload", "corelane"])

    def test_a_reload_that_failed_is_done_by_the_next_run(self):
        self.install()
        self.is_running, self.reload_fails = True, True
        self.answer = 3, 'lame_duck: "1s" -> "2s" (takes effect by a reload)'
        self.assertTrue(self.run_module("a = 1\n")["failed"])
        self.reload_fails = False
        found = self.run_module("a = 1\n")
        self.assertEqual((found["changed"], self.calls[-1]), (True, ["systemctl", "reload", "corelane"]))
        self.assertIn("lame_duck", found["diff"][0]["after"])
        self.answer = 0, ""
        self.calls.clear()
        self.assertFalse(self.run_module("a = 1\n")["changed"])
        self.assertNotIn(["systemctl", "reload", "corelane"], self.calls)

    def test_an_epoch_does_not_go_back(self):
        self.install()
        (self.etc / "topology.toml").write_text(EPOCH_2)
        self.assertTrue(self.run_module("a = 1\n", EPOCH_1)["failed"])
        self.assertEqual(os.listdir(self.etc), ["topology.toml"])

    def test_without_a_topology_that_of_the_host_stays(self):
        (self.etc / "topology.toml").write_text(EPOCH_2)
        self.run_module("a = 1\n")
        self.assertEqual(read(self.topology), EPOCH_2)


class Spec(Exception):
    """An argument specification."""


class Release(Folder):
    def setUp(self):
        super().setUp()
        self.files = {"path": "bin/corectl", "sha256": hashlib.sha256(b"program").hexdigest()}
        self.manifest = json.dumps({"version": "1.0.0", "archive": {"file": "r.tar.zst"}, "files": [self.files]})
        self.digest = hashlib.sha256(self.manifest.encode()).hexdigest()
        self.replace(corelane_release, LINKS=str(self.root) + "/", KEY_FILE=str(self.root / "key"), SIGNATURE_FILE=str(self.root / "signature"))

    def host(self, current=None, running=None, **wanted):
        self.replace(corelane_release, current_release=lambda: current, running=lambda: running or {})
        params = {"manifest": self.manifest, "signature": "", "key": KEY, "may_restart": False, "allow_downgrade": False, "folder": str(self.root)}
        return corelane_release.HostRelease(mock.Mock(params=dict(params, **wanted)))

    def test_a_fresh_host_wants_the_files(self):
        result = self.host().result(True)
        self.assertEqual((result["wants_files"], result["pending"], result["previous"]), (True, "", ""))
        self.assertIn("release none\n", result["diff"][0]["before"])

    def test_a_host_that_serves_another_release_waits_for_a_rollout(self):
        running = {"corelane": "f" * 64}
        result = self.host("f" * 64, running).result(False)
        self.assertEqual((result["wants_files"], result["restart_required"]), (False, []))
        self.assertIn("corelane runs release ffffffffffff: rollout.yml", result["pending"])
        result = self.host("f" * 64, running, may_restart=True).result(True)
        self.assertEqual((result["wants_files"], result["restart_required"], result["pending"]), (True, ["corelane"], ""))

    def test_nothing_is_to_be_done_where_it_is_installed(self):
        (self.root / "key").write_text(KEY)
        for unit in corelane_release.UNITS:
            (self.root / unit).touch()
        self.assertFalse(self.host(self.digest).differs())
        (self.root / "key").write_text("another")
        self.assertTrue(self.host(self.digest).differs())

    def test_a_release_that_is_signed_anew_gets_its_new_signature(self):
        (self.root / "key").write_text(KEY)
        for unit in corelane_release.UNITS:
            (self.root / unit).touch()
        self.assertTrue(self.host(self.digest, signature="new").differs())
        self.replace(corelane_release, must=lambda command: "")
        self.assertRaises(SignatureError, self.host(self.digest, signature="new").install)
        self.replace(corelane_release, verify=lambda *_: "")
        self.host(self.digest, signature="new").install()
        self.assertEqual((self.root / "signature").read_text(), "new")
        self.assertFalse(self.host(self.digest, signature="new").differs())

    def test_what_is_taken_out_for_good_and_what_stays(self):
        for name in ("corelane.service", "corelane-perf-agent.service", "other.service", "opt/file", "log/file"):
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).touch()
        calls = []
        names = {
            "FOLDERS": (str(self.root / "opt"), str(self.root / "no")), "STAYS": (str(self.root / "log"), str(self.root / "no")),
            "LINKS": str(self.root) + "/", "running": lambda: {}, "must": calls.append,
            "changing": lambda module, purpose: contextlib.nullcontext(),
        }
        found = ran("corelane_release", {"state": "absent"}, True, **names)
        self.assertEqual((found["changed"], calls, len(os.listdir(self.root))), (True, [], 5))
        found = ran("corelane_release", {"state": "absent"}, **names)
        self.assertEqual((found["stays"], sorted(os.listdir(self.root))), ([str(self.root / "log"), "the user corelane"], ["log", "other.service"]))
        self.assertEqual(calls, [["systemctl", "disable", "--now", "corelane-perf-agent.service"], ["systemctl", "daemon-reload"]])
        self.assertFalse(ran("corelane_release", {"state": "absent"}, **names)["changed"])
        found = ran("corelane_release", {"state": "absent"}, **dict(names, running=lambda: {"corelane": "a"}))
        self.assertIn("corelane still runs", found["msg"])

    def test_what_installs_is_that_of_the_signed_manifest(self):
        (self.root / "corectl").write_bytes(b"program")
        host = self.host()
        with self.assertRaises(SignatureError) as caught:
            host.verified_corectl()
        self.assertIn("not a signature", str(caught.exception))
        (self.root / "corectl").write_bytes(b"other")
        self.replace(corelane_release, verify=lambda *_: "")
        with self.assertRaises(SignatureError) as caught:
            host.verified_corectl()
        self.assertIn("not that of the manifest", str(caught.exception))
        (self.root / "corectl").write_bytes(b"program")
        self.assertEqual(host.verified_corectl(), str(self.root / "corectl"))


class Tune(unittest.TestCase):
    def test_what_interrupts_traffic_waits_while_a_service_runs(self):
        lines = [{"knob": "nic.channels", "risk": "perf"}, {"knob": "nic.rps", "risk": "safe"}]
        for services, may_restart, waits in (({}, False, False), ({"corelane": "a"}, True, False), ({"corelane": "a"}, False, True)):
            with mock.patch.object(corelane_tune, "running", lambda: services):
                found = corelane_tune.pending(lines, {"may_restart": may_restart})
                self.assertEqual(bool(found), waits)
                self.assertEqual("nic.channels" in found and "nic.rps" not in found, waits)
                self.assertEqual(corelane_tune.pending(lines[1:], {"may_restart": False}), "")

    def test_an_edge_is_drained_while_traffic_is_interrupted(self):
        cases = [([{"knob": "a", "risk": "perf"}], owner, ["drain", "change", "undrain"]) for owner in (None, "step")]
        # One that a person has drained stays so; what a killed step left does not.
        cases += [([{"knob": "a", "risk": "perf"}], "person", ["change"]), ([{"knob": "a", "risk": "safe"}], None, ["change"])]
        for lines, owner, wanted in cases:
            for fails in (False, True):
                calls = []
                service = mock.Mock()
                service.read_settings.return_value = service
                service.drained_by.return_value = (owner, owner)
                service.drain.side_effect = lambda *_: calls.append("drain")
                service.undrain_if_possible.side_effect = lambda: calls.append("undrain")

                def change(_wanted):
                    calls.append("change")
                    if fails:
                        raise ProgramError("refused")

                names = {"Service": lambda kind: service, "change": change, "running": lambda: {"corelane": "a"}, "remove": lambda path: None}
                with mock.patch.multiple(corelane_tune, **names):
                    try:
                        corelane_tune.apply({"overrides": "", "drain_seconds": 1, "drain_seconds_min": 1}, lines)
                    except ProgramError:
                        pass
                self.assertEqual(calls, wanted)

    def test_a_plan_with_problems_is_an_error(self):
        plan = json.dumps({"problems": ["NUMA nodes are not alike"], "lines": []})
        wanted = {"profile": "safe", "max_risk": None, "only": [], "overrides": ""}
        for answer, expected in (((2, plan, ""), "NUMA nodes"), ((1, "", "error: no profile"), "no profile")):
            with mock.patch.object(corelane_tune, "tune_plan", lambda *_: answer):
                with self.assertRaises(ProgramError) as caught:
                    corelane_tune.planned(wanted)
                self.assertIn(expected, str(caught.exception))
