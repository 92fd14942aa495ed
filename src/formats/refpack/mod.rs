//! RefPacks: ZIP archives with one JSON data set, its manifest and companions (`refpack.md` §4). Bytes in, facts or
//! faults out.

pub mod archive;
pub mod data;
pub mod json;
pub mod manifest;
pub mod schema;
pub mod signature;

use std::borrow::Cow;
use std::io::{Read, Seek};

pub use archive::{Entry, Method, Unpacked};
pub use manifest::Manifest;
pub use signature::Signature;

/// The most faults one answer names.
pub const FAULT_LIMIT: usize = 20;

/// One broken rule of a RefPack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The code of `refpack.md` §4.
    pub code: &'static str,
    /// The file inside the archive, with a JSON pointer where it applies.
    pub path: String,
    /// What is wrong, for a person.
    pub message: Cow<'static, str>,
}

impl Fault {
    /// A fault in `path`. Very long paths and messages (they quote the archive) are cut.
    pub fn new(code: &'static str, path: &str, message: impl Into<Cow<'static, str>>) -> Self {
        const LONGEST: usize = 500;
        let cut = |text: &str| match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text.to_owned(),
        };
        let message = message.into();
        let message = if message.len() > LONGEST { Cow::Owned(cut(&message)) } else { message };
        Fault { code, path: cut(path), message }
    }
}

/// A file of a RefPack that is offered by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// `data.meta.json`.
    Meta,
    /// `data.json`.
    Data,
    /// `data.schema.json`.
    Schema,
    /// `data.changelog.json`.
    Changelog,
    /// `data.readme.md`.
    Readme,
}

impl File {
    /// Its name in the archive.
    pub const fn name(self) -> &'static str {
        match self {
            File::Meta => manifest::FILE,
            File::Data => data::FILE,
            File::Schema => schema::FILE,
            File::Changelog => manifest::CHANGELOG,
            File::Readme => manifest::README,
        }
    }
}

/// A good RefPack.
#[derive(Debug)]
pub struct Pack {
    /// What its manifest says.
    pub manifest: Manifest,
    /// Its files, as they lie in the archive.
    pub entries: Vec<Entry>,
    /// What its signature is worth.
    pub signature: Signature,
}

/// An archive that keeps every rule of §4.1; its files have not been looked into yet.
#[derive(Debug)]
pub struct Archive {
    entries: Vec<Entry>,
}

impl Archive {
    /// Reads the archive of `length` bytes: the directory, every header, and every entry inflated once, in constant
    /// memory.
    ///
    /// # Errors
    /// The faults found, at most twenty.
    pub fn check<R: Read + Seek>(archive: &mut R, length: u64) -> Result<Archive, Vec<Fault>> {
        let mut entries = archive::entries(archive, length)?;
        let missing: Vec<Fault> = [File::Meta, File::Data]
            .into_iter()
            .filter(|file| !entries.iter().any(|entry| entry.name == file.name()))
            .map(|file| Fault::new("missing_file", file.name(), "a RefPack must hold this file"))
            .collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        archive::check_contents(archive, &mut entries).map_err(|fault| vec![fault])?;
        Ok(Archive { entries })
    }

    /// About how much memory [`Archive::judge`] may take, in bytes: what callers share out when several archives are
    /// judged at once.
    pub fn cost(&self) -> u64 {
        const LEAST: u64 = 4 << 20;
        // Hashes of ids and single elements of large files; a file that is held whole weighs many times its size.
        let of = |file: File, factor: u64| self.entry(file).map_or(0, |entry| entry.size.saturating_mul(factor));
        let checked = if self.entry(File::Schema).is_some() { 40 } else { 1 };
        LEAST
            + of(File::Data, checked).min(256 << 20)
            + of(File::Meta, 40)
            + of(File::Changelog, 40)
            + of(File::Schema, 100)
    }

