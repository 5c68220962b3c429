//! The Merkle tree of RFC 6962 in the tiles of C2SP tlog-tiles: its growing right edge, and the checks of proofs
//! (RFC 9162 sections 2.1.3.2 and 2.1.4.2).

use writ_core::{Digest, Tile};
use writ_seal::{EMPTY_ROOT, node_hash};

/// Hashes in a full tile.
pub(crate) const TILE: usize = 256;

/// The right edge of a growing tree: enough to append and to tell the root, whatever the size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of the perfect subtrees from left to right, each with its height; heights fall strictly.
    peaks: Vec<(u32, Digest)>,
    /// The hashes of the last, not yet full tile of each level.
    levels: Vec<Vec<Digest>>,
}

impl Frontier {
    /// The edge of a tree of `size` leaves, from the hashes of each level's last partial tile, level 0 first.
    /// None when the counts do not fit the size.
    #[must_use]
    pub fn restore(size: u64, levels: Vec<Vec<Digest>>) -> Option<Self> {
        let fits = |(level, hashes): (usize, &Vec<Digest>)| {
            let count = size.checked_shr(8 * u32::try_from(level).ok()?).unwrap_or(0) % TILE as u64;
            (hashes.len() as u64 == count).then_some(())
        };
        levels.iter().enumerate().map(fits).collect::<Option<Vec<()>>>()?;
        if size.checked_shr(8 * u32::try_from(levels.len()).ok()?).unwrap_or(0) > 0 {
            return None;
        }
        let mut peaks = Vec::new();
        for (level, hashes) in levels.iter().enumerate().rev() {
            let mut rest = hashes.as_slice();
            for bit in (0..8_u32).rev() {
                let width = 1_usize << bit;
                if hashes.len() & width != 0 {
                    let (subtree, after) = rest.split_at(width);
                    peaks.push((8 * u32::try_from(level).ok()? + bit, perfect_root(subtree)));
                    rest = after;
                }
            }
        }
        Some(Self { size, peaks, levels })
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf hash; tiles that became full are added to `full`.
    pub fn push(&mut self, leaf: Digest, full: &mut Vec<Tile>) {
        self.size += 1;
        self.settle(0, leaf, full);
        let (mut height, mut hash) = (0, leaf);
        while let Some((_, left)) = self.peaks.pop_if(|(peak, _)| *peak == height) {
            hash = node_hash(&left, &hash);
            height += 1;
            if height % 8 == 0 {
                self.settle(height / 8, hash, full);
            }
        }
        self.peaks.push((height, hash));
    }

    fn settle(&mut self, level: u32, hash: Digest, full: &mut Vec<Tile>) {
        let at = level as usize;
        if self.levels.len() <= at {
            self.levels.resize_with(at + 1, Vec::new);
        }
        self.levels[at].push(hash);
        if self.levels[at].len() == TILE {
            let bytes = self.levels[at].drain(..).flat_map(|hash| hash.0).collect();
            let index = (self.size >> (8 * level)).saturating_sub(1) / TILE as u64;
            full.push(Tile { bytes, index, level: u8::try_from(level).unwrap_or(u8::MAX) });
        }
    }

    /// The root over all leaves; SHA-256 of nothing when there are none.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev().map(|(_, hash)| *hash);
        peaks.next().map_or(EMPTY_ROOT, |last| peaks.fold(last, |right, left| node_hash(&left, &right)))
    }
}

/// The root over a power of two of hashes.
pub(crate) fn perfect_root(hashes: &[Digest]) -> Digest {
    match hashes {
        [] => EMPTY_ROOT,
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len() / 2);
            node_hash(&perfect_root(left), &perfect_root(right))
        }
    }
}

/// The root that an inclusion proof leads to from a leaf hash at `index` in a tree of `size`; none when the proof has the
/// wrong length or the index lies outside.
#[must_use]
pub fn root_from_inclusion(leaf: Digest, index: u64, size: u64, proof: &[Digest]) -> Option<Digest> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// Whether a leaf hash stands at `index` in the tree of `size` leaves with this root.
#[must_use]
pub fn verify_inclusion(leaf: Digest, index: u64, size: u64, root: Digest, proof: &[Digest]) -> bool {
    root_from_inclusion(leaf, index, size, proof) == Some(root)
}

