//! Builds index files block by block: what did not change is taken over packed from the last generation.
//!
//! Where a block ends depends on the digests in it alone, so the bytes of an index depend on its packages and on
//! nothing that happened before.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::sync::Arc;

use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256};

use super::xz;
use crate::error::{Error, Result};
use crate::feeds::model::packages::{self, Fragments, Prepared};
use crate::feeds::model::trees::{self, Block, Index, Place, Sum};
use crate::formats::compress;
use crate::ids::Digest;
use crate::store::table::ReadTx;
use crate::store::{Loose, Stage, Store};

/// How hard members are packed.
const LEVEL: u32 = 6;
/// Places read in one go.
const PAGE: usize = 4096;
/// No block has more packages, whatever their digests.
const LONGEST: usize = 4096;
/// The largest block that is read back, unpacked.
const LARGEST: u64 = 1 << 30;

/// What is to change on the shelves of an index.
#[derive(Clone, Debug, Default)]
pub(super) struct Moves {
    /// Places that are taken.
    pub(super) placed: BTreeSet<Place>,
    /// Places that are given up.
    pub(super) unplaced: BTreeSet<Place>,
}

/// One file of an index.
pub(super) struct Column {
    /// Text before the packages; empty for none.
    pub(super) head: String,
    /// Text behind them; empty for none.
    pub(super) foot: String,
}

/// What a package contributes to each column.
pub(super) type Render<'a> = dyn Fn(&ReadTx, &Digest, Fragments) -> Result<Vec<String>> + Sync + 'a;

/// An index to be built: files that have the same packages in the same order.
pub(super) struct Plan<'a> {
    pub(super) store: &'a Arc<Store>,
    pub(super) repo: &'a str,
    /// Whose places it has, merged.
    pub(super) shelves: Vec<String>,
    /// What changes on them.
    pub(super) moves: Moves,
    /// Packages that are not on record yet.
    pub(super) prepared: &'a BTreeMap<Digest, Prepared>,
    pub(super) columns: Vec<Column>,
    /// How the columns were made last time; none when they were not, or were made otherwise.
    pub(super) old: Option<Vec<Index>>,
    /// How they are packed; parts packed otherwise are not taken over.
    pub(super) packing: String,
    /// Whether each is packed by xz too.
    pub(super) xz: bool,
    /// What a package contributes.
    pub(super) render: &'a Render<'a>,
    /// The date of the generation.
    pub(super) published: i64,
    /// How many packages there must be.
    pub(super) count: u64,
}

/// A column that was built, with what has to go to the shelf.
pub(super) struct Built {
    pub(super) index: Index,
    pub(super) staged: Vec<Loose>,
}

/// A part of an index before it is packed.
enum Piece {
    /// The block with this number stays as it is.
    Old(usize),
    /// These packages.
    New(Vec<Place>),
}

impl Piece {
    /// How many packages have to be packed.
    fn packages(&self) -> usize {
        match self {
            Piece::Old(_) => 0,
            Piece::New(places) => places.len(),
        }
    }
}

/// A part of one column, ready to be written.
struct Made {
    open: Vec<u8>,
    gzip: Vec<u8>,
    xz: Option<xz::Packed>,
}

