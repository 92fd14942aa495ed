"""Cases of repositories: publishing and copying beside the tools of the field, memory, and index files beside nginx."""

import http.client
import json
import threading
import time
from pathlib import Path

import packages
from feed_tools import Aptly, Createrepo, Gpg, Reposync, Reprepro, apt_tree, yum_tree
from measure import exponent, settle, wrk
from servers import Fault, fetch

# Most seconds that one more package may take, by the number that are there; and the first publication of so many.
ONE = {"yum": {2000: 0.15, 20_000: 1.0, 100_000: 2.0}, "apt": {2000: 0.25, 20_000: 1.3, 100_000: 2.0}}
FIRST = {"yum": {20_000: 2.5}, "apt": {20_000: 3.0}}
TOP = {"yum": "repodata/repomd.xml", "apt": "dists/stable/InRelease"}
MEMORY = 120  # MiB at most, whatever is done
COPIED = 2000  # packages of the upstreams
KINDS = ("yum", "apt")


def feeds(yard):
    """One more package among N, first publication, copies of upstreams, ten changes at once, memory, index files."""
    gpg = Gpg(yard.place("gnupg"))
    try:
        for kind in KINDS:
            publications(yard, kind, gpg)
        for kind in KINDS:
            copies(yard, kind, gpg)
    finally:
        gpg.end()


class Heap:
    """`count` packages in a directory; `fresh` makes one more that is nowhere yet."""

    def __init__(self, folder, kind, count):
        self.folder, self.kind, self.made = folder, kind, 0
        self.more = Path(f"{folder}-more")
        self.more.mkdir()
        for _ in range(count):
            self.make(folder)

    def make(self, folder):
        name = f"{'abcdefghijklmnopqrst'[self.made % 20]}-package-{self.made}"
        self.made += 1
        if self.kind == "yum":
            path, content = folder / f"{name}-1.0-1.x86_64.rpm", packages.rpm(name, "1.0")
        else:
            path, content = folder / f"{name}_1.0-1_amd64.deb", packages.deb(name, "1.0-1")
        path.write_bytes(content)
        return path

    def fresh(self):
        return self.make(self.more)

    def base(self):
        return sorted(self.folder.iterdir())


# ---- publishing -------------------------------------------------------------------------------------------------

def publications(yard, kind, gpg):
    times = {}
    for count in yard.sizes.packages:
        times[count] = publication(yard, kind, gpg, count, count == yard.sizes.packages[-1])
    for before, after in zip(yard.sizes.packages, yard.sizes.packages[1:]):
        figures = [exponent(before, after, t1, t2) for t1, t2 in zip(times[before], times[after])]
        yard.add(f"{kind}: growth exponent of one more, {before:,} to {after:,}", "", figures, more_is_better=False,
                 floor=1.05)


def publication(yard, kind, gpg, count, last):
    """All figures of a repo of `count`; the seconds one more package took."""
    heap = Heap(yard.place(f"{kind}-{count}"), kind, count)
    server = yard.start(yard.folder / f"{kind}-{count}-packhouse")
    begin = server.cpu_seconds()
    answer = copy(server, "heap", "dir", str(heap.folder))
    if answer["state"] != "done" or answer["files_done"] != count:
        raise Fault(f"the directory was not read: {answer}")
    yard.add(f"{kind}: processor for reading {count:,} packages", "s", [server.cpu_seconds() - begin],
             more_is_better=False)
    settle()
    first = [first_publication(server, kind, f"first-{turn}", count) for turn in range(yard.rounds)]
    yard.add(f"{kind}: first publication of {count:,}", "s", first, more_is_better=False, floor=FIRST[kind].get(count))
    pause = worst_pause(server, lambda: first_publication(server, kind, "paused", count))
    yard.add(f"{kind}: longest wait of another writer meanwhile", "s", [pause], more_is_better=False, floor=2.0)

    tools = {"createrepo_c": lambda: Createrepo(yard.place(f"createrepo-{count}"), heap)} if kind == "yum" else {
        "reprepro": lambda: Reprepro(yard.place(f"reprepro-{count}"), heap, gpg), "aptly": lambda: aptly(yard, heap, gpg)}
    references = {name: make() for name, make in tools.items()}
    settle()
    used = []

    def one_more():
        before, path = server.cpu_seconds(), heap.fresh()
        seconds = add(server, kind, "first-0", path)
        used.append(server.cpu_seconds() - before)
        return seconds

    times, *others = yard.pairs(one_more, *(lambda tool=tool: tool.add(heap.fresh()) for tool in references.values()))
    yard.add(f"{kind}: one more package into {count:,}", "s", times, more_is_better=False, floor=ONE[kind].get(count))
    yard.add(f"{kind}: its processor time", "s", used, more_is_better=False)
    floors = {"createrepo_c": (0.3, 0.05), "reprepro": (1.0, 0.25), "aptly": (0.15, 0.03)}
    for name, figures in zip(references, others):
        floor, aim = floors[name]
        yard.add(f"{kind}: one more package into {count:,}, beside {name}", "s", times, figures, against=name,
                 more_is_better=False, floor=floor, aim=aim)
    if last:
        at_once(yard, server, kind, heap)
    yard.add(f"{kind}: peak memory with {count:,} packages", "MiB", [server.memory_kib("VmHWM") / 1024],
             more_is_better=False, floor=MEMORY)
    if last:
        index_files(yard, server, kind)
    server.end()
    return times


