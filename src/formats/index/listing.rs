//! Reads lists of plain files: `SHA256SUMS`, `index.json`, and the HTML pages web servers make of directories
//! (`repos.md` §6).

use serde::Deserialize;

use super::{Algorithm, Checksum, Problem, shown};

/// Most files of one list.
const MOST_FILES: usize = 500_000;

/// A file that a list names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Relative to the list, as written.
    pub name: String,
    /// Its SHA-256, when the list states it.
    pub checksum: Option<Checksum>,
    /// Bytes, when the list states them.
    pub size: Option<u64>,
}

/// Reads a `SHA256SUMS`: coreutils lines with one or two blanks or a star, escaped names, and BSD lines.
///
/// # Errors
/// When a line is neither.
pub fn read_sums(text: &str) -> Result<Vec<File>, Problem> {
    let mut files = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let odd = || Problem::new(format!("the line {:?} is no checksum with a name", shown(line)));
        let (escaped, plain) = match line.strip_prefix('\\') {
            Some(plain) => (true, plain),
            None => (false, line),
        };
        let (hex, name) = match plain.strip_prefix("SHA256 (") {
            Some(rest) => rest.rsplit_once(") = ").map(|(name, hex)| (hex, name)).ok_or_else(odd)?,
            None => {
                let (hex, rest) = plain.split_once(' ').ok_or_else(odd)?;
                (hex, rest.strip_prefix([' ', '*']).unwrap_or(rest))
            }
        };
        let name = if escaped { unescape(name).ok_or_else(odd)? } else { name.to_owned() };
        let checksum = Checksum::new(Algorithm::Sha256, hex).map_err(|_| odd())?;
        files.push(File { name, checksum: Some(checksum), size: None });
        if files.len() > MOST_FILES {
            return Err(Problem::new("it names too many files"));
        }
    }
    Ok(files)
}

fn unescape(name: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = name.chars();
    while let Some(c) = rest.next() {
        plain.push(match c {
            '\\' => match rest.next()? {
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

/// Reads the `index.json` of a directory repository.
///
/// # Errors
/// When it is not one.
pub fn read_index(bytes: &[u8]) -> Result<Vec<File>, Problem> {
    #[derive(Deserialize)]
    struct Index {
        files: Vec<Listed>,
    }
    #[derive(Deserialize)]
    struct Listed {
        filename: String,
        shasum: String,
        size: Option<u64>,
    }
    let index: Index =
        serde_json::from_slice(bytes).map_err(|e| Problem::new(format!("it is not a list of files: {e}")))?;
    if index.files.len() > MOST_FILES {
        return Err(Problem::new("it names too many files"));
    }
    let file = |file: Listed| {
        let checksum = Checksum::new(Algorithm::Sha256, &file.shasum)?;
        Ok(File { name: file.filename, checksum: Some(checksum), size: file.size })
    };
    index.files.into_iter().map(file).collect()
}

/// What a page links to directly below itself: plain names, still percent-encoded; directories end in a slash. Links
/// to the parent, elsewhere, or to the same page in another order are passed over.
pub fn read_page(html: &str, path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = html;
    while let Some(at) = find_ignoring_case(rest, "href") {
        rest = rest.get(at + 4..).unwrap_or_default().trim_start();
        let Some(value) = rest.strip_prefix('=').map(str::trim_start) else { continue };
        let (link, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inside = value.get(1..).unwrap_or_default();
                inside.split_once(quote).unwrap_or((inside, ""))
            }
            _ => {
                let end = value.find([' ', '>', '\t', '\n']).unwrap_or(value.len());
                value.split_at(end)
            }
        };
        rest = after;
        let link = entities(link);
        if let Some(name) = below(&link, path)
            && names.len() < MOST_FILES
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    names.dedup();
    names
}

/// The one segment that a link adds to the page at `path` (which ends in a slash).
fn below<'a>(link: &'a str, path: &str) -> Option<&'a str> {
    let link = link.split(['?', '#']).next().unwrap_or_default();
    let link = link.strip_prefix(path).filter(|_| path.len() > 1).unwrap_or(link);
    let link = link.strip_prefix("./").unwrap_or(link);
    let name = link.strip_suffix('/').unwrap_or(link);
    let plain = !name.is_empty() && !name.contains(['/', '\\', ':']) && !name.starts_with('.');
    plain.then_some(link)
}

fn find_ignoring_case(text: &str, word: &str) -> Option<usize> {
    text.as_bytes().windows(word.len()).position(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

fn entities(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let end = from.find(';').filter(|end| *end <= 10);
        let character = end.and_then(|end| from.get(1..end)).and_then(|name| match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => {
                let digits = name.strip_prefix('#')?;
                let code = match digits.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => digits.parse(),
                };
                char::from_u32(code.ok()?)
            }
        });
        match (character, end) {
            (Some(character), Some(end)) => {
                plain.push(character);
                rest = from.get(end + 1..).unwrap_or_default();
            }
            _ => {
                plain.push('&');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn sums_are_read() {
        let text = format!("{SUM}  a b\n{SUM} *c/d\n\n\\{SUM}  e\\\\f\nSHA256 (g (1)) = {SUM}\n# note\n");
        let names: Vec<String> = read_sums(&text).unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["a b", "c/d", "e\\f", "g (1)"]);
        for odd in ["x", "12  a", "SHA256 (a", &format!("\\{SUM}  a\\x")] {
            assert!(read_sums(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn our_own_index_is_read() {
        let text = format!(r#"{{"name":"x","files":[{{"filename":"a/b","shasum":"{SUM}","size":3,"modified":"x"}}]}}"#);
        let files = read_index(text.as_bytes()).unwrap();
        assert_eq!((files[0].name.as_str(), files[0].size), ("a/b", Some(3)));
        for odd in ["", "[]", "{}", r#"{"files":[{"filename":"a","shasum":"1"}]}"#] {
            assert!(read_index(odd.as_bytes()).is_err(), "{odd}");
        }
    }

    #[test]
    fn pages_of_three_servers() {
        let nginx = "<a href=\"../\">../</a>\n<a href=\"a%20b.iso\">a b.iso</a>  1 <a href=\"sub/\">sub/</a>";
        assert_eq!(read_page(nginx, "/x/"), ["a%20b.iso", "sub/"]);
        let apache = "<A HREF='?C=N;O=D'>Name</A><a href=\"/x\">Parent</a><a href=\"/x/d/c&amp;d.txt\">c</a>\
                      <a href=\".hidden\">h</a><a href=\"http://other/e\">e</a><img src=\"q\">";
        assert_eq!(read_page(apache, "/x/d/"), ["c&d.txt"]);
        let python = "<li><a href=f.bin>f</a></li><li><a href=\"./g&#43;1\">g</a></li><li><a href=\"..%2fh\">h</a>";
        assert_eq!(read_page(python, "/"), ["f.bin", "g+1"]);
        assert!(read_page("<a href", "/").is_empty() && read_page("href=\"", "/").is_empty());
    }
}
