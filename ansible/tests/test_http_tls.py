"""Asking over TLS, as an operator of the cluster."""

import os
import ssl
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests import paths  # noqa: F401
from tests.made import Authority
from ansible.module_utils import corelane_http as http


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"ready")

    def log_message(self, *_arguments):
        pass


class Operators(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(http.identify, {})
        self.authority, self.other = Authority(folder.name), Authority(folder.name, "other")
        self.operator = self.identity(self.authority, "operator")

    def identity(self, authority, name):
        chain, key = authority.issue(name, is_server=False)
        return {"ca": self.authority.path, "chain": chain, "key": key}

    def server(self, files):
        """The address of a listener that takes operators of the authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.authority.path)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_arguments: None
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return "tls:127.0.0.1:%d" % server.server_port

    def refused(self, address):
        with self.assertRaises(http.HttpError) as raised:
            http.request("GET", address, "/readyz")
        return str(raised.exception)

    def test_an_operator_is_answered(self):
        address = self.server(self.authority.issue("edge"))
        http.identify(self.operator)
        self.assertEqual(http.request("GET", address, "/readyz").text, "ready")

    def test_without_a_certificate_nobody_is_asked(self):
        self.assertIn("none is named here", self.refused(self.server(self.authority.issue("edge"))))

    def test_whoever_is_no_process_of_the_cluster_is_not_believed(self):
        http.identify(self.operator)
        self.assertIn("CERTIFICATE_VERIFY_FAILED", self.refused(self.server(self.other.issue("stranger"))))
        self.assertIn("CERTIFICATE_VERIFY_FAILED", self.refused(self.server(self.authority.issue("alice", is_server=False))))

    def test_an_operator_of_others_is_refused(self):
        address = self.server(self.authority.issue("edge"))
        http.identify(self.identity(self.other, "mallory"))
        self.refused(address)
        http.identify(dict(self.operator, key=os.devnull))
        self.refused(address)
