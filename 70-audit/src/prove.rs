//! Which subtrees a proof is made of, which tiles hold them, and their hashes.

use crate::tree::{TILE, perfect_root};
use std::collections::BTreeMap;
use writ_core::Digest;
use writ_seal::node_hash;

/// Leaves `start..end`: a subtree as RFC 6962 splits them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The first leaf.
    pub start: u64,
    /// The leaf after the last.
    pub end: u64,
}

/// A tile as it is at some size of the tree: full, or the first `width` hashes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TileAt {
    /// The level, 0 over leaf hashes.
    pub level: u8,
    /// The index within the level.
    pub index: u64,
    /// How many hashes it has, 1 to 256.
    pub width: u16,
}

/// The largest power of two below `count`.
fn split(count: u64) -> u64 {
    count.next_power_of_two() / 2
}

/// The subtrees whose hashes are the inclusion proof of leaf `index` in a tree of `size`, in proof order.
#[must_use]
pub fn inclusion_ranges(index: u64, size: u64) -> Vec<Range> {
    let (mut start, mut end, mut path) = (0, size, Vec::new());
    while end.saturating_sub(start) > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(Range { start: middle, end });
            end = middle;
        } else {
            path.push(Range { start, end: middle });
            start = middle;
        }
    }
    path.reverse();
    path
}

/// The subtrees whose hashes are the consistency proof from `old` to `new` leaves, in proof order.
#[must_use]
pub fn consistency_ranges(old: u64, new: u64) -> Vec<Range> {
    if old == 0 || old >= new {
        return Vec::new();
    }
    let (mut start, mut end, mut whole, mut path) = (0, new, true, Vec::new());
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(Range { start: middle, end });
            end = middle;
        } else {
            path.push(Range { start, end: middle });
            start = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(Range { start, end });
    }
    path.reverse();
    path
}

/// The perfect subtrees that a range is folded from, left to right: start and height.
fn perfect(range: &Range) -> Vec<(u64, u32)> {
    let (mut start, mut parts) = (range.start, Vec::new());
    while start < range.end {
        let height = (range.end - start).ilog2();
        parts.push((start, height));
        start += 1 << height;
    }
    parts
}

fn tile_of(start: u64, height: u32, size: u64) -> TileAt {
    let level = height / 8;
    let index = (start >> (8 * level)) / TILE as u64;
    let width = ((size >> (8 * level)) - index * TILE as u64).min(TILE as u64);
    TileAt { level: u8::try_from(level).unwrap_or(u8::MAX), index, width: u16::try_from(width).unwrap_or(256) }
}

/// The tiles that hold what a range is folded from, in a tree of `size`.
#[must_use]
pub fn tiles_of(range: &Range, size: u64) -> Vec<TileAt> {
    let mut tiles: Vec<TileAt> =
        perfect(range).into_iter().map(|(start, height)| tile_of(start, height, size)).collect();
    tiles.dedup();
    tiles
}

/// The hash over a range, from the tiles that [`tiles_of`] names; none when one is missing or too short.
#[must_use]
pub fn range_hash(range: &Range, size: u64, tiles: &BTreeMap<TileAt, Vec<u8>>) -> Option<Digest> {
    let mut hashes = Vec::new();
    for (start, height) in perfect(range) {
        let at = tile_of(start, height, size);
        let bytes = tiles.get(&at)?;
        let first = usize::try_from((start >> (8 * u32::from(at.level))) % TILE as u64).ok()?;
        let count = 1_usize << (height % 8);
        let slice = bytes.get(first * 32..(first + count) * 32)?;
        let leaves: Vec<Digest> = slice.as_chunks::<32>().0.iter().map(|hash| Digest(*hash)).collect();
        hashes.push(perfect_root(&leaves));
    }
    let last = hashes.pop()?;
    Some(hashes.into_iter().rev().fold(last, |right, left| node_hash(&left, &right)))
}

/// The bytes of a tile that is not kept because it is not full: level 0 from leaf hashes, higher levels from the full tiles
/// below. None when one of those is missing.
pub fn tile_bytes(
    at: TileAt,
    leaf: impl Fn(u64) -> Option<Digest>,
    full: impl Fn(u8, u64) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let first = at.index * TILE as u64;
    let hash = |n: u64| {
        if at.level == 0 {
            return leaf(n);
        }
        let bytes = full(at.level - 1, n)?;
        let hashes: Vec<Digest> = bytes.as_chunks::<32>().0.iter().map(|hash| Digest(*hash)).collect();
        (hashes.len() == TILE).then(|| perfect_root(&hashes))
    };
    (first..first + u64::from(at.width))
        .map(hash)
        .collect::<Option<Vec<Digest>>>()
        .map(|all| all.into_iter().flat_map(|hash| hash.0).collect())
}
