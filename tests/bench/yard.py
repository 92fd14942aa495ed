"""What the cases share: sizes, directories, running servers and the rows measured so far."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

from measure import MIB, Row, access, curl, random_file
from servers import Fault, Nginx, Packhouse, Registry, Server, fetch, until

HEALTH = '{"status":"healthy"}'


class Sizes:
    """How much is moved in which manner of run."""

    def __init__(self, manner):
        quick = manner == "quick"
        self.seconds = 1 if quick else 5  # of each run of wrk
        self.warm_up = 0 if quick else 1
        self.big = (256 if quick else 1024) * MIB
        self.streams = 8
        self.repeats = 1024 * MIB // self.big  # downloads to a figure, so that it always stands for 1 GiB
        self.small = 10 * 1024
        self.uploads = 300 if quick else 1000
        self.idle = 1000
        self.stalled = 64
        self.records = {"quick": [1000, 5000], "normal": [1000, 10_000], "full": [1000, 10_000, 100_000]}[manner]
        self.packages = {"quick": [500, 2000], "normal": [2000, 20_000], "full": [2000, 10_000, 20_000, 100_000]}[manner]


class Yard:
    """Servers are started when a case first asks for them, in directories of their own, and end with `close`."""

    def __init__(self, binary, client, programs, folder, manner, rounds):
        self.binary, self.client, self.programs, self.folder = binary, client, programs, Path(folder)
        self.sizes, self.rounds = Sizes(manner), rounds
        self.rows = []
        self.stack = contextlib.ExitStack()
        self.shared = {}

    def close(self):
        self.stack.close()

    # ---- rows

    def add(self, case, unit, product, reference=(), **rest):
        self.rows.append(Row(case, unit, list(product), list(reference), **rest))

    def pairs(self, product, *references):
        """Alternates product and references, `rounds` times; a list of figures for each."""
        figures = [[] for _ in range(1 + len(references))]
        for _ in range(self.rounds):
            for column, ask in zip(figures, (product, *references)):
                column.append(ask())
        return figures

    # ---- servers

    def place(self, name):
        """A new private directory."""
        path = self.folder / name
        path.mkdir(mode=0o700)
        return path

    def start(self, directory):
        """A Packhouse on a directory (new or used before); it ends with the yard at the latest."""
        directory.mkdir(mode=0o700, exist_ok=True)
        return self.keep(Packhouse(self.binary, directory))

    def keep(self, server):
        self.stack.callback(server.end)
        return server

    def once(self, name, make):
        if name not in self.shared:
            self.shared[name] = make()
        return self.shared[name]

    @property
    def packhouse(self):
        """The product most cases share, with the product `bench` in it."""
        def make():
            server = self.start(self.folder / "packhouse")
            server.product("bench")
            return server
        return self.once("packhouse", make)

    @property
    def nginx(self):
        return self.once("nginx", lambda: self.keep(Nginx(self.programs["nginx"], self.place("nginx"), HEALTH)))

    @property
    def registry(self):
        return self.once(
            "registry", lambda: self.keep(Registry(self.programs["docker-registry"], self.place("registry"))))

    @property
    def sink(self):
        """A listener that answers 201 to anything: shows how fast the load generator itself is."""
        return self.once("sink", lambda: self.keep(Sink(self.client, self.place("sink"))))

    # ---- files

    @property
    def big(self):
        """The big file."""
        return self.once("big", lambda: random_file(self.folder / "big.bin", self.sizes.big))

    def published(self, name, path):
        """Puts one file behind both the product (`bench/name`) and nginx; (product URL, nginx URL)."""
        def make():
            self.upload(self.packhouse, "bench", name, path)
            os.link(path, self.nginx.root / name)
            return self.packhouse.url(f"/product/download/bench/{name}"), self.nginx.url(f"/{name}")
        return self.once(f"published {name}", make)

    def upload(self, server, product, version, path, digest=None):
        """One upload with curl; bytes per second. The checksum in the answer is compared when `digest` is given."""
        heads = self.folder / "upload.head"
        [(status, seconds, _, up)] = curl(
            *access(server.token), "-o", self.folder / "upload.body", "-D", heads,
            "-F", f"product={product}", "-F", f"version={version}", "-F", f"file=@{path}",
            server.url("/product/upload"))
        if status != 201 or up < path.stat().st_size:
            raise Fault(f"upload answered {status} {(self.folder / 'upload.body').read_text(errors='replace')[:200]}")
        if digest and f"x-checksum-sha256: {digest}" not in heads.read_text().lower():
            raise Fault("the answer to an upload has no or another X-Checksum-Sha256")
        return path.stat().st_size / seconds

    def check(self, url, expected, token=None):
        """A wrong fast answer counts as none: the body must be these bytes."""
        address, _, target = url.removeprefix("http://").partition("/")
        status, _, body = fetch(address, "/" + target, headers={"X-Api-Token": token} if token else {})
        if status != 200 or body != expected:
            raise Fault(f"{url} answered {status} {body[:24]!r} ({len(body)} bytes), "
                        f"not {expected[:24]!r} ({len(expected)} bytes)")

    # ---- the load generator

    def generate(self, task, to, server, first, count, size, payloads, clients, **options):
        """Runs the load generator; its report. `options`: digests, product, acknowledged, wanted."""
        command = self.generator(task, to, server, first, count, size, payloads, clients, **options)
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
        if done.returncode:
            raise Fault(f"the load generator: {done.stderr.strip()[-300:]}")
        report = json.loads(done.stdout)
        if report["fault"]:
            raise Fault(f"{task} with {clients} clients: {report['fault']}")
        return report

    def generator(self, task, to, server, first, count, size, payloads, clients, **options):
        """The command of a run of the load generator."""
        if to == "packhouse":
            options["token"] = server.token
        command = [self.client, task, "--to", to, "--address", server.address, "--clients", clients, "--first", first,
                   "--count", count, "--size", size, "--payloads", payloads]
        for name, value in options.items():
            command += [f"--{name}", value]
        return [str(word) for word in command]


class Sink(Server):
    """The load generator's own listener."""

    name = "sink"
    token = "none"

    def __init__(self, client, directory):
        super().__init__([client, "sink"], directory)
        self.address = self.announced("")
        until("the sink to listen", lambda: self.answers("/", 201))
