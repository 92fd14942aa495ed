"""Cases of whole files: downloads, uploads big and small, syncs, second copies, peak memory."""

import hashlib
import os

from measure import (
    MIB, Syncs, curl, digest_of, digest_of_file, disk_loop, disk_usage, download, downloads_at_once, freshen,
    random_file, settle, two_sync_loops,
)
from servers import Fault, until


def downloads(yard):
    """One stream of 1 GiB, its processor time, and eight streams at once, against nginx. Warm page cache."""
    sizes, server, nginx = yard.sizes, yard.packhouse, yard.nginx
    digest = digest_of_file(yard.big)
    ours, theirs = yard.published("big.bin", yard.big)

    def same():
        if digest_of(ours, server.token) != digest or digest_of(theirs) != digest:
            raise Fault("a download has other bytes than were uploaded")

    def timed(server, url, token):
        begin = server.cpu_seconds()
        speed = download(url, sizes.big, sizes.repeats, token)
        gigabytes = sizes.big * sizes.repeats / 1e9
        return speed / 1e6, (server.cpu_seconds() - begin) / gigabytes

    same()
    mine, reference = yard.pairs(lambda: timed(server, ours, server.token), lambda: timed(nginx, theirs, None))
    same()
    yard.add("1 GiB download, 1 stream", "MB/s", first(mine), first(reference), against="nginx", floor=0.9, aim=1.2)
    yard.add("CPU per GB downloaded", "s", second(mine), second(reference), against="nginx", more_is_better=False,
             floor=2.0, aim=1.2)

    part = sizes.big // sizes.streams
    pairs, parts = [], []
    with open(yard.big, "rb") as big:
        for number in range(sizes.streams):
            path = yard.folder / f"part-{number}.bin"
            path.write_bytes(big.read(part))
            parts.append(path)
            pairs.append(yard.published(path.name, path))
    digests = [digest_of_file(path) for path in parts]

    def all_same():
        for (mine, theirs), digest in zip(pairs, digests):
            if digest_of(mine, server.token) != digest or digest_of(theirs) != digest:
                raise Fault("a download has other bytes than were uploaded")

    all_same()
    mine, reference = yard.pairs(
        lambda: downloads_at_once([url for url, _ in pairs], part, server.token) / 1e6,
        lambda: downloads_at_once([url for _, url in pairs], part) / 1e6)
    all_same()
    yard.add(f"{sizes.streams} × {part // MIB} MiB download at once", "MB/s", mine, reference, against="nginx",
             floor=0.9, aim=1.2)


def upload(yard):
    """1 GiB with curl, hashed and synced, against the plain disk loop and the registry. New bytes each time."""
    server, registry = yard.packhouse, yard.registry
    path = random_file(yard.folder / "upload.bin", yard.sizes.big)
    size = path.stat().st_size
    turns = iter(range(1000))
    last = {}

    def to_packhouse():
        turn, digest = next(turns), freshen(path)
        settle()
        speed = yard.upload(server, "bench", f"upload-{turn}", path, digest)
        last["packhouse"] = (server.url(f"/product/download/bench/upload-{turn}"), server.token, digest)
        return speed / 1e6

    def to_disk():
        settle()
        return disk_loop(path, yard.folder / "loop.bin") / 1e6

    def to_registry():
        digest = freshen(path)
        target = f"{registry.place()}digest=sha256:{digest}"
        settle()
        [(status, seconds, _, up)] = curl(
            "-o", "/dev/null", "-H", "Content-Type: application/octet-stream", "-T", path, target)
        if status != 201 or up != size:
            raise Fault(f"the registry answered {status} after {up} bytes")
        last["registry"] = (f"http://{registry.address}/v2/bench/blobs/sha256:{digest}", None, digest)
        return size / seconds / 1e6

    mine, loop, theirs = yard.pairs(to_packhouse, to_disk, to_registry)
    for url, token, digest in last.values():
        if digest_of(url, token) != digest:
            raise Fault(f"{url} has other bytes than were uploaded")
    path.unlink()
    name = f"{size / MIB / 1024:g} GiB upload"
    yard.add(name, "MB/s", mine, loop, against="disk loop", floor=0.6, aim=1.0)
    yard.add(name, "MB/s", mine, theirs, against="registry", floor=1.2, aim=2.5)


