//! Reads a Rust source as far as the house rules need it: words, paths with their groups spread out, and what is test-only.

/// One word or mark, with the line it stands on (from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word(String),
    Text(String),
    /// `::`
    Join,
    Mark(char),
}

/// A path as written, its `use` groups spread out and `self`/`super` resolved; the first part is `crate` or a crate's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    pub(crate) parts: Vec<String>,
    /// Inside something compiled for tests only.
    pub(crate) test: bool,
}

/// What one file says.
pub(crate) struct Source {
    /// `http/server.rs`, below `src`.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
    pub(crate) paths: Vec<Path>,
    /// Names of files this one declares as `#[cfg(test)] mod name;`, below `src`, without `.rs`.
    pub(crate) test_modules: Vec<String>,
}

impl Source {
    /// `name` is the path below `src` with `/`.
    pub(crate) fn read(name: &str, text: &str) -> Source {
        let tokens = tokens(text);
        let mut walk = Walk::new(name, &tokens);
        walk.run();
        let (paths, test_modules) = (walk.paths, walk.test_modules);
        Source { name: name.to_owned(), text: text.to_owned(), tokens, paths, test_modules }
    }

    /// The first directory or file name: `http` for `http/server.rs`, `routes` for `routes.rs`.
    pub(crate) fn module(&self) -> &str {
        let first = self.name.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The file's own name: `rules.rs`.
    pub(crate) fn file(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    /// Lines on which `word` stands as a word of the language (not in a comment or text).
    pub(crate) fn lines_of(&self, word: &str) -> Vec<usize> {
        let is = |token: &&Token| matches!(&token.kind, Kind::Word(found) if found == word);
        self.tokens.iter().filter(is).map(|token| token.line).collect()
    }
}

/// The module path of a file: `http/mod.rs` → `http`; `http/head.rs` → `http head`; `lib.rs` → nothing.
fn module_path(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// Splits a source into tokens; comments vanish, texts keep their content unread.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let (mut at, mut line) = (0, 1);
    let peek = |i: usize| chars.get(i).copied().unwrap_or('\0');
    while at < chars.len() {
        let start = at;
        let kind = match chars[at] {
            '/' if peek(at + 1) == '/' => {
                while at < chars.len() && chars[at] != '\n' {
                    at += 1;
                }
                None
            }
            '/' if peek(at + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (peek(at), peek(at + 1)) {
                        ('/', '*') => (depth, at) = (depth + 1, at + 2),
                        ('*', '/') => (depth, at) = (depth - 1, at + 2),
                        _ => at += 1,
                    }
                    if depth == 0 || at >= chars.len() {
                        break;
                    }
                }
                None
            }
            '"' => Some(Kind::Text(quoted(&chars, &mut at))),
            c if c.is_alphabetic() || c == '_' => {
                while peek(at).is_alphanumeric() || peek(at) == '_' {
                    at += 1;
                }
                let word: String = chars[start..at].iter().collect();
                match (word.as_str(), peek(at)) {
                    ("b" | "c", '"') => Some(Kind::Text(quoted(&chars, &mut at))),
                    ("r" | "br" | "cr", '"' | '#') => raw(&chars, &mut at),
                    _ => Some(Kind::Word(word)),
                }
            }
            c if c.is_ascii_digit() => {
                while peek(at).is_alphanumeric() || peek(at) == '_' {
                    at += 1;
                }
                None
            }
            // A character literal or a lifetime: only the first ends with a quote.
            '\'' => {
                if peek(at + 1) == '\\' {
                    at += 3;
                    while at < chars.len() && chars[at] != '\'' {
                        at += 1;
                    }
                    at += 1;
                } else if peek(at + 2) == '\'' {
                    at += 3;
                } else {
                    at += 1;
                }
                None
            }
            ':' if peek(at + 1) == ':' => {
                at += 2;
                Some(Kind::Join)
            }
            c => {
                at += 1;
                (!c.is_whitespace()).then_some(Kind::Mark(c))
            }
        };
        if let Some(kind) = kind {
            out.push(Token { line, kind });
        }
        let end = at.min(chars.len());
        line += chars[start..end].iter().filter(|c| **c == '\n').count();
    }
    out
}

/// From an opening quote to behind the closing one.
fn quoted(chars: &[char], at: &mut usize) -> String {
    *at += 1;
    let start = *at;
    while *at < chars.len() && chars[*at] != '"' {
        *at += if chars[*at] == '\\' { 2 } else { 1 };
    }
    let end = (*at).min(chars.len());
    *at = end + 1;
    chars[start..end].iter().collect()
}

/// A raw text (`#"…"#`), or the word of a raw name (`r#type`).
fn raw(chars: &[char], at: &mut usize) -> Option<Kind> {
    let start = *at;
    while chars.get(*at) == Some(&'#') {
        *at += 1;
    }
    let hashes = *at - start;
    if chars.get(*at) != Some(&'"') {
        return None;
    }
    *at += 1;
    let begin = *at;
    while *at < chars.len() {
        let rest = &chars[*at + 1..];
        if chars[*at] == '"' && rest.len() >= hashes && rest[..hashes].iter().all(|c| *c == '#') {
            break;
        }
        *at += 1;
    }
    let text = chars[begin..(*at).min(chars.len())].iter().collect();
    *at += 1 + hashes;
    Some(Kind::Text(text))
}

/// Goes through the tokens once, knowing which module and which test-only part it is in.
struct Walk<'a> {
    tokens: &'a [Token],
    at: usize,
    file: Vec<String>,
    /// Inline modules that are open, each with the depth of braces around it.
    modules: Vec<(String, usize)>,
    depth: usize,
    /// The depth of braces at which a test-only part ends.
    test: Option<usize>,
    paths: Vec<Path>,
    test_modules: Vec<String>,
}

