//! How far had a sync got that was under way, when that was last told? What another life of the agent needs to know to hold it
//! to the same deadline.

use crate::{Digest, Timestamp};

/// How far a sync that waits for health had got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headway {
    /// When this try of it began.
    pub tried_at: Timestamp,
    /// What the app's progress looked like, as in [`crate::Comparison::progress`].
    pub progress: Digest,
    /// When something got on last: when it began to look like that.
    pub progress_at: Timestamp,
}
