#!/usr/bin/env python3
"""A machine of an office: does over HTTPS, request by request, what `winget` does on Windows; refuses what it refuses.

    client.py ROOT BASE TENANT ADMIN_TOKEN FOLDER

ROOT is the authority's certificate, BASE `https://host:port`, FOLDER has the installers `one.exe`, `two.exe` and
`app.msix`. It puts them on the shelf as the Winget-Repo API has it, then adds the source, searches, shows, installs and
upgrades. Everything is Python's own library. It ends with 0 and prints `done` when all went as it has to.
"""

import hashlib
import http.client
import json
import re
import ssl
import sys
import urllib.parse
import uuid
from pathlib import Path

AGENT = "winget-cli WindowsPackageManager/1.12.350 DesktopAppInstaller/Microsoft.DesktopAppInstaller v1.27.350.0"
KNOWN = ["1.0.0", "1.1.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.9.0", "1.10.0", "1.12.0", "1.28.0"]
# What the URL builder of the client leaves as it is in a path.
PATH = "!$&'()*+,;=:@-._~"


class Refused(Exception):
    """What the client shows as an error."""


class Web:
    """Requests over HTTPS that trust one root; the newest status, headers and body."""

    def __init__(self, root, base):
        self.context = ssl.create_default_context(cafile=root)
        self.address = urllib.parse.urlsplit(base)

    def ask(self, method, url, body=None, headers=()):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https":
            raise Refused(f"{url} is not https")
        if parts.netloc != self.address.netloc:
            raise Refused(f"{url} leads elsewhere")
        connection = http.client.HTTPSConnection(parts.netloc, timeout=120, context=self.context)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


class Source:
    """A source of the kind Microsoft.Rest, as `winget source add` makes it."""

    def __init__(self, web, argument, header=None):
        if not argument.lower().startswith("https://"):
            raise Refused("a source has to be https")
        self.web, self.base = web, argument.strip().removesuffix("/")
        self.headers = {"User-Agent": AGENT, "Content-Type": "application/json"}
        if header:
            self.headers["Windows-Package-Manager"] = header
        data = self.json("GET", "/information", {})["Data"]
        if not data["SourceIdentifier"].strip() or not data["ServerSupportedVersions"]:
            raise Refused("information without an identifier or versions")
        if data.get("Authentication") is not None:
            raise Refused("this source wants a sign-in")
        self.identifier = data["SourceIdentifier"]
        number = lambda text: tuple(map(int, text.split(".")[:2]))
        common = {number(text) for text in KNOWN} & {number(text) for text in data["ServerSupportedVersions"]}
        self.contract = max(common)
        self.version = {"Version": "{}.{}.0".format(*self.contract)}

    def json(self, method, path, headers, body=None):
        """An answer as the client takes it: none for 204, else JSON of exactly this type."""
        sent = None if body is None else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        status, fields, content = self.web.ask(method, self.base + path, sent, {**self.headers, **headers})
        if status == 204:
            return None
        if status != 200:
            raise Refused(f"{method} {path} answered {status}")
        if not (fields["Content-Type"] or "").startswith("application/json"):
            raise Refused(f"{method} {path} is of the type {fields['Content-Type']}")
        return json.loads(content)

    def search(self, request):
        """Every page of a search: {id: entry}."""
        found, token = {}, None
        while True:
            more = {"ContinuationToken": token} if token else {}
            answer = self.json("POST", "/manifestSearch", {**self.version, **more}, request)
            for entry in (answer or {}).get("Data", []):
                named = all(entry[name].strip() for name in ("PackageIdentifier", "PackageName", "Publisher"))
                versions = [version["PackageVersion"] for version in entry["Versions"]]
                if not named or not versions or not all(map(str.strip, versions)):
                    raise Refused(f"an incomplete entry: {entry}")
                found[entry["PackageIdentifier"]] = entry
            token = (answer or {}).get("ContinuationToken")
            wanted = request.get("MaximumResults", 0)
            if not token or wanted and len(found) >= wanted:
                return found

    def single(self, query):
        """What `install QUERY` and `show QUERY` look for."""
        exact = [("PackageFamilyName", "Exact"), ("ProductCode", "Exact"), ("PackageIdentifier", "CaseInsensitive"),
                 ("PackageName", "CaseInsensitive"), ("Moniker", "CaseInsensitive")]
        return self.search({"Inclusions": [condition(field, kind, query) for field, kind in exact]})

    def manifests(self, identifier, version=None):
        """The versions of one package: `install --id` asks for them at once."""
        query = f"?Version={urllib.parse.quote(version, safe=PATH)}" if version else ""
        path = f"/packageManifests/{urllib.parse.quote(identifier, safe=PATH)}{query}"
        answer = self.json("GET", path, self.version)
        if answer is None or answer.get("Data") is None:
            return []
        data = answer["Data"]
        if not data["PackageIdentifier"].strip() or not data["Versions"]:
            raise Refused("a package without an id or versions")
        for shown in data["Versions"]:
            readable(shown)
        return data["Versions"]

    def manifest(self, identifier, version):
        """One version; the client looks for it in the answer again."""
        fitting = [shown for shown in self.manifests(identifier, version)
                   if shown["PackageVersion"].lower() == version.lower()]
        if not fitting:
            raise Refused(f"{identifier} {version} is not there")
        return fitting[0]


