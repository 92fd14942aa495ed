"""Cases of the winget source: searches by exact id and by text, and single manifests, among many packages; and what
a start costs with as many packages and apps."""

import hashlib
import json

from cases_answers import per_second
from cases_doors import add_apps, fill
from cases_scale import overhead
from measure import exponent, wrk
from servers import Fault

# wrk asks for one package after another, so that no single answer is hot.
POST = """
local packages, now = tonumber(os.getenv("PACKAGES")), 0
local before, after = os.getenv("BEFORE"), os.getenv("AFTER")
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  now = (now + 1) % packages
  return wrk.format(nil, "/winget/admin/manifestSearch", nil, before .. now .. after)
end
"""

IN_TURN = """
local packages, now = tonumber(os.getenv("PACKAGES")), 0
request = function()
  now = (now + 1) % packages
  return wrk.format("GET", os.getenv("BEFORE") .. now .. os.getenv("AFTER"))
end
"""


def winget(yard):
    """`manifestSearch` by exact id and by a rare text, c=4; `packageManifests` beside nginx; growth with the packages."""
    (yard.folder / "post.lua").write_text(POST)
    (yard.folder / "manifests.lua").write_text(IN_TURN)
    servers = {count: with_packages(yard, count) for count in yard.sizes.records}
    largest = max(servers)
    for count, server in servers.items():
        found = ask(server, by_id(count - 1))
        if [entry["PackageIdentifier"] for entry in found] != [f"Bench.P{count - 1}"]:
            raise Fault(f"the search found {found!r}")
    times = yard.pairs(*(lambda count=count: milliseconds(yard, servers[count], count, by_id("|")) for count in servers))
    for count, figures in zip(servers, times):
        yard.add(f"manifestSearch by exact id, {count:,} packages, c=4", "ms", figures, more_is_better=False, floor=1.0,
                 aim=0.3)
    counts = list(servers)
    exponents = [exponent(counts[0], counts[-1], t1, t2) for t1, t2 in zip(times[0], times[-1])]
    yard.add(f"growth exponent, {counts[0]:,} to {counts[-1]:,} packages", "", exponents, more_is_better=False, floor=0.2)

    server = servers[largest]
    text = {"Query": {"KeyWord": f"number {largest - 1} of", "MatchType": "Substring"}}
    if len(ask(server, text)) != 1:
        raise Fault("a text of one package was not found once")
    (figures,) = yard.pairs(lambda: milliseconds(yard, server, largest, text))
    floor = 5 + 45 * min(1, max(0, largest - 1000) / 99_000)  # 5 ms at 1,000 packages, 50 ms at 100,000
    yard.add(f"manifestSearch by text, {largest:,} packages, c=4", "ms", figures, more_is_better=False, floor=floor,
             aim=floor / 10)

    path = "/winget/admin/packageManifests/Bench.P"
    _, told = server.call("GET", f"{path}0")
    (yard.nginx.root / "manifests").mkdir()
    for number in range(1000):
        (yard.nginx.root / "manifests" / f"{number}.json").write_bytes(told)

    def in_turn(url, before, after, token=None):
        environment = {"PACKAGES": "1000", "BEFORE": before, "AFTER": after}
        return wrk(url, 16, yard.sizes.seconds, token, yard.folder / "manifests.lua", environment)

    mine, reference = yard.pairs(lambda: in_turn(server.url("/"), path, "", server.token),
                                 lambda: in_turn(yard.nginx.url("/"), "/manifests/", ".json"))
    yard.add("packageManifests in turn, c=16", "/s", per_second(mine), per_second(reference), against="nginx files",
             floor=0.30, aim=0.60)
    for server in servers.values():
        server.end()


def rooms(yard):
    """Start, idle memory and metadata with as many winget packages and as many apps, each with an artifact."""
    count = max(yard.sizes.records)
    bare = yard.start(yard.folder / "rooms-bare")
    bare.end()
    server = with_packages(yard, count, "rooms")
    server.end()
    name = f"{count:,} winget packages"
    # Two records each: a package and its version; an app and its version with the artifact.
    yard.add(f"metadata per record, {name} with a version", "B", [(overhead(server) - overhead(bare)) / count / 2],
             more_is_better=False, floor=1500, aim=600)
    before = overhead(server)
    server = yard.start(server.directory)
    add_apps(server, count)
    server.end()
    yard.add(f"metadata per record, {count:,} apps with a version", "B", [(overhead(server) - before) / count / 2],
             more_is_better=False, floor=1500, aim=600)
    name += " and as many apps"
    times = []
    for turn in range(yard.rounds):
        server = yard.start(server.directory)
        times.append(server.start_seconds * 1000)
        if turn == 0:
            yard.add(f"idle memory, {name}", "MiB", [server.memory_kib("VmRSS") / 1024], more_is_better=False, floor=64,
                     aim=30)
            yard.add(f"read before the first answer, {name}", "MiB", [server.read_bytes() / 2**20],
                     more_is_better=False, floor=16)
            if len(ask(server, by_id(count - 1))) != 1:
                raise Fault("the last package is not found after a start")
        server.end()
    yard.add(f"start, {name}", "ms", times, more_is_better=False, floor=500, aim=50)


def by_id(number):
    match = {"KeyWord": f"Bench.P{number}", "MatchType": "Exact"}
    return {"Inclusions": [{"PackageMatchField": "PackageIdentifier", "RequestMatch": match}]}


def ask(server, search):
    _, content = server.call("POST", "/winget/admin/manifestSearch", search)
    return json.loads(content)["Data"]


def milliseconds(yard, server, count, search):
    """The mean time of an answer at four connections."""
    text = json.dumps(search)
    before, after = text.split("|") if "|" in text else (text, "")
    # A text search has no number to put in: white space is none to JSON.
    environment = {"PACKAGES": str(count if after else 1), "BEFORE": before if after else before[:-1],
                   "AFTER": after or "}"}
    if not after:
        environment["BEFORE"] += ', "MaximumResults": '
    rate = wrk(server.url("/"), 4, yard.sizes.seconds, server.token, yard.folder / "post.lua", environment)
    return 4000 / rate.per_second


def with_packages(yard, count, name="winget"):
    """A server whose first tenant has `count` packages of one version each."""
    server = yard.start(yard.folder / f"{name}-{count}")
    headers = {"X-Api-Token": server.token, "Content-Type": "application/json"}

    def make(number, request):
        installer = {"Architecture": "x64", "InstallerType": "msi", "Scope": "machine",
                     "InstallerUrl": f"https://example.org/{number}.msi",
                     "InstallerSha256": hashlib.sha256(str(number).encode()).hexdigest(),
                     "ProductCode": f"{{00000000-0000-0000-0000-{number:012}}}"}
        locale = {"PackageLocale": "en-US", "Publisher": f"Publisher {number % 100}",
                  "PackageName": f"Number {number} of many", "License": "MIT", "ShortDescription": "One of many."}
        version = {"PackageVersion": "1.0.0", "DefaultLocale": locale, "Installers": [installer]}
        package = {"PackageIdentifier": f"Bench.P{number}", "Versions": [version]}
        request("POST", "/winget/admin/packageManifests", json.dumps(package).encode(), headers)

    fill(server, count, make)
    return server
