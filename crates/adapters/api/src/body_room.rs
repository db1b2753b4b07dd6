//! How much memory do bodies take together that are still on their way, and whose goes first?
//!
//! Anybody may begin a body and never end it. So nobody waits for another's: each is read as it comes, and only what has come
//! counts. Where that is too much, the body of which something came and that has been on its way longest is given up. One that
//! is sent at once is there before it is the oldest, however many drip beside it; only who sends more than all the room within
//! that time keeps it out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Room for bodies on their way.
pub(crate) struct BodyRoom {
    /// Bytes at most.
    most: usize,
    bodies: Mutex<Bodies>,
}

#[derive(Default)]
struct Bodies {
    /// Bytes of all of them.
    n_bytes: usize,
    /// How many were begun.
    n_begun: u64,
    /// By the number with which each was begun.
    open: BTreeMap<u64, Open>,
}

struct Open {
    n_bytes: usize,
    /// Dropped when it is given up.
    _kept: oneshot::Sender<()>,
}

impl Bodies {
    fn end(&mut self, number: u64) {
        if let Some(body) = self.open.remove(&number) {
            self.n_bytes -= body.n_bytes;
        }
    }
}

/// One body's share of the room, given back when it is dropped.
pub(crate) struct Share {
    room: Arc<BodyRoom>,
    number: u64,
    given_up: oneshot::Receiver<()>,
}

impl BodyRoom {
    /// Makes room for so many bytes.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, bodies: Mutex::default() })
    }

    /// Begins a body.
    pub(crate) fn begin(self: &Arc<Self>) -> Share {
        let (kept, given_up) = oneshot::channel();
        let mut bodies = self.bodies();
        let number = bodies.n_begun;
        bodies.n_begun += 1;
        bodies.open.insert(number, Open { n_bytes: 0, _kept: kept });
        drop(bodies);
        Share { room: Arc::clone(self), number, given_up }
    }

    fn bodies(&self) -> MutexGuard<'_, Bodies> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Counts what came of the body, and gives up the oldest ones, this one perhaps, until all of them fit.
    pub(crate) fn add(&self, n_bytes: usize) {
        let mut bodies = self.room.bodies();
        if let Some(body) = bodies.open.get_mut(&self.number) {
            body.n_bytes += n_bytes;
            bodies.n_bytes += n_bytes;
        }
        while bodies.n_bytes > self.room.most {
            let oldest = bodies.open.iter().find(|(_, body)| body.n_bytes > 0).map(|(number, _)| *number);
            let Some(oldest) = oldest else { return };
            bodies.end(oldest);
        }
    }

    /// Waits until this body is given up for another.
    pub(crate) async fn given_up(&mut self) {
        // Nothing is ever sent: the sender goes with the place.
        let _gone = (&mut self.given_up).await;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.bodies().end(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn is_given_up(share: &mut Share) -> bool {
        share.given_up().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        let room = BodyRoom::new(10);
        // Of which nothing came yet: it takes no room.
        let mut on_its_way = room.begin();
        let mut bodies: Vec<Share> = (0..4).map(|_| room.begin()).collect();
        for body in &bodies {
            body.add(2);
        }
        bodies[3].add(2);
        assert!(!bodies.iter_mut().any(is_given_up), "they just fit");
        bodies[2].add(3);
        let given_up: Vec<bool> = bodies.iter_mut().map(is_given_up).collect();
        assert_eq!(given_up, [true, true, false, false]);
        assert!(!is_given_up(&mut on_its_way));
        assert_eq!(room.bodies().n_bytes, 9);
    }

    #[test]
    fn one_that_is_too_large_by_itself_goes_last_and_what_ends_gives_its_room_back() {
        let room = BodyRoom::new(10);
        let (mut older, mut larger) = (room.begin(), room.begin());
        older.add(1);
        larger.add(11);
        assert!(is_given_up(&mut older) && is_given_up(&mut larger));
        larger.add(11);
        assert_eq!(room.bodies().n_bytes, 0, "what was given up counts no more");
        let ends = room.begin();
        ends.add(10);
        drop((ends, older, larger));
        assert!(room.bodies().open.is_empty() && room.bodies().n_bytes == 0);
    }
}