def condition(field, kind, word):
    return {"PackageMatchField": field, "RequestMatch": {"KeyWord": word, "MatchType": kind}}


def readable(shown):
    """What is read of a version, and what makes the client refuse it."""
    default = shown["DefaultLocale"]
    if not all(default[name].strip() for name in ("PackageLocale", "Publisher", "PackageName", "ShortDescription")):
        raise Refused(f"a default locale without its members: {default}")
    if shown.get("Channel") or not shown["Installers"]:
        raise Refused("a channel, or no installers")
    kept = []
    for installer in shown["Installers"]:
        kind = installer["InstallerType"].lower()
        effective = installer["NestedInstallerType"].lower() if kind == "zip" else kind
        plain = "msix" if effective == "appx" else effective
        key = (plain, installer["Architecture"], installer.get("InstallerLocale", ""))
        scope = installer.get("Scope")
        if any(key == other and (scope == whose or scope is None or whose is None) for other, whose in kept):
            raise Refused(f"duplicate installer: {key}")
        kept.append((key, scope))
        if kind == "zip" and len(installer["NestedInstallerFiles"]) != 1 and effective != "portable":
            raise Refused("several files to start in an archive")
        if kind != "msstore" and len(bytes.fromhex(installer["InstallerSha256"])) != 32:
            raise Refused("a digest of another length")
        if not re.match(r"https?://[^\s]+$", installer["InstallerUrl"], re.IGNORECASE):
            raise Refused(f"{installer['InstallerUrl']} is no address")


def whole(web, installer):
    """A download in one request: nothing of the source's headers goes with it."""
    status, fields, content = web.ask("GET", installer["InstallerUrl"], headers={"User-Agent": AGENT})
    if status != 200 or int(fields["Content-Length"]) != len(content):
        raise Refused(f"the installer answered {status} with {fields['Content-Length']} for {len(content)} bytes")
    return content


