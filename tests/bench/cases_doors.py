"""Cases of the other doors: update checks with many apps, lists of many RefPacks."""

import io
import json
import threading
import zipfile
from http.client import HTTPConnection

from cases_answers import p99, per_second, rates
from measure import exponent, wrk
from servers import Fault

CLIENTS = 16  # that fill a server at once: their commits travel together
BOUNDARY = "packhouse-bench"

# wrk asks for one app after another, so that no single answer is hot; the path is all that nginx has to know.
IN_TURN = """
local apps, now = tonumber(os.getenv("APPS")), 0
request = function()
  now = (now + 1) % apps
  return wrk.format("GET", os.getenv("BEFORE") .. now .. os.getenv("AFTER"))
end
"""


def check(yard):
    """`checkVersion`: one app, all apps in turn, against nginx with as many files; growth with the number of apps."""
    script = yard.folder / "in-turn.lua"
    script.write_text(IN_TURN)
    servers = {count: with_apps(yard, count) for count in yard.sizes.records[:2]}
    small, large = servers
    server, nginx = servers[large], yard.nginx
    ours = server.url(question(0))
    told = answer(server, 0)
    (nginx.root / "check").mkdir()
    for number in range(large):
        (nginx.root / "check" / f"{number}.json").write_bytes(told)
    theirs = nginx.url("/check/0.json")
    yard.check(ours, told)
    yard.check(theirs, told)
    for connections, floor in ((1, 0.35), (16, 0.45), (64, 0.40)):
        mine, reference = rates(yard, connections, ours, theirs)
        yard.add(f"checkVersion of {large:,} apps, one key, c={connections}", "/s", per_second(mine),
                 per_second(reference), against="nginx file", floor=floor, aim=0.65)
        if connections == 16:
            yard.add("the same, p99 at c=16", "ms", p99(mine), p99(reference), against="nginx file",
                     more_is_better=False, floor=3.0, aim=1.5)

    def in_turn(url, before, after, apps, connections):
        environment = {"APPS": str(apps), "BEFORE": before, "AFTER": after}
        return wrk(url, connections, yard.sizes.seconds, script=script, environment=environment)

    before, after = question("|").split("|")
    mine, reference = yard.pairs(lambda: in_turn(server.url("/"), before, after, large, 16),
                                 lambda: in_turn(nginx.url("/"), "/check/", ".json", large, 16))
    yard.add(f"checkVersion, {large:,} apps in turn, c=16", "/s", per_second(mine), per_second(reference),
             against="nginx files", floor=0.40, aim=0.60)
    times = yard.pairs(*(lambda count=count: 1e6 / in_turn(servers[count].url("/"), before, after, count, 1).per_second
                         for count in servers))
    yard.add(f"growth exponent, {small:,} to {large:,} apps", "",
             [exponent(small, large, t1, t2) for t1, t2 in zip(*times)], more_is_better=False, floor=0.15)
    yard.check(ours, told)
    for server in servers.values():
        server.end()


def search(yard):
    """The first page of a list of many RefPacks, for a text that few and for one that all of them hold."""
    count = yard.sizes.records[1]
    server = yard.start(yard.folder / "refpacks")
    fill(server, count, lambda number, ask: ask(
        "POST", "/packages", refpack(number), {"Content-Type": "application/zip", "X-API-Key": server.token}))
    floor = 5 + 45 * min(1, max(0, count - 1000) / 99_000)  # 5 ms at 1,000 packages, 50 ms at 100,000
    for what, text in (("few", f"number-{count - 1}-"), ("all", "package")):
        url = server.url(f"/packages?q={text}")
        total = json.loads(body_of(server, f"/packages?q={text}"))["totalCount"]
        if total != (count if what == "all" else 1):
            raise Fault(f"{total} of {count} packages hold {text!r}")
        (figures,) = yard.pairs(lambda url=url: 4000 / wrk(url, 4, yard.sizes.seconds).per_second)
        yard.add(f"first page, {what} of {count:,} RefPacks, c=4", "ms", figures, more_is_better=False, floor=floor,
                 aim=floor / 10)
    server.end()


def question(number):
    return f"/checkVersion?app_name=app{number}&version=1.0.0&channel=stable&platform=linux&arch=amd64"


def answer(server, number):
    told = body_of(server, question(number))
    if json.loads(told).get("update_available") is not True:
        raise Fault(f"checkVersion answered {told[:200]!r}")
    return told


def body_of(server, target):
    _, content = server.call("GET", target)
    return content


def with_apps(yard, count):
    """A server with `count` apps of one version each."""
    server = yard.start(yard.folder / f"apps-{count}")
    add_apps(server, count)
    return server


def add_apps(server, count):
    """Gives a new server `count` apps of one version each, with a tiny file of its own."""
    secret = (server.data / "first-run.txt").read_text().split("Password:")[1].split()[0]
    _, content = server.call("POST", "/login", {"username": "admin", "password": secret})
    bearer = {"Authorization": f"Bearer {json.loads(content)['token']}"}
    plain = {**bearer, "Content-Type": "application/json"}
    parts = {**bearer, "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection = HTTPConnection(server.address)
    for kind, name in (("channel", "stable"), ("platform", "linux"), ("arch", "amd64")):
        request(connection, "POST", f"/{kind}/create", json.dumps({kind: name}).encode(), plain)

    def make(number, ask):
        app = {"app": f"app{number}"}
        version = {"app_name": f"app{number}", "version": "1.1.0", "channel": "stable", "platform": "linux",
                   "arch": "amd64", "publish": True}
        ask("POST", "/app/create", form(app), parts)
        ask("POST", "/upload", form(version, f"app{number}.deb"), parts)

    fill(server, count, make)


def form(data, file_name=None):
    pieces = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="data"\r\n\r\n{json.dumps(data)}\r\n']
    if file_name:
        pieces.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n\r\n'
                      f"{file_name}\r\n")
    return "".join([*pieces, f"--{BOUNDARY}--\r\n"]).encode()


def refpack(number):
    manifest = {"id": f"bench/p{number}", "version": "1.0.0", "title": f"Package number-{number}-",
                "createdUtc": "2026-05-20T10:00:00Z", "description": "One of many packages.", "tags": ["bench"]}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("data.meta.json", json.dumps(manifest))
        archive.writestr("data.json", json.dumps([{"id": number, "name": "one"}]))
    return packed.getvalue()


def fill(server, count, make):
    """Has `make(number, ask)` called for every number below `count`, by several clients at once."""
    faults = []

    def work(first):
        connection = HTTPConnection(server.address)
        try:
            for number in range(first, count, CLIENTS):
                if faults:
                    return
                make(number, lambda *asked: request(connection, *asked))
        except Exception as fault:  # handed to the measuring thread
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def request(connection, method, target, body, headers):
    connection.request(method, target, body, headers)
    answered = connection.getresponse()
    content = answered.read()
    if answered.status >= 300:
        raise Fault(f"{method} {target} answered {answered.status} {content[:200]!r}")
    return content
