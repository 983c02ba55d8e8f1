"""Files of configuration: staged for a program that looks at them, and written with the rights that secrets need."""

import os
import pathlib
import stat
import tempfile
import unittest
from unittest import mock

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_configuration as configuration
from ansible.module_utils.corelane_files import ProgramError

PROGRAM = "/opt/corelane/current/bin/corelane"


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.etc = pathlib.Path(folder.name)
        self.config, self.topology = str(self.etc / "corelane.toml"), str(self.etc / "topology.toml")
        patch = mock.patch.object(configuration, "TOPOLOGY_FILE", self.topology)
        patch.start()
        self.addCleanup(patch.stop)


class Writing(Folder):
    def test_one_mode_whoever_wrote_it_before(self):
        for mode in (None, 0o644, 0o600, 0o666):
            if mode is not None:
                os.chmod(self.config, mode)
            configuration.put(self.config, "hash_seed = %s\n" % mode)
            self.assertEqual(mode_of(self.config), 0o640)

    def test_an_empty_text_removes_the_file(self):
        configuration.put(self.config, "a = 1\n")
        configuration.put(self.config, "")
        configuration.put(self.config, "")
        self.assertEqual(os.listdir(self.etc), [])


class Staging(Folder):
    def test_names_are_nobody_elses_and_the_content_nobody_elses_to_read(self):
        with configuration.Staged({self.config: "one\n", self.topology: ""}) as staged:
            own = staged.at(self.config)
            self.assertEqual((pathlib.Path(own).read_text(), mode_of(own), staged.at(self.topology)), ("one\n", 0o600, self.topology))
            self.assertRegex(os.path.basename(own), r"^\.corelane\.toml\.\w+\.staged$")
            self.assertEqual(staged.real("%s:2: memory" % own), "%s:2: memory" % self.config)
        self.assertEqual(os.listdir(self.etc), [])

    def test_what_a_killed_process_left_is_removed(self):
        for left in (".corelane.toml.staged", ".corelane.toml.abcd.staged"):
            (self.etc / left).write_text("hash_seed = 1")
        (self.etc / ".other.toml.staged").write_text("")
        with configuration.Staged({self.config: "one\n"}):
            pass
        self.assertEqual(os.listdir(self.etc), [".other.toml.staged"])

    def test_a_file_that_cannot_be_staged_leaves_nothing(self):
        (self.etc / "file").write_text("")
        with self.assertRaises(OSError), configuration.Staged({self.config: "one\n", str(self.etc / "file/topology.toml"): "two\n"}):
            self.fail("it was staged")
        self.assertEqual(os.listdir(self.etc), ["file"])


class Checking(Folder):
    def check(self, texts, answer=(0, ""), against=None):
        def program(command):
            self.command = command
            self.staged = dict((name, (self.etc / name).read_text()) for name in os.listdir(self.etc) if name.endswith(".staged"))
            return answer[0], answer[1].replace("STAGED", command[command.index("--config") + 1])

        return configuration.check(PROGRAM, self.config, texts, against, program)

    def test_the_program_reads_what_is_staged(self):
        self.check({self.config: 'topology = "%s"\n' % self.topology, self.topology: "epoch = 1\n"})
        self.assertEqual(sorted(self.staged.values()), ["epoch = 1\n", 'topology = "%s"\n' % self.topology])
        self.assertIn("--topology", self.command)
        self.assertNotIn("--against", self.command)
        self.assertEqual(os.listdir(self.etc), [])

    def test_a_topology_that_the_settings_do_not_name_is_not_asked_for(self):
        self.check({self.config: "a = 1\n", self.topology: "epoch = 1\n"})
        self.assertNotIn("--topology", self.command)

    def test_what_is_refused_names_the_real_file(self):
        for status, against, refused in [
            (0, None, False), (2, None, True), (1, None, True), (None, None, True), (3, None, True),
            (0, "a:1", False), (3, "a:1", False), (4, "a:1", False), (2, "a:1", True), (1, "a:1", True), (None, "a:1", True),
        ]:
            try:
                self.check({self.config: "a = 1\n"}, (status, "STAGED:1: a: unknown"), against)
                self.assertFalse(refused, (status, against))
            except ProgramError as error:
                self.assertTrue(refused, (status, against))
                self.assertEqual(str(error), "%s:1: a: unknown" % self.config)
            self.assertEqual(os.listdir(self.etc), [])

    def test_keys_in_which_the_process_differs(self):
        said = 'a: 1 -> 2 (takes effect by a reload)\nb.c: 1 -> 2 (needs a restart)\ntopology: "x" -> "y" (needs a restart)\n'
        found = self.check({self.config: "a = 1\n"}, (4, said), "a:1")
        self.assertEqual((found.reload_keys, found.restart_keys), (["a"], ["b.c", "topology"]))
        texts = {self.config: 'topology = "%s"\n' % self.topology, self.topology: "epoch = 1\n"}
        self.assertEqual(self.check(texts, (4, said), "a:1").restart_keys, ["b.c"])

    def test_an_epoch_does_not_go_back(self):
        (self.etc / "topology.toml").write_text("epoch = 2\n")
        with self.assertRaisesRegex(ProgramError, "the host has 2"):
            self.check({self.topology: "epoch = 1\n"})
        self.assertEqual(os.listdir(self.etc), ["topology.toml"])

    def test_the_folder_of_sockets_is_there_meanwhile(self):
        run_folder = self.etc / "run"
        run_folder.mkdir()
        with mock.patch.object(configuration, "RUN_FOLDER", str(run_folder)):
            seen = []
            configuration.check(PROGRAM, self.config, {}, None, lambda command: seen.extend(os.listdir(run_folder)) or (0, ""))
            self.assertEqual((seen, os.listdir(run_folder)), (["corelane"], []))
            # Who has begun to use it meanwhile keeps it.
            configuration.check(PROGRAM, self.config, {}, None, lambda command: (run_folder / "corelane/command").write_text("") and 0 or (0, ""))
            self.assertEqual(os.listdir(run_folder / "corelane"), ["command"])


if __name__ == "__main__":
    unittest.main()
