"""Which certificates a fleet needs, where they go, and what settings name."""

import os
import unittest

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_certificate_files as certificates
from ansible.module_utils import corelane_settings as settings
from ansible.module_utils import corelane_targets as targets

MADE = {
    "corelane_topology": {"cluster": "blue", "epoch": 1},
    "corelane_cluster_plaintext": "loopback",
    "corelane_pki_dir": "/pki",
    "corelane_node_id": 7,
    "corelane_listen_address": "0.0.0.0",
    "corelane_http_port": 8080,
    "corelane_shard_port": 7401,
    "corelane_admin_address": "0.0.0.0",
    "corelane_admin_port": 9180,
    "corelane_node_admin_port": 9280,
    "corelane_edge_settings": {},
    "corelane_node_settings": {},
}
HTTPS = dict(MADE, corelane_https_port=443, corelane_https_names=["a.example"])
OWN = dict(MADE, corelane_cluster_chain="/own/e.pem", corelane_cluster_key="/own/e.key", corelane_cluster_ca="/own/ca.pem")
PLAIN = dict(MADE, corelane_cluster_plaintext="allow")


class Settings(unittest.TestCase):
    def test_certificates_are_the_default(self):
        found = settings.edge_settings(MADE)
        folder = "/etc/corelane/pki/"
        wanted = {"chain": folder + "edge.pem", "key": folder + "edge.key", "ca": folder + "ca.pem", "crl": folder + "crl.pem"}
        self.assertEqual((found["cluster"], found["admin_tls"]), (wanted, True))
        self.assertEqual(settings.node_settings(MADE)["cluster"]["chain"], folder + "node.pem")

    def test_the_word_for_the_clear(self):
        found = settings.edge_settings(PLAIN)
        self.assertEqual(found["cluster"], {"plaintext": "allow"})
        self.assertNotIn("admin_tls", found)
        # An edge by itself has nobody to show certificates to.
        self.assertNotIn("cluster", settings.edge_settings(dict(MADE, corelane_topology={})))

    def test_an_admin_listener_of_the_own_host_takes_anybody(self):
        for address in ("127.0.0.1", "::1"):
            self.assertNotIn("admin_tls", settings.edge_settings(dict(MADE, corelane_admin_address=address)), address)
        found = settings.edge_settings(dict(MADE, corelane_edge_settings={"admin": "unix:/run/a", "cluster": {"link_time": "1m"}}))
        self.assertNotIn("admin_tls", found)
        self.assertEqual(found["cluster"]["link_time"], "1m")
        self.assertIn("chain", found["cluster"])

    def test_own_certificates_have_a_list_of_what_was_revoked_where_it_is_named(self):
        self.assertNotIn("crl", settings.edge_settings(OWN)["cluster"])
        self.assertIn("crl", settings.edge_settings(dict(OWN, corelane_cluster_crl="/own/crl.pem"))["cluster"])

    def test_clients_over_tls(self):
        found = settings.edge_settings(HTTPS)
        self.assertEqual(found["listen_tls"], ["0.0.0.0:443"])
        self.assertEqual(found["certificate"], {"default": {"chain": "/etc/corelane/tls/default.pem", "key": "/etc/corelane/tls/default.key"}})
        self.assertEqual(found["tls"], {"ticket_keys": "/etc/corelane/tls/ticket.keys"})
        found = settings.edge_settings(dict(HTTPS, corelane_edge_settings={"tls": {"min_version": "1.3"}}))
        self.assertEqual(found["tls"], {"ticket_keys": "/etc/corelane/tls/ticket.keys", "min_version": "1.3"})
        found = settings.edge_settings(dict(HTTPS, corelane_edge_settings={"tls": {"early_data": True}}))
        self.assertEqual(found["tls"], {"early_data": True})
        self.assertIn('[certificate.default]\nchain = "/etc', settings.edge_file(HTTPS))

    def test_a_host_asks_its_own_services_without_a_certificate(self):
        self.assertEqual(settings.own_admin(settings.edge_settings(MADE)), "unix:/run/corelane/command")
        self.assertEqual(settings.own_admin({"admin": "0.0.0.0:1"}), "127.0.0.1:1")


