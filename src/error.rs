//! The one error type: a kind the domain knows, a message for the caller, a cause for the log.

use std::borrow::Cow;
use std::fmt;

/// Everything that can fail answers with this result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, without a word about HTTP; each room prints kinds its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input breaks a rule.
    Invalid,
    /// Nobody, or somebody unknown, asked.
    Unauthenticated,
    /// The asker is known and may not.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The name is taken or the state does not allow it.
    Conflict,
    /// More bytes than the limit admits.
    TooLarge,
    /// The disk or a tenant's quota is full.
    Quota,
    /// Too many failures in a short time.
    Throttled,
    /// Try again in a moment.
    Busy,
    /// Another server, which we need for the answer, does not give what it should.
    Gateway,
    /// Our own fault; the message is general, the cause goes to the log.
    Internal,
}

/// A failure: [`Kind`], a sentence for the caller, and the cause that only the log sees.
pub struct Error {
    /// The kind rooms translate into a status.
    pub kind: Kind,
    /// The sentence the caller reads; never holds a path of the server or a database text.
    pub message: Cow<'static, str>,
    /// What lies behind it, for the log only.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// Seconds after which a retry makes sense (`Busy`, `Throttled`).
    pub retry_after: Option<u32>,
    /// The names of the things it is about, and the word they are listed under.
    pub about: Option<(&'static str, Vec<String>)>,
}

impl Error {
    /// An error of `kind` with a sentence for the caller.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Error { kind, message: message.into(), cause: None, retry_after: None, about: None }
    }

    /// The input breaks a rule.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::Invalid, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::NotFound, message)
    }

    /// The asker is known and may not.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::Forbidden, message)
    }

    /// The name is taken or the state does not allow it.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::Conflict, message)
    }

    /// Try again in `seconds`.
    pub fn busy(message: impl Into<Cow<'static, str>>, seconds: u32) -> Self {
        Error { retry_after: Some(seconds), ..Error::new(Kind::Busy, message) }
    }

    /// Our own fault; `cause` is logged and never sent.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error { cause: Some(cause.into()), ..Error::new(Kind::Internal, "internal error") }
    }

    /// The same error, naming what it is about under `word`: `about("used_by", …)`.
    pub fn about(mut self, word: &'static str, names: Vec<String>) -> Self {
        self.about = Some((word, names));
        self
    }

    /// The same error with its cause for the log.
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)?;
        match &self.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
