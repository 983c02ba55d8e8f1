"""A process that answers as an edge does, on loopback, for tests of what asks it."""

import atexit
import json
import os
import shutil
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests import paths  # noqa: F401
from ansible.module_utils.corelane_begun import BegunNote
from ansible.module_utils.corelane_drain_note import DrainNote
from ansible.module_utils.corelane_service import Service

NOTES = tempfile.mkdtemp()
atexit.register(shutil.rmtree, NOTES)

METRICS = """corelane_process_start_time_seconds 1
corelane_http_requests_total{core="0"} %d
corelane_http_responses_total{core="0",class="5xx"} 0
corelane_process_cpu_seconds_total{thread="core-0",mode="user"} %s
corelane_node_requests_total{core="0"} %d
"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_words):
        pass

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        edge = self.server.edge
        if self.path == "/metrics":
            edge.looks += 1
            return self.answer(200, (METRICS % (edge.requests_more * edge.looks, edge.cpu * edge.looks, edge.node_requests * edge.looks)).encode())
        if self.path == "/readyz":
            reasons = edge.reasons + (["draining by request since %s" % edge.drain["since"]] if edge.drain else [])
            return self.answer(200 if edge.ready and not reasons else 503, json.dumps({"reasons": reasons}).encode())
        if self.path == "/v1/status":
            edge.requests += edge.asked
            return self.answer(200, json.dumps(edge.status()).encode())
        value = edge.values.get(self.path)
        return self.answer(404 if value is None else 200, edge.change(value or b""))

    def do_PUT(self):
        self.server.edge.values[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.edge.is_mute:
            # The write is done, and its answer never comes.
            self.close_connection = True
            return
        self.answer(self.server.edge.put_status)

    def do_DELETE(self):
        self.server.edge.values.pop(self.path, None)
        self.answer(204)

    def do_POST(self):
        edge = self.server.edge
        edge.told.append(self.path)
        edge.drain = {"cause": "request", "since": edge.since} if self.path == "/v1/drain" else None
        self.answer(edge.command_status)


class Edge:
    """A process that is asked; what it answers is set by tests."""

    def __init__(self, test):
        self.looks, self.cpu, self.ready, self.values, self.put_status = 0, 1.0, True, {}, 201
        self.requests_more, self.is_mute, self.command_status = 1000, False, 200
        self.drain, self.since, self.mode, self.items = None, "2026-11-30T20:00:00Z", "edge", 7
        self.node_requests = 0
        self.requests, self.asked, self.connections, self.told, self.reasons = 0, 0, 0, [], []
        self.change = bytes
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.edge = self
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)
        self.address = "127.0.0.1:%d" % self.server.server_port

    def status(self):
        totals = {"requests": self.requests, "connections": self.connections, "items": self.items, "memory_used_bytes": 1 << 20}
        return {"totals": totals, "drain": self.drain, "mode": self.mode}

    def service(self, kind="edge"):
        """The service that this process is, as its host sees it."""
        service = Service(kind)
        service.settings = {"admin": self.address, "command_listen": self.address, "listen": [self.address], "lame_duck": "0s"}
        service.note = DrainNote(kind, tempfile.mkdtemp(dir=NOTES))
        service.begun = BegunNote(kind, os.path.dirname(service.note.path))
        service.read_settings = lambda: service
        service.is_active = lambda: True
        service.running_release = lambda: "b" * 64
        return service
