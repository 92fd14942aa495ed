"""Tiny Debian packages and rpms made in code, thousands in a second, which every tool of the field takes as real ones."""

import gzip
import hashlib
import io
import struct
import tarfile


def deb(name, version, arch="amd64"):
    """A Debian package with one small file."""
    control = (f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: Bench <bench@example.org>\n"
               f"Installed-Size: 1\nDepends: libc6 (>= 2.36), base-{name}\nSection: utils\nPriority: optional\n"
               f"Homepage: https://example.org/{name}\nDescription: made for the bench\n A longer description of {name},\n"
               f" which has a few words and a second line.\n")
    return b"!<arch>\n" + b"".join(
        member(part, content) for part, content in (
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", archive({"./control": control.encode()})),
            ("data.tar.gz", archive({f"./usr/share/doc/{name}/copyright": f"{name} {version}\n".encode()})),
        ))


def member(name, content):
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
    return head + content + b"\n" * (len(content) % 2)


def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return gzip.compress(out.getvalue(), 1, mtime=0)


# Types of values in the header of an rpm.
INT16, INT32, STRING, BINARY, STRINGS, I18N = 3, 4, 6, 7, 8, 9
WIDTH = {INT16: 2, INT32: 4}


def rpm(name, version, release="1", arch="x86_64"):
    """An rpm with two files, a few dependencies and a changelog."""
    payload = gzip.compress(f"payload of {name} {version}".encode(), 1, mtime=0)
    evr = f"{version}-{release}"
    tags = {
        1000: (STRING, name), 1001: (STRING, version), 1002: (STRING, release), 1004: (I18N, "made for the bench"),
        1005: (I18N, f"A longer description of {name},\nwhich has a few words and a second line."),
        1006: (INT32, [1_763_670_000]), 1007: (STRING, "builder.example.org"), 1009: (INT32, [64]),
        1014: (STRING, "MIT"), 1016: (I18N, "Unspecified"), 1020: (STRING, f"https://example.org/{name}"),
        1021: (STRING, "linux"), 1022: (STRING, arch), 1044: (STRING, f"{name}-{evr}.src.rpm"),
        1124: (STRING, "cpio"), 1125: (STRING, "gzip"),
        1047: (STRINGS, [name, f"{name}(x86-64)"]), 1112: (INT32, [8, 8]), 1113: (STRINGS, [evr, evr]),
        1049: (STRINGS, ["libc.so.6()(64bit)", f"base-{name}", "setup"]), 1048: (INT32, [0, 12, 1 << 9]),
        1050: (STRINGS, ["", "1.0", ""]),
        1080: (INT32, [1_763_000_000]), 1081: (STRINGS, ["Bench <bench@example.org> - " + evr]),
        1082: (STRINGS, ["- made anew"]),
        1030: (INT16, [0o100755, 0o100644]), 1037: (INT32, [0, 0]), 1116: (INT32, [0, 1]),
        1117: (STRINGS, [name, "copyright"]), 1118: (STRINGS, ["/usr/bin/", f"/usr/share/doc/{name}/"]),
        5092: (STRINGS, [hashlib.sha256(payload).hexdigest()]), 5093: (INT32, [8]),
    }
    main = header(63, tags)
    signature = header(62, {
        273: (STRING, hashlib.sha256(main).hexdigest()), 1000: (INT32, [len(main) + len(payload)]),
        1007: (INT32, [len(payload)]),
    })
    lead = struct.pack(">4sBBHH66sHH16x", b"\xed\xab\xee\xdb", 3, 0, 0, 1, f"{name}-{evr}"[:65].encode(), 1, 5)
    return lead + signature + b"\0" * (-len(signature) % 8) + main + payload


def header(region, tags):
    index, store = [], b""
    for tag, (kind, value) in sorted(tags.items()):
        if kind in (INT16, INT32):
            content, count = struct.pack(f">{len(value)}{'H' if kind == INT16 else 'I'}", *value), len(value)
        elif kind == STRINGS:
            content, count = b"".join(text.encode() + b"\0" for text in value), len(value)
        else:
            content, count = value.encode() + b"\0", 1
        store += b"\0" * (-len(store) % WIDTH.get(kind, 1))
        index.append(struct.pack(">IIII", tag, kind, len(store), count))
        store += content
    # The region comes first and points behind all values, where its trailer points back over the index.
    count = len(index) + 1
    index.insert(0, struct.pack(">IIII", region, BINARY, len(store), 16))
    store += struct.pack(">IIiI", region, BINARY, -count * 16, 16)
    return b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">II", count, len(store)) + b"".join(index) + store
