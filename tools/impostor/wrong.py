"""Impostor, for tests of rollouts: stands between clients and the real edge, and changes one byte of one value in ten.

`flags` prints what the real program is told besides: to listen on a socket behind this one. Only the settings of a test are understood:
one address in `listen`, on one line.
"""

import asyncio
import re
import sys

CONFIG = "/etc/corelane/corelane.toml"
BEHIND = "/run/corelane/behind"

# One answer with a body in so many is changed.
ONE_IN = 10


def changed(data):
    """Answers in one piece of a stream, with the first byte of the body changed."""
    head, empty, body = data.partition(b"\r\n\r\n")
    if not data.startswith(b"HTTP/1.1 200") or not body:
        return data
    return head + empty + bytes([body[0] ^ 1]) + body[1:]


class Counter:
    answers = 0


async def copy(reader, writer, change):
    try:
        while True:
            data = await reader.read(256 * 1024)
            if not data:
                break
            if change:
                Counter.answers += data.startswith(b"HTTP/1.1 200")
                data = changed(data) if Counter.answers % ONE_IN == 0 else data
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def stand_between(reader, writer):
    for _attempt in range(100):
        try:
            behind = await asyncio.open_unix_connection(BEHIND)
            break
        except OSError:
            await asyncio.sleep(0.05)
    else:
        writer.close()
        return
    await asyncio.gather(copy(reader, behind[1], False), copy(behind[0], writer, True))


async def serve():
    with open(CONFIG) as file:
        host, _colon, port = re.search(r'^listen = \["(.*)"\]', file.read(), re.MULTILINE).group(1).rpartition(":")
    server = await asyncio.start_server(stand_between, host, int(port))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "flags":
        print("--listen unix:%s" % BEHIND)
    else:
        asyncio.run(serve())