def many(yard):
    """Many 10 KiB uploads over keep-alive connections, 1 and 8 clients, against the registry and two-sync loops."""
    server, registry, sizes = yard.packhouse, yard.registry, yard.sizes
    size, count = sizes.small, sizes.uploads
    payloads, digests = payload_file(yard, "many", size, 2 * yard.rounds * count)
    server.product("many")
    begin = 0
    for clients, floors in ((1, (2.0, 5.0, 0.5, 0.9)), (8, (3.0, 8.0, 0.3, 1.0))):
        first_number, turns = begin, {"packhouse": 0, "registry": 0, "loop": 0}

        def span(kind):
            """The payloads of this turn; each kind walks through the same ones."""
            turns[kind] += 1
            return first_number + (turns[kind] - 1) * count

        def to_server(kind, target):
            settle()
            report = yard.generate("upload", kind, target, span(kind), count, size, payloads, clients,
                                   digests=digests, product="many")
            return report["done"] / report["seconds"]

        def to_disk():
            settle()
            folder = yard.folder / f"loops-{clients}-{turns['loop']}"
            return two_sync_loops(payloads, size, span("loop"), count, folder, clients)

        mine, theirs, loop = yard.pairs(
            lambda: to_server("packhouse", server), lambda: to_server("registry", registry), to_disk)
        begin += yard.rounds * count
        for kind, target in (("packhouse", server), ("registry", registry)):
            yard.generate("verify", kind, target, first_number, yard.rounds * count, size, payloads, 4,
                          digests=digests, product="many")
        name = f"{count:,} × 10 KiB uploads, {clients} client{'s' if clients > 1 else ''}"
        yard.add(name, "/s", mine, theirs, against="registry", floor=floors[0], aim=floors[1])
        yard.add(name, "/s", mine, loop, against="two-sync loop" + ("s" if clients > 1 else ""),
                 floor=floors[2], aim=floors[3])
    # What the generator could do if the server cost nothing: far above the rates it measured, or they are its own.
    report = yard.generate("upload", "packhouse", yard.sink, 0, begin, size, payloads, 8, product="many")
    ceiling = report["done"] / report["seconds"]
    yard.add("the upload generator's own ceiling, 8 clients", "/s", [ceiling])


def syncs(yard):
    """Syncs for each small upload, counted by strace, alone and with 16 clients; the registry for comparison."""
    server, registry, size = yard.packhouse, yard.registry, yard.sizes.small
    plan = ((1, 50, 5.0, 3.0), (16, 320, 2.5, 0.5))
    payloads, digests = payload_file(yard, "syncs", size, sum(count for _, count, _, _ in plan))
    server.product("syncs")
    begin = 0
    for clients, count, floor, aim in plan:
        counts = {}
        for kind, target in (("packhouse", server), ("registry", registry)):
            with Syncs(target.pid, yard.folder) as seen:
                yard.generate("upload", kind, target, begin, count, size, payloads, clients,
                              digests=digests, product="syncs")
            counts[kind] = seen.count / count
        begin += count
        if counts["packhouse"] == 0:
            raise Fault("uploads were acknowledged without a single sync: they would not survive a power cut")
        name = f"syncs per small upload, {clients} client{'s' if clients > 1 else ''}"
        yard.add(name, "", [counts["packhouse"]], more_is_better=False, floor=floor, aim=aim)
        yard.add(f"  (the registry's, {clients})", "", [counts["registry"]])


def copy(yard):
    """A second version with the same bytes: growth of the data directory in percent of the file."""
    server = yard.packhouse
    path = random_file(yard.folder / "copy.bin", 64 * MIB)
    digest = digest_of_file(path)
    yard.upload(server, "bench", "copy-1", path, digest)
    # Only the stage of the second upload may go away later, so a growth seen at first may still shrink.
    settle()
    before = disk_usage(server.data)
    yard.upload(server, "bench", "copy-2", path, digest)
    settle()

    def growth():
        return max(0, disk_usage(server.data) - before) / path.stat().st_size * 100

    try:
        until("the second copy to cost nothing", lambda: growth() < 1, 10)
    except Fault:
        pass  # the row below says so
    percent = growth()
    for version in ("copy-1", "copy-2"):
        if digest_of(server.url(f"/product/download/bench/{version}"), server.token) != digest:
            raise Fault(f"{version} has other bytes than were uploaded")
    yard.add("growth by a second copy of 64 MiB", "%", [percent], more_is_better=False, floor=1.0)


def memory(yard):
    """Peak memory of a fresh server after a small and then a 1 GiB upload and download."""
    server = yard.start(yard.folder / "memory")
    server.product("bench")
    little = random_file(yard.folder / "little.bin", 64 * MIB)
    peaks = []
    for name, path in (("little", little), ("big", yard.big)):
        digest = digest_of_file(path)
        yard.upload(server, "bench", name, path, digest)
        if digest_of(server.url(f"/product/download/bench/{name}"), server.token) != digest:
            raise Fault(f"{name} has other bytes than were uploaded")
        peaks.append(server.memory_kib("VmHWM") / 1024)
    server.end()
    gib = f"{yard.sizes.big / MIB / 1024:g} GiB"
    yard.add(f"peak memory, {gib} up and down", "MiB", [peaks[1]], more_is_better=False, floor=160, aim=80)
    yard.add(f"growth of it from 64 MiB to {gib}", "MiB", [peaks[1] - peaks[0]], more_is_better=False, floor=20,
             aim=1)


# ---- helpers

def payload_file(yard, name, size, count):
    """`count` different payloads one after another, and a file with a digest for each."""
    payloads, digests = yard.folder / f"{name}.payloads", yard.folder / f"{name}.digests"
    with open(payloads, "wb") as file, open(digests, "w") as list_of_digests:
        for _ in range(count):
            content = os.urandom(size)
            file.write(content)
            list_of_digests.write(hashlib.sha256(content).hexdigest() + "\n")
    return payloads, digests


def first(pairs):
    return [one for one, _ in pairs]


def second(pairs):
    return [other for _, other in pairs]
