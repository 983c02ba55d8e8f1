"""Asking a process over HTTP/1.1, by TCP or over a Unix socket.

Not: retries, redirects, TLS. Listeners that commands and metrics come from speak none.

Invariants: a request ends within its time, whatever the other side does.
"""

from __future__ import annotations

import http.client
import socket
import time

# Metrics of a process with 256 cores are below this.
BODY_BYTES_MAX = 64 * 1024 * 1024


class HttpError(Exception):
    """The other side did not answer as HTTP, or not in time; says where."""


class Answer:
    """A status, a body and fields by lower-case name."""

    def __init__(self, status, body, fields):
        self.status = status
        self.body = body
        self.fields = fields

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


class _Connection(http.client.HTTPConnection):
    def __init__(self, address, seconds):
        self.address = address
        host = "localhost" if address.startswith("unix:") else address.rpartition(":")[0].strip("[]")
        port = None if address.startswith("unix:") else int(address.rpartition(":")[2])
        super().__init__(host, port, timeout=seconds)

    def connect(self):
        if not self.address.startswith("unix:"):
            super().connect()
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.address[len("unix:"):])


class Client:
    """One kept connection to `address`: "IP:PORT", "[IP]:PORT" or "unix:/path"."""

    def __init__(self, address, seconds=5.0):
        self.address = address
        self.seconds = seconds
        self.connection = None

    def request(self, method, path, body=None):
        """Sends a request and reads the answer; raises HttpError."""
        try:
            if self.connection is None:
                self.connection = _Connection(self.address, self.seconds)
            # Under this name a listener answers whatever names it was given.
            self.connection.request(method, path, body, {"Host": "localhost"})
            answer = self.connection.getresponse()
            content = answer.read(BODY_BYTES_MAX)
            fields = dict((name.lower(), value) for name, value in answer.getheaders())
            if answer.will_close:
                self.close()
            return Answer(answer.status, content, fields)
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.close()
            raise HttpError("%s %s%s: %s" % (method, self.address, path, error or type(error).__name__)) from error

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def request(method, address, path, body=None, seconds=5.0):
    """One request on a connection of its own."""
    client = Client(address, seconds)
    try:
        return client.request(method, path, body)
    finally:
        client.close()


def wait(seconds, probe, pause=0.1):
    """Calls `probe` until it returns something true, for `seconds` at most; returns that, or None."""
    until = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() >= until:
            return None
        time.sleep(pause)
