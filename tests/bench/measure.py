"""The measuring tools of the bench: wrk, curl, strace, plain disk loops, sizes on disk, and the rows of the table."""

import hashlib
import math
import os
import re
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from servers import Fault, until

MIB = 1024 * 1024
BLOCK = MIB  # of the disk loop and of made files


# ---- rows -------------------------------------------------------------------------------------------------------

@dataclass
class Row:
    """One line of the table. With a reference the ratio is judged, otherwise the figure itself."""

    case: str
    unit: str
    product: list
    reference: list = field(default_factory=list)
    against: str = ""
    more_is_better: bool = True
    floor: float | None = None
    aim: float | None = None
    fault: str = ""

    def values(self):
        """What is judged: the ratios pair by pair, or the figures."""
        if self.reference:
            return [mine / theirs if theirs else math.inf for mine, theirs in zip(self.product, self.reference)]
        return self.product

    def meets(self, limit):
        middle = statistics.median(self.values())
        return middle >= limit if self.more_is_better else middle <= limit

    def verdict(self):
        if self.fault:
            return "FAILED"
        if self.floor is None:
            return "–"
        return "ok" if self.meets(self.floor) else "BELOW FLOOR"

    def as_json(self):
        return {
            "case": self.case, "unit": self.unit, "product": self.product, "reference": self.reference,
            "against": self.against, "judged": self.values() if not self.fault else [],
            "more_is_better": self.more_is_better, "floor": self.floor, "aim": self.aim,
            "verdict": self.verdict(), "fault": self.fault,
        }


def number(value):
    """A figure in at most four telling digits."""
    if value == 0 or not math.isfinite(value):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - int(math.floor(math.log10(abs(value)))))}f}"


def table(rows):
    """The rows as aligned text."""
    lines = [("case", "Packhouse", "reference", "ratio median (range)", "floor", "aim", "")]
    for row in rows:
        if row.fault:
            lines.append((row.case, "", "", "", "", "", f"FAILED: {row.fault}"))
            continue
        middle = statistics.median
        span = f"({number(min(row.values()))}–{number(max(row.values()))})" if len(row.product) > 1 else ""
        sign = "" if row.more_is_better else "≤ "
        unit = "×" if row.reference else row.unit
        limit = lambda value: "–" if value is None else f"{sign}{value:g} {unit}".strip()
        aim = limit(row.aim) + (" met" if row.aim is not None and row.meets(row.aim) else "")
        lines.append((
            row.case,
            f"{number(middle(row.product))} {row.unit}" + ("" if row.reference else f" {span}".rstrip()),
            f"{number(middle(row.reference))} {row.against}" if row.reference else "–",
            f"{number(middle(row.values()))} {span}" if row.reference else "–",
            limit(row.floor), aim, row.verdict(),
        ))
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    text = []
    for line in lines:
        text.append("  ".join([*(cell.ljust(width) for cell, width in zip(line, widths)), line[6]]).rstrip())
        if len(text) == 1:
            text.append("  ".join("-" * width for width in [*widths, 11]))
    return "\n".join(text)


def exponent(small, large, seconds_small, seconds_large):
    """Growth exponent: ln(t2/t1) / ln(N2/N1)."""
    return math.log(seconds_large / seconds_small) / math.log(large / small)


# ---- wrk --------------------------------------------------------------------------------------------------------

@dataclass
class Rate:
    """What wrk saw: answers per second, and the 99th percentile of the latency in milliseconds."""

    per_second: float
    p99_ms: float


def wrk(url, connections, seconds, token=None, script=None, environment=None):
    """Runs wrk with one thread. A bad status or a socket error is a Fault: such a figure counts as none."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    if token:
        command += ["-H", f"X-Api-Token: {token}"]
    if script:
        command += ["-s", str(script)]
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 60,
                          env={**os.environ, **(environment or {})})
    text = done.stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    slow = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    wrong = re.search(r"(Non-2xx.*|Socket errors:.*)", text)
    if done.returncode or not rate or not slow or wrong:
        raise Fault(f"wrk {url}: {wrong.group(1).strip() if wrong else text[-300:] + done.stderr[-300:]}")
    if float(rate.group(1)) == 0:
        raise Fault(f"wrk {url}: not one answer in {seconds} s")
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}[slow.group(2)]
    return Rate(float(rate.group(1)), float(slow.group(1)) * scale)


# ---- curl -------------------------------------------------------------------------------------------------------

QUIET = ["curl", "-q", "-sS", "--noproxy", "*"]


def curl(*arguments):
    """Runs curl and returns, for each of its transfers, (status, seconds, bytes down, bytes up)."""
    form = "%{http_code} %{time_total} %{size_download} %{size_upload}\n"
    done = subprocess.run([*QUIET, "-w", form, *map(str, arguments)], capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise Fault(f"curl: {done.stderr.strip()[-300:]}")
    transfers = []
    for line in done.stdout.splitlines():
        status, seconds, down, up = line.split()
        transfers.append((int(status), float(seconds), int(float(down)), int(float(up))))
    return transfers


def access(token):
    """curl's arguments for a request with a token."""
    return ["-H", f"X-Api-Token: {token}"] if token else []


