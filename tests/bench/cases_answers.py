"""Cases of small answers: alone, with a token, beside an upload, beside stalled downloads, beside idle connections."""

import json
import socket
import subprocess
import threading

from measure import QUIET, access, freshen, random_file, wrk
from servers import Fault, until
from yard import HEALTH


def small(yard):
    """`GET /health` against nginx with the same bytes, as a file and as a fixed answer."""
    ours, nginx = yard.packhouse.url("/health"), yard.nginx
    same_bytes(yard, ours)
    for connections, floor in ((1, 0.35), (16, 0.45), (64, 0.40)):
        mine, theirs = rates(yard, connections, ours, nginx.url("/health.json"))
        yard.add(f"small answer, c={connections}", "/s", per_second(mine), per_second(theirs), against="nginx file",
                 floor=floor, aim=0.65)
        if connections == 16:
            yard.add("small answer, p99 at c=16", "ms", p99(mine), p99(theirs), against="nginx file",
                     more_is_better=False, floor=3.0, aim=1.5)
    mine, theirs = rates(yard, 16, ours, nginx.url("/return"))
    yard.add("small answer, c=16, to a fixed answer", "/s", per_second(mine), per_second(theirs),
             against="nginx return")
    same_bytes(yard, ours)


def product_access(yard):
    """`GET /product/access` with a token: a small answer that needs the token looked up and the store read."""
    server, nginx = yard.packhouse, yard.nginx
    ours = server.url("/product/access")
    _, body = server.call("GET", "/product/access")
    if "bench" not in json.loads(body):
        raise Fault(f"/product/access answered {body[:200]!r}")
    (nginx.root / "access.json").write_bytes(body)
    theirs = nginx.url("/access.json")
    yard.check(theirs, body)
    mine, reference = rates(yard, 16, ours, theirs, token=server.token)
    # Like package metadata: a list read from the store, not an answer that lies ready.
    yard.add("/product/access with token, c=16", "/s", per_second(mine), per_second(reference), against="nginx file",
             floor=0.35, aim=0.60)
    yard.check(ours, body, server.token)


def artifact(yard):
    """A 10 KiB download, 16 connections."""
    server = yard.packhouse
    path = random_file(yard.folder / "ten.bin", yard.sizes.small)
    content = path.read_bytes()
    ours, theirs = yard.published("ten.bin", path)
    for check in range(2):
        yard.check(ours, content, server.token)
        yard.check(theirs, content)
        if check == 0:
            mine, reference = rates(yard, 16, ours, theirs, token=server.token)
    yard.add("10 KiB artifact, c=16", "/s", per_second(mine), per_second(reference), against="nginx file",
             floor=0.35, aim=0.55)


def busy(yard):
    """Small answers, 4 connections, while big uploads run into the product; nginx beside the same uploads."""
    server = yard.packhouse
    ours, theirs = server.url("/health"), yard.nginx.url("/health.json")
    same_bytes(yard, ours)
    path = random_file(yard.folder / "busy.bin", yard.sizes.big)
    stop, running, faults = threading.Event(), threading.Event(), []

    def keep_uploading():
        turn = 0
        while not stop.is_set():
            try:
                digest = freshen(path)
                running.set()
                yard.upload(server, "bench", f"busy-{turn}", path, digest)
                running.clear()
                server.call("DELETE", f"/product/delete/bench/busy-{turn}")
                turn += 1
            except Exception as fault:  # handed to the measuring thread
                faults.append(fault)
                break
        running.set()

    thread = threading.Thread(target=keep_uploading)
    thread.start()
    try:
        def beside(url):
            running.wait()
            rate = wrk(url, 4, yard.sizes.seconds)
            if faults:
                raise faults[0]
            return rate
        mine, reference = yard.pairs(lambda: beside(ours), lambda: beside(theirs))
    finally:
        stop.set()
        thread.join()
        path.unlink()
    if faults:
        raise faults[0]
    same_bytes(yard, ours)
    yard.add("small answer while uploading, c=4", "/s", per_second(mine), per_second(reference), against="nginx file",
             floor=0.3, aim=0.5)
    yard.add("the same, p99", "ms", p99(mine), p99(reference), against="nginx file",
             more_is_better=False, floor=4.0, aim=2.0)


