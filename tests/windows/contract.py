"""Starts the Windows program (under wine), walks the products contract and the file rules that
differ on Windows, and prints one line a check and a summary `N passed, N failed`.

Usage: contract.py --data DIR --windows-data DIR -- COMMAND...
The two directories are one, as this system and as the program names it. Every wait has an end.
"""

import argparse
import hashlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ADMIN_TOKEN = "windows-test-admin-token-0123456789"
START_SECONDS = 60
ANSWER_SECONDS = 30
STOP_SECONDS = 45


class Failure(Exception):
    """A check that did not hold; the text says what was expected and what came."""


def expect(what, got, wanted):
    if got != wanted:
        raise Failure(f"{what}: got {got!r}, wanted {wanted!r}")


def until(seconds, what, condition):
    """Polls `condition` until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.05)


class Server:
    """One run of the program on a data directory."""

    def __init__(self, command, windows_data):
        self.log = tempfile.TemporaryFile()
        environment = dict(os.environ, PACKHOUSE_ADMIN_TOKEN=ADMIN_TOKEN, RUST_LOG="info")
        self.process = subprocess.Popen(
            [*command, "serve", "--data", windows_data, "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, env=environment,
        )
        self.port = None
        self.ready = threading.Event()
        threading.Thread(target=self._read_output, daemon=True).start()

    def _read_output(self):
        # Reads on to the end, so that the program never waits for room in the pipe.
        for line in self.process.stdout:
            found = re.search(rb"listening on http://127\.0\.0\.1:(\d+)", line)
            if found and self.port is None:
                self.port = int(found.group(1))
                self.ready.set()
        self.ready.set()

    def wait_ready(self):
        if not self.ready.wait(START_SECONDS):
            raise Failure(f"no listening line within {START_SECONDS} s")
        if self.port is None:
            raise Failure(f"ended at start with exit code {self.wait(5)}")
        return self

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"still running after {seconds} s") from None

    def interrupt(self):
        """Ctrl+C: wine turns the signal into the console event. The exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.wait(STOP_SECONDS)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def log_text(self):
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)


def ask(connection, method, path, body=None, headers=None, token=ADMIN_TOKEN):
    """One request on an open or new connection; the answer with its body read."""
    fields = dict(headers or {})
    if token:
        fields["X-Api-Token"] = token
    connection.request(method, path, body=body, headers=fields)
    answer = connection.getresponse()
    answer.content = answer.read()
    return answer


def once(server, method, path, **rest):
    connection = server.connect()
    try:
        return ask(connection, method, path, **rest)
    finally:
        connection.close()


