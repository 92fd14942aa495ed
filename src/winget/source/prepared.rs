//! Manifests that are ready but for their links, which depend on who asks, by which name, and when
//! (`performance.md` §3.3).

use memchr::memmem;
use serde_json::json;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::ids::random;
use crate::prepared::{Answers, Prepared};
use crate::winget::links::{Links, installer_path, logo_path};
use crate::winget::model::{Logo, Package, Row};
use crate::winget::names::fold;
use crate::winget::source::manifest;
use crate::winget::source::shown::{Channels, Contract, Lens, Shown};

/// Prepared manifests by tenant, id, and through what the client looks.
pub type Manifests = Answers<Ready>;

/// The manifest of one package as one kind of client is shown it, without its links.
pub struct Ready {
    /// The change of the tenant it was made after; good as long as that is the last.
    pub generation: u64,
    text: Box<[u8]>,
    /// Where in the text something is missing, in order.
    gaps: Box<[(usize, Gap)]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    /// What all links begin with.
    Base,
    /// What the link to this installer ends with.
    Query(Uuid),
}

impl Prepared for Ready {
    fn size(&self) -> usize {
        self.text.len() + self.gaps.len() * size_of::<(usize, Gap)>()
    }

    fn is_fresh(&self) -> bool {
        // Whoever asks knows the tenant's generation.
        true
    }
}

/// What a manifest is kept under; none for questions of which there may be any number.
pub fn question(tenant: Uuid, lens: &Lens, id: &str) -> Option<Box<[u8]>> {
    let market = lens.market.as_deref().unwrap_or_default();
    if !matches!(market.len(), 0 | 2) {
        return None;
    }
    let (kind, channel) = match &lens.channels {
        Channels::All => (0, ""),
        Channels::Stable => (1, ""),
        Channels::With(named) => (2, named.as_str()),
        Channels::Only(named) => (3, named.as_str()),
    };
    let mut question = tenant.as_bytes().to_vec();
    question.extend(lens.contract.0.to_be_bytes());
    question.extend(lens.contract.1.to_be_bytes());
    question.push(kind);
    let version = lens.version.as_deref().map(fold);
    question.push(u8::from(version.is_some()));
    for part in [channel, market, version.as_deref().unwrap_or_default(), &fold(id)] {
        question.extend((part.len() as u64).to_be_bytes());
        question.extend(part.as_bytes());
    }
    Some(question.into())
}

/// Stands in for links while a manifest is written: a word that nobody can know, then what is missing there.
struct Marks {
    word: String,
    tenant: Uuid,
}

impl manifest::Links for Marks {
    fn installer(&self, package: &Package, row: &Row) -> Result<String> {
        let Marks { word, tenant } = self;
        Ok(match row.file {
            Some(_) => format!("{word}b{}{word}q{}", installer_path(*tenant, package, row), row.uid.simple()),
            None => row.url.clone(),
        })
    }

    fn logo(&self, logo: &Logo) -> String {
        format!("{}b{}", self.word, logo_path(self.tenant, logo))
    }
}

