# Speaks TLS for plain connections: tls_client.py LISTEN SERVER VERSION
import select, socket, ssl, sys

listen, server = (text.rsplit(":", 1) for text in sys.argv[1:3])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.minimum_version = context.maximum_version = ssl.TLSVersion[sys.argv[3]]


def carry(plain):
    protected = socket.create_connection((server[0], int(server[1])))
    for one in (plain, protected):
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    protected = context.wrap_socket(protected, server_hostname="localhost")
    while True:
        for source in select.select([plain, protected], [], [])[0]:
            data = source.recv(65536)
            if not data:
                return
            (protected if source is plain else plain).sendall(data)
            while source is protected and protected.pending():
                plain.sendall(protected.recv(65536))


listener = socket.create_server((listen[0], int(listen[1])))
while True:
    connection, _ = listener.accept()
    with connection:
        try:
            carry(connection)
        except OSError:
            pass
