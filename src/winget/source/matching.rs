//! What a search asks for and which packages fit: pure decisions over folded text (`winget.md` B4).

use serde_json::{Map, Value};

/// The longest keyword, in characters.
const KEYWORD_LIMIT: usize = 255;
/// The most conditions of one search.
const CONDITION_LIMIT: usize = 1000;
/// The most of them that cannot be answered by looking a value up.
const SCAN_LIMIT: usize = 100;
/// The longest page.
const PAGE: usize = 100;

/// What a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The id.
    PackageIdentifier,
    /// The name.
    PackageName,
    /// The publisher.
    Publisher,
    /// The short name.
    Moniker,
    /// A command.
    Command,
    /// A tag.
    Tag,
    /// Name and publisher's hash of an app package.
    PackageFamilyName,
    /// The code an installed program is listed under.
    ProductCode,
    /// The code its versions share.
    UpgradeCode,
    /// The name without what changes from release to release.
    NormalizedPackageNameAndPublisher,
    /// A market an installer is for.
    Market,
    /// A type of installer, nested ones too.
    HasInstallerType,
}

/// Number of fields.
pub const FIELDS: usize = 12;

impl Field {
    /// Every field, in the order of [`Terms`].
    pub const ALL: [(Field, &'static str); FIELDS] = [
        (Field::PackageIdentifier, "PackageIdentifier"),
        (Field::PackageName, "PackageName"),
        (Field::Publisher, "Publisher"),
        (Field::Moniker, "Moniker"),
        (Field::Command, "Command"),
        (Field::Tag, "Tag"),
        (Field::PackageFamilyName, "PackageFamilyName"),
        (Field::ProductCode, "ProductCode"),
        (Field::UpgradeCode, "UpgradeCode"),
        (Field::NormalizedPackageNameAndPublisher, "NormalizedPackageNameAndPublisher"),
        (Field::Market, "Market"),
        (Field::HasInstallerType, "HasInstallerType"),
    ];

    /// What a query without a field looks at.
    pub const QUERIED: [Field; 9] = [
        Field::PackageIdentifier,
        Field::PackageName,
        Field::Publisher,
        Field::Moniker,
        Field::Tag,
        Field::Command,
        Field::PackageFamilyName,
        Field::ProductCode,
        Field::UpgradeCode,
    ];

    fn read(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(field, _)| field)
    }

    /// Whether `Exact` counts case.
    fn counts_case(self) -> bool {
        !matches!(
            self,
            Field::PackageFamilyName
                | Field::ProductCode
                | Field::UpgradeCode
                | Field::HasInstallerType
                | Field::Market
                | Field::NormalizedPackageNameAndPublisher
        )
    }
}

/// How a value is compared with the keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Match {
    /// Equality.
    Exact,
    /// Equality without regard to case.
    CaseInsensitive,
    /// The value begins with it.
    StartsWith,
    /// The value holds it.
    Substring,
    /// `*` and `?`.
    Wildcard,
    /// Equality of letters and digits.
    Fuzzy,
    /// The letters and digits hold it.
    FuzzySubstring,
}

impl Match {
    fn read(name: &str) -> Option<Match> {
        const ALL: [(&str, Match); 7] = [
            ("Exact", Match::Exact),
            ("CaseInsensitive", Match::CaseInsensitive),
            ("StartsWith", Match::StartsWith),
            ("Substring", Match::Substring),
            ("Wildcard", Match::Wildcard),
            ("Fuzzy", Match::Fuzzy),
            ("FuzzySubstring", Match::FuzzySubstring),
        ];
        ALL.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, kind)| kind)
    }
}

/// A keyword and how it is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keyword {
    /// As it was given.
    given: String,
    /// Folded; letters and digits only for the fuzzy ones.
    folded: String,
    kind: Match,
}

/// Letters and digits of folded text.
fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

