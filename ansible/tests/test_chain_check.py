"""Certificates and keys as a peer would see them."""

import tempfile
import unittest

from tests import paths  # noqa: F401
from tests.made import Authority
from ansible.module_utils import corelane_chain_check as chain_check
from ansible.module_utils.corelane_chain_check import ChainError, checked


class Chains(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.authority = Authority(self.folder)

    def fault(self, *files):
        with self.assertRaises(ChainError) as raised:
            checked(*files)
        self.assertNotIn("PRIVATE", str(raised.exception))
        return raised.exception.what, str(raised.exception)

    def test_what_fits(self):
        chain, key = self.authority.issue("edge", uri="spiffe://blue/edge/e1", ip="10.0.0.1", days=90)
        found = checked(chain, key, self.authority.path)
        self.assertEqual(chain_check.names(found), [("URI", "spiffe://blue/edge/e1"), ("IP Address", "10.0.0.1")])
        self.assertAlmostEqual(chain_check.share_left(found), 90 / 490, delta=0.01)
        self.assertIsNone(checked(chain, key))

    def test_what_does_not(self):
        chain, key = self.authority.issue("edge")
        other = Authority(self.folder, "other")
        stranger, ended = other.issue("stranger"), self.authority.issue("ended", days=-1)
        self.assertEqual(self.fault(chain, "/none.key"), ("key", "/none.key: no such file"))
        self.assertEqual(self.fault(chain, stranger[1]), ("key", "%s: not the key of %s" % (stranger[1], chain)))
        self.assertEqual(self.fault(self.authority.path, self.authority.path)[0], "key")
        self.assertIn("issuer", self.fault(*stranger, self.authority.path)[1])
        self.assertIn("certificate has expired", self.fault(*ended, self.authority.path)[1])
        self.assertEqual(self.fault(chain, key, key)[0], "ca")
