//! The table of request bodies: chunk streams and lengths that lie, on a route that reads its body.

use super::{Expect, Table, create};

/// `PUT /product/create` with a chunk stream; `{}` in `stream` is a JSON body of 21 bytes with a name of its own.
struct Chunked {
    next: usize,
}

impl Chunked {
    fn request(&mut self, stream: &str) -> Vec<u8> {
        let name = self.next;
        self.next += 1;
        let json = format!("{{\"name\": \"chunk-{name:03}\"}}");
        debug_assert_eq!(json.len(), 21);
        create("Transfer-Encoding: chunked\r\n", stream.replace("{}", &json).as_bytes())
    }
}

pub(super) fn table() -> Table {
    let mut table = Table::default();
    let mut make = Chunked { next: 0 };
    well_made(&mut table, &mut make);
    chunk_sizes(&mut table, &mut make);
    chunk_ends(&mut table, &mut make);
    cut_short(&mut table, &mut make);
    table
}

fn well_made(table: &mut Table, make: &mut Chunked) {
    let good = [
        ("one chunk", "15\r\n{}\r\n0\r\n\r\n"),
        ("an extension", "15;name=value\r\n{}\r\n0\r\n\r\n"),
        ("an extension without a value", "15;name\r\n{}\r\n0;last\r\n\r\n"),
        ("a quoted extension", "15;name=\"a;b\\\"c\"\r\n{}\r\n0\r\n\r\n"),
        ("leading zeros", "00015\r\n{}\r\n0000\r\n\r\n"),
        ("a trailer", "15\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n"),
        ("a trailer that looks like a length", "15\r\n{}\r\n0\r\nContent-Length: 1000\r\n\r\n"),
        ("a trailer that looks like a token", "15\r\n{}\r\n0\r\nX-Api-Token: nonsense\r\n\r\n"),
    ];
    for (name, stream) in good {
        let bytes = make.request(stream);
        table.good(&[201], &format!("chunks: {name}"), bytes);
    }
    let trailers: String = (0..60).map(|i| format!("X-{i}: 1\r\n")).collect();
    let bytes = make.request(&format!("15\r\n{{}}\r\n0\r\n{trailers}\r\n"));
    table.good(&[201], "chunks: 60 trailers", bytes);
    // One byte at a time, sizes in both cases.
    let json = "{\"name\": \"bytewise\"   }";
    let single: String = json.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
    table.good(&[201], "chunks: one byte each", make.request(&format!("{single}0\r\n\r\n")));
    let padded = format!("{{\"name\": \"upper-case-hex\"{}}}", " ".repeat(0xab - 26));
    assert_eq!(padded.len(), 0xab);
    table.good(&[201], "chunks: hex of both cases", make.request(&format!("aB\r\n{padded}\r\n0\r\n\r\n")));
    table.open(&[400], "chunks: none at all", make.request("0\r\n\r\n"));
    table.open(&[201, 400], "chunks: blanks before the extension", make.request("15 ; a\r\n{}\r\n0\r\n\r\n"));
    table.open(&[201, 400], "chunks: a trailer without a colon", make.request("15\r\n{}\r\n0\r\nnonsense\r\n\r\n"));
}

fn chunk_sizes(table: &mut Table, make: &mut Chunked) {
    let bad = [
        ("a letter", "g\r\n{}\r\n0\r\n\r\n"),
        ("a letter behind", "15g\r\n{}\r\n0\r\n\r\n"),
        ("minus", "-15\r\n{}\r\n0\r\n\r\n"),
        ("plus", "+15\r\n{}\r\n0\r\n\r\n"),
        ("0x", "0x15\r\n{}\r\n0\r\n\r\n"),
        ("empty", "\r\n{}\r\n0\r\n\r\n"),
        ("a blank before", " 15\r\n{}\r\n0\r\n\r\n"),
        ("a tab before", "\t15\r\n{}\r\n0\r\n\r\n"),
        ("a blank inside", "1 5\r\n{}\r\n0\r\n\r\n"),
        ("an underscore", "1_5\r\n{}\r\n0\r\n\r\n"),
        ("a comma", "15,15\r\n{}\r\n0\r\n\r\n"),
        ("a NUL", "15\0\r\n{}\r\n0\r\n\r\n"),
        ("2^64 + 21", "10000000000000015\r\n{}\r\n0\r\n\r\n"),
        ("40 digits", "1000000000000000000000000000000000000015\r\n{}\r\n0\r\n\r\n"),
        ("only an extension", ";a=b\r\n{}\r\n0\r\n\r\n"),
        ("too small", "14\r\n{}\r\n0\r\n\r\n"),
        ("too large by one", "16\r\n{}\r\n0\r\n\r\n"),
        ("the last one negative", "15\r\n{}\r\n-0\r\n\r\n"),
    ];
    for (name, stream) in bad {
        let bytes = make.request(stream);
        table.add(Expect::RefusedOrClosed, &[400], &format!("chunk size: {name}"), bytes);
    }
    let huge = make.request(&format!("15;{}\r\n{{}}\r\n0\r\n\r\n", "e".repeat(5 * 1024)));
    table.add(Expect::RefusedOrClosed, &[400], "chunk size: a line of 5 KiB", huge);
    let zeros = make.request(&format!("{}15\r\n{{}}\r\n0\r\n\r\n", "0".repeat(5 * 1024)));
    table.add(Expect::RefusedOrClosed, &[400], "chunk size: 5 KiB of zeros", zeros);
    let most = make.request("ffffffffffffffff\r\n{}\r\n0\r\n\r\n");
    table.add(Expect::RefusedOrClosed, &[400, 413], "chunk size: 2^64 - 1", most);
}

