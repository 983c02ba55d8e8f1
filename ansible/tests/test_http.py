"""What a request does when the other side does not play by the rules."""

import itertools
import socket
import threading
import unittest

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_http
from ansible.module_utils.corelane_http import HttpError, request

SECONDS = 0.3


def trickle(head, piece):
    """Sends `head` and then `piece` again and again, each well within the time of a request."""
    return itertools.chain([head], itertools.repeat(piece))


ENDLESS = {
    "body": lambda: trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
    "head": lambda: trickle(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "chunks": lambda: trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "interim answers": lambda: trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


class Peer:
    """Takes one connection, reads a request and sends `pieces`, with a pause after each."""

    def __init__(self, pieces, pause=SECONDS / 6):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.gone = threading.Event()
        self.thread = threading.Thread(target=self._serve, args=(pieces, pause))

    def __enter__(self):
        self.thread.start()
        return self.address

    def __exit__(self, *_why):
        self.gone.set()
        self.thread.join()
        self.listener.close()

    def _serve(self, pieces, pause):
        connection, _ = self.listener.accept()
        with connection:
            connection.recv(65536)
            for piece in pieces:
                try:
                    connection.sendall(piece)
                except OSError:
                    return
                if pause and self.gone.wait(pause):
                    return


class Http(unittest.TestCase):
    def fault(self, pieces, pause=SECONDS / 6):
        with Peer(pieces, pause) as address, self.assertRaises(HttpError) as raised:
            request("GET", address, "/x", seconds=SECONDS)
        return str(raised.exception)

    def test_a_peer_that_answers_byte_by_byte_does_not_hold_a_request(self):
        for name, pieces in ENDLESS.items():
            with self.subTest(name):
                # Bounded, so that a request without a deadline fails here instead of hanging.
                self.assertIn("timed out", self.fault(itertools.islice(pieces(), 30)))

    def test_a_kept_connection_has_the_whole_time_for_each_request(self):
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        client = None
        try:
            # Together longer than the time of one.
            with Peer(itertools.repeat(answer, 4), 0.6) as address:
                client = corelane_http.Client(address, 2.0)
                bodies = [client.request("GET", "/x").body for _ in range(4)]
            self.assertEqual(bodies, [b"ok"] * 4)
        finally:
            if client:
                client.close()

    def test_a_body_that_was_cut_is_none(self):
        self.assertIn("the body ends after 3 of 1000 bytes", self.fault([b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc"], 0))

    def test_a_body_without_an_end_is_none(self):
        before, corelane_http.BODY_BYTES_MAX = corelane_http.BODY_BYTES_MAX, 1000
        try:
            fault = self.fault([b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001], 0)
        finally:
            corelane_http.BODY_BYTES_MAX = before
        self.assertIn("the body has more than 1000 bytes", fault)


if __name__ == "__main__":
    unittest.main()
