//! `products.md` §5: files of any size pass through in constant memory.

use sha2::{Digest, Sha256};

use crate::client::Request;
use crate::files::{hex, large_upload, noise, sha256_of_noise};
use crate::server::{ADMIN, Packhouse};

use super::download_path;

/// What the server may grow by while a file of any size passes through.
#[cfg(target_os = "linux")]
const GROWTH: u64 = 20 << 20;

#[test]
fn empty_and_small() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    for size in [0, 1, 10 << 10, 1 << 20] {
        let bytes = noise(size as u64, size);
        server.add_version("p", &size.to_string(), &bytes);
        server.has_version("p", &size.to_string(), &bytes);
        assert_eq!(server.view(ADMIN, "p")["versions"][size.to_string()]["size"], size);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_gibibyte_up_and_down_in_constant_memory() {
    let size: u64 = 1 << 30;
    let digest = sha256_of_noise(9, size);
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    server.add_version("p", "warm", b"a first upload, so that what is needed once is there");
    server.has_version("p", "warm", b"a first upload, so that what is needed once is there");
    let idle = server.memory();
    server.forget_peak();

    let (kind, length, writer) = large_upload("p", "big", "big.bin", 9, size);
    let answer = server.send(Request::post("/product/upload").token(ADMIN).sized(&kind, length, writer));
    answer.is_empty(201);
    assert_eq!(answer.header("X-Checksum-Sha256"), Some(digest.as_str()));
    let after_upload = server.peak_memory();

    // Twice: the first reading of a blob is checked on its way, the second need not be.
    for _ in 0..2 {
        let mut hash = Sha256::new();
        let answer = server
            .connect()
            .send_into(Request::get(&download_path("p", "big")).token(ADMIN), &mut |block| hash.update(block));
        assert_eq!((answer.status, answer.header("Content-Length")), (200, Some(size.to_string().as_str())));
        assert_eq!(hex(&hash.finalize()), digest);
    }
    let after_download = server.peak_memory();
    println!("idle {idle}, peak after upload {after_upload}, after download {after_download}");
    assert!(after_upload <= idle + GROWTH, "upload: {} KiB more than idle", (after_upload - idle) >> 10);
    assert!(after_download <= idle + GROWTH, "download: {} KiB more than idle", (after_download - idle) >> 10);

    // The same bytes again, and a range far inside.
    let (kind, length, writer) = large_upload("p", "again", "big.bin", 9, size);
    server.send(Request::post("/product/upload").token(ADMIN).chunked(&kind, writer)).is_empty(201);
    let _ = length;
    server.is_tidy(2);
    let range = format!("bytes={}-{}", size - 5000, size - 1);
    let answer = server.send(Request::get(&download_path("p", "again")).token(ADMIN).header("Range", &range));
    assert_eq!((answer.status, answer.body.len()), (206, 5000));
    assert!(server.peak_memory() <= idle + GROWTH, "{} KiB more than idle", (server.peak_memory() - idle) >> 10);
}
