"""Snapshots of settings: private, few, and what they were or nothing; and the identity that they have."""

import os
import stat
import tempfile
import unittest

from tests import paths  # noqa: F401
from ansible.module_utils.corelane_identity import configuration_id, identity, satisfies
from ansible.module_utils.corelane_snapshots import KEPT, Snapshots

FILE = "/etc/corelane/corelane.toml"


class Kept(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.join(folder.name, "configuration", "rollout")
        self.snapshots = Snapshots(self.folder)

    def test_what_was_saved_is_loaded_by_its_id(self):
        texts = {FILE: 'memory = "1GiB"  # größer\n'}
        own = self.snapshots.save(texts)
        self.assertEqual((own, self.snapshots.load(own)), (configuration_id(texts), texts))
        self.assertIsNone(self.snapshots.load("0" * 64))

    def test_only_root_reads_it(self):
        own = self.snapshots.save({FILE: "hash_seed = 1\n"})
        modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (self.folder, os.path.join(self.folder, own + ".json"))]
        self.assertEqual(modes, [0o700, 0o600])

    def test_what_was_changed_is_not_brought_back(self):
        own = self.snapshots.save({FILE: "a\n"})
        for text in ("", "{", "[]", '{"%s": "b\\n"}' % FILE):
            with open(os.path.join(self.folder, own + ".json"), "w") as file:
                file.write(text)
            self.assertIsNone(self.snapshots.load(own), text)

    def test_the_oldest_go_and_the_one_that_was_saved_stays(self):
        for number in range(KEPT + 3):
            own = self.snapshots.save({FILE: "%d\n" % number})
            # Two that were saved within one tick of the clock have no order.
            os.utime(os.path.join(self.folder, own + ".json"), (number, number))
        self.assertEqual(len(os.listdir(self.folder)), KEPT)
        self.assertIsNone(self.snapshots.load(configuration_id({FILE: "0\n"})))
        self.assertIsNotNone(self.snapshots.load(own))


class Identity(unittest.TestCase):
    def test_release_and_settings_are_compared(self):
        one, other = configuration_id({FILE: "a\n"}), configuration_id({FILE: "b\n"})
        self.assertNotEqual(one, other)
        self.assertEqual(configuration_id({"x": "1", "y": "2"}), configuration_id({"y": "2", "x": "1"}))
        found = identity("r", one)
        for wanted, is_it in [(identity("r", one), True), (identity("r"), True), (identity("r", other), False), (identity("s", one), False),
                              (None, False)]:
            self.assertEqual(satisfies(found, wanted), is_it, wanted)
        self.assertFalse(satisfies(None, identity("r")))


if __name__ == "__main__":
    unittest.main()
