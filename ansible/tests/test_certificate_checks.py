"""Certificates that would not work, found by preflight."""

import tempfile
import unittest

from tests import paths  # noqa: F401
from tests.made import Authority
from tests.test_certificate_files import HTTPS, MADE
from ansible.module_utils import corelane_certificate_checks as checks
from ansible.module_utils.corelane_chain_check import checked


class Named(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.authority = Authority(folder.name)
        chain, key = self.authority.issue("e1", uri="spiffe://blue/edge/e1", days=90)
        operator = self.authority.issue("alice", uri="spiffe://blue/operator/alice", is_server=False)
        self.own = dict(MADE, corelane_cluster_chain=chain, corelane_cluster_key=key, corelane_cluster_ca=self.authority.path)
        self.own.update(corelane_operator_chain=operator[0], corelane_operator_key=operator[1])

    def faults(self, groups=("edges",), name="e1", values=None, **changes):
        return [str(fault) for fault in checks.faults(dict(values or self.own, **changes), groups, name, checked)]

    def test_what_works(self):
        self.assertEqual(self.faults(), [])
        self.assertEqual(self.faults(values=MADE), [])
        chain, key = self.authority.issue("n7", uri="spiffe://blue/node/7")
        self.assertEqual(self.faults(["nodes"], corelane_cluster_chain=chain, corelane_cluster_key=key), [])

    def test_each_fault_names_its_variable(self):
        other, ending = self.authority.issue("e2", uri="spiffe://blue/operator/e1"), self.authority.issue("e3", uri="spiffe://blue/edge/e3", days=20)
        stranger = Authority(self.authority.folder, "other")
        for changes, wanted in [
            ({"corelane_cluster_key": None}, "corelane_cluster_key: not set, and corelane_cluster_chain is"),
            ({"corelane_cluster_key": "/none"}, "corelane_cluster_key: /none: no such file"),
            ({"corelane_cluster_key": other[1]}, "corelane_cluster_key: %s: not the key of" % other[1]),
            ({"corelane_cluster_ca": stranger.path}, "corelane_cluster_chain: "),
            ({"corelane_cluster_chain": other[0], "corelane_cluster_key": other[1]}, "corelane_cluster_chain: %s is of spiffe://blue/operator/e1" % other[0]),
            ({"corelane_cluster_chain": ending[0], "corelane_cluster_key": ending[1]}, "corelane_cluster_chain: %s ends on" % ending[0]),
            ({"corelane_operator_key": None}, "corelane_operator_key: not set"),
        ]:
            found = self.faults(**changes)
            self.assertEqual(len(found), 1, found)
            self.assertTrue(found[0].startswith(wanted), found)
        self.assertIn("not of spiffe://blue/node/7", self.faults(["nodes"])[0])

    def test_names_that_no_certificate_can_have(self):
        self.assertIn("inventory_hostname: -e", self.faults(values=MADE, name="-e")[0])

    def test_clients(self):
        chain, key = self.authority.issue("web")
        def of(web, **more):
            return self.faults(values=dict(HTTPS, corelane_https_certificates={"web": web}, **more))

        self.assertEqual(of({"chain": chain, "key": key}), [])
        self.assertIn("corelane_https_certificates.web: has no chain or no key", of({"chain": chain})[0])
        self.assertIn("corelane_https_certificates.web.key: ", of({"chain": chain, "key": "/none"})[0])
        self.assertIn("corelane_https_ticket_keys: /none", of({"chain": chain, "key": key}, corelane_https_ticket_keys="/none")[0])
        self.assertIn("there is no authority", self.faults(values=dict(HTTPS, corelane_topology={}))[0])
