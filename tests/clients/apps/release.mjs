// Makes what electron-builder makes of a file: its block map and the yml that describes it.
//
//   node release.mjs '{"dir": DIRECTORY, "version": "1.0.0", "name": FILE, "yml": "latest.yml", "embed": false}'
//
// `embed` appends the block map to the file (AppImage); else it is written beside it as NAME.blockmap.

import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { createHash } from "node:crypto";
import yaml from "js-yaml";

const job = JSON.parse(process.argv[2]);
const file = path.join(job.dir, job.name);
let bytes = fs.readFileSync(file);
const size = 16 << 10;
const blocks = [];
for (let at = 0; at < bytes.length; at += size) {
    blocks.push(bytes.subarray(at, at + size));
}
const map = {
    version: "2",
    files: [{
        name: "file",
        offset: 0,
        checksums: blocks.map((block) => createHash("blake2b512").update(block).digest().subarray(0, 18).toString("base64")),
        sizes: blocks.map((block) => block.length),
    }],
};
const entry = { url: job.name };
if (job.embed) {
    const packed = zlib.deflateRawSync(JSON.stringify(map));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(packed.length);
    bytes = Buffer.concat([bytes, packed, length]);
    fs.writeFileSync(file, bytes);
    entry.blockMapSize = packed.length;
} else {
    fs.writeFileSync(`${file}.blockmap`, zlib.gzipSync(JSON.stringify(map)));
}
entry.sha512 = createHash("sha512").update(bytes).digest("base64");
entry.size = bytes.length;
const feed = { version: job.version, files: [entry], path: job.name, sha512: entry.sha512, releaseDate: "2026-03-17T14:15:59.818Z" };
fs.writeFileSync(path.join(job.dir, job.yml), yaml.dump(feed, { lineWidth: 8000 }));
