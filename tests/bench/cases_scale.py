"""Cases of size and start: growth with the number of versions, start, idle memory, bytes for a record, the binary."""

import os
import random
import signal
import statistics
import subprocess

from cases_files import payload_file
from measure import disk_usage, exponent, wrk
from servers import Fault, until

TINY = 32  # bytes of a version's file here: only its record counts

# wrk asks for one version after another at random, so that no single one is hot.
ASK = """
local versions = tonumber(os.getenv("VERSIONS"))
math.randomseed(tonumber(os.getenv("SEED")))
request = function()
  return wrk.format("GET", "/product/download/grow/v" .. math.random(0, versions - 1))
end
"""


def growth(yard):
    """Lookup and download of one version among N: the time for an answer must not grow with N."""
    servers = {records: filled(yard, records) for records in yard.sizes.records}
    script = yard.folder / "ask.lua"
    script.write_text(ASK)
    seed = random.Random(7)

    def ask(records):
        server = servers[records]
        rate = wrk(server.url("/"), 1, yard.sizes.seconds, server.token, script,
                   {"VERSIONS": str(records), "SEED": str(seed.randrange(1 << 30))})
        return 1e6 / rate.per_second

    for records in servers:  # each file's first reading is checked against its digest: not what is asked here
        verify(yard, servers[records], records)
    times = yard.pairs(*(lambda records=records: ask(records) for records in servers))
    for records in servers:
        verify(yard, servers[records], records)
    counts = list(servers)
    for records, figures in zip(counts, times):
        yard.add(f"download of a version of {records:,}", "µs", figures, more_is_better=False)
    for before in range(len(counts) - 1):
        small, large = counts[before], counts[before + 1]
        exponents = [exponent(small, large, t1, t2) for t1, t2 in zip(times[before], times[before + 1])]
        yard.add(f"growth exponent, {small:,} to {large:,} versions", "", exponents, more_is_better=False, floor=0.15)
    for server in servers.values():
        server.end()


def start(yard):
    """From the start of the process to the first answer: an empty folder, N records, and N records after kill -9."""
    empty = []
    for turn in range(yard.rounds):
        server = yard.start(yard.folder / f"empty-{turn}")
        empty.append(server.start_seconds * 1000)
        if turn == 0:
            yard.add("idle memory, fresh", "MiB", [server.memory_kib("VmRSS") / 1024], more_is_better=False, floor=20,
                     aim=10)
        server.end()
    yard.add("start, empty folder", "ms", empty, more_is_better=False, floor=300, aim=60)

    medians = {}
    for records in yard.sizes.records:
        server = filled(yard, records)
        times, crashed = [], []
        for turn in range(yard.rounds):
            server.end()
            server = yard.start(server.directory)
            times.append(server.start_seconds * 1000)
            if turn == 0 and records == max(yard.sizes.records):
                yard.add(f"idle memory, {records:,} records", "MiB", [server.memory_kib("VmRSS") / 1024],
                         more_is_better=False, floor=64, aim=30)
        verify(yard, server, records)
        medians[records] = statistics.median(times)
        yard.add(f"start, {records:,} records", "ms", times, more_is_better=False, floor=500, aim=50)
        for turn in range(yard.rounds):
            server = after_crash(yard, server, f"{records}-{turn}")
            crashed.append(server.start_seconds * 1000)
        verify(yard, server, records)
        server.end()
        yard.add(f"start after kill -9, {records:,} records", "ms", crashed, more_is_better=False, floor=3000, aim=200)
    counts = list(medians)
    small, large = counts[0], counts[-1]
    yard.add(f"growth exponent of the start, {small:,} to {large:,}", "",
             [exponent(small, large, medians[small], medians[large])], more_is_better=False, floor=0.6)


def records(yard):
    """Bytes on disk for each record: all but the files' own blocks, less what an empty data directory takes."""
    empty = yard.start(yard.folder / "bare")
    empty.end()
    bare = overhead(empty)
    each = {}
    for count in yard.sizes.records:
        server = filled(yard, count)
        server.end()
        each[count] = max(1.0, (overhead(server) - bare) / count)
        yard.add(f"metadata per record, {count:,} records", "B", [each[count]], more_is_better=False, floor=1500,
                 aim=600)
    counts = list(each)
    small, large = counts[0], counts[-1]
    yard.add(f"growth exponent of it, {small:,} to {large:,}", "", [exponent(small, large, each[small], each[large])],
             more_is_better=False, floor=0.15)


def binary(yard):
    """The size of the program."""
    yard.add("binary", "MB", [os.stat(yard.binary).st_size / 1e6], more_is_better=False, floor=15, aim=8)


# ---- helpers

def payloads_of(yard):
    """Enough tiny payloads for every data directory here, and some for the uploads that are cut off."""
    count = max(yard.sizes.records)
    return yard.once("tiny payloads", lambda: payload_file(yard, "tiny", TINY, count)[0])


def filled(yard, records):
    """A running server whose product `grow` has this many versions; filled once, started again when it was ended."""
    servers = yard.once("filled", dict)
    server = servers.get(records)
    if server is None:
        server = yard.start(yard.folder / f"records-{records}")
        server.product("grow")
        yard.generate("upload", "packhouse", server, 0, records, TINY, payloads_of(yard), 32, product="grow")
        verify(yard, server, records)
    elif server.process.poll() is not None:
        server = yard.start(server.directory)
    servers[records] = server
    return server


def verify(yard, server, records):
    """Every version has its bytes."""
    yard.generate("verify", "packhouse", server, 0, records, TINY, payloads_of(yard), 4, product="grow")


def after_crash(yard, server, name):
    """Kills the server in the middle of uploads and starts it again; what it had acknowledged must be there."""
    server.product(f"crash-{name}")
    count, acknowledged = 20_000, yard.folder / f"acknowledged-{name}"
    payloads = yard.once("crash payloads", lambda: payload_file(yard, "crash", TINY, count)[0])
    command = yard.generator("upload", "packhouse", server, 0, count, TINY, payloads, 8, product=f"crash-{name}",
                             acknowledged=acknowledged)
    uploads = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until("uploads to run", lambda: b'"v20"' in server.call("GET", f"/product/fetch/crash-{name}")[1])
        server.end(signal.SIGKILL)
    finally:
        if server.process.poll() is None:
            uploads.kill()
        uploads.wait(120)
    if not acknowledged.exists():
        raise Fault("the uploads before the crash left no list")
    server = yard.start(server.directory)
    yard.generate("verify", "packhouse", server, 0, count, TINY, payloads, 4, product=f"crash-{name}",
                  wanted=acknowledged)
    return server


def overhead(server):
    """What the data directory takes beyond the blocks of the stored files."""
    return disk_usage(server.data) - files_only(server.data / "shelf")


def files_only(folder):
    return sum(
        os.lstat(os.path.join(path, name)).st_blocks * 512 for path, _, names in os.walk(folder) for name in names)
