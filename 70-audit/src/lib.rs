//! The journal as a hash chain and a Merkle tree: sealing entries, signing checkpoints, proving and verifying.
//!
//! In: drafts with their place in the journal, or stored bytes. Out: sealed entries and tiles, inclusion and consistency
//! proofs, or the first thing that does not hold. The same few functions serve the writer, the server's `verify`, and the
//! verifier that works from an exported directory with no server at hand.
//!
//! This layer refuses to know what any entry means: it sees bytes and kinds, never a layer's types, and it neither reads
//! files nor asks for the time.

mod bundle;
mod checkpoint;
mod event;
mod keys;
mod leaf;
#[cfg(test)]
mod parse_laws;
mod prove;
mod tree;
mod verify;

pub use bundle::{Bundle, BundleError, BundledEntry, Checked, Proof};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use event::{Accepted, AuditEvent, CONTINUED, Continuation, Point};
pub use keys::{KEY_ROTATED, KeyChain};
pub use leaf::{Chain, ENTRY_BYTES_MAX, Place, ZERO_LEAF, draft_bytes};
pub use prove::{Range, TileAt, consistency_ranges, inclusion_ranges, range_hash, tile_bytes, tiles_of};
pub use tree::{Frontier, root_from_consistency, root_from_inclusion, verify_consistency, verify_inclusion};
pub use verify::{Audit, Expected, Fault, Verifier, attachments_of, erasables_of};
