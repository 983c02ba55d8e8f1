"""Whose a drain is: a step's, which takes it back, or a person's, who does."""

import os
import stat
import tempfile
import unittest

from tests import paths  # noqa: F401
from ansible.module_utils.corelane_drain_note import PERSON, STEP, UNKNOWN, DrainNote, drained_by

SINCE, LATER, AT = "2026-11-30T20:00:00Z", "2026-11-30T20:05:00Z", 1796068800


def drain(since=SINCE, cause="request"):
    return {"cause": cause, "since": since, "seconds": 4, "closes_connections": False}


class Whose(unittest.TestCase):
    def test_table(self):
        def note(owner, since=SINCE, **more):
            return dict({"owner": owner, "who": "mia", "at": AT, "since": since}, **more)

        for found, noted, expected in [
            (None, None, (None, None)),
            (None, note(PERSON), (None, None)),
            (drain(), None, (PERSON, UNKNOWN)),
            (drain(), note(PERSON), (PERSON, "mia")),
            (drain(), note(STEP), (STEP, "mia")),
            # Somebody has drained it again since.
            (drain(LATER), note(STEP), (PERSON, UNKNOWN)),
            # The step was killed before it heard since when.
            (drain(), note(STEP, None, at=AT - 60), (STEP, "mia")),
            (drain(), note(STEP, None, at=AT + 0.7), (STEP, "mia")),
            (drain(), note(STEP, None, at=AT + 60), (PERSON, UNKNOWN)),
            # It was killed between a restart and the drain of before it.
            (None, note(PERSON, None, restarting=True), (PERSON, "mia")),
            (None, note(STEP, None, restarting=True), (None, None)),
            # The restart goes on: the process still ends.
            (drain(cause="signal"), note(PERSON, None, restarting=True), (PERSON, "mia")),
            (drain(cause="signal"), note(STEP, None, restarting=True), (None, None)),
            # What ends anyway is nobody's.
            (drain(cause="signal"), note(PERSON), (None, None)),
            (drain("nonsense"), note(STEP, None), (PERSON, UNKNOWN)),
            (drain(), {}, (PERSON, UNKNOWN)),
            (drain(), note(PERSON, who=""), (PERSON, UNKNOWN)),
            # Of a release that says it otherwise.
            (True, None, (PERSON, UNKNOWN)),
        ]:
            self.assertEqual(drained_by(found, noted), expected, (found, noted))

    def test_a_note_is_kept_for_root(self):
        with tempfile.TemporaryDirectory() as folder:
            note = DrainNote("edge", os.path.join(folder, "notes"))
            self.assertIsNone(note.read())
            note.write(STEP, "root", SINCE)
            self.assertEqual((note.read()["owner"], note.read()["since"]), (STEP, SINCE))
            self.assertEqual([stat.S_IMODE(os.stat(path).st_mode) for path in (note.path, os.path.dirname(note.path))], [0o600, 0o700])
            for text in ("nonsense", "[1]"):
                with open(note.path, "w") as file:
                    file.write(text)
                self.assertIsNone(note.read())
            note.remove()
            note.remove()
            self.assertIsNone(note.read())


if __name__ == "__main__":
    unittest.main()