/// The two roots that a consistency proof leads to between trees of `old` and `new` leaves.
#[must_use]
pub fn root_from_consistency(old: u64, new: u64, old_root: Digest, proof: &[Digest]) -> Option<(Digest, Digest)> {
    if old == 0 || old >= new {
        return None;
    }
    let mut hashes = proof.iter();
    let first = if old.is_power_of_two() { old_root } else { *hashes.next()? };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut before, mut after) = (first, first);
    for hash in hashes {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            before = node_hash(hash, &before);
            after = node_hash(hash, &after);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            after = node_hash(&after, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some((before, after))
}

/// Whether the tree of `new` leaves begins with the tree of `old` leaves.
#[must_use]
pub fn verify_consistency(old: u64, new: u64, old_root: Digest, new_root: Digest, proof: &[Digest]) -> bool {
    match old {
        0 => proof.is_empty() && old_root == EMPTY_ROOT,
        _ if old == new => proof.is_empty() && old_root == new_root,
        _ => root_from_consistency(old, new, old_root, proof) == Some((old_root, new_root)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{consistency_ranges, inclusion_ranges, range_hash, tile_bytes, tiles_of};
    use std::collections::BTreeMap;
    use writ_seal::leaf_hash;

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    /// RFC 6962 section 2.1, word for word: the definition everything else is held against.
    fn tree_hash(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => EMPTY_ROOT,
            [one] => *one,
            more => {
                let split = more.len().next_power_of_two() / 2;
                node_hash(&tree_hash(&more[..split]), &tree_hash(&more[split..]))
            }
        }
    }

    #[test]
    fn the_edge_tells_the_root_of_the_definition_at_every_size() {
        let all = leaves(1_100);
        let (mut frontier, mut full) = (Frontier::default(), Vec::new());
        assert_eq!(frontier.root(), EMPTY_ROOT);
        for (at, leaf) in all.iter().enumerate() {
            frontier.push(*leaf, &mut full);
            assert_eq!(frontier.root(), tree_hash(&all[..=at]), "size {}", at + 1);
            assert_eq!(Frontier::restore(frontier.size(), frontier.levels.clone()), Some(frontier.clone()));
        }
        assert_eq!(
            full.iter().map(|tile| (tile.level, tile.index)).collect::<Vec<_>>(),
            [(0, 0), (0, 1), (0, 2), (0, 3)]
        );
    }

    #[test]
    fn proofs_from_tiles_hold_and_a_flipped_bit_fails() {
        let all = leaves(70_000);
        let (mut frontier, mut full, mut roots) = (Frontier::default(), Vec::new(), vec![EMPTY_ROOT]);
        for leaf in &all {
            frontier.push(*leaf, &mut full);
            roots.push(frontier.root());
        }
        let kept: BTreeMap<(u8, u64), Vec<u8>> =
            full.into_iter().map(|tile| ((tile.level, tile.index), tile.bytes)).collect();
        let root_at = |size: u64| roots[size as usize];
        for size in [1_u64, 2, 3, 7, 255, 256, 257, 511, 65_535, 65_536, 65_537, 70_000] {
            let tile = |at: crate::TileAt| {
                kept.get(&(at.level, at.index)).cloned().unwrap_or_else(|| {
                    tile_bytes(at, |n| all.get(n as usize).copied(), |level, index| kept.get(&(level, index)).cloned())
                        .unwrap()
                })
            };
            let hash = |range: &crate::Range| {
                let tiles = tiles_of(range, size).into_iter().map(|at| (at, tile(at))).collect();
                range_hash(range, size, &tiles).unwrap()
            };
            let root = root_at(size);
            for index in [0, size / 3, size / 2, size - 1] {
                let proof: Vec<Digest> = inclusion_ranges(index, size).iter().map(hash).collect();
                assert!(verify_inclusion(all[index as usize], index, size, root, &proof), "{index} of {size}");
                assert!(!verify_inclusion(leaf_hash(b"other"), index, size, root, &proof));
                assert!(!verify_inclusion(all[index as usize], index + 1, size, root, &proof) || size == 1);
                for at in 0..proof.len() {
                    let mut bent = proof.clone();
                    bent[at].0[7] ^= 1;
                    assert!(!verify_inclusion(all[index as usize], index, size, root, &bent));
                }
            }
            for old in [1, size / 3, size / 2, size.saturating_sub(1)].into_iter().filter(|old| (1..size).contains(old))
            {
                let proof: Vec<Digest> = consistency_ranges(old, size).iter().map(hash).collect();
                assert!(verify_consistency(old, size, root_at(old), root, &proof), "{old} to {size}");
                assert!(!verify_consistency(old, size, leaf_hash(b"x"), root, &proof));
                for at in 0..proof.len() {
                    let mut bent = proof.clone();
                    bent[at].0[0] ^= 128;
                    assert!(!verify_consistency(old, size, root_at(old), root, &bent));
                }
            }
        }
    }
}
