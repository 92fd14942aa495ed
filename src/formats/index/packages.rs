//! Reads apt's `Packages` files stanza by stanza, in bounded memory (`repos.md` §5).

use std::io::BufRead;

use super::{Algorithm, Checksum, Problem, shown};

/// The longest line, in bytes.
const LONGEST_LINE: u64 = 4 << 20;
/// The longest stanza whose text is kept, in bytes.
const LONGEST_TEXT: usize = 16 << 20;

/// One package that a `Packages` file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stanza {
    /// `Package`.
    pub name: String,
    /// `Version`.
    pub version: String,
    /// `Architecture`.
    pub arch: String,
    /// `Filename`, as written.
    pub filename: String,
    /// `Size`, bytes.
    pub size: Option<u64>,
    /// The strongest checksum that is stated.
    pub checksum: Option<Checksum>,
    /// All its lines as they are, when they were asked for.
    pub text: Vec<u8>,
}

/// The stanzas of a `Packages` file, one after the other.
pub struct Packages<R> {
    reader: R,
    line: Vec<u8>,
    ended: bool,
    keep_text: bool,
}

impl<R: BufRead> Packages<R> {
    /// Of decompressed bytes.
    pub fn new(reader: R) -> Packages<R> {
        Packages { reader, line: Vec::new(), ended: false, keep_text: false }
    }

    /// The same, keeping each stanza's text.
    pub fn with_text(reader: R) -> Packages<R> {
        Packages { keep_text: true, ..Packages::new(reader) }
    }

    fn stanza(&mut self) -> Result<Option<Stanza>, Problem> {
        let mut stanza = Stanza::default();
        let mut any = false;
        while self.read_line()? {
            let line = self.line.trim_ascii_end();
            if line.is_empty() {
                if any {
                    return Ok(Some(stanza));
                }
                continue;
            }
            any = true;
            if self.keep_text {
                if stanza.text.len() + line.len() > LONGEST_TEXT {
                    return Err(Problem::new("a stanza is too long"));
                }
                stanza.text.extend_from_slice(line);
                stanza.text.push(b'\n');
            }
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                continue;
            }
            let Some(at) = memchr::memchr(b':', line) else {
                let line = String::from_utf8_lossy(line);
                return Err(Problem::new(format!("the line {:?} is no field", shown(&line))));
            };
            let (name, value) = line.split_at(at);
            set(&mut stanza, name, value.get(1..).unwrap_or_default().trim_ascii())?;
        }
        Ok(any.then_some(stanza))
    }

    /// The next line into the buffer; answers no at the end.
    fn read_line(&mut self) -> Result<bool, Problem> {
        self.line.clear();
        let mut limited = std::io::Read::take(&mut self.reader, LONGEST_LINE);
        let count = limited.read_until(b'\n', &mut self.line).map_err(|e| Problem::new(e.to_string()))?;
        if count as u64 == LONGEST_LINE {
            return Err(Problem::new("a line is too long"));
        }
        Ok(count > 0)
    }
}

fn set(stanza: &mut Stanza, name: &[u8], value: &[u8]) -> Result<(), Problem> {
    let name = name.to_ascii_lowercase();
    let text = || {
        let text = std::str::from_utf8(value).map(str::to_owned);
        text.map_err(|_| Problem::new(format!("the field {} is not UTF-8", shown(&String::from_utf8_lossy(&name)))))
    };
    match name.as_slice() {
        b"package" => stanza.name = text()?,
        b"version" => stanza.version = text()?,
        b"architecture" => stanza.arch = text()?,
        b"filename" => stanza.filename = text()?,
        b"size" => {
            let text = text()?;
            let size = text.parse().map_err(|_| Problem::new(format!("{:?} is not a size", shown(&text))))?;
            stanza.size = Some(size);
        }
        b"md5sum" | b"sha1" | b"sha256" | b"sha512" => {
            let text = text()?;
            let Some(algorithm) = std::str::from_utf8(&name).ok().and_then(Algorithm::from_name) else {
                return Ok(());
            };
            let checksum = Checksum::new(algorithm, &text)?;
            if stanza.checksum.as_ref().is_none_or(|known| known.algorithm < algorithm) {
                stanza.checksum = Some(checksum);
            }
        }
        _ => {}
    }
    Ok(())
}

impl<R: BufRead> Iterator for Packages<R> {
    type Item = Result<Stanza, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let stanza = self.stanza();
        self.ended = !matches!(stanza, Ok(Some(_)));
        stanza.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_are_read() {
        let sha = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let text = format!(
            "\n\nPackage: a\nVersion: 1:1.0-1\nArchitecture: all\nFilename: pool/a_1.0-1_all.deb\nSize: 12\n\
             MD5sum: d41d8cd98f00b204e9800998ecf8427e\nSHA256: {sha}\nDescription: x\n y: z\n .\n\n\nPackage: b\nSHA1: \
             da39a3ee5e6b4b0d3255bfef95601890afd80709"
        );
        let all: Result<Vec<Stanza>, Problem> = Packages::new(text.as_bytes()).collect();
        let all = all.unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].version.as_str(), all[0].size), ("1:1.0-1", Some(12)));
        assert_eq!(all[0].checksum.as_ref().unwrap().hex, sha);
        assert_eq!(all[1].checksum.as_ref().unwrap().algorithm, Algorithm::Sha1);
        assert!(Packages::new(&b""[..]).next().is_none());
        for odd in ["hello\n", "Size: x\n", "SHA256: 12\n"] {
            assert!(Packages::new(odd.as_bytes()).next().unwrap().is_err(), "{odd}");
        }
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        assert!(Packages::new(endless).next().unwrap().is_err());
    }
}
