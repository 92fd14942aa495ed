//! Form fields as this dialect takes them: urlencoded or multipart, anything else counts as a form without fields
//! (`winget.md` A1).

use crate::app::App;
use crate::catalog;
use crate::error::{Error, Kind, Result};
use crate::formats::Facts;
use crate::http::{Part, Request};
use crate::store::Staged;
use crate::winget::rules;

/// Bytes all text fields of a form may have.
const TEXT_LIMIT: u64 = 1 << 20;

/// A file part a route takes.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The part's name.
    pub name: &'static str,
    /// Most bytes; none is what the operator allows.
    pub limit: Option<u64>,
}

/// A file that came with a form.
pub struct File {
    /// The part's name.
    pub part: &'static str,
    /// The client's name for it; never used as a path.
    pub name: String,
    /// The flushed bytes.
    pub staged: Staged,
}

impl File {
    /// Up to `limit` of its first bytes.
    pub fn head(&self, limit: u64) -> Vec<u8> {
        self.staged.head(limit)
    }

    /// What the bytes say of themselves; a file that cannot be read again is still a file.
    pub fn facts(&self) -> Facts {
        catalog::inspect(&self.staged, &self.name)
    }
}

/// A form.
#[derive(Default)]
pub struct Form {
    fields: Vec<(String, String)>,
    /// The files that were asked for and came, empty ones left out.
    pub files: Vec<File>,
}

impl Form {
    /// Text fields only; what else comes is read past.
    ///
    /// # Errors
    /// `Invalid` for a body that is no form although it says so, `TooLarge`.
    pub fn fields(app: &App, request: &mut Request) -> Result<Form> {
        Form::read(app, request, &[])
    }

    /// Text fields and the `wanted` files, of which each may come once.
    ///
    /// # Errors
    /// As [`Form::fields`]; `Quota` when the disk is full.
    pub fn read(app: &App, request: &mut Request, wanted: &[Wanted]) -> Result<Form> {
        match request.media_type().as_str() {
            "application/x-www-form-urlencoded" => Ok(Form { fields: request.form(TEXT_LIMIT)?, files: Vec::new() }),
            "multipart/form-data" => Form::parts(app, request, wanted),
            _ => Ok(Form::default()),
        }
    }

    fn parts(app: &App, request: &mut Request, wanted: &[Wanted]) -> Result<Form> {
        let length = request.body().length();
        let mut form = Form::default();
        let mut left = TEXT_LIMIT;
        let mut parts = request.multipart()?;
        while let Some(mut part) = parts.next_part()? {
            let Some(name) = part.name().map(str::to_owned) else { continue };
            match wanted.iter().find(|wanted| wanted.name == name) {
                Some(wanted) => form.take_file(app, *wanted, &mut part, length)?,
                None if part.file_name().is_some() => {}
                None => {
                    let text = part.text(left)?;
                    left = left.saturating_sub(text.len() as u64);
                    form.fields.push((name, text));
                }
            }
        }
        Ok(form)
    }

    fn take_file(&mut self, app: &App, wanted: Wanted, part: &mut Part<'_>, length: Option<u64>) -> Result<()> {
        if self.file(wanted.name).is_some() {
            return Err(Error::invalid(format!("{} is given twice", wanted.name)));
        }
        let name = part.file_name().unwrap_or_default().to_owned();
        let limit = wanted.limit.or(app.settings.max_upload);
        let mut stage = app.store.stage(length.filter(|_| wanted.limit.is_none()))?;
        stage.copy_from(part, limit).map_err(|e| match (e.kind, wanted.limit) {
            (Kind::TooLarge, Some(limit)) => {
                Error::invalid(format!("{} has more than {} MiB", wanted.name, limit >> 20))
            }
            _ => e,
        })?;
        if stage.written() > 0 {
            self.files.push(File { part: wanted.name, name, staged: stage.finish()? });
        }
        Ok(())
    }

    /// A file, when it came and is not empty.
    pub fn file(&self, part: &str) -> Option<&File> {
        self.files.iter().find(|file| file.part == part)
    }

    /// The files on their way to the shelf.
    pub fn into_staged(self) -> Vec<Staged> {
        self.files.into_iter().map(|file| file.staged).collect()
    }

    /// Every value of a field, in order.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The last value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of the first of these names that is there and not blank, else of the first that is there.
    pub fn any(&self, names: &[&str]) -> Option<&str> {
        let given = || names.iter().filter_map(|name| self.get(name));
        given().find(|value| !value.trim().is_empty()).or_else(|| given().next())
    }

    /// A field that must be there.
    pub fn required(&self, names: &[&str]) -> Result<&str> {
        let first = names.first().copied().unwrap_or_default();
        self.any(names).ok_or_else(|| Error::invalid(format!("{first} is required")))
    }

    /// The entries of a list field.
    pub fn entries(&self, name: &str) -> Vec<String> {
        rules::entries(self.all(name))
    }

    /// Whether a field is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names of all fields, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }
}
