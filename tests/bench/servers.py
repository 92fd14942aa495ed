"""The servers of the bench: the product and its two references, each private, on loopback, and always ended."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

TOKEN = "bench-admin-token-0123456789abcdef0123456789"
PATIENCE = 60.0  # seconds a server may take to answer or to stop before the bench gives up on it


class Fault(Exception):
    """A case that cannot be measured, or gave a wrong answer."""


def free_port():
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, ask, deadline=PATIENCE, pause=0.005):
    """Asks again and again until the answer is true; a Fault after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Fault(f"gave up after {deadline:.0f} s: {what}")
        time.sleep(pause)


def fetch(address, target, method="GET", headers=None, body=None):
    """One request on a connection of its own: (status, headers, body)."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Server:
    """A child process that listens on `address`. It also ends when the bench dies without a word."""

    name = "server"

    def __init__(self, command, directory, environment=None):
        self.directory = Path(directory)
        self.log, self.output = self.directory / f"{self.name}.log", self.directory / f"{self.name}.out"
        with open(self.log, "ab") as log, open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=log,
                env={**os.environ, **(environment or {})}, cwd=self.directory,
            )
        self.address = None

    @property
    def pid(self):
        return self.process.pid

    def said(self):
        """The last lines of the server's log, for a fault."""
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-5:]) or "no log"

    def lives(self):
        """A Fault when it has ended by itself."""
        if self.process.poll() is not None:
            raise Fault(f"{self.name} ended with {self.process.returncode}: {self.said()}")

    def announced(self, marker):
        """The word after the marker in what it prints on its standard output."""
        def word():
            self.lives()
            found = re.search(re.escape(marker) + r"(\S+)\s", self.output.read_text(errors="replace"))
            return found and found.group(1)
        return until(f"{self.name} to say where it listens", word, pause=0.0005)

    def answers(self, target, status=200):
        """Whether it answers by now; a Fault when it has ended instead."""
        self.lives()
        try:
            return fetch(self.address, target)[0] == status
        except (OSError, http.client.HTTPException):
            return False

    def processes(self):
        """Its process ids: itself and its children."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except OSError:
            children = []
        return [self.pid, *map(int, children)]

    def cpu_seconds(self):
        """Processor time used so far by it and its children, in steps of a clock tick (10 ms)."""
        ticks = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        """How many files and sockets it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def quiet(self, before):
        """Waits until it has let go of the connections of a step: about as many descriptors as `before`."""
        until(f"{self.name} to close what its clients left", lambda: self.descriptors() <= before + 16)

    def memory_kib(self, field):
        """`VmRSS` or `VmHWM` of the process, in KiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise Fault(f"no {field} for {self.name}")

    def read_bytes(self):
        """What the process has read from files and sockets so far."""
        for line in Path(f"/proc/{self.pid}/io").read_text().splitlines():
            if line.startswith("rchar:"):
                return int(line.split()[1])
        raise Fault(f"no figures of reading for {self.name}")

    def end(self, how=signal.SIGTERM):
        """Ends it and waits; after the patience is over it is killed."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Fault(f"{self.name} did not end within {PATIENCE:.0f} s") from None


class Packhouse(Server):
    """The product: `packhouse serve` with its data in `directory/data`."""

    name = "packhouse"

    def __init__(self, binary, directory):
        self.data = Path(directory) / "data"
        self.token = TOKEN
        begin = time.monotonic()
        super().__init__(
            [binary, "serve", "--data", self.data, "--listen", "127.0.0.1:0"], directory,
            {"PACKHOUSE_ADMIN_TOKEN": TOKEN, "RUST_LOG": "warn"},
        )
        self.address = self.announced("listening on http://").rstrip("/")
        until("first answer of packhouse", lambda: self.answers("/health"), pause=0.0005)
        self.start_seconds = time.monotonic() - begin

    def call(self, method, target, value=None, expect=(200, 201, 204)):
        """A request with the admin's token and a JSON body; a Fault on another status than expected."""
        headers = {"X-Api-Token": self.token}
        body = None
        if value is not None:
            body = json.dumps(value)
            headers["Content-Type"] = "application/json"
        status, answered, content = fetch(self.address, target, method, headers, body)
        if status not in expect:
            raise Fault(f"{method} {target} answered {status} {content[:200]!r}")
        return answered, content

    def product(self, name):
        """Makes a product, or keeps the one that is there."""
        self.call("PUT", "/product/create", {"name": name}, expect=(201, 409))

    def url(self, target):
        return f"http://{self.address}{target}"


class Nginx(Server):
    """The reference for answers and downloads: static files with `sendfile` and an open-file cache."""

    name = "nginx"

    def __init__(self, program, directory, fixed):
        self.root = Path(directory) / "root"
        self.root.mkdir()
        port = free_port()
        user = "user root;" if os.geteuid() == 0 else ""  # the private directory is closed to `nobody`
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        scratch = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
        # Quotes and dollars in the fixed body would have a meaning in the configuration.
        if set(fixed) & set("'$\\"):
            raise Fault(f"this body cannot be written into a configuration: {fixed!r}")
        (Path(directory) / "nginx.conf").write_text(f"""
            daemon off; {user} worker_processes auto; pid {directory}/nginx.pid; error_log stderr warn;
            events {{ worker_connections 8192; }}
            http {{
                access_log off; sendfile on; tcp_nopush on; open_file_cache max=10000; {scratch}
                keepalive_requests 1000000000; types {{ }} default_type application/octet-stream;
                server {{
                    listen 127.0.0.1:{port} backlog=1024; root {self.root};
                    location = /return {{ default_type application/json; return 200 '{fixed}'; }}
                }}
            }}
        """)
        super().__init__([program, "-p", directory, "-e", "stderr", "-c", f"{directory}/nginx.conf"], directory)
        self.address = f"127.0.0.1:{port}"
        until("first answer of nginx", lambda: self.answers("/return"))

    def url(self, target):
        return f"http://{self.address}{target}"


class Registry(Server):
    """The reference for uploads: the distribution registry, which hashes and syncs what it stores."""

    name = "docker-registry"

    def __init__(self, program, directory):
        port = free_port()
        (Path(directory) / "registry.json").write_text(json.dumps({  # its YAML reader takes JSON
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": f"{directory}/blobs"}, "cache": {"blobdescriptor": "inmemory"}},
            "http": {"addr": f"127.0.0.1:{port}", "relativeurls": True, "secret": TOKEN},
        }))
        super().__init__([program, "serve", f"{directory}/registry.json"], directory)
        self.address = f"127.0.0.1:{port}"
        until("first answer of the registry", lambda: self.answers("/v2/"))

    def place(self):
        """Where the next blob is to be put, as a URL that only lacks the digest."""
        status, headers, _ = fetch(self.address, "/v2/bench/blobs/uploads/", "POST")
        if status != 202:
            raise Fault(f"the registry answered {status} for a new upload")
        target = headers["Location"]
        return f"http://{self.address}{target}{'&' if '?' in target else '?'}"