    fn entry(&self, file: File) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == file.name())
    }

    /// Judges the files (§4.2–§4.6). `now` is in seconds since 1970. Must run on a thread with the stack that
    /// [`JUDGE_STACK`] names: schemas are followed by recursion.
    ///
    /// # Errors
    /// The faults found in all files together, at most twenty.
    pub fn judge<R: Read + Seek>(self, archive: &mut R, require_signature: bool, now: i64) -> Result<Pack, Vec<Fault>> {
        let mut faults = Vec::new();
        let meta = self.whole(archive, manifest::FILE, manifest::LIMIT, &mut faults);
        let manifest = meta.as_deref().and_then(|bytes| gather(&mut faults, manifest::parse(bytes)));
        let signature = match self.whole(archive, signature::FILE, signature::LIMIT, &mut faults) {
            Some(text) => {
                let judged = signature::judge(&text, meta.as_deref().unwrap_or_default(), now);
                gather(&mut faults, judged.map_err(|fault| vec![fault])).unwrap_or_default()
            }
            None => {
                if require_signature && !self.entries.iter().any(|entry| entry.name == signature::FILE) {
                    faults.push(Fault::new(
                        "signature_missing",
                        signature::FILE,
                        "this server takes signed packages only",
                    ));
                }
                Signature::None
            }
        };
        if let Some(bytes) = self.whole(archive, manifest::CHANGELOG, manifest::CHANGELOG_LIMIT, &mut faults) {
            gather(&mut faults, manifest::check_changelog(&bytes));
        }
        if let Some(entry) = self.entry(File::Readme) {
            let checked = archive::open(archive, entry).map_err(|e| archive::broken(&entry.name, &e));
            gather(&mut faults, checked.and_then(manifest::check_readme).map_err(|fault| vec![fault]));
        }
        let schema = self.whole(archive, schema::FILE, schema::LIMIT, &mut faults);
        let schema = schema.and_then(|bytes| gather(&mut faults, schema::Checker::new(&bytes)));
        // Without a manifest nobody knows which fields name a record.
        if let Some(manifest) = &manifest {
            self.judge_data(archive, manifest, schema, &mut faults);
        }
        faults.truncate(FAULT_LIMIT);
        match manifest {
            Some(manifest) if faults.is_empty() => Ok(Pack { manifest, entries: self.entries, signature }),
            _ => Err(faults),
        }
    }

    fn judge_data<R: Read + Seek>(
        &self,
        archive: &mut R,
        manifest: &Manifest,
        mut schema: Option<schema::Checker>,
        faults: &mut Vec<Fault>,
    ) {
        let Some(entry) = self.entry(File::Data) else { return };
        if let Some(schema) = &mut schema {
            schema.expect_bytes(entry.size);
        }
        let reader = match archive::open(archive, entry) {
            Ok(reader) => reader,
            Err(e) => return faults.push(archive::broken(&entry.name, &e)),
        };
        let mut each = |number: usize, text: &str| schema.as_mut().and_then(|schema| schema.record(number, text));
        let checked = data::check(reader, &manifest.id_field, &manifest.name_field, &mut each);
        if let Some(records) = gather(faults, checked)
            && let Some(schema) = schema
        {
            faults.extend(schema.finish(records));
        }
    }

    /// The whole bytes of a small file; `None` when it is not there or larger than `limit`, which is a fault.
    fn whole<R: Read + Seek>(
        &self,
        archive: &mut R,
        name: &'static str,
        limit: usize,
        faults: &mut Vec<Fault>,
    ) -> Option<Vec<u8>> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        if entry.size > limit as u64 {
            let code = match name {
                signature::FILE => "signature_invalid",
                _ => "invalid_json",
            };
            faults.push(Fault::new(code, name, format!("the file is larger than {} KiB", limit >> 10)));
            return None;
        }
        let mut bytes = Vec::new();
        let read = archive::open(archive, entry).and_then(|reader| reader.take(entry.size).read_to_end(&mut bytes));
        match read {
            Ok(_) => Some(bytes),
            Err(e) => {
                faults.push(archive::broken(name, &e));
                None
            }
        }
    }
}

/// The stack of a thread that judges archives, in bytes.
pub const JUDGE_STACK: usize = 64 << 20;

fn gather<T>(faults: &mut Vec<Fault>, outcome: Result<T, Vec<Fault>>) -> Option<T> {
    outcome.map_err(|more| faults.extend(more)).ok()
}