impl<'a> Walk<'a> {
    fn new(name: &str, tokens: &'a [Token]) -> Self {
        let (file, modules) = (module_path(name), Vec::new());
        Walk { tokens, at: 0, file, modules, depth: 0, test: None, paths: Vec::new(), test_modules: Vec::new() }
    }

    fn kind(&self, ahead: usize) -> Option<&'a Kind> {
        self.tokens.get(self.at + ahead).map(|token| &token.kind)
    }

    fn word(&self, ahead: usize) -> Option<&'a str> {
        match self.kind(ahead) {
            Some(Kind::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn is(&self, ahead: usize, mark: char) -> bool {
        self.kind(ahead) == Some(&Kind::Mark(mark))
    }

    fn run(&mut self) {
        while self.at < self.tokens.len() {
            if self.is(0, '#') && self.is(1, '[') {
                self.attribute();
            } else if self.word(0) == Some("mod") && self.word(1).is_some() && self.is(2, '{') {
                self.modules.push((self.word(1).unwrap_or_default().to_owned(), self.depth));
                self.at += 2;
            } else if self.is(0, '{') {
                self.depth += 1;
                self.at += 1;
            } else if self.is(0, '}') {
                self.depth = self.depth.saturating_sub(1);
                self.at += 1;
                self.close(self.depth);
            } else if self.word(0) == Some("use") {
                self.at += 1;
                self.tree(&[]);
            } else if self.word(0).is_some() {
                self.path();
            } else {
                self.at += 1;
            }
        }
    }

    fn close(&mut self, depth: usize) {
        if self.modules.last().is_some_and(|(_, around)| *around == depth) {
            self.modules.pop();
        }
        if self.test == Some(depth) {
            self.test = None;
        }
    }

    /// `#[cfg(test)]` makes the next item test-only: up to its closing brace, or to `;` when it has none.
    fn attribute(&mut self) {
        let is_cfg = self.word(2) == Some("cfg") || self.word(2) == Some("test");
        let (mut is_test, mut depth) = (false, 0);
        self.at += 1;
        while self.at < self.tokens.len() {
            match self.kind(0) {
                Some(Kind::Mark('[')) => depth += 1,
                Some(Kind::Mark(']')) => depth -= 1,
                Some(Kind::Word(word)) if word == "not" => break,
                Some(Kind::Word(word)) if word == "test" => is_test = is_cfg,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
        if is_test && self.test.is_none() {
            self.test_item();
        }
    }

    /// Marks the item that begins here as test-only.
    fn test_item(&mut self) {
        let mut words = Vec::new();
        for ahead in 0.. {
            match self.kind(ahead) {
                Some(Kind::Mark('{')) => break,
                Some(Kind::Word(word)) => words.push(word.as_str()),
                Some(Kind::Mark(';')) | None => {
                    if let [.., "mod", name] = words[..] {
                        let module = self.here().into_iter().chain([name.to_owned()]);
                        self.test_modules.push(module.collect::<Vec<_>>().join("/"));
                    }
                    self.at += ahead;
                    return;
                }
                _ => {}
            }
        }
        self.test = Some(self.depth);
        // An import's braces are not a block.
        if words.contains(&"use") {
            while self.word(0) != Some("use") {
                self.at += 1;
            }
            self.at += 1;
            self.tree(&[]);
            self.test = None;
        }
    }

    fn here(&self) -> Vec<String> {
        self.file.iter().cloned().chain(self.modules.iter().map(|(name, _)| name.clone())).collect()
    }

    /// An ordinary path: words joined by `::`; a lone word counts too when a macro's `!` follows it.
    fn path(&mut self) {
        let line = self.tokens[self.at].line;
        let mut parts = vec![self.word(0).unwrap_or_default().to_owned()];
        self.at += 1;
        while self.kind(0) == Some(&Kind::Join) {
            let Some(next) = self.word(1) else { break };
            parts.push(next.to_owned());
            self.at += 2;
        }
        if parts.len() > 1 || self.is(0, '!') {
            self.push(line, parts);
        }
    }

    /// One branch of a `use` tree behind `before`.
    fn tree(&mut self, before: &[String]) {
        let mut parts = before.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        loop {
            if let Some(word) = self.word(0) {
                if word == "as" {
                    self.at += 2;
                    continue;
                }
                parts.push(word.to_owned());
                self.at += 1;
            } else if self.kind(0) == Some(&Kind::Join) {
                self.at += 1;
            } else if self.is(0, '*') {
                parts.push("*".to_owned());
                self.at += 1;
            } else if self.is(0, '{') {
                self.at += 1;
                while self.at < self.tokens.len() && !self.is(0, '}') {
                    if self.is(0, ',') {
                        self.at += 1;
                    } else {
                        self.tree(&parts);
                    }
                }
                self.at += 1;
                return;
            } else {
                break;
            }
        }
        // `use <` does not exist, yet a stray mark must not stop the walk.
        if !self.is(0, ',') && !self.is(0, '}') {
            self.at += 1;
        }
        if parts.len() > before.len() {
            self.push(line, parts);
        }
    }

    fn push(&mut self, line: usize, parts: Vec<String>) {
        let mut parts = parts;
        if matches!(parts.first().map(String::as_str), Some("self" | "super")) {
            let mut module = self.here();
            while matches!(parts.first().map(String::as_str), Some("self" | "super")) {
                if parts.remove(0) == "super" {
                    module.pop();
                }
            }
            let tail = std::mem::take(&mut parts);
            parts = std::iter::once("crate".to_owned()).chain(module).chain(tail).collect();
        }
        if parts.last().is_some_and(|last| last == "self") {
            parts.pop();
        }
        self.paths.push(Path { line, parts, test: self.test.is_some() });
    }
}
