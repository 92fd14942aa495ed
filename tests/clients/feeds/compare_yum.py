#!/usr/bin/env python3
"""Compares the metadata of two yum repositories element by element: compare_yum.py OURS REFERENCE (folders with repodata/).

What may differ by contract (`repos.md` §12): the location, the time the file became known, requirements that the package
itself provides, and the white space between elements. Prints every other difference; exit status 1 when there is one.
"""
import bz2, gzip, lzma, subprocess, sys
import xml.etree.ElementTree as tree
from pathlib import Path

REPO = "{http://linux.duke.edu/metadata/repo}"
RPM = "{http://linux.duke.edu/metadata/rpm}"


def opened(path):
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".bz2":
        return bz2.decompress(data)
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def packages(folder, kind):
    folder = Path(folder)
    found = tree.parse(folder / "repodata/repomd.xml").getroot()
    places = {data.get("type"): data.find(REPO + "location").get("href") for data in found.findall(REPO + "data")}
    root = tree.fromstring(opened(folder / places[kind]))
    listed = [child for child in root if child.tag.endswith("}package")]
    if int(root.get("packages")) != len(listed):
        fault(f"{folder} {kind}: packages={root.get('packages')}, but {len(listed)} stand there")
    order = [identity(package) for package in listed]
    return dict(zip(order, listed)), order, root.tag


def identity(package):
    if package.get("pkgid"):
        return package.get("pkgid")
    return next(child.text for child in package if child.tag.endswith("}checksum"))


def entries(element):
    return sorted(tuple(sorted(entry.attrib.items())) for entry in element)


def flat(element, inside=""):
    """Name, attributes and text of everything inside, the parts that are free left out."""
    rows = []
    provides = element.find(f".//{RPM}provides")
    provided = {tuple(sorted(e.attrib.items())) for e in provides} if provides is not None else set()
    for child in element:
        name = f"{inside}/{child.tag.split('}')[-1]}"
        attributes = dict(child.attrib)
        if name == "/location":
            continue
        if name == "/time":
            attributes.pop("file")
        if name.startswith("/format/") and child.tag.startswith(RPM) and len(child):
            listed = entries(child)
            if name == "/format/requires":
                bare = {tuple(p for p in e if p[0] != "pre") for e in listed}
                listed = [e for e in listed if tuple(p for p in e if p[0] != "pre") not in provided]
                del bare
            rows += [(name, entry) for entry in listed]
            continue
        if len(child):
            rows += flat(child, name)
            continue
        rows.append((name, tuple(sorted(attributes.items())), (child.text or "").strip()))
    if inside in ("", "/format"):
        files = sorted(row for row in rows if row[0].endswith("/file"))
        rows = [row for row in rows if not row[0].endswith("/file")] + files
    return rows


faults = 0


def fault(text):
    global faults
    faults += 1
    print(text)


ours, reference = sys.argv[1:]
orders = []
for kind in ("primary", "filelists", "other"):
    mine, order, my_tag = packages(ours, kind)
    theirs, _, their_tag = packages(reference, kind)
    orders.append(order)
    if my_tag != their_tag:
        fault(f"{kind}: root {my_tag} instead of {their_tag}")
    for missing in theirs.keys() - mine.keys():
        fault(f"{kind}: {missing} is missing")
    for extra in mine.keys() - theirs.keys():
        fault(f"{kind}: {extra} is too much")
    for package in mine.keys() & theirs.keys():
        a, b = flat(mine[package]), flat(theirs[package])
        if a != b:
            for row in a:
                if row not in b:
                    fault(f"{kind} {package[:12]}: ours only: {row}")
            for row in b:
                if row not in a:
                    fault(f"{kind} {package[:12]}: reference only: {row}")
            if sorted(a) == sorted(b):
                fault(f"{kind} {package[:12]}: another order of elements")
if any(order != orders[0] for order in orders):
    fault("the packages stand in different order in primary, filelists and other")
sys.exit(1 if faults else 0)
