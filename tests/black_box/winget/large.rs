//! An installer of 2 GiB by chunks, while clients and the server die in between (`winget.md` A7).

use std::io::{self, Write};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Admin, local};
use crate::client::Request;
use crate::files::{hex, noise};
use crate::server::{ADMIN, ADMIN_USER, Packhouse, wait_for};

const BLOCK: u64 = 1 << 20;
const CHUNK: u64 = 64 * BLOCK;
const CHUNKS: u64 = 32;
const SIZE: u64 = CHUNKS * CHUNK;

/// Block `number` of the installer: noise that begins with its number.
fn block(noise: &[u8], number: u64) -> Vec<u8> {
    let mut block = noise.to_vec();
    block[..8].copy_from_slice(&number.to_le_bytes());
    block
}

/// Writes `blocks` blocks from the beginning of chunk `chunk` on.
fn write(noise: &[u8], chunk: u64, blocks: u64, out: &mut dyn Write) -> io::Result<()> {
    let first = chunk * CHUNK / BLOCK;
    (first..first + blocks).try_for_each(|number| out.write_all(&block(noise, number)))
}

fn request(admin: &Admin<'_>, chunk: u64) -> Request {
    let (first, last) = (chunk * CHUNK, (chunk + 1) * CHUNK - 1);
    let request = admin.request("POST", "upload_package_version").header("X-File-ID", "Large Setup.msi_1700000000");
    request.header("Content-Range", &format!("bytes {first}-{last}/{SIZE}"))
}

/// A whole chunk.
#[track_caller]
fn send(admin: &Admin<'_>, noise: &[u8], chunk: u64) -> Value {
    let noise = noise.to_vec();
    let request = request(admin, chunk);
    let body = move |out: &mut dyn Write| write(&noise, chunk, CHUNK / BLOCK, out);
    admin.server.send(request.sized("application/octet-stream", CHUNK, body)).is_json(200)
}

/// The ranges that chunks not yet answered for leave open.
fn missing(sent: &[u64]) -> Value {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for chunk in (0..CHUNKS).filter(|chunk| !sent.contains(chunk)) {
        let (first, last) = (chunk * CHUNK, (chunk + 1) * CHUNK - 1);
        match ranges.last_mut() {
            Some(range) if range.1 + 1 == first => range.1 = last,
            _ => ranges.push((first, last)),
        }
    }
    json!(ranges)
}

#[test]
fn two_gibibytes_survive_clients_and_servers_that_die() {
    let mut server = Packhouse::start();
    let noise = noise(11, BLOCK as usize);
    let (tenant, token) = (ADMIN_USER, ADMIN);
    let mut sent: Vec<u64> = Vec::new();
    for step in 0..CHUNKS {
        let chunk = step * 7 % CHUNKS;
        if step == 9 || step == 21 {
            // The server dies while a chunk is on its way.
            let mut link = server.connect();
            let head = format!(
                "POST /cloud/client/api/{tenant}/upload_package_version HTTP/1.1\r\nHost: x\r\n\
                 Authorization: Bearer {token}\r\nX-File-ID: Large Setup.msi_1700000000\r\n\
                 Content-Type: application/octet-stream\r\nContent-Length: {CHUNK}\r\n\
                 Content-Range: bytes {}-{}/{SIZE}\r\n\r\n",
                chunk * CHUNK,
                (chunk + 1) * CHUNK - 1
            );
            link.write(head.as_bytes()).unwrap();
            for number in 0..20 {
                link.write(&block(&noise, chunk * CHUNK / BLOCK + number)).unwrap();
            }
            server.kill();
            server.restart();
        }
        let admin = Admin { server: &server, tenant: tenant.to_owned(), token: token.to_owned() };
        if step == 4 || step == 15 {
            // The client dies in the middle of a chunk.
            let half = noise.clone();
            let body = move |out: &mut dyn Write| write(&half, chunk, CHUNK / BLOCK / 2, out);
            let cut = request(&admin, chunk).sized("application/octet-stream", CHUNK, body).cut_off();
            assert_eq!(server.send(cut).status, 400);
        }
        if step == 10 || step == 22 {
            let ask = admin.request("GET", "upload_package_version").header("X-File-ID", "Large Setup.msi_1700000000");
            assert_eq!(server.send(ask).is_json(200)["missing"], missing(&sent), "before chunk {chunk}");
        }
        #[cfg(target_os = "linux")]
        if step == 23 {
            server.forget_peak();
        }
        let told = send(&admin, &noise, chunk);
        sent.push(chunk);
        assert_eq!(told["missing"], missing(&sent), "after chunk {chunk}");
        assert_eq!(told["complete"], step + 1 == CHUNKS, "{told}");
        if step + 1 == CHUNKS {
            finish(&admin, &told, &noise);
        }
    }
    // What the file weighs is nowhere in memory: not a chunk, and not the whole of it while it is hashed and sent.
    #[cfg(target_os = "linux")]
    assert!(server.peak_memory() < 160 << 20, "{} MiB at most", server.peak_memory() >> 20);
}

/// The finished upload becomes a version, and comes back as it was sent.
fn finish(admin: &Admin<'_>, told: &Value, noise: &[u8]) {
    let mut hasher = Sha256::new();
    (0..SIZE / BLOCK).for_each(|number| hasher.update(block(noise, number)));
    let expected = hex(&hasher.finalize());
    assert_eq!((told["sha256"].as_str(), told["size"].as_u64()), (Some(&*expected), Some(SIZE)));
    admin.package("Large.One");
    let version = admin.try_version("Large.One", told["server_filename"].as_str().unwrap(), &[("file_type", "MSI")]);
    let row = admin.row(version.is_json(201)["UID"].as_str().unwrap());
    assert_eq!(row["INSTALLER_SHA256"], *expected);
    let link = local(admin.server, row["INSTALLER_URL"].as_str().unwrap());
    let (mut hasher, mut length) = (Sha256::new(), 0);
    let answer = admin.server.connect().send_into(Request::get(link), &mut |piece| {
        hasher.update(piece);
        length += piece.len() as u64;
    });
    assert_eq!((answer.status, length, hex(&hasher.finalize())), (200, SIZE, expected));
    wait_for("the stage to be empty", || admin.server.stage_files().is_empty().then_some(()));
    assert_eq!((admin.setting("STORAGE_USED"), admin.setting("STORAGE_RESERVED")), (SIZE.to_string(), "0".to_owned()));
}
