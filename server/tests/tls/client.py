# What applications do over TLS with Python's own modules: client.py IP PORT CA NAME
import http.client, socket, ssl, sys

ip, port, ca, name = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]


class Connection(http.client.HTTPSConnection):
    def connect(self):
        plain = socket.create_connection((ip, port), timeout=20)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


def connection(context, host=name):
    return Connection(host, port, context=context, timeout=20)


def exchange(client, method, key, body=None, headers={}):
    client.request(method, f"/v1/kv/default/{key}", body=body, headers=headers)
    answer = client.getresponse()
    return answer.status, answer.read()


for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = context.maximum_version = version
    client = connection(context)
    large = bytes(range(256)) * 12_000
    assert exchange(client, "PUT", "large", large)[0] in (201, 204)
    assert exchange(client, "GET", "large") == (200, large)
    assert exchange(client, "GET", "large", headers={"Range": "bytes=1000000-1999999"}) == (206, large[1_000_000:2_000_000])
    # Chunked, as of an iterator.
    assert exchange(client, "PUT", "chunked", iter([b"a" * 70_000, b"b", b"c" * 16_384]))[0] in (201, 204)
    assert exchange(client, "GET", "chunked") == (200, b"a" * 70_000 + b"b" + b"c" * 16_384)
    for number in range(200):
        value = b"%d" % number * 100
        assert exchange(client, "PUT", "small", value)[0] in (201, 204)
        assert exchange(client, "GET", "small") == (200, value)
    # The answer's end is one of TLS, too: close_notify.
    assert exchange(client, "GET", "small", headers={"Connection": "close"})[0] == 200

    # A request split over records anywhere: each `sendall` is a record.
    request = b"GET /v1/kv/default/small HTTP/1.1\r\nHost: h\r\n\r\n"
    client = connection(context)
    client.connect()
    for parts in [[request[:at], request[at:]] for at in range(1, len(request))] + [[b"%c" % byte for byte in request]]:
        for part in parts:
            client.sock.sendall(part)
        answer = b""
        while not answer.endswith(value):
            chunk = client.sock.recv(65536)
            assert chunk, answer
            answer += chunk
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer

context = ssl.create_default_context(cafile=ca)
for wrong in (connection(ssl.create_default_context()), connection(context, "other.test")):
    try:
        exchange(wrong, "GET", "small")
        raise SystemExit("a certificate was taken that is nobody's")
    except ssl.SSLCertVerificationError:
        pass
print("ok")
