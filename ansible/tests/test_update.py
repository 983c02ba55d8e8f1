"""The module of a step: what it leaves on the host, and what it says where it cannot begin."""

import os
import tempfile
import unittest
from unittest import mock

from tests import modules

update = modules.module("corelane_update")

DIGEST = "b" * 64


class Update(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.archive = os.path.join(self.folder, "corelane-0.2.0.tar.zst")
        for name in ("corelane-0.2.0.tar.zst", "corelane-0.2.0.json", "corelane-0.2.0.json.minisig", "corelane-0.3.0.tar.zst"):
            with open(os.path.join(self.folder, name), "w"):
                pass

    def step(self, lock=None, outcome="updated"):
        given = {name: option.get("default") for name, option in update.ARGUMENTS.items()}
        given.update(service="edge", digest=DIGEST, archive=self.archive)
        result = {"outcome": outcome, "timeline": []}
        with mock.patch.object(update, "HostLock", lock or mock.MagicMock(return_value=Lock())), \
                mock.patch.object(update, "Step") as step:
            step.return_value.result.return_value = result
            return update.step(given)

    def test_the_archive_is_removed_whatever_became_of_the_step(self):
        for outcome in ("updated", "refused"):
            self.assertEqual((self.step(outcome=outcome)["outcome"], self.step()["warnings"]), (outcome, []))
            self.assertEqual(os.listdir(self.folder), ["corelane-0.3.0.tar.zst"])

    def test_an_archive_that_stays_is_said(self):
        with mock.patch.object(update, "remove", side_effect=PermissionError("not allowed")):
            self.assertIn("stays: not allowed", self.step()["warnings"][0])

    def test_a_lock_that_cannot_be_had_is_a_refusal(self):
        for error in (update.LockError("held by anna"), PermissionError("/run/lock/corelane-deploy")):
            result = self.step(mock.MagicMock(side_effect=error))
            self.assertEqual((result["outcome"], result["why"]), ("refused", str(error)))
            self.assertEqual(len(os.listdir(self.folder)), 4)


    def test_with_check_it_says_what_a_step_would_find(self):
        path = os.path.join(self.folder, "corelane.toml")
        with open(path, "w") as file:
            file.write("a\n")
        releases = mock.MagicMock()
        releases.return_value.current.return_value = DIGEST
        for text, outcome in [("a\n", "unchanged"), ("b\n", "updated")]:
            given = {"service": "edge", "digest": DIGEST, "configuration": {path: text}}
            found = modules.ran("corelane_update", given, check_mode=True, Releases=releases)
            self.assertEqual((found["outcome"], found["changed"]), (outcome, outcome == "updated"))


class Lock:
    waited = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None


if __name__ == "__main__":
    unittest.main()
