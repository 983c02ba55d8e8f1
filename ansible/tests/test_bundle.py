"""What a controller says of a release that it cannot use."""

import os
import tempfile
import unittest
from unittest import mock

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_bundle as bundle


class Faults(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.archive, self.key = (os.path.join(folder.name, name) for name in ("r.tar.zst", "release.pub"))
        zstd = mock.patch.object(bundle.shutil, "which", lambda _: "/usr/bin/zstd")
        self.addCleanup(zstd.stop)
        zstd.start()

    def found(self):
        return ["%s: %s; %s" % fault for fault in bundle.faults(self.archive, self.key)]

    def write(self, *paths_):
        for path in paths_:
            with open(path, "w", encoding="utf-8") as file:
                file.write("{}")

    def test_all_files_that_are_missing_are_named_with_their_variables(self):
        key, archive = self.found()
        self.assertEqual(key.split("; ")[0], "corelane_release_public_key: %s: no such file" % self.key)
        self.assertIn("copy the public half", key)
        self.assertEqual(archive.split("; ")[0], "corelane_release: %s: no such file" % self.archive)
        self.write(self.key)
        self.assertEqual(len(self.found()), 1)

    def test_what_lies_beside_the_archive_is_named(self):
        self.write(self.key, self.archive)
        (fault,) = self.found()
        self.assertIn("corelane_release: %s.json: No such file or directory; take archive, manifest and signature" % self.archive[:-8], fault)

    def test_a_program_that_is_missing_has_a_remedy_of_its_own(self):
        self.write(self.key, self.archive)
        with mock.patch.object(bundle.shutil, "which", lambda _: None):
            self.assertEqual([fault.split("; ")[1] for fault in self.found()], ["apt-get install zstd"])
