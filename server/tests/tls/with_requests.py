# The library `requests`: with_requests.py BASE CA
import sys

try:
    import requests
except ImportError:
    sys.exit("requests is not installed: apt-get install python3-requests (or cargo xtask test)")

base, ca = sys.argv[1], sys.argv[2]
with requests.Session() as session:
    session.trust_env = False
    session.verify = ca
    body = bytes(range(256)) * 12_000
    assert session.put(base + "large", data=body, timeout=20).status_code == 201
    for _ in range(3):
        answer = session.get(base + "large", timeout=20)
        assert answer.status_code == 200 and answer.content == body
    assert session.get(base + "large", headers={"Range": "bytes=-5"}, timeout=20).content == body[-5:]
    assert session.delete(base + "large", timeout=20).status_code == 204
    assert session.get(base + "large", timeout=20).status_code == 404
    session.verify = True
    session.close()
    try:
        session.get(base + "large", timeout=20)
        sys.exit("a certificate was taken whose authority nobody knows")
    except requests.exceptions.SSLError:
        pass
print("ok")