impl Plan<'_> {
    /// Builds every column.
    pub(super) fn build(self) -> Result<Vec<Built>> {
        if let Some(old) = &self.old
            && self.moves.placed.is_empty()
            && self.moves.unplaced.is_empty()
        {
            return Ok(old.iter().map(|index| Built { index: index.clone(), staged: Vec::new() }).collect());
        }
        let pieces = self.pieces()?;
        let anew: usize = pieces.iter().map(Piece::packages).sum();
        log::debug!("repo {}: {anew} of {} packages of an index are packed anew", self.repo, self.count);
        let mut files = self.columns.iter().map(|column| Output::new(&self, column)).collect::<Result<Vec<_>>>()?;
        let width = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 4);
        for window in pieces.chunks(width) {
            let made: Vec<Result<Vec<Made>>> = std::thread::scope(|scope| {
                let (first, rest) = match window.split_first() {
                    Some(split) => split,
                    None => return Vec::new(),
                };
                let threads: Vec<_> = rest.iter().map(|piece| scope.spawn(|| self.make(piece))).collect();
                let mut made = vec![self.make(first)];
                made.extend(threads.into_iter().map(|thread| match thread.join() {
                    Ok(made) => made,
                    Err(_) => Err(Error::internal("a thread that packs an index panicked")),
                }));
                made
            });
            for (piece, made) in window.iter().zip(made) {
                for (column, (file, made)) in files.iter_mut().zip(made?).enumerate() {
                    let (last, packages) = match piece {
                        Piece::Old(number) => self.old_block(column, *number).map(|b| (b.last.clone(), b.packages))?,
                        Piece::New(places) => (places.last().cloned().ok_or_else(empty)?, places.len() as u64),
                    };
                    file.block(made, last, packages)?;
                }
            }
        }
        files.into_iter().zip(&self.columns).map(|(file, column)| file.finish(&self, column)).collect()
    }

    fn old_block(&self, column: usize, number: usize) -> Result<&Block> {
        let index = self.old.as_ref().and_then(|old| old.get(column));
        index.and_then(|index| index.blocks.get(number)).ok_or_else(|| Error::internal("an index has lost a block"))
    }

    /// Which blocks stay, and which packages the others have.
    fn pieces(&self) -> Result<Vec<Piece>> {
        let old =
            self.old.as_ref().and_then(|old| old.first()).map(|index| index.blocks.as_slice()).unwrap_or_default();
        let mut pieces = Vec::new();
        // Where the run of changed blocks began that is being looked at.
        let mut run: Option<Option<Place>> = None;
        let mut before: Option<Place> = None;
        for (number, block) in old.iter().enumerate() {
            let last = number + 1 == old.len();
            let upper = (!last).then_some(&block.last);
            let touched = self.touches(before.as_ref(), upper);
            if run.is_none() && !touched {
                pieces.push(Piece::Old(number));
            } else {
                let start = run.take().unwrap_or_else(|| before.clone());
                // A block that loses its end grows into the next one.
                match self.moves.unplaced.contains(&block.last) && !last {
                    true => run = Some(start),
                    false => self.cut(self.places(start, upper)?, &mut pieces),
                }
            }
            before = Some(block.last.clone());
        }
        if old.is_empty() {
            self.cut(self.places(None, None)?, &mut pieces);
        }
        Ok(pieces)
    }

    /// Whether anything changes after `after` up to `upper`.
    fn touches(&self, after: Option<&Place>, upper: Option<&Place>) -> bool {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let to = upper.map_or(Bound::Unbounded, Bound::Included);
        let any = |places: &BTreeSet<Place>| places.range::<Place, _>((from, to)).next().is_some();
        any(&self.moves.placed) || any(&self.moves.unplaced)
    }

    /// The places after `after` up to `upper` as they will be, in order.
    fn places(&self, after: Option<Place>, upper: Option<&Place>) -> Result<Vec<Place>> {
        use std::ops::Bound;
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let to = upper.map_or(Bound::Unbounded, Bound::Included);
        let mut places: Vec<Place> = self.moves.placed.range::<Place, _>((from, to)).cloned().collect();
        self.store.read(|tx| {
            for shelf in &self.shelves {
                let mut after = after.clone();
                loop {
                    let page = trees::places(tx, self.repo, shelf, after.as_ref(), PAGE)?;
                    let more = page.len() == PAGE;
                    after = page.last().cloned();
                    let beyond = |place: &Place| upper.is_some_and(|upper| place > upper);
                    let done = !more || after.as_ref().is_some_and(beyond);
                    let stays = |place: &Place| !beyond(place) && !self.moves.unplaced.contains(place);
                    places.extend(page.into_iter().filter(stays));
                    if done {
                        break;
                    }
                }
            }
            Ok(())
        })?;
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }

    fn cut(&self, places: Vec<Place>, pieces: &mut Vec<Piece>) {
        let mut block = Vec::new();
        for place in places {
            let ends = ends_block(&place.1);
            block.push(place);
            if ends || block.len() == LONGEST {
                pieces.push(Piece::New(std::mem::take(&mut block)));
            }
        }
        if !block.is_empty() {
            pieces.push(Piece::New(block));
        }
    }

    fn make(&self, piece: &Piece) -> Result<Vec<Made>> {
        match piece {
            Piece::Old(number) => (0..self.columns.len()).map(|column| self.take_over(column, *number)).collect(),
            Piece::New(places) => {
                let mut texts = vec![Vec::new(); self.columns.len()];
                self.store.read(|tx| {
                    for (_, digest) in places {
                        let fragments = match self.prepared.get(digest) {
                            Some(new) => new.fragments.clone(),
                            None => packages::fragments(tx, digest)?,
                        };
                        for (text, part) in texts.iter_mut().zip((self.render)(tx, digest, fragments)?) {
                            text.extend_from_slice(part.as_bytes());
                        }
                    }
                    Ok(())
                })?;
                texts.into_iter().map(|text| pack(text, self.xz)).collect()
            }
        }
    }

    /// A block of the last generation, packed as it was.
    fn take_over(&self, column: usize, number: usize) -> Result<Made> {
        let block = self.old_block(column, number)?;
        let index = self.old.as_ref().and_then(|old| old.get(column)).ok_or_else(empty)?;
        let gzip = self.stretch(&index.packed.digest, block.at, block.length)?;
        let mut open = Vec::with_capacity(usize::try_from(block.open).unwrap_or_default());
        GzDecoder::new(gzip.as_slice()).take(LARGEST).read_to_end(&mut open).map_err(Error::internal)?;
        if open.len() as u64 != block.open {
            return Err(Error::internal("a block of an index has another length than was noted"));
        }
        let xz = match (&index.xz, block.xz) {
            (Some(file), Some((at, length, unpadded))) if self.xz => {
                Some(xz::Packed { bytes: self.stretch(&file.digest, at, length)?, unpadded })
            }
            _ if self.xz => Some(xz::pack(&open)?),
            _ => None,
        };
        Ok(Made { open, gzip, xz })
    }

    fn stretch(&self, digest: &Digest, at: u64, length: u64) -> Result<Vec<u8>> {
        let mut blob = self.store.blob(digest)?;
        blob.check_before_range()?;
        let mut bytes = vec![0; usize::try_from(length.min(LARGEST)).unwrap_or_default()];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match blob.read_at(at + filled as u64, rest).map_err(Error::internal)? {
                0 => return Err(Error::internal("an index is shorter than was noted")),
                count => filled += count,
            }
        }
        Ok(bytes)
    }
}

