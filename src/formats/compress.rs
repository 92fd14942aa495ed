//! Compressed streams: reading gzip, xz, lzma, zstd and bzip2 in bounded memory and to a bounded length; writing gzip and xz.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lzma_rust2::{LzmaReader, XzOptions, XzReader, XzWriter};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Memory an xz or lzma stream may ask for, in KiB: the dictionary of `xz -9` and what belongs to it.
const MEMORY_KIB: u32 = 80 << 10;
/// Largest window of a zstd stream: that of `zstd --ultra -22`.
const ZSTD_WINDOW: u64 = 128 << 20;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip, of one or several members.
    Gzip,
    /// xz, of one or several streams.
    Xz,
    /// The older `.lzma` of one stream.
    Lzma,
    /// Zstandard, of one or several frames.
    Zstd,
    /// bzip2, of one or several streams.
    Bzip2,
}

impl Compression {
    /// By the ending of a file's name; anything unknown is plain.
    pub fn of_name(name: &str) -> Compression {
        match name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
            Some("gz" | "tgz") => Compression::Gzip,
            Some("xz" | "txz") => Compression::Xz,
            Some("lzma") => Compression::Lzma,
            Some("zst" | "zstd" | "tzst") => Compression::Zstd,
            Some("bz2" | "tbz" | "tbz2") => Compression::Bzip2,
            _ => Compression::Plain,
        }
    }

    /// By the first bytes of the content, six are enough; anything unknown is plain. `.lzma` has no sign of its own.
    pub fn of_magic(head: &[u8]) -> Compression {
        match head {
            [0x1F, 0x8B, ..] => Compression::Gzip,
            [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Compression::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
            _ => Compression::Plain,
        }
    }
}

/// How much may come out of a compressed stream.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most bytes in all.
    pub output: u64,
    /// Bytes that may come out whatever went in; beyond them the ratio counts.
    pub free: u64,
    /// Most bytes out for each byte in.
    pub ratio: u64,
}

impl Default for Bounds {
    /// 4 GiB, and beyond 64 MiB at most 1,100 times what went in, a little more than gzip can do at its best.
    fn default() -> Bounds {
        Bounds { output: 4 << 30, free: 64 << 20, ratio: 1_100 }
    }
}

/// The plain bytes of a compressed stream. Content that is broken, cut off or past the bounds ends in an error of kind
/// `InvalidData` or `UnexpectedEof`; an error of the source comes through as it is.
pub struct Decoder<R: Read> {
    inner: Inner<Source<R>>,
    watch: Arc<Watch>,
    bounds: Bounds,
    given: u64,
}

enum Inner<S: Read> {
    Plain(S),
    Gzip(Box<flate2::bufread::MultiGzDecoder<BufReader<S>>>),
    Xz(Box<XzReader<BufReader<S>>>),
    /// The header is read at the first read, so that making a decoder cannot fail.
    LzmaHeader(Option<BufReader<S>>),
    Lzma(Box<LzmaReader<BufReader<S>>>),
    Zstd(Box<Zstd<BufReader<S>>>),
    Bzip2(Box<bzip2::bufread::MultiBzDecoder<BufReader<S>>>),
}

impl<R: Read> Decoder<R> {
    /// Reads `source`, which is compressed in this way.
    pub fn new(compression: Compression, source: R, bounds: Bounds) -> Decoder<R> {
        let watch = Arc::new(Watch::default());
        let source = Source { inner: source, watch: Arc::clone(&watch) };
        let inner = match compression {
            Compression::Plain => Inner::Plain(source),
            Compression::Gzip => Inner::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(buffered(source)))),
            Compression::Xz => Inner::Xz(Box::new(XzReader::new_mem_limit(buffered(source), true, MEMORY_KIB))),
            Compression::Lzma => Inner::LzmaHeader(Some(buffered(source))),
            Compression::Zstd => Inner::Zstd(Box::new(Zstd::new(buffered(source)))),
            Compression::Bzip2 => Inner::Bzip2(Box::new(bzip2::bufread::MultiBzDecoder::new(buffered(source)))),
        };
        Decoder { inner, watch, bounds, given: 0 }
    }

    /// Bytes given out so far.
    pub fn given(&self) -> u64 {
        self.given
    }

    fn read_inner(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Inner::LzmaHeader(source) = &mut self.inner {
            let source = source.take().ok_or_else(|| invalid("the stream failed before"))?;
            self.inner = Inner::Lzma(Box::new(LzmaReader::new_mem_limit(source, MEMORY_KIB, None)?));
        }
        match &mut self.inner {
            Inner::Plain(reader) => reader.read(buffer),
            Inner::Gzip(reader) => reader.read(buffer),
            Inner::Xz(reader) => reader.read(buffer),
            Inner::LzmaHeader(_) => Ok(0),
            Inner::Lzma(reader) => reader.read(buffer),
            Inner::Zstd(reader) => reader.read(buffer),
            Inner::Bzip2(reader) => reader.read(buffer),
        }
    }
}

