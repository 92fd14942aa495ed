//! What the console room decides without looking anything up: types of files, addresses of pages. Pure.

/// The media type of a page's file, by its extension; none for what is not part of the UI.
pub fn media_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "json" => "application/json",
        _ => return None,
    })
}

/// Whether `path` names a file below the pages' directory: plain segments only, no way up and nothing hidden.
pub fn is_plain(path: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    path.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && part.bytes().all(good))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths() {
        for path in ["index.html", "js/main.js", "js/parts/sign-in.js"] {
            assert!(is_plain(path), "{path}");
        }
        for path in ["", "/", "a/", "/a", "../a", "a/../b", ".git", "a//b", "a\\b", "C:/x", "a%2fb", "a/.b", "ä.js"] {
            assert!(!is_plain(path), "{path}");
        }
    }

    #[test]
    fn types() {
        assert_eq!(media_type("js/main.js"), Some("text/javascript; charset=utf-8"));
        for path in ["a", "a.exe", "a.html.bak", ""] {
            assert_eq!(media_type(path), None, "{path}");
        }
    }
}
