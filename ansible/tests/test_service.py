"""What a service says of itself, and what is made of it where it does not say it, or says it otherwise."""

import unittest
from unittest import mock

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_service
from ansible.module_utils.corelane_service import Service, ServiceError


class Active(unittest.TestCase):
    def is_active(self, *answer):
        with mock.patch.object(corelane_service, "attempt", return_value=answer):
            return Service("node").is_active()

    def test_states_of_a_unit(self):
        for state, substate, expected in [
            ("active", "running", True), ("reloading", "reload", True), ("activating", "start", True), ("deactivating", "stop-sigterm", True),
            ("maintenance", "cleaning", True), ("inactive", "dead", False), ("failed", "failed", False), ("dead", "dead", False),
            # It ends again and again: without a process there are no clients and no values.
            ("activating", "auto-restart", False), ("activating", "auto-restart-queued", False),
        ]:
            self.assertEqual(self.is_active(0, "ActiveState=%s\nSubState=%s" % (state, substate)), expected, (state, substate))

    def test_a_systemd_that_does_not_answer_is_no_service_that_is_down(self):
        for status, text, says in [
            (None, "systemctl: not done after 60 s", "whether shardstored runs: systemctl: not done after 60 s"),
            (1, "Failed to connect to bus", "Failed to connect"), (1, "", "status 1"), (0, "", "status 0"), (0, "SubState=dead", "SubState"),
        ]:
            with self.assertRaisesRegex(ServiceError, says):
                self.is_active(status, text)


if __name__ == "__main__":
    unittest.main()