class Files(unittest.TestCase):
    def sources(self, values, groups, name="e1"):
        return {os.path.basename(one["dest"]): one["src"] for one in certificates.host_files(values, groups, name)}

    def test_a_host_gets_its_own_key_and_no_other(self):
        edge = {"edge.pem": "/pki/blue/edge-e1.pem", "edge.key": "/pki/blue/edge-e1.key"}
        shared = {"ca.pem": "/pki/blue/ca.pem", "crl.pem": "/pki/blue/crl.pem"}
        node = {"node.pem": "/pki/blue/node-7.pem", "node.key": "/pki/blue/node-7.key"}
        self.assertEqual(self.sources(MADE, ["edges"]), dict(edge, **shared))
        self.assertEqual(self.sources(MADE, ["nodes"]), dict(node, **shared))
        self.assertEqual(self.sources(MADE, ["edges", "nodes"]), dict(edge, **node, **shared))
        for values, groups in ((MADE, ["monitoring"]), (PLAIN, ["edges"])):
            self.assertEqual(self.sources(values, groups), {})

    def test_keys_are_secret(self):
        secret = [one["dest"] for one in certificates.host_files(HTTPS, ["edges"], "e1") if one["secret"]]
        self.assertEqual([os.path.basename(path) for path in secret], ["edge.key", "default.key", "ticket.keys"])

    def test_own_files(self):
        self.assertEqual(self.sources(OWN, ["edges"]), {"edge.pem": "/own/e.pem", "edge.key": "/own/e.key", "ca.pem": "/own/ca.pem"})
        own = dict(HTTPS, corelane_https_certificates={"web": {"chain": "/w.pem", "key": "/w.key", "ocsp": "/w.der"}}, corelane_https_ticket_keys="/t")
        found = self.sources(own, ["edges"])
        self.assertEqual([found[one] for one in ("web.pem", "web.key", "web.ocsp", "ticket.keys")], ["/w.pem", "/w.key", "/w.der", "/t"])

    def test_who_asks_admin_listeners(self):
        wanted = {"ca": "/pki/blue/ca.pem", "chain": "/pki/blue/operator-ansible.pem", "key": "/pki/blue/operator-ansible.key"}
        self.assertEqual(certificates.operator(MADE), wanted)
        self.assertEqual(certificates.operator(PLAIN), {})
        own = dict(OWN, corelane_operator_chain="/o.pem", corelane_operator_key="/o.key")
        self.assertEqual(certificates.operator(own), {"ca": "/own/ca.pem", "chain": "/o.pem", "key": "/o.key"})
        self.assertEqual(len(certificates.scraper_files(MADE)), 3)


class Wanted(unittest.TestCase):
    def test_who_gets_one(self):
        members = [("e1", ["edges"], HTTPS, "10.0.0.1"), ("n1", ["nodes"], MADE, "n1.example"), ("e2", ["edges"], OWN, "10.0.0.2")]
        found = certificates.wanted(members, ["balancer"])
        self.assertEqual([(one["role"], one["id"], one["names"], one["ips"]) for one in found], [
            ("edge", "e1", [], ["10.0.0.1"]), ("server", "e1", ["a.example"], ["10.0.0.1"]), ("node", "7", ["n1.example"], []),
            ("operator", "ansible", [], []), ("operator", "prometheus", [], []), ("operator", "balancer", [], []),
        ])
        self.assertEqual(certificates.wanted([("e1", ["edges"], PLAIN, "10.0.0.1"), ("e2", ["edges"], OWN, "10.0.0.2")], ["b"]), [])
        self.assertTrue(certificates.shared_ticket_keys(members))
        self.assertFalse(certificates.shared_ticket_keys([("e1", ["edges"], dict(HTTPS, corelane_https_ticket_keys="/t"), "")]))


class Scraped(unittest.TestCase):
    def test_edges_and_nodes_are_scraped_over_tls(self):
        text = (paths.ANSIBLE / "roles/observability/files/prometheus.yml").read_text()
        self.assertEqual(targets.over_tls(text, False), text)
        found = targets.over_tls(text, True)
        self.assertEqual(found.count("scheme: https"), 2)
        self.assertIn("job_name: corelane-nodes\n    scheme: https\n    tls_config:\n      ca_file", found)
