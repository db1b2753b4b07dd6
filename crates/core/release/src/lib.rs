//! What did a sync leave behind, is it really ours, and what is kept of it?
//!
//! ```text
//! Record ─┐                      ┌─▶ parts …  ┐
//!         ├─ seal (Key) ─▶ Secrets            ├─ open_head (Key) ─▶ Head | Refusal
//! Payload ┘                      └─▶ head     ┘  open_payload    ─▶ objects | Refusal
//!                                                 │
//!            trim, next_number, newest_stable over [Head]; History ─▶ Delivery over [Record]
//! ```
//!
//! A release is a second source of truth beside Git: whoever can write Secrets could plant one and have it applied. So each
//! is sealed with a key that only the agent has, over everything that decides something: the app and its uid, the number,
//! the content's hash, the verdict, what was created, the payload's digest, and the name under which it lies.

mod delivery;
mod head;
mod keep;
mod key;
mod name;
mod payload;
mod record;
mod refusal;
mod seal;
mod unclaimed;

pub use delivery::{Delivery, History, WINDOW};
pub use head::{Head, Listing, PayloadState, claimed_number, open_head, open_payload};
pub use keep::{KEPT_PAYLOADS, Trim, newest_stable, next_number, trim};
pub use key::Key;
pub use name::{head_name, part_name};
pub use payload::{LARGEST, Payload, TooLarge};
pub use record::{Cause, Record, Timings, Verdict};
pub use refusal::{Refusal, Why};
pub use seal::{FORMAT, ROOM, seal};
pub use unclaimed::Unclaimed;
