//! Why bytes could not be read: they are not what they claim to be, or reading them failed.

use std::fmt;
use std::io::{self, ErrorKind};

/// What went wrong while a package, an index or a signature was read.
#[derive(Debug)]
pub enum Fault {
    /// The bytes are broken, lie about themselves or pass a limit: one sentence for the person who sent them, starting in
    /// lower case, without a full stop.
    Bad(String),
    /// The bytes could not be had: a matter of disk or network, not of their content.
    Read(io::Error),
}

impl Fault {
    /// Bytes that are not what they should be.
    pub fn bad(message: impl Into<String>) -> Fault {
        Fault::Bad(message.into())
    }

    /// The same fault with words before it that say where it was found.
    #[must_use]
    pub fn at(self, place: &str) -> Fault {
        match self {
            Fault::Bad(message) => Fault::Bad(format!("{place}: {message}")),
            other => other,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Bad(message) => f.write_str(message),
            Fault::Read(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Fault::Bad(_) => None,
            Fault::Read(error) => Some(error),
        }
    }
}

impl From<io::Error> for Fault {
    /// Ends that come too early and what decoders call invalid are the content's fault; the rest is the reader's.
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            ErrorKind::UnexpectedEof => Fault::bad("the file ends too early"),
            ErrorKind::InvalidData | ErrorKind::InvalidInput => Fault::Bad(error.to_string()),
            _ => Fault::Read(error),
        }
    }
}

/// For readers made of other readers: a fault of content as an input error of kind `InvalidData`.
impl From<Fault> for io::Error {
    fn from(fault: Fault) -> io::Error {
        match fault {
            Fault::Bad(message) => io::Error::new(ErrorKind::InvalidData, message),
            Fault::Read(error) => error,
        }
    }
}