def aptly(yard, heap, gpg):
    tool = Aptly(yard.place(f"aptly-{heap.made}"), gpg)
    tool.publish(heap)
    return tool


def copy(server, name, kind, path):
    """Makes an upstream and waits until it is read; the job."""
    server.call("POST", "/upstream?wait=500", {"name": name, "type": kind, "path": path}, expect=(201,))
    _, told = server.call("GET", f"/upstream/{name}/sync?wait=500")
    return json.loads(told)


def first_publication(server, kind, name, count):
    """Publishes everything that was read in a new repo; seconds."""
    server.call("POST", "/repo", {"name": name, "type": kind}, expect=(201,))
    begin = time.monotonic()
    _, told = server.call("PUT", f"/repo/{name}/packages", {"sync": {"name": "heap", "type": "upstream"}})
    seconds = time.monotonic() - begin
    if json.loads(told)["packages"] != count:
        raise Fault(f"published was {told!r}")
    return seconds


def worst_pause(server, work):
    """The longest a small change elsewhere takes while `work` runs."""
    waits, done = [0.0], threading.Event()

    def write():
        number = 0
        while not done.is_set():
            begin = time.monotonic()
            server.call("PUT", "/product/create", {"name": f"pause-{time.monotonic_ns()}"}, expect=(201,))
            waits.append(time.monotonic() - begin)
            number += 1
            done.wait(0.01)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        work()
    finally:
        done.set()
        thread.join()
    return max(waits)


def add(server, kind, repo, path):
    """Uploads a package into a repo; seconds until the new state is served, signed."""
    content = path.read_bytes()
    target = f"/repo/{repo}/{TOP[kind]}"
    before = fetch(server.address, target)[1]["ETag"]
    begin = time.monotonic()
    status, _, told = fetch(server.address, f"/package?repo={repo}&filename={path.name}", "POST",
                            {"X-Api-Token": server.token}, content)
    after = fetch(server.address, target)[1]["ETag"]
    seconds = time.monotonic() - begin
    if status != 201 or before == after:
        raise Fault(f"a package was answered {status} {told[:200]!r}")
    return seconds


def at_once(yard, server, kind, heap):
    """Ten packages that are here already are added by ten clients at once: how often the index is built."""
    builds, times = [], []
    for _ in range(yard.rounds):
        sums = []
        for _ in range(10):
            path = heap.fresh()
            status, _, told = fetch(server.address, f"/package?filename={path.name}", "POST",
                                    {"X-Api-Token": server.token}, path.read_bytes())
            if status != 201:
                raise Fault(f"a package was answered {status}")
            sums.append(json.loads(told)["shasum"])
        before, faults = generation(server, "first-0"), []

        def change(shasum):
            try:
                _, told = server.call("PATCH", "/repo/first-0/packages", {shasum: True}, expect=(200,))
                if not json.loads(told)["changed"]:
                    raise Fault("a package was not added")
            except (Fault, OSError, http.client.HTTPException) as fault:
                faults.append(fault)

        threads = [threading.Thread(target=change, args=(shasum,)) for shasum in sums]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        times.append(time.monotonic() - begin)
        if faults:
            raise faults[0]
        builds.append(generation(server, "first-0") - before)
    yard.add(f"{kind}: index builds for ten changes at once", "", builds, more_is_better=False, floor=3, aim=2)
    yard.add(f"{kind}: time of the ten", "s", times, more_is_better=False)