def stalled(yard):
    """64 downloads that are hardly read: the rate of small answers against the rate without them."""
    server = yard.packhouse
    ours = server.url("/health")
    same_bytes(yard, ours)
    # Well beyond what the sockets of both sides can hold, so that the server does have to wait.
    url, _ = yard.published("stalled.bin", random_file(yard.folder / "stalled.bin", 64 * 1024 * 1024))

    def beside():
        descriptors = server.descriptors()
        heads = [yard.folder / f"stalled-{number}.head" for number in range(yard.sizes.stalled)]
        readers = [
            subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *QUIET, *access(server.token), "--limit-rate", "1k",
                              "-o", "/dev/null", "-D", head, url], stderr=subprocess.DEVNULL)
            for head in heads
        ]
        try:
            until("all stalled downloads to begin",
                  lambda: all(head.exists() and b"\r\n\r\n" in head.read_bytes() for head in heads))
            if not all(head.read_bytes().startswith(b"HTTP/1.1 200 ") for head in heads):
                raise Fault("a stalled download was refused")
            return wrk(ours, 16, yard.sizes.seconds)
        finally:
            for reader in readers:
                reader.kill()
            for reader in readers:
                reader.wait()
            for head in heads:
                head.unlink(missing_ok=True)
            server.quiet(descriptors)

    mine, without = yard.pairs(beside, lambda: wrk(ours, 16, yard.sizes.seconds))
    same_bytes(yard, ours)
    yard.add(f"small answer, {yard.sizes.stalled} stalled downloads", "/s", per_second(mine), per_second(without),
             against="without", floor=0.5, aim=0.9)


def idle(yard):
    """1,000 idle keep-alive connections: the rate of small answers, and memory for each. A server of its own."""
    server = yard.start(yard.folder / "idle")
    ours, count = server.url("/health"), yard.sizes.idle
    same_bytes(yard, ours)
    wrk(ours, 16, yard.sizes.seconds)  # what the workers need under load is not counted to the connections
    kib = []

    def beside():
        before, descriptors = server.memory_kib("VmRSS"), server.descriptors()
        connections = [quiet_connection(server.address) for _ in range(count)]
        try:
            kib.append(max(0, server.memory_kib("VmRSS") - before) / count)
            rate = wrk(ours, 16, yard.sizes.seconds)
            open_still = sum(still_open(connection) for connection in connections)
            if open_still < count:
                raise Fault(f"only {open_still} of {count} idle connections were kept")
            return rate
        finally:
            for connection in connections:
                connection.close()
            server.quiet(descriptors)

    mine, without = yard.pairs(beside, lambda: wrk(ours, 16, yard.sizes.seconds))
    same_bytes(yard, ours)
    server.end()
    yard.add(f"small answer, {count:,} idle connections", "/s", per_second(mine), per_second(without),
             against="without", floor=0.7, aim=0.9)
    # Only the first round grows the memory; later ones use again what it left.
    yard.add("memory of an idle connection", "KiB", [max(kib)], more_is_better=False, floor=64, aim=16)


def quiet_connection(address):
    """A keep-alive connection that has had one answer."""
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.sendall(f"GET /health HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(HEALTH.encode()):
        block = connection.recv(4096)
        if not block:
            raise Fault(f"an idle connection was answered {answer[:80]!r}")
        answer += block
    return connection


def still_open(connection):
    """Whether the server has kept the connection: nothing to read, not even an end."""
    connection.setblocking(False)
    try:
        connection.recv(1)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


# ---- helpers

def same_bytes(yard, ours):
    """Both sides answer the same small JSON."""
    path = yard.nginx.root / "health.json"
    if not path.exists():
        path.write_text(HEALTH)
    for url in (ours, yard.nginx.url("/health.json"), yard.nginx.url("/return")):
        yard.check(url, HEALTH.encode())


def rates(yard, connections, ours, theirs, token=None):
    """wrk on the product and on nginx in turn. Both are sent the same request head."""
    seconds = yard.sizes.seconds
    if yard.sizes.warm_up:
        for url in (ours, theirs):
            wrk(url, connections, yard.sizes.warm_up, token)
    return yard.pairs(lambda: wrk(ours, connections, seconds, token), lambda: wrk(theirs, connections, seconds, token))


def per_second(runs):
    return [run.per_second for run in runs]


def p99(runs):
    return [run.p99_ms for run in runs]