fn chunk_ends(table: &mut Table, make: &mut Chunked) {
    let bad = [
        ("LF behind the size", "15\n{}\r\n0\r\n\r\n"),
        ("CR behind the size", "15\r{}\r\n0\r\n\r\n"),
        ("LF behind the bytes", "15\r\n{}\n0\r\n\r\n"),
        ("CR behind the bytes", "15\r\n{}\r0\r\n\r\n"),
        ("nothing behind the bytes", "15\r\n{}0\r\n\r\n"),
        ("words behind the bytes", "15\r\n{}xx\r\n0\r\n\r\n"),
        ("two line ends behind the bytes", "15\r\n{}\r\n\r\n0\r\n\r\n"),
        ("LF in an extension", "15;a\nb\r\n{}\r\n0\r\n\r\n"),
        ("CR in an extension", "15;a\rb\r\n{}\r\n0\r\n\r\n"),
        ("LF behind the last size", "15\r\n{}\r\n0\n\r\n"),
        ("LF for the last line", "15\r\n{}\r\n0\r\n\n"),
        ("a trailer that ends with LF", "15\r\n{}\r\n0\r\nX-A: 1\n\r\n"),
        ("a bare CR in a trailer", "15\r\n{}\r\n0\r\nX-A: 1\rX-B: 2\r\n\r\n"),
        ("a NUL in a trailer", "15\r\n{}\r\n0\r\nX-A: \0\r\n\r\n"),
    ];
    for (name, stream) in bad {
        let bytes = make.request(stream);
        table.add(Expect::RefusedOrClosed, &[400], &format!("chunk end: {name}"), bytes);
    }
    let trailers: String = (0..70).map(|i| format!("X-{i}: 1\r\n")).collect();
    let many = make.request(&format!("15\r\n{{}}\r\n0\r\n{trailers}\r\n"));
    table.add(Expect::RefusedOrClosed, &[400, 431], "chunk end: 70 trailers", many);
    let long = make.request(&format!("15\r\n{{}}\r\n0\r\nX-A: {}\r\n\r\n", "a".repeat(64 * 1024)));
    table.add(Expect::RefusedOrClosed, &[400, 431], "chunk end: a trailer of 64 KiB", long);
}

/// The stream ends before it should; what follows on the connection belongs to it and must not be carried out.
fn cut_short(table: &mut Table, make: &mut Chunked) {
    let cut = [
        ("before the first size", ""),
        ("inside the size", "1"),
        ("inside an extension", "15;na"),
        ("behind the size", "15\r\n"),
        ("inside the bytes", "ff\r\n{}"),
        ("inside a large chunk", "100000\r\n{}"),
    ];
    for (name, stream) in cut {
        let bytes = make.request(stream);
        table.add(Expect::RefusedOrClosed, &[400, 413], &format!("cut short: {name}"), bytes);
    }
    let sized = create("Content-Length: 5000\r\n", b"{\"name\": \"sized\"}");
    table.add(Expect::RefusedOrClosed, &[400], "cut short: a length that lies", sized);
    let large = create("Content-Length: 1048576\r\n", b"{\"name\": \"sized\"}");
    table.add(Expect::RefusedOrClosed, &[400], "cut short: a length of 1 MiB", large);
    let too_large = create("Content-Length: 1048577\r\n", b"{\"name\": \"sized\"}");
    table.add(Expect::RefusedOrClosed, &[400, 413], "cut short: a length past the limit", too_large);
}