def download(url, size, times=1, token=None):
    """Downloads `times` after each other on one connection; bytes per second. Short answers are a Fault."""
    transfers = curl(*access(token), *(["-o", "/dev/null", url] * times))
    if len(transfers) != times or any(status != 200 or down != size for status, _, down, _ in transfers):
        raise Fault(f"{url}: not {times} × 200 with {size} bytes: {transfers[:2]}")
    return size * times / sum(seconds for _, seconds, _, _ in transfers)


def downloads_at_once(urls, size, token=None):
    """One curl for each URL, all at once; bytes per second of all together."""
    begin = time.monotonic()
    running = [
        subprocess.Popen([*QUIET, *access(token), "-o", "/dev/null", "-w", "%{http_code} %{size_download}", url],
                         stdout=subprocess.PIPE, text=True)
        for url in urls
    ]
    answers = [child.communicate(timeout=600)[0] for child in running]
    seconds = time.monotonic() - begin
    if any(answer.split() != ["200", str(size)] for answer in answers):
        raise Fault(f"not all downloads were whole: {answers}")
    return size * len(urls) / seconds


def digest_of(url, token=None):
    """SHA-256 of what a URL answers, read as a stream."""
    with subprocess.Popen([*QUIET, "-f", *access(token), url], stdout=subprocess.PIPE) as child:
        digest = digest_of_stream(child.stdout)
    if child.returncode:
        raise Fault(f"{url}: curl ended with {child.returncode}")
    return digest


# ---- strace -----------------------------------------------------------------------------------------------------

SYNCS = ("fsync", "fdatasync", "syncfs", "sync", "msync")


class Syncs:
    """Counts the syncs of a process while the `with` block runs."""

    def __init__(self, pid, scratch):
        self.pid, self.summary, self.messages = pid, Path(scratch) / "strace.txt", Path(scratch) / "strace.log"
        self.count = 0

    def __enter__(self):
        # Both files begin empty: what an earlier run left is no sign of this one.
        self.summary.write_text("")
        with open(self.messages, "wb") as messages:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "INT", "strace", "-f", "-c", "-U", "calls,name", "-e",
                 "trace=" + ",".join(SYNCS), "-o", str(self.summary), "-p", str(self.pid)], stderr=messages)
        until("strace to attach", self.attached, 20)
        return self

    def attached(self):
        if self.child.poll() is not None:
            raise Fault(f"strace: {self.messages.read_text().strip()[-200:]}")
        return "attached" in self.messages.read_text()

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGINT)
        self.child.wait(30)
        for line in self.summary.read_text().splitlines():
            words = line.split()
            if len(words) == 2 and words[0].isdigit() and words[1] in SYNCS:
                self.count += int(words[0])


# ---- files and the disk -----------------------------------------------------------------------------------------

def digest_of_stream(stream):
    digest = hashlib.sha256()
    while block := stream.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def digest_of_file(path):
    with open(path, "rb", buffering=0) as file:
        return digest_of_stream(file)


def random_file(path, size):
    """A file that neither compresses nor repeats."""
    with open(path, "wb", buffering=0) as file:
        for begin in range(0, size, BLOCK):
            file.write(os.urandom(min(BLOCK, size - begin)))
    return path


def freshen(path):
    """Makes the content of a file new, in place: the same bytes twice would be stored once. Returns the digest."""
    with open(path, "r+b", buffering=0) as file:
        file.write(os.urandom(16))
    return digest_of_file(path)


def settle():
    """Nothing of an earlier step is left to be written while the next one is timed."""
    os.sync()


def disk_usage(path):
    """Bytes a directory takes on disk, like `du -s`; files that go meanwhile are not counted."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in [".", *names]:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def disk_loop(source, target):
    """The plain loop "read, SHA-256, write, fdatasync" over a big file; bytes per second."""
    begin = time.monotonic()
    digest, size = hashlib.sha256(), 0
    with open(source, "rb", buffering=0) as reader, open(target, "wb", buffering=0) as writer:
        while block := reader.read(BLOCK):
            digest.update(block)
            writer.write(block)
            size += len(block)
        os.fdatasync(writer.fileno())
    seconds = time.monotonic() - begin
    os.unlink(target)
    return size / seconds


def two_sync_loops(payloads, size, first, count, folder, loops):
    """Small files the plain way, `loops` processes at once: hash, write, sync, rename, note, sync; files per second.

    Two syncs for each file are the least a store needs that keeps bytes and records in different files.
    """
    folder.mkdir()
    ready, go = os.pipe()
    children = []
    for loop in range(loops):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(go)
                os.read(ready, 1)  # returns when the parent closes its end: all begin together
                two_sync_loop(payloads, size, range(first + loop, first + count, loops), folder, loop)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    os.close(ready)
    begin = time.monotonic()
    os.close(go)
    codes = [os.waitpid(child, 0)[1] for child in children]
    seconds = time.monotonic() - begin
    if any(codes):
        raise Fault("a disk loop failed")
    return count / seconds


def two_sync_loop(payloads, size, numbers, folder, loop):
    journal = os.open(folder / f"journal-{loop}", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    with open(payloads, "rb", buffering=0) as source:
        for index in numbers:
            content = os.pread(source.fileno(), size, index * size)
            digest = hashlib.sha256(content).hexdigest()
            staged = f"{folder}/stage-{index}"
            file = os.open(staged, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            os.write(file, content)
            os.fdatasync(file)
            os.close(file)
            os.rename(staged, f"{folder}/{digest}")
            os.write(journal, f"{digest} v{index}\n".encode())
            os.fdatasync(journal)
    os.close(journal)
