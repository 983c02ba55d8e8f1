"""Files: what is written keeps its rights, and what is shown keeps secrets."""

import os
import pathlib
import stat
import tempfile
import unittest

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_files as files


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def test_a_new_file_has_the_mode_and_a_replaced_one_keeps_its_own(self):
        path = self.root / "a/b.toml"
        files.write(str(path), "one\n", 0o640)
        self.assertEqual((path.read_text(), stat.S_IMODE(path.stat().st_mode)), ("one\n", 0o640))
        path.chmod(0o600)
        files.write(str(path), "two\n", 0o644)
        self.assertEqual((path.read_text(), stat.S_IMODE(path.stat().st_mode)), ("two\n", 0o600))
        self.assertEqual(os.listdir(path.parent), ["b.toml"])

    def test_a_file_that_cannot_be_put_in_place_leaves_nothing(self):
        (self.root / "folder").mkdir()
        self.assertRaises(OSError, files.write, str(self.root / "folder"), "text")
        self.assertEqual(os.listdir(self.root), ["folder"])

    def test_what_a_killed_writer_left_is_removed_and_what_another_one_writes_is_not(self):
        names = [".new-b.toml-old", ".new-b.toml-now", ".new-c.toml-old"]
        for name in names:
            (self.root / name).write_text("hash_seed = 1")
        for name in (names[0], names[2]):
            os.utime(self.root / name, (0, 0))
        files.write(str(self.root / "b.toml"), "text")
        self.assertEqual(sorted(os.listdir(self.root)), sorted(names[1:] + ["b.toml"]))

    def test_secrets_are_not_shown_and_their_change_is(self):
        one, two = (files.diff("f", "a = 1\nhash_seed = %d\n" % seed, "")["before"] for seed in (1234, 5678))
        self.assertNotIn("1234", one)
        self.assertIn("a = 1\nhash_seed = (redacted, ", one)
        self.assertNotEqual(one, two)
        for line in ("hash_seed=1234", '"hash_seed" = 1234', "'hash_seed' = 1234", "topology.hash_seed = 1234", "topology = { a = 1, hash_seed = 1234, b = 2 }"):
            shown = files.redacted("a = 1\n%s\nb = 2\n" % line)
            self.assertNotIn("1234", shown, line)
            self.assertIn("\nb = 2\n", shown)

    def test_programs_that_fail_say_so(self):
        self.assertEqual(files.run(["sh", "-c", "echo o; echo e >&2; exit 3"]), (3, "o\n", "e\n"))
        with self.assertRaises(files.ProgramError) as caught:
            files.must(["sh", "-c", "echo why; exit 3"])
        self.assertIn("exit status 3: why", str(caught.exception))
        self.assertRaises(files.ProgramError, files.run, ["sh", "-c", "sleep 9"], 0.1)
        self.assertRaises(files.ProgramError, files.run, ["/no/such/program"])

    def test_programs_that_may_fail_say_what_they_said(self):
        self.assertEqual(files.attempt(["sh", "-c", "echo o; echo e >&2"]), (0, "o"))
        self.assertEqual(files.attempt(["sh", "-c", "echo o; echo e >&2; exit 3"]), (3, "e\no"))
        self.assertIsNone(files.attempt(["/no/such/program"])[0])
        self.assertIn("not done after", files.attempt(["sh", "-c", "sleep 9"], 0.1)[1])

    def test_programs_read_their_settings_from_files_alone(self):
        os.environ["CORELANE_MEMORY"] = "1GiB"
        self.addCleanup(os.environ.pop, "CORELANE_MEMORY")
        self.assertEqual(files.attempt(["sh", "-c", "echo $CORELANE_MEMORY"]), (0, ""))