def in_pieces(web, installer, piece=1 << 20):
    """A download by ranges, as Delivery Optimization and the reader of app packages make it: HEAD, then pieces that
    hold on to the entity tag and the date of the first."""
    url = installer["InstallerUrl"]
    status, fields, content = web.ask("HEAD", url, headers={"User-Agent": AGENT})
    if status != 200 or content or fields["Accept-Ranges"] != "bytes":
        raise Refused(f"HEAD answered {status}, ranges {fields['Accept-Ranges']}")
    size, got, held = int(fields["Content-Length"]), b"", {}
    while len(got) < size:
        # The last piece is asked for beyond the end.
        wanted = {"Range": f"bytes={len(got)}-{len(got) + piece - 1}", "Connection": "Keep-Alive", **held}
        status, fields, content = web.ask("GET", url, headers={"User-Agent": AGENT, **wanted})
        end = len(got) + len(content) - 1
        if status != 206 or fields["Content-Range"] != f"bytes {len(got)}-{end}/{size}":
            raise Refused(f"{wanted} answered {status} {fields['Content-Range']}")
        held = {name: value for name, value in (("If-Match", fields["ETag"]), ("If-Unmodified-Since",
                fields["Last-Modified"])) if value}
        got += content
    lost = web.ask("GET", url, headers={"Range": "bytes=0-0", "If-Match": '"another"'})[0]
    if lost != 412:
        raise Refused(f"another entity tag answered {lost}")
    return got


def fetched(web, installer, how, expected):
    content = how(web, installer)
    if hashlib.sha256(content).hexdigest() != installer["InstallerSha256"].lower():
        raise Refused("installer hash does not match")
    if content != expected:
        raise Refused("these are other bytes than were put on the shelf")


class Shelf:
    """The administrator's side: the Winget-Repo API."""

    def __init__(self, web, base, token):
        self.web, self.base, self.head = web, base, {"Authorization": f"Bearer {token}"}

    def call(self, method, path, fields, status):
        body = urllib.parse.urlencode(fields)
        head = {**self.head, "Content-Type": "application/x-www-form-urlencoded"}
        got, _, content = self.web.ask(method, f"{self.base}/{path}", body, head)
        if got != status:
            raise Refused(f"{method} {path} answered {got} {content[:200]!r}")
        return json.loads(content)

    def upload(self, name, content, piece=3 << 20):
        """In pieces, the last one first; the server's name for it."""
        ranges = [(at, min(at + piece, len(content))) for at in range(0, len(content), piece)]
        told = None
        for first, end in reversed(ranges):
            head = {**self.head, "X-File-ID": name, "Content-Range": f"bytes {first}-{end - 1}/{len(content)}",
                    "Content-Type": "application/octet-stream"}
            status, _, answer = self.web.ask("POST", f"{self.base}/upload_package_version", content[first:end], head)
            if status != 200:
                raise Refused(f"a piece answered {status} {answer[:200]!r}")
            told = json.loads(answer)
        if not told["complete"] or told["sha256"] != hashlib.sha256(content).hexdigest():
            raise Refused(f"the upload is not whole: {told}")
        return told["server_filename"]

    def add(self, identifier, content, file_name, **fields):
        uploaded = self.upload(file_name, content)
        given = {"file_architect": "x64", "file_scope": "machine", **fields, "server_filename": uploaded}
        self.call("POST", f"add_package_version/{identifier}", given, 201)


def expect(what, got, wanted):
    if got != wanted:
        raise Refused(f"{what}: {got!r}, not {wanted!r}")


def refuses(what, act):
    try:
        act()
    except (Refused, ssl.SSLError):
        return
    raise Refused(f"{what} was accepted")