fn buffered<S: Read>(source: S) -> BufReader<S> {
    BufReader::with_capacity(64 << 10, source)
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = loop {
            match self.read_inner(buffer) {
                Ok(read) => break read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A decoder wraps what its source said; the source's own word is worth more.
                Err(error) => match self.watch.failure() {
                    Some(kind) => return Err(io::Error::new(kind, error)),
                    None if error.kind() == ErrorKind::UnexpectedEof => return Err(error),
                    None => return Err(invalid(format!("the compressed data is broken: {error}"))),
                },
            }
        };
        self.given = self.given.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        if self.given > self.bounds.output {
            return Err(invalid(format!("more than {} bytes come out of the compressed data", self.bounds.output)));
        }
        let by_ratio = self.watch.taken().saturating_mul(self.bounds.ratio);
        if self.given > self.bounds.free.saturating_add(by_ratio) {
            return Err(invalid("the compressed data grows beyond all measure"));
        }
        Ok(read)
    }
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message.into())
}

/// What the source of a decoder did, seen from outside of the decoder.
#[derive(Default)]
struct Watch {
    taken: AtomicU64,
    /// 0, or 1 + the place of the error's kind in `KINDS`.
    failed: AtomicU64,
}

/// Kinds of a source's error that are told apart; others count as the last.
const KINDS: [ErrorKind; 5] =
    [ErrorKind::UnexpectedEof, ErrorKind::InvalidData, ErrorKind::TimedOut, ErrorKind::StorageFull, ErrorKind::Other];

impl Watch {
    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    fn fail(&self, kind: ErrorKind) {
        let place = KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len() - 1);
        self.failed.store(u64::try_from(place).unwrap_or(0) + 1, Ordering::Relaxed);
    }

    fn failure(&self) -> Option<ErrorKind> {
        let place = usize::try_from(self.failed.load(Ordering::Relaxed)).ok()?.checked_sub(1)?;
        KINDS.get(place).copied()
    }
}

struct Source<R> {
    inner: R,
    watch: Arc<Watch>,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(read) => {
                self.watch.taken.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
                Ok(read)
            }
            Err(error) => {
                if error.kind() != ErrorKind::Interrupted {
                    self.watch.fail(error.kind());
                }
                Err(error)
            }
        }
    }
}

/// The frames of a zstd stream, one after the other; skippable ones are skipped, checksums checked.
struct Zstd<S> {
    source: S,
    decoder: FrameDecoder,
    in_frame: bool,
    any: bool,
}

impl<S: BufRead> Zstd<S> {
    fn new(source: S) -> Zstd<S> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW);
        Zstd { source, decoder, in_frame: false, any: false }
    }

    /// Opens the next frame; `false` at the end of the stream.
    fn open(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                if self.any {
                    return Ok(false);
                }
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.any = true;
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.in_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    if io::copy(&mut self.source.by_ref().take(length), &mut io::sink())? < length {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    fn close(&mut self) -> io::Result<()> {
        self.in_frame = false;
        let (told, counted) = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        match (told, counted) {
            (Some(told), Some(counted)) if told != counted => Err(io::Error::other("a checksum does not fit")),
            _ => Ok(()),
        }
    }
}

impl<S: BufRead> Read for Zstd<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.in_frame && !self.open()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, one).map_err(io::Error::other)?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            self.close()?;
        }
    }
}

/// `bytes` as one gzip member, the same at every time and place; members that follow one another are one gzip file.
/// Levels 0 to 9.
pub fn gzip(bytes: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut encoder = gzip_writer(Vec::with_capacity(bytes.len() / 4 + 64), level);
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Writes one gzip member to `output`; `finish` ends it.
pub fn gzip_writer<W: Write>(output: W, level: u32) -> flate2::write::GzEncoder<W> {
    const UNKNOWN_SYSTEM: u8 = 255;
    let head = flate2::GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM);
    head.write(output, flate2::Compression::new(level.min(9)))
}

/// `bytes` as one xz stream. Presets 0 to 9; 0 and 1 are quick.
pub fn xz(bytes: &[u8], preset: u32) -> io::Result<Vec<u8>> {
    let mut encoder = xz_writer(Vec::with_capacity(bytes.len() / 4 + 64), preset)?;
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Writes one xz stream to `output`; `finish` ends it.
pub fn xz_writer<W: Write>(output: W, preset: u32) -> io::Result<XzWriter<W>> {
    XzWriter::new(output, XzOptions::with_preset(preset.min(9)))
}