def form(product, version, name, content):
    """A multipart body of the upload route and its content type."""
    boundary = "packhouse" + os.urandom(12).hex()
    parts = []
    for key, value in (("product", product), ("version", version)):
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode())
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
    )
    body = b"".join(parts) + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def upload(server, product, version, content, name="tool.bin"):
    body, kind = form(product, version, name, content)
    return once(server, "POST", "/product/upload", body=body, headers={"Content-Type": kind})


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Contract:
    """The checks, run in the order they are written in; later ones use what earlier ones made."""

    def __init__(self, command, data, windows_data):
        self.command, self.data, self.windows_data = command, pathlib.Path(data), windows_data
        self.server = None
        self.content = os.urandom(3 * 1024 * 1024)

    def start(self):
        self.server = Server(self.command, self.windows_data)
        self.server.wait_ready()

    def files(self, folder):
        root = self.data / folder
        return [path for path in root.rglob("*") if path.is_file()] if root.is_dir() else []

    def check_it_starts_and_says_where_it_listens(self):
        self.start()

    def check_health_answers(self):
        answer = once(self.server, "GET", "/health", token=None)
        expect("status", answer.status, 200)
        expect("body", json.loads(answer.content), {"status": "healthy"})

    def check_health_with_a_token_reports_the_parts(self):
        answer = once(self.server, "GET", "/health")
        expect("status", answer.status, 200)
        expect("body", json.loads(answer.content), {"mongo": "Mongo is fine", "redis": "Redis is fine"})

    def check_a_wrong_token_is_refused(self):
        expect("status", once(self.server, "GET", "/product/list", token="wrong").status, 401)

    def check_one_connection_carries_many_requests(self):
        connection = self.server.connect()
        connection.connect()
        opened = connection.sock
        for number in range(50):
            expect(f"status of request {number}", ask(connection, "GET", "/health", token=None).status, 200)
            # http.client would quietly open a new connection.
            if connection.sock is not opened:
                raise Failure(f"the server closed the connection after request {number}")
        connection.close()

    def check_sixty_four_connections_at_once(self):
        connections = [self.server.connect() for _ in range(64)]
        for connection in connections:
            connection.connect()
        for _ in range(2):
            for connection in connections:
                connection.request("GET", "/health")
            for number, connection in enumerate(connections):
                answer = connection.getresponse()
                answer.read()
                expect(f"status on connection {number}", answer.status, 200)
        for connection in connections:
            connection.close()

    def check_a_head_that_comes_in_pieces_is_understood(self):
        with socket.create_connection(("127.0.0.1", self.server.port), ANSWER_SECONDS) as plain:
            for piece in (b"GET /hea", b"lth HTTP/1.1\r\nHo", b"st: x\r\nConnection: close\r\n\r", b"\n"):
                plain.sendall(piece)
                # Only to make separate packets likely; the answer is the same without it.
                time.sleep(0.05)
            answer = b""
            while part := plain.recv(65536):
                answer += part
        expect("status line", answer.split(b"\r\n")[0], b"HTTP/1.1 200 OK")

    def check_a_product_is_created(self):
        answer = once(self.server, "PUT", "/product/create", body=b'{"name": "my-lib"}')
        expect("status", answer.status, 201)
        expect("body", answer.content, b"")

    def check_an_upload_is_accepted(self):
        answer = upload(self.server, "my-lib", "1.0", self.content, name="C:\\build\\größe tool.exe")
        expect("status and body", (answer.status, answer.content), (201, b""))
        expect("digest", answer.getheader("X-Checksum-Sha256"), sha256(self.content))
        expect("location", answer.getheader("Location"), "/product/download/my-lib/1.0")

    def check_the_download_is_the_same_bytes(self):
        self.expect_download("my-lib", "1.0", self.content)

    def expect_download(self, product, version, content):
        answer = once(self.server, "GET", f"/product/download/{product}/{version}")
        expect("status", answer.status, 200)
        expect("digest of the body", sha256(answer.content), sha256(content))
        expect("Content-Length", answer.getheader("Content-Length"), str(len(content)))
        expect("ETag", answer.getheader("ETag"), f'"{sha256(content)}"')

    def check_a_part_of_it_can_be_had(self):
        answer = once(self.server, "GET", "/product/download/my-lib/1.0", headers={"Range": "bytes=1000000-1999999"})
        expect("status", answer.status, 206)
        expect("bytes", sha256(answer.content), sha256(self.content[1000000:2000000]))

    def check_a_second_upload_of_a_version_is_refused(self):
        expect("status", upload(self.server, "my-lib", "1.0", b"other").status, 409)
        self.expect_download("my-lib", "1.0", self.content)

    def check_names_that_windows_reserves_are_only_names(self):
        for number, version in enumerate(("CON", "nul.txt", "a.", "x::$DATA", "C:")):
            content = f"content {number}".encode()
            answer = upload(self.server, "my-lib", version, content, name="AUX")
            expect(f"status of version {version}", answer.status, 201)
            path = answer.getheader("Location")
            got = once(self.server, "GET", path)
            expect(f"download of version {version}", (got.status, got.content), (200, content))

    def check_eight_uploads_at_once(self):
        failures = []

        def one(number):
            content = os.urandom(1024 * 1024)
            try:
                expect("status", upload(self.server, "my-lib", f"many-{number}", content).status, 201)
                self.expect_download("my-lib", f"many-{number}", content)
            except (Failure, OSError, http.client.HTTPException) as problem:
                failures.append(f"upload {number}: {problem!r}")

        threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect("failures", failures, [])

    def check_an_upload_cut_off_leaves_nothing(self):
        body, kind = form("my-lib", "cut", "cut.bin", os.urandom(2 * 1024 * 1024))
        head = (
            f"POST /product/upload HTTP/1.1\r\nHost: x\r\nX-Api-Token: {ADMIN_TOKEN}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        with socket.create_connection(("127.0.0.1", self.server.port), ANSWER_SECONDS) as plain:
            plain.sendall(head + body[: len(body) // 2])
        # An open file cannot be removed on Windows in every case: the stage shows whether it was closed.
        until(30, "an empty stage", lambda: not self.files("stage"))
        expect("status", once(self.server, "GET", "/product/download/my-lib/cut").status, 400)

    def check_a_running_download_outlives_its_version(self):
        content = os.urandom(48 * 1024 * 1024)
        digest = sha256(content)
        expect("upload", upload(self.server, "my-lib", "big", content).status, 201)
        plain = socket.socket()
        # A small window: most of the file is still on the server's side when the version goes.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        plain.settimeout(ANSWER_SECONDS)
        with plain:
            plain.connect(("127.0.0.1", self.server.port))
            plain.sendall(
                f"GET /product/download/my-lib/big HTTP/1.1\r\nHost: x\r\nX-Api-Token: {ADMIN_TOKEN}\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            received = plain.recv(16 * 1024)
            expect("status line", received.split(b"\r\n")[0], b"HTTP/1.1 200 OK")
            expect("deletion", once(self.server, "DELETE", "/product/delete/my-lib/big").status, 204)
            expect("a later download", once(self.server, "GET", "/product/download/my-lib/big").status, 400)
            parts = [received]
            while part := plain.recv(1024 * 1024):
                parts.append(part)
        expect("digest of the running download", sha256(b"".join(parts).partition(b"\r\n\r\n")[2]), digest)
        until(30, "the blob gone from the shelf", lambda: not [f for f in self.files("shelf") if f.name == digest])

    def check_a_second_program_on_the_same_data_is_refused(self):
        second = Server(self.command, self.windows_data)
        try:
            expect("exit code", second.wait(START_SECONDS), 2)
        finally:
            second.kill()
        self.expect_download("my-lib", "1.0", self.content)

    def check_ctrl_c_ends_it_cleanly(self):
        idle = self.server.connect()
        ask(idle, "GET", "/health")  # a quiet connection must not hold the end up
        expect("exit code", self.server.interrupt(), 0)
        idle.close()
        expect("stage", self.files("stage"), [])

    def check_what_was_stored_is_there_after_a_restart(self):
        self.start()
        self.expect_download("my-lib", "1.0", self.content)

    def check_what_was_stored_survives_being_killed(self):
        content = os.urandom(100_000)
        expect("upload", upload(self.server, "my-lib", "late", content).status, 201)
        self.server.kill()
        self.start()
        self.expect_download("my-lib", "late", content)
        self.expect_download("my-lib", "1.0", self.content)

    def check_it_ends_cleanly_again(self):
        expect("exit code", self.server.interrupt(), 0)

    def run(self):
        """Runs every check; the numbers passed and failed."""
        passed = failed = 0
        names = [name for name in vars(type(self)) if name.startswith("check_")]
        for position, name in enumerate(names):
            label = name.removeprefix("check_").replace("_", " ")
            begun = time.monotonic()
            try:
                getattr(self, name)()
            except Exception as problem:  # any surprise is a failure of this check, not of the run
                failed += 1
                print(f"FAIL  {label}: {problem or repr(problem)}", flush=True)
                if self.server is not None:
                    print("".join(f"      | {line}\n" for line in self.server.log_text().splitlines()[-25:]), end="")
                if self.server is None or self.server.port is None or self.server.process.poll() is not None:
                    rest = len(names) - position - 1
                    if rest:
                        print(f"      the program is not running: {rest} further checks count as failed", flush=True)
                    failed += rest
                    break
            else:
                passed += 1
                print(f"ok    {label} ({time.monotonic() - begun:.1f} s)", flush=True)
        return passed, failed

    def end(self):
        if self.server is not None:
            self.server.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--windows-data", required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    contract = Contract(options.command, options.data, options.windows_data)
    # `timeout` asks with SIGTERM: the program under test must not stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(124))
    try:
        passed, failed = contract.run()
    finally:
        contract.end()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