fn empty() -> Error {
    Error::internal("an index has a part without packages")
}

/// Whether a block ends behind a package with this digest: after 256 packages on average.
fn ends_block(digest: &Digest) -> bool {
    digest.0.last() == Some(&0)
}

fn pack(open: Vec<u8>, with_xz: bool) -> Result<Made> {
    let gzip = compress::gzip(&open, LEVEL).map_err(Error::internal)?;
    let xz = with_xz.then(|| xz::pack(&open)).transpose()?;
    Ok(Made { open, gzip, xz })
}

/// The xz form of a column while it is written: one stream.
struct XzOutput {
    stage: Stage,
    at: u64,
    header: Vec<u8>,
    /// Of each block: its size without padding, and that of its text.
    sizes: Vec<(u64, u64)>,
}

/// A column while it is written.
struct Output {
    open: Sha256,
    open_size: u64,
    gzip: Stage,
    gzip_at: u64,
    xz: Option<XzOutput>,
    blocks: Vec<Block>,
    packages: u64,
}

impl Output {
    fn new(plan: &Plan, column: &Column) -> Result<Output> {
        let xz = match plan.xz {
            true => {
                let header = xz::header()?;
                let mut stage = plan.store.stage(None)?;
                stage.write_all(&header).map_err(staged)?;
                Some(XzOutput { stage, at: header.len() as u64, header, sizes: Vec::new() })
            }
            false => None,
        };
        let gzip = plan.store.stage(None)?;
        let mut output =
            Output { open: Sha256::new(), open_size: 0, gzip, gzip_at: 0, xz, blocks: Vec::new(), packages: 0 };
        output.text(&column.head, plan.xz)?;
        Ok(output)
    }

    /// Text of the column's own.
    fn text(&mut self, text: &str, with_xz: bool) -> Result<()> {
        match text {
            "" => Ok(()),
            _ => self.write(pack(text.as_bytes().to_vec(), with_xz)?).map(drop),
        }
    }

    fn block(&mut self, made: Made, last: Place, packages: u64) -> Result<()> {
        let at = self.gzip_at;
        let (length, open) = (made.gzip.len() as u64, made.open.len() as u64);
        let xz = self.write(made)?;
        self.blocks.push(Block { last, packages, at, length, open, xz });
        self.packages += packages;
        Ok(())
    }

    fn write(&mut self, made: Made) -> Result<Option<(u64, u64, u64)>> {
        self.open.update(&made.open);
        self.open_size += made.open.len() as u64;
        self.gzip.write_all(&made.gzip).map_err(staged)?;
        self.gzip_at += made.gzip.len() as u64;
        let Some(XzOutput { stage, at, sizes, .. }) = &mut self.xz else { return Ok(None) };
        let Some(packed) = made.xz else { return Err(Error::internal("a block was not packed by xz")) };
        let place = (*at, packed.bytes.len() as u64, packed.unpadded);
        stage.write_all(&packed.bytes).map_err(staged)?;
        *at += packed.bytes.len() as u64;
        sizes.push((packed.unpadded, made.open.len() as u64));
        Ok(Some(place))
    }

    fn finish(mut self, plan: &Plan, column: &Column) -> Result<Built> {
        self.text(&column.foot, plan.xz)?;
        if self.gzip_at == 0 {
            // Not a byte is no gzip file.
            self.gzip.write_all(&compress::gzip(b"", LEVEL).map_err(Error::internal)?).map_err(staged)?;
        }
        if self.packages != plan.count {
            return Err(Error::internal(format!("{} packages where {} should be", self.packages, plan.count)));
        }
        let gzip = self.gzip.finish_loose()?;
        let packed = Sum { digest: gzip.digest(), size: gzip.size() };
        let mut files = vec![gzip];
        let xz = match self.xz {
            Some(XzOutput { mut stage, header, sizes, .. }) => {
                stage.write_all(&xz::trailer(&header, &sizes)?).map_err(staged)?;
                let file = stage.finish_loose()?;
                let sum = Sum { digest: file.digest(), size: file.size() };
                files.push(file);
                Some(sum)
            }
            None => None,
        };
        let index = Index {
            packing: plan.packing.clone(),
            packed,
            xz,
            open: Sum { digest: Digest(self.open.finalize().into()), size: self.open_size },
            packages: self.packages,
            made: plan.published,
            blocks: self.blocks,
        };
        Ok(Built { index, staged: files })
    }
}

/// A stage file that could not be written: the store's own error, if it is one.
fn staged(error: std::io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) => Error::internal(error),
    }
}
