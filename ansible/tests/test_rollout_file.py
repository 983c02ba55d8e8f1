"""The state file and locks: whole at any time, one run at once, waiting with a deadline."""

import fcntl
import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_rollout_file as file
from ansible.module_utils.corelane_lock import HostLock, LockError, holder
from ansible.module_utils.corelane_rollout_model import RolloutError


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)


STATE = {
    "format": 2, "started": "2026-01-01T00:00:00Z", "decision": "go", "chosen": ["a"], "judged": [], "groups": {"edges": ["a"]},
    "hosts": {"a": {"state": "waiting"}}, "run": {"pid": 4, "start": 40},
}


class StateFile(Folder):
    def test_it_is_replaced_and_kept(self):
        path, state = self.path("new/state.json"), STATE
        self.assertIsNone(file.read(path))
        file.write(path, state)
        self.assertEqual(file.read(path), state)
        file.keep(path, state)
        self.assertEqual(sorted(os.listdir(self.path("new"))), ["state-2026-01-01T000000Z.json", "state.json"])

    def test_what_is_no_state_is_not_taken_for_one(self):
        damaged = [
            dict(STATE, started="../../x"), dict(STATE, started=None), dict(STATE, decision="gone"), dict(STATE, hosts=[]),
            dict(STATE, hosts={"a": {}}), dict(STATE, hosts={"a": {"state": "up"}}), dict(STATE, run="x"), dict(STATE, run={"pid": "4"}),
            dict(STATE, chosen="a"), dict(STATE, judged=None), dict(STATE, groups={"edges": "a"}), {"format": 2},
        ]
        for text in ("", "{", "[]", '{"format": 1}', "[" * 100000, *map(json.dumps, damaged)):
            with open(self.path("state.json"), "w") as written:
                written.write(text)
            with self.assertRaises(RolloutError, msg=text):
                file.read(self.path("state.json"))

    def test_two_runs_at_once_are_refused_and_a_dead_one_is_none(self):
        other = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        own = {"pid": os.getpid(), "start": file.start_of(os.getpid())}
        state = {"run": {"pid": other.pid, "start": file.start_of(other.pid)}}
        with self.assertRaisesRegex(RolloutError, "process %d" % other.pid):
            file.refuse_two(state, own)
        other.communicate()
        file.refuse_two(state, own)
        file.refuse_two({"run": own}, own)
        # Another process with the same number, later.
        file.refuse_two({"run": {"pid": own["pid"], "start": own["start"] - 1}}, dict(own, pid=1))
        file.refuse_two(None, own)

    def test_a_run_that_was_taken_for_dead_does_not_go_on(self):
        own, other = {"pid": 4, "start": 40}, {"pid": 5, "start": 50}
        file.refuse_other({"run": own}, own)
        for state, said in [({"run": other}, "taken over by process 5"), ({}, "another run, which has ended")]:
            with self.assertRaisesRegex(RolloutError, said):
                file.refuse_other(state, own)

    def test_one_reads_and_writes_at_a_time(self):
        path = self.path("new/state.json")
        with file.locked(path), self.assertRaisesRegex(RolloutError, "held by another run"):
            with file.locked(path, 0):
                self.fail("two have it")
        with file.locked(path, 0):
            pass

    def test_the_run_is_the_outermost_ansible_playbook(self):
        proc = self.path("proc")
        for process, parent, command in [(os.getppid(), 50, b"python3"), (50, 40, b"ansible-playbook\0a"), (40, 30, b"ansible-playbook\0a"),
                                         (30, 1, b"bash"), (1, 0, b"init")]:
            os.makedirs("%s/%d" % (proc, process))
            with open("%s/%d/cmdline" % (proc, process), "wb") as written:
                written.write(command)
            with open("%s/%d/stat" % (proc, process), "w") as written:
                written.write("%d (a b) S %d %s" % (process, parent, " ".join(["0"] * 17 + [str(process * 10), "0"])))
        self.assertEqual(file.run_of_this(proc), {"pid": 40, "start": 400})


class Lock(Folder):
    def test_it_says_who_has_it_and_ends_with_the_context(self):
        path = self.path("lock")
        with HostLock("anna", "update to abc", 0, path):
            with self.assertRaisesRegex(LockError, r"anna \(pid %d\): update to abc" % os.getpid()):
                with HostLock("otto", "drained", 0, path):
                    self.fail("two have the lock")
        with HostLock("otto", "drained", 0, path) as lock:
            with open(path) as said:
                self.assertEqual(json.load(said)["owner"], "otto")
            self.assertLess(lock.waited, 60)
        self.assertEqual(holder(path), "somebody who did not say")

    def test_what_others_wrote_into_it_keeps_nobody_from_waiting(self):
        for since in ("1", None, float("inf"), float("nan"), {}):
            with open(self.path("lock"), "w") as file:
                json.dump({"owner": "anna", "pid": 1, "purpose": "drained", "since": since}, file)
            self.assertEqual(holder(self.path("lock")), "anna (pid 1): drained")

    def test_nobody_else_can_hold_it(self):
        path = self.path("lock")
        with open(path, "w"):
            os.chmod(path, 0o666)
        with HostLock("anna", "drained", 0, path):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with mock.patch("os.geteuid", lambda: os.stat(path).st_uid + 1), self.assertRaisesRegex(LockError, "belongs to user"):
            with HostLock("anna", "drained", 0, path):
                self.fail("somebody else's file was taken")

    def test_a_file_that_cannot_be_opened_is_a_reason(self):
        os.symlink(self.path("elsewhere"), self.path("link"))
        for path in (self.path("link"), self.folder):
            with self.assertRaisesRegex(LockError, "cannot be taken"):
                with HostLock("anna", "drained", 0, path):
                    self.fail("it was taken")
        self.assertEqual(os.listdir(self.folder), ["link"])

    def test_it_waits_for_a_process_that_ends(self):
        path = self.path("lock")
        held = "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.flock(f,fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
        other = subprocess.Popen([sys.executable, "-c", held, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(other.communicate)
        other.stdout.readline()
        with self.assertRaises(LockError):
            with HostLock("otto", "drained", 0.2, path):
                self.fail("two have the lock")
        # A controller that was killed cannot let go: its process ends.
        other.kill()
        with HostLock("otto", "drained", 60, path):
            with open(path) as again, self.assertRaises(OSError):
                fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)


if __name__ == "__main__":
    unittest.main()