impl Ready {
    /// Writes the manifest of a package after the tenant's change `generation`.
    ///
    /// # Errors
    /// `Internal` without random numbers.
    pub fn write(
        tenant: Uuid,
        generation: u64,
        package: &Package,
        versions: &[Shown<'_>],
        contract: Contract,
    ) -> Result<Ready> {
        let marks = Marks { word: Uuid::from_bytes(random()?).simple().to_string(), tenant };
        let data = manifest::manifest(package, versions, contract, &marks)?;
        let whole = serde_json::to_vec(&json!({ "Data": data })).map_err(Error::internal)?;
        Ready::cut(generation, &whole, marks.word.as_bytes())
    }

    fn cut(generation: u64, whole: &[u8], word: &[u8]) -> Result<Ready> {
        let broken = || Error::internal("a mark in a manifest cannot be read");
        let (mut text, mut gaps) = (Vec::with_capacity(whole.len()), Vec::new());
        let mut rest = whole;
        while let Some(at) = memmem::find(rest, word) {
            let (before, behind) = (rest.get(..at), rest.get(at + word.len()..));
            text.extend_from_slice(before.ok_or_else(broken)?);
            let (kind, behind) = behind.and_then(<[u8]>::split_first).ok_or_else(broken)?;
            rest = match kind {
                b'b' => {
                    gaps.push((text.len(), Gap::Base));
                    behind
                }
                _ => {
                    let (uid, behind) = behind.split_at_checked(32).ok_or_else(broken)?;
                    gaps.push((text.len(), Gap::Query(Uuid::try_parse_ascii(uid).map_err(|_| broken())?)));
                    behind
                }
            };
        }
        text.extend_from_slice(rest);
        Ok(Ready { generation, text: text.into(), gaps: gaps.into() })
    }

    /// The answer with the links of one caller.
    ///
    /// # Errors
    /// `Internal` when they cannot be signed.
    pub fn with(&self, links: &Links<'_>) -> Result<Vec<u8>> {
        let base = serde_json::to_string(links.base()).map_err(Error::internal)?;
        // Without its quotes.
        let base = base.get(1..base.len() - 1).unwrap_or_default();
        let mut out = Vec::with_capacity(self.text.len() + self.gaps.len() * 160);
        let mut from = 0;
        for (at, gap) in &self.gaps {
            out.extend_from_slice(self.text.get(from..*at).unwrap_or_default());
            match gap {
                Gap::Base => out.extend_from_slice(base.as_bytes()),
                Gap::Query(uid) => out.extend_from_slice(links.query(*uid)?.as_bytes()),
            }
            from = *at;
        }
        out.extend_from_slice(self.text.get(from..).unwrap_or_default());
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_found_where_the_marks_were() {
        let uid = Uuid::from_bytes([7; 16]);
        let whole = format!("a{{WORDb/x/y.msiWORDq{}\"}}\u{e9}WORDb", uid.simple());
        let ready = Ready::cut(3, whole.as_bytes(), b"WORD").unwrap();
        assert_eq!(&*ready.text, "a{/x/y.msi\"}\u{e9}".as_bytes());
        assert_eq!(&*ready.gaps, [(2, Gap::Base), (10, Gap::Query(uid)), (14, Gap::Base)]);
        assert!(Ready::cut(3, b"plain", b"WORD").unwrap().gaps.is_empty());
        for broken in ["WORD", "WORDq12", "WORDqzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"] {
            assert!(Ready::cut(3, broken.as_bytes(), b"WORD").is_err(), "{broken}");
        }
    }

    #[test]
    fn questions_differ_in_every_part() {
        let lens = |channels, market: &str, version: Option<&str>| Lens {
            contract: Contract::NEWEST,
            channels,
            market: Some(market.to_owned()).filter(|market| !market.is_empty()),
            version: version.map(str::to_owned),
        };
        let with = |name: &str| Channels::With(name.to_owned());
        let only = |name: &str| Channels::Only(name.to_owned());
        let old = Lens { contract: Contract(1, 0), ..lens(Channels::Stable, "", None) };
        let (one, two) = (Uuid::from_bytes([1; 16]), Uuid::from_bytes([2; 16]));
        let mut all = vec![question(two, &lens(Channels::Stable, "", None), "a.b"), question(one, &old, "a.b")];
        for id in ["a.b", "a.c"] {
            all.push(question(one, &lens(Channels::Stable, "", None), id));
            all.push(question(one, &lens(with("beta"), "", None), id));
            all.push(question(one, &lens(only("beta"), "", None), id));
            all.push(question(one, &lens(only(""), "", Some("beta")), id));
            all.push(question(one, &lens(Channels::Stable, "DE", None), id));
            all.push(question(one, &lens(Channels::Stable, "", Some("1.0")), id));
            all.push(question(one, &lens(Channels::Stable, "", Some("")), id));
        }
        let different: std::collections::HashSet<_> = all.iter().map(|question| question.clone().unwrap()).collect();
        assert_eq!(different.len(), all.len());
        let stable = lens(Channels::Stable, "", Some("1.0-RC"));
        assert_eq!(question(one, &stable, "A.B"), question(one, &lens(Channels::Stable, "", Some("1.0-rc")), "a.b"));
        assert!(question(one, &lens(Channels::Stable, "Mars", None), "a.b").is_none());
    }
}
