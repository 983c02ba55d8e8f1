# Makes handshakes as fast as it can, each with a request, until it is told `end`; tells of each certificate that it sees for the first
# time and, at the end, what has become of all. Connections that were open before are used until then.
#
# handshakes.py IP PORT CA NAME THREADS COUNT_MIN
import hashlib, json, socket, ssl, sys, threading

ip, port, ca, name, threads, count_min = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6])
REQUEST = b"GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n\r\n"
context = ssl.create_default_context(cafile=ca)
lock, over = threading.Lock(), threading.Event()
seen, done, failed = [], 0, []


def connect():
    plain = socket.create_connection((ip, port), timeout=20)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname=name)


def ask(connection):
    connection.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\nvalue" not in answer:
        chunk = connection.recv(4096)
        if not chunk:
            raise ConnectionError(f"ended after {answer}")
        answer += chunk


def handshakes():
    global done
    last = -1
    while not over.is_set() or done < count_min:
        try:
            with connect() as connection:
                certificate = hashlib.sha256(connection.getpeercert(True)).hexdigest()
                ask(connection)
        except Exception as error:
            with lock:
                failed.append(repr(error))
            continue
        with lock:
            done += 1
            if certificate not in seen:
                seen.append(certificate)
                print(f"certificate {len(seen)}", flush=True)
            place = seen.index(certificate)
            if place < last:
                failed.append(f"certificate {last}, then {place} again")
            last = place


old = [connect() for _ in range(8)]
for connection in old:
    ask(connection)
workers = [threading.Thread(target=handshakes) for _ in range(threads)]
for worker in workers:
    worker.start()
for line in sys.stdin:
    if line.strip() == "old":
        for connection in old:
            ask(connection)
        print("asked", flush=True)
    else:
        break
over.set()
for worker in workers:
    worker.join()
print(json.dumps({"done": done, "failed": len(failed), "first": failed[:5], "seen": len(seen)}), flush=True)
