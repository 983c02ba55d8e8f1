"""Asking a process over HTTP/1.1, by TCP, by TLS within the cluster, or over a Unix socket.

Not: retries, redirects, TLS with servers that clients reach.

Invariants: a request ends within its time, whatever the other side does. Over TLS the other side is an edge or a node of the cluster: its
certificate is of the cluster's authority and for servers, which those of operators are not.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time

# Metrics of a process with 256 cores are below this.
BODY_BYTES_MAX = 64 * 1024 * 1024


TLS = "tls:"
"""Before the address of a listener that takes operators with certificates only."""

IDENTITY_KEYS = ("ca", "chain", "key")

_identity = {}


def identify(files):
    """Names the files with which addresses that begin with `TLS` are asked from now on: `ca`, `chain`, `key`; empty names none."""
    _identity.clear()
    _identity.update((key, os.path.expanduser(path)) for key, path in (files or {}).items())


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


class _Bounded:
    """A socket of a request that has to end by `until`, also where bytes come one by one."""

    until = 0.0

    def recv_into(self, *arguments):
        self._leave_time()
        return super().recv_into(*arguments)

    def sendall(self, *arguments):
        self._leave_time()
        return super().sendall(*arguments)

    def _leave_time(self):
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left)


class _BoundedSocket(_Bounded, socket.socket):
    """In the clear."""


class _BoundedTls(_Bounded, ssl.SSLSocket):
    """Over TLS."""


def operator_context():
    """The TLS of an operator; raises OSError where the files cannot be read, or do not belong together."""
    missing = [key for key in IDENTITY_KEYS if not _identity.get(key)]
    if missing:
        raise ssl.SSLError("this listener takes operators with certificates only, and none is named here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # Who it is stands in the identity, not in a name; hosts may be reached under addresses that no certificate has.
    context.check_hostname = False
    context.load_verify_locations(_identity["ca"])
    context.load_cert_chain(_identity["chain"], _identity["key"])
    return context


class _Connection(http.client.HTTPConnection):
    def __init__(self, address, seconds):
        self.is_tls = address.startswith(TLS)
        self.address = address = address[len(TLS):] if self.is_tls else address
        host = "localhost" if address.startswith("unix:") else address.rpartition(":")[0].strip("[]")
        port = None if address.startswith("unix:") else int(address.rpartition(":")[2])
        super().__init__(host, port, timeout=seconds)

    def connect(self):
        if not self.address.startswith("unix:"):
            super().connect()
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self.address[len("unix:"):])
        if self.is_tls:
            context = operator_context()
            context.sslsocket_class = _BoundedTls
            self.sock = context.wrap_socket(self.sock)
        else:
            self.sock = _BoundedSocket(fileno=self.sock.detach())

    def end_by(self, until):
        """Sends and receives until then and no longer; connects first where it is not connected."""
        if self.sock is None:
            self.connect()
        self.sock.until = until


def _content(answer):
    """The whole body; raises HTTPException where it was cut, or is too long."""
    content = answer.read(BODY_BYTES_MAX + 1)
    if len(content) > BODY_BYTES_MAX:
        raise http.client.HTTPException("the body has more than %d bytes" % BODY_BYTES_MAX)
    # What is left of the announced length.
    if answer.length:
        raise http.client.HTTPException("the body ends after %d of %d bytes" % (len(content), len(content) + answer.length))
    return content


class Client:
    """One kept connection to `address`: "IP:PORT", "[IP]:PORT", either after "tls:", or "unix:/path"."""

    def __init__(self, address, seconds=5.0):
        self.address = address
        self.seconds = seconds
        self.connection = None

    def request(self, method, path, body=None):
        """Sends a request and reads the answer; raises HttpError."""
        until = time.monotonic() + self.seconds
        try:
            if self.connection is None:
                self.connection = _Connection(self.address, self.seconds)
            self.connection.end_by(until)
            # Under this name a listener answers whatever names it was given.
            self.connection.request(method, path, body, {"Host": "localhost"})
            answer = self.connection.getresponse()
            content = _content(answer)
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