def main(root, base, tenant, token, folder):
    one, two, app = ((Path(folder) / name).read_bytes() for name in ("one.exe", "two.exe", "app.msix"))
    web = Web(root, base)
    shelf = Shelf(web, f"{base}/cloud/client/api/{tenant}", token)
    reader = {"package_id": "Contoso.Reader++", "package_name": "Contoso Reader", "package_publisher": "Contoso",
              "package_description": "Reads what others write."}
    shelf.call("POST", "add_package", reader, 200)
    code = "{AA11BB22-3344-5566-7788-99AABBCCDDEE}"
    about = {"file_type": "EXE", "switch_Silent": "/S", "productcode": code}
    shelf.add("Contoso.Reader++", one, "Reader Setup (1).exe_1700000000", package_version="1.9.0", **about)
    shelf.add("Contoso.Reader++", two, "Reader Setup (2).exe_1700000001", package_version="1.10.0", **about)
    notes = {**reader, "package_id": "Contoso.Notes", "package_name": "Notes"}
    shelf.call("POST", "add_package", notes, 200)
    family = "Contoso.Notes_8wekyb3d8bbwe"
    shelf.add("Contoso.Notes", app, "notes.msix", package_version="2.0", file_type="MSIX", package_family_name=family)
    machine = shelf.call("POST", "add_client", {"client_name": f"desk-{uuid.uuid4()}"}, 201)["auth_token"]

    address = f"{base}/winget/{tenant.upper()}"
    refuses("a source over plain HTTP", lambda: Source(web, address.replace("https", "http")))
    refuses("a wrong token", lambda: Source(web, f"{address}/t/wrong"))
    stranger = Web(None, base)
    refuses("a certificate without its root", lambda: Source(stranger, address))
    source = Source(web, f"{address}/t/{machine}/")
    expect("the contract", source.contract, (1, 10))
    header = Source(web, address, "{'Token': '%s'}" % machine)
    expect("the identifier", header.identifier, source.identifier)

    # winget search reader; winget search contoso --count 1; winget list: everything
    query = lambda word: {"Query": {"KeyWord": word, "MatchType": "Substring"}}
    expect("search", list(source.search(query("READER"))), ["Contoso.Reader++"])
    expect("search --count 1", list(source.search({"MaximumResults": 1, **query("contoso")})), ["Contoso.Notes"])
    expect("all", list(source.search({"FetchAllManifests": True})), ["Contoso.Notes", "Contoso.Reader++"])
    expect("nothing", source.search(query("no such thing")), {})
    # winget install "contoso reader": found by its name, then the newest version of it
    for word in ("contoso reader", "CONTOSO.reader++", code.lower()):
        found = source.single(word)
        expect(word, list(found), ["Contoso.Reader++"])
    newest = found["Contoso.Reader++"]["Versions"][0]
    expect("the newest", newest["PackageVersion"], "1.10.0")
    [installer] = header.manifest("Contoso.Reader++", "1.10.0")["Installers"]
    expect("switches", installer["InstallerSwitches"], {"Silent": "/S"})
    fetched(web, installer, whole, two)
    fetched(web, installer, in_pieces, two)
    # winget install --id contoso.reader++ --version 1.9.0: no search at all, the id as it was typed
    expect("show --versions", [shown["PackageVersion"] for shown in source.manifests("contoso.reader++")],
           ["1.10.0", "1.9.0"])
    [installer] = source.manifest("contoso.reader++", "1.9.0")["Installers"]
    fetched(web, installer, whole, one)
    # winget upgrade: installed programs are looked for by folded code, family or normalized name
    installed = [[condition("ProductCode", "Exact", code.lower())],
                 [condition("PackageFamilyName", "Exact", family.lower())],
                 [condition("ProductCode", "Exact", "{other}"),
                  condition("NormalizedPackageNameAndPublisher", "Exact", "ContosoReader")]]
    for conditions, wanted in zip(installed, ("Contoso.Reader++", "Contoso.Notes", "Contoso.Reader++")):
        expect("upgrade", list(source.search({"Inclusions": conditions})), [wanted])
    # winget install notes: an app package is read where it lies
    [installer] = source.manifests("Contoso.Notes")[0]["Installers"]
    expect("the family", installer["PackageFamilyName"], family)
    fetched(web, installer, in_pieces, app)
    expect("an unknown id", source.manifests("No.Such"), [])
    refuses("a link without its signature",
            lambda: whole(web, {"InstallerUrl": installer["InstallerUrl"].partition("?")[0]}))
    print("done")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as refusal:
        sys.exit(f"refused: {refusal}")