def generation(server, repo):
    return json.loads(server.call("GET", f"/repo/{repo}")[1])["generation"]


def index_files(yard, server, kind):
    """Top file and an index file of the repo, 16 connections, beside nginx with the same bytes."""
    names = [TOP[kind]]
    if kind == "apt":
        names.append("dists/stable/main/binary-amd64/Packages.gz")
    else:
        _, _, text = fetch(server.address, f"/repo/first-0/{TOP[kind]}")
        names.append(next(word for word in text.decode().split('"') if word.endswith("-primary.xml.gz")))
    for name in names:
        status, _, content = fetch(server.address, f"/repo/first-0/{name}")
        if status != 200:
            raise Fault(f"{name} was answered {status}")
        plain = f"index-{kind}-{name.replace('/', '-')}"
        (yard.nginx.root / plain).write_bytes(content)
        ours, theirs = server.url(f"/repo/first-0/{name}"), yard.nginx.url(f"/{plain}")
        yard.check(ours, content)
        yard.check(theirs, content)
        figures = yard.pairs(*(lambda url=url: wrk(url, 16, yard.sizes.seconds).per_second for url in (ours, theirs)))
        yard.check(ours, content)
        yard.add(f"{kind}: {name.rpartition('-')[2].rpartition('/')[2]} ({len(content):,} bytes), c=16", "/s", *figures,
                 against="nginx", floor=0.35, aim=0.6)


# ---- copying ----------------------------------------------------------------------------------------------------

def copies(yard, kind, gpg):
    """A copy of an upstream of 2,000 packages and the same again, beside reposync or aptly."""
    heap = Heap(yard.place(f"{kind}-upstream"), kind, COPIED)
    tree = yard.nginx.root / f"{kind}-upstream"
    tree.mkdir()
    (yum_tree if kind == "yum" else apt_tree)(tree, heap)
    address = yard.nginx.url(f"/{kind}-upstream")
    again, again_there, memory = [], [], []
    settle()

    def ours():
        server = yard.start(yard.folder / f"{kind}-copy-{len(again)}")
        begin = time.monotonic()
        job = copy(server, "up", kind, address)
        seconds = time.monotonic() - begin
        if job["state"] != "done" or job["downloaded_files"] != COPIED:
            raise Fault(f"the upstream was not copied: {job}")
        begin = time.monotonic()
        server.call("PUT", "/upstream/up?wait=500", {}, expect=(202,))
        again.append(time.monotonic() - begin)
        if not json.loads(server.call("GET", "/upstream/up/sync")[1])["not_modified"]:
            raise Fault("the upstream was copied again")
        memory.append(server.memory_kib("VmHWM") / 1024)
        server.end()
        return seconds

    def theirs():
        place = yard.place(f"{kind}-theirs-{len(again_there)}")
        if kind == "yum":
            tool = Reposync(place, address)
            seconds, other = tool.copy(), tool.copy()
        else:
            tool = Aptly(place, gpg)
            seconds, other = tool.mirror(address), tool.again()
        again_there.append(other)
        return seconds

    name = "reposync" if kind == "yum" else "aptly"
    times, others = yard.pairs(ours, theirs)
    yard.add(f"{kind}: copy of {COPIED:,} packages", "s", times, more_is_better=False, floor=1.3)
    yard.add(f"{kind}: copy of {COPIED:,} packages, beside {name}", "s", times, others, against=name,
             more_is_better=False)
    yard.add(f"{kind}: unchanged", "s", again, more_is_better=False, floor=0.05)
    yard.add(f"{kind}: unchanged, beside {name}", "s", again, again_there, against=name, more_is_better=False)
    yard.add(f"{kind}: peak memory of a copy", "MiB", memory, more_is_better=False, floor=MEMORY)
