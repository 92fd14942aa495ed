"""Reads feeds as their clients do and prints what it understood as JSON: `feeds.py appcast|releases` with the feed on standard input."""

import email.utils
import json
import re
import sys
import xml.etree.ElementTree as ElementTree

import feedparser

SPARKLE = "{http://www.andymatuschak.org/xml-namespaces/sparkle}"


def appcast(feed):
    """Every item, read by an XML parser and again by a reader of feeds; both must agree."""
    root = ElementTree.fromstring(feed)
    assert root.tag == "rss" and root.get("version") == "2.0", root.attrib
    items = []
    for item in root.findall("channel/item"):
        archive = item.find("enclosure")
        assert item.findtext("title"), "an item without title"
        assert email.utils.parsedate_to_datetime(item.findtext("pubDate")), "a bad pubDate"
        assert archive.get("type") == "application/octet-stream", archive.attrib
        version = item.findtext(SPARKLE + "version")
        assert item.findtext(SPARKLE + "shortVersionString") == version
        items.append({
            "version": version,
            "critical": item.find(SPARKLE + "criticalUpdate") is not None,
            "description": item.findtext("description"),
            "url": archive.get("url"),
            "length": int(archive.get("length")),
            "signature": archive.get(SPARKLE + "edSignature"),
        })
    read = feedparser.parse(feed)
    assert not read.bozo, read.bozo_exception
    again = [(entry.sparkle_version, entry.enclosures[0].href, int(entry.enclosures[0].length)) for entry in read.entries]
    assert again == [(item["version"], item["url"], item["length"]) for item in items], again
    assert all(entry.published_parsed for entry in read.entries)
    return items


def releases(feed):
    """Every line of a RELEASES file, by the rules of Squirrel.Windows."""
    line_of = re.compile(r"^([0-9a-fA-F]{40})\s+(\S+)\s+(\d+)[\r]*(?:\s*#\s*(\d{1,3})%)?$")
    lines = []
    for line in feed.decode("utf-8-sig").split("\n"):
        line = line.rstrip("\r")
        if line.strip():
            digest, name, size, staging = line_of.match(line).groups()
            lines.append({"sha1": digest.lower(), "name": name, "size": int(size), "staging": staging and int(staging)})
    return lines


if __name__ == "__main__":
    print(json.dumps({"appcast": appcast, "releases": releases}[sys.argv[1]](sys.stdin.buffer.read())))