impl Keyword {
    /// A keyword to be compared as `kind` says.
    pub fn new(given: &str, kind: Match) -> Keyword {
        let folded = given.to_lowercase();
        let folded = if matches!(kind, Match::Fuzzy | Match::FuzzySubstring) { bare(&folded) } else { folded };
        Keyword { given: given.to_owned(), folded, kind }
    }

    /// The folded value that a fitting package must have, when equality is asked for.
    pub fn value(&self) -> Option<&str> {
        matches!(self.kind, Match::Exact | Match::CaseInsensitive).then_some(self.folded.as_str())
    }

    /// Whether a folded value fits; for `Exact` it only may.
    fn fits_folded(&self, value: &str) -> bool {
        match self.kind {
            Match::Exact | Match::CaseInsensitive => value == self.folded,
            Match::StartsWith => value.starts_with(&self.folded),
            Match::Substring => value.contains(&self.folded),
            Match::Wildcard => wildcard(&self.folded, value),
            Match::Fuzzy => bare(value) == self.folded,
            Match::FuzzySubstring => bare(value).contains(&self.folded),
        }
    }

    /// Whether a value fits.
    fn fits(&self, field: Field, value: &str) -> bool {
        match self.kind {
            Match::Exact if field.counts_case() => value == self.given,
            _ => self.fits_folded(&value.to_lowercase()),
        }
    }
}

