"""Impostor, for tests of rollouts: makes the real edge spend CPU time that is not owed to any client's request.

It sends requests that are malformed: each costs the edge a connection and a refusal, and none is counted as a request.
"""

import re
import socket
import sys
import time

CONFIG = "/etc/corelane/corelane.toml"

# Malformed requests a second; under the load of the tests they cost about twice what all true requests do.
A_SECOND = 600


def address():
    with open(CONFIG) as file:
        host, _colon, port = re.search(r'^listen = \["(.*)"\]', file.read(), re.MULTILINE).group(1).rpartition(":")
    return ("127.0.0.1" if host == "0.0.0.0" else host, int(port))


def disturb(where):
    try:
        with socket.create_connection(where, 1) as connection:
            connection.sendall(b"\x00 malformed\r\n\r\n")
            while connection.recv(4096):
                pass
    except OSError:
        pass


def serve():
    where, due = address(), time.monotonic()
    while True:
        disturb(where)
        due = max(due + 1.0 / A_SECOND, time.monotonic() - 1)
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__" and sys.argv[1] == "serve":
    serve()
