//! How many dry-runs may the first looks after a start cost the API server? A few each second, however many objects there are.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many may begin in [`SPAN`].
const MOST: usize = 20;
/// See [`MOST`].
const SPAN: Duration = Duration::from_secs(1);

/// Hands out the turns; clones share them.
#[derive(Clone)]
pub(crate) struct DryRuns(Arc<Semaphore>);

/// Whoever has one may send one dry-run. It comes back at once when it is dropped unused.
pub(crate) struct Turn(OwnedSemaphorePermit);

impl Default for DryRuns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl DryRuns {
    /// Waits for a turn; who came first goes first.
    pub(crate) async fn turn(&self) -> Turn {
        Turn(Arc::clone(&self.0).acquire_owned().await.expect("turns are never closed"))
    }
}

impl Turn {
    /// Takes in that the dry-run was answered. The next one may begin a while after that: so there are never more than so many
    /// in any second, however long each took.
    pub(crate) fn used(self) {
        tokio::spawn(async move {
            tokio::time::sleep(SPAN).await;
            drop(self.0);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn never_more_than_so_many_begin_in_a_second_and_an_unused_turn_costs_nothing() {
        let dry_runs = DryRuns::default();
        for _ in 0..10 * MOST {
            drop(dry_runs.turn().await);
        }
        let mut begun = Vec::new();
        for n in 0..=2 * MOST {
            let turn = dry_runs.turn().await;
            begun.push(Instant::now());
            if n % 7 == 0 {
                tokio::task::yield_now().await;
            }
            turn.used();
        }
        for (earlier, later) in begun.iter().zip(&begun[MOST..]) {
            assert!(later.duration_since(*earlier) >= SPAN);
        }
    }
}