/// `*` for any text, `?` for one character; the whole value.
fn wildcard(pattern: &str, value: &str) -> bool {
    let (pattern, value): (Vec<char>, Vec<char>) = (pattern.chars().collect(), value.chars().collect());
    let (mut p, mut v) = (0, 0);
    // Where to go on when what follows the last star did not fit.
    let mut again: Option<(usize, usize)> = None;
    while v < value.len() {
        match (pattern.get(p), value.get(v)) {
            (Some('*'), _) => {
                again = Some((p + 1, v));
                p += 1;
            }
            (Some(wanted), Some(found)) if *wanted == '?' || wanted == found => (p, v) = (p + 1, v + 1),
            _ => match again {
                Some((after, at)) => {
                    again = Some((after, at + 1));
                    (p, v) = (after, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// A condition on one field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// What it looks at.
    pub field: Field,
    /// What is wanted there.
    pub keyword: Keyword,
}

/// What a search asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Search {
    /// A package fits if this does, on any of [`Field::QUERIED`],
    pub query: Option<Keyword>,
    /// or one of these; when there is neither, every package does.
    pub inclusions: Vec<Condition>,
    /// All of these must hold besides.
    pub filters: Vec<Condition>,
    /// How many packages one answer has at most.
    pub page: usize,
}

/// Why a search was refused: a sentence for the caller.
type Refusal = String;

impl Search {
    /// Reads a request's body.
    ///
    /// # Errors
    /// The sentence that says what is wrong with it.
    pub fn read(body: &Value) -> Result<Search, Refusal> {
        let body = body.as_object().ok_or("the body must be a JSON object")?;
        let most = match member(body, "MaximumResults") {
            None => None,
            Some(value) => {
                let number = value.as_i64().ok_or("MaximumResults must be a whole number")?;
                Some(usize::try_from(number).map_err(|_| "MaximumResults must not be negative")?)
            }
        };
        if member(body, "FetchAllManifests").is_some_and(|value| !value.is_boolean()) {
            return Err("FetchAllManifests must be true or false".to_owned());
        }
        let query = member(body, "Query").map(|value| keyword(value, "Query")).transpose()?;
        let (inclusions, filters) = (conditions(body, "Inclusions")?, conditions(body, "Filters")?);
        if inclusions.len() + filters.len() > CONDITION_LIMIT {
            return Err(format!("a search has at most {CONDITION_LIMIT} Inclusions and Filters"));
        }
        let scans = inclusions.iter().chain(&filters).filter(|condition| condition.keyword.value().is_none());
        if scans.count() > SCAN_LIMIT {
            return Err(format!("a search has at most {SCAN_LIMIT} Inclusions and Filters that are no equality"));
        }
        let page = most.filter(|most| (1..=PAGE).contains(most)).unwrap_or(PAGE);
        Ok(Search { query, inclusions, filters, page })
    }

    /// Whether a package with these values fits.
    pub fn fits(&self, terms: &Terms) -> bool {
        self.judge(
            |condition| terms.fit(condition.field, |value| condition.keyword.fits(condition.field, value)),
            |query| Field::QUERIED.into_iter().any(|field| terms.fit(field, |value| query.fits(field, value))),
        )
    }

    /// Whether a package whose folded values are these may fit; what fits always may.
    pub fn may_fit(&self, folded: &Folded<'_>) -> bool {
        self.judge(
            |condition| folded.fit(condition.field, |value| condition.keyword.fits_folded(value)),
            |query| Field::QUERIED.into_iter().any(|field| folded.fit(field, |value| query.fits_folded(value))),
        )
    }

    fn judge(&self, holds: impl Fn(&Condition) -> bool, asked: impl Fn(&Keyword) -> bool) -> bool {
        let everything = self.query.is_none() && self.inclusions.is_empty();
        self.filters.iter().all(&holds)
            && (everything || self.query.as_ref().is_some_and(asked) || self.inclusions.iter().any(&holds))
    }

    /// Texts of which every fitting package's folded text holds at least one; `None` when that cannot be said.
    pub fn needles(&self) -> Option<Vec<&str>> {
        let needle = |keyword: &'_ Keyword| {
            let plain =
                matches!(keyword.kind, Match::Exact | Match::CaseInsensitive | Match::StartsWith | Match::Substring);
            plain && !keyword.folded.is_empty()
        };
        let known = |condition: &Condition| condition.field != Field::Market && needle(&condition.keyword);
        let half = (self.query.is_some() || !self.inclusions.is_empty())
            && self.query.as_ref().is_none_or(needle)
            && self.inclusions.iter().all(known);
        if half {
            let inclusions = self.inclusions.iter().map(|condition| &condition.keyword);
            return Some(self.query.iter().chain(inclusions).map(|keyword| keyword.folded.as_str()).collect());
        }
        let filter = self.filters.iter().find(|condition| known(condition))?;
        Some(vec![filter.keyword.folded.as_str()])
    }

    /// Values of which a fitting package must have one; `None` when that cannot be said.
    pub fn values(&self) -> Option<Vec<(Field, &str)>> {
        // A package without market limits fits every market; types of installers are shared by too many packages.
        let known = |field: Field| !matches!(field, Field::Market | Field::HasInstallerType);
        let pair = |condition: &Condition| known(condition.field) && condition.keyword.value().is_some();
        // One filter says the most with the fewest look-ups.
        if let Some(filter) = self.filters.iter().find(|condition| pair(condition)) {
            return Some(vec![(filter.field, filter.keyword.value()?)]);
        }
        // Else the first half: the query and all inclusions, when every one of them is an equality.
        let query = self.query.as_ref();
        let half = (query.is_some() || !self.inclusions.is_empty())
            && query.is_none_or(|query| query.value().is_some())
            && self.inclusions.iter().all(pair);
        if !half {
            return None;
        }
        let queried = query.and_then(Keyword::value).into_iter();
        let queried = queried.flat_map(|value| Field::QUERIED.into_iter().map(move |field| (field, value)));
        let included = self.inclusions.iter().filter_map(|c| Some((c.field, c.keyword.value()?)));
        Some(queried.chain(included).collect())
    }
}

/// A member that is there and not null.
fn member<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn keyword(value: &Value, what: &str) -> Result<Keyword, Refusal> {
    let object = value.as_object().ok_or_else(|| format!("{what} must be an object"))?;
    let given = member(object, "KeyWord").ok_or_else(|| format!("{what} has no KeyWord"))?;
    let given = given.as_str().ok_or_else(|| format!("the KeyWord of {what} must be text"))?;
    if given.chars().count() > KEYWORD_LIMIT {
        return Err(format!("the KeyWord of {what} has more than {KEYWORD_LIMIT} characters"));
    }
    let kind = match member(object, "MatchType") {
        None => Match::Exact,
        Some(value) => {
            let name = value.as_str().ok_or_else(|| format!("the MatchType of {what} must be text"))?;
            Match::read(name).ok_or_else(|| format!("the MatchType of {what} is unknown"))?
        }
    };
    Ok(Keyword::new(given, kind))
}

fn conditions(body: &Map<String, Value>, name: &str) -> Result<Vec<Condition>, Refusal> {
    let Some(list) = member(body, name) else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| format!("{name} must be an array"))?;
    list.iter().map(|value| condition(value, name)).collect()
}

fn condition(value: &Value, list: &str) -> Result<Condition, Refusal> {
    let object = value.as_object().ok_or_else(|| format!("{list} must hold objects"))?;
    let field =
        member(object, "PackageMatchField").ok_or_else(|| format!("a PackageMatchField is missing in {list}"))?;
    let field = field.as_str().ok_or_else(|| format!("a PackageMatchField in {list} must be text"))?;
    let field = Field::read(field).ok_or_else(|| format!("a PackageMatchField in {list} is unknown"))?;
    let wanted = member(object, "RequestMatch").ok_or_else(|| format!("a RequestMatch is missing in {list}"))?;
    Ok(Condition { field, keyword: keyword(wanted, &format!("a RequestMatch in {list}"))? })
}

/// The values of one package that searches look at, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    values: [Vec<String>; FIELDS],
    /// An installer has no market limits.
    pub every_market: bool,
    /// The markets that all installers exclude, when they have no other limits.
    pub excluded: Option<Vec<String>>,
}

impl Terms {
    /// Adds a value, once; empty ones are none.
    pub fn add(&mut self, field: Field, value: &str) {
        if let Some(values) = self.values.get_mut(field as usize)
            && !value.is_empty()
            && !values.iter().any(|known| known == value)
        {
            values.push(value.to_owned());
        }
    }

    /// The values of one field.
    pub fn of(&self, field: Field) -> &[String] {
        self.values.get(field as usize).map_or(&[], Vec::as_slice)
    }

    /// The values of all fields.
    pub fn all(&self) -> impl Iterator<Item = (Field, &str)> {
        Field::ALL.into_iter().flat_map(|(field, _)| self.of(field).iter().map(move |value| (field, value.as_str())))
    }

    fn fit(&self, field: Field, fits: impl Fn(&str) -> bool) -> bool {
        let elsewhere = || match &self.excluded {
            Some(excluded) => !excluded.iter().any(|value| fits(value)),
            None => self.every_market,
        };
        self.of(field).iter().any(|value| fits(value)) || field == Field::Market && elsewhere()
    }
}

/// Ends a field in [`Folded`] text. A control character that JSON need not escape, as the next two.
const FIELD_END: char = '\u{7F}';
/// Ends a value.
const VALUE_END: char = '\u{80}';
/// Stands for every market.
const EVERY: &str = "\u{81}";

/// The folded values of one package as one piece of text, as they are kept in memory.
#[derive(Clone, Copy, Debug)]
pub struct Folded<'t>(pub &'t str);

/// Writes the text that [`Folded`] reads.
pub fn fold(terms: &Terms) -> String {
    let mut out = String::new();
    for (field, _) in Field::ALL {
        for value in terms.of(field) {
            // What separates cannot stand in a value.
            out.extend(value.to_lowercase().chars().map(|c| if c.is_control() { ' ' } else { c }));
            out.push(VALUE_END);
        }
        if field == Field::Market && (terms.every_market || terms.excluded.is_some()) {
            out.push_str(EVERY);
            out.push(VALUE_END);
        }
        out.push(FIELD_END);
    }
    out
}

impl Folded<'_> {
    fn fit(&self, field: Field, fits: impl Fn(&str) -> bool) -> bool {
        let values = self.0.split(FIELD_END).nth(field as usize).unwrap_or_default();
        values.split_terminator(VALUE_END).any(|value| value == EVERY || fits(value))
    }
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
