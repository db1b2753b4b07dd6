//! Who may send next? A limit on requests in flight that shrinks while the server throttles, and that parties share.
//!
//! kube speaks HTTP/1.1, one connection per request in flight, so this is also the limit on connections, watches aside.

use crate::share::{Line, Party};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Who goes first when requests queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A person waits.
    User,
    /// A sync under way.
    Apply,
    /// Dry-runs, lists, reports.
    Background,
}

/// A place among the requests in flight, given back when dropped.
pub(crate) struct Permit {
    gate: Arc<Gate>,
    party: Party,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.leave(&self.party);
    }
}

/// The limit and who waits for it.
pub(crate) struct Gate(Mutex<State>);

struct State {
    /// As configured; the limit never exceeds it.
    ceiling: usize,
    /// Requests in flight allowed now.
    limit: usize,
    /// Good answers since the limit last changed; as many as the limit raise it by one.
    good: usize,
    line: Line<oneshot::Sender<Permit>>,
}

impl Gate {
    /// Makes a gate for `ceiling` requests in flight, at least one.
    pub(crate) fn new(ceiling: usize) -> Arc<Self> {
        let ceiling = ceiling.max(1);
        Arc::new(Self(Mutex::new(State { ceiling, limit: ceiling, good: 0, line: Line::new() })))
    }

    /// Waits for a place.
    pub(crate) async fn enter(self: &Arc<Self>, party: Party, priority: Priority) -> Permit {
        let receiver = {
            let mut state = self.state();
            let limit = state.limit;
            if state.line.take(&party, limit) {
                return self.permit(party);
            }
            let (sender, receiver) = oneshot::channel();
            state.line.wait(&party, priority, sender);
            receiver
        };
        receiver.await.expect("a queued sender is dropped only after it sent")
    }

    /// Notes a 429: half as many requests from now on.
    pub(crate) fn throttled(&self) {
        let mut state = self.state();
        state.limit = (state.limit / 2).max(1);
        state.good = 0;
    }

    /// Notes an answer that was no 429; as many of them as the limit raise it by one.
    pub(crate) fn answered(self: &Arc<Self>) {
        let mut state = self.state();
        if state.limit == state.ceiling {
            return;
        }
        state.good += 1;
        if state.good >= state.limit {
            state.good = 0;
            state.limit += 1;
            drop(state);
            self.admit();
        }
    }

    /// Returns how many requests may be in flight now.
    pub(crate) fn limit(&self) -> usize {
        self.state().limit
    }

    fn leave(self: &Arc<Self>, party: &Party) {
        self.state().line.give_back(party);
        self.admit();
    }

    /// Hands free places to those who wait.
    fn admit(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            let limit = state.limit;
            let Some((party, next)) = state.line.take_next(limit) else { return };
            if next.is_closed() {
                state.line.give_back(&party);
                continue;
            }
            drop(state);
            // Outside the lock: a receiver that gave up returns the permit, whose drop comes back here.
            drop(next.send(self.permit(party)));
        }
    }

    fn permit(self: &Arc<Self>, party: Party) -> Permit {
        Permit { gate: Arc::clone(self), party }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use model::GroupKind;
    use std::pin::pin;

    fn agent() -> Party {
        Party::Kind(GroupKind::new("", "ConfigMap"))
    }

    #[tokio::test]
    async fn users_overtake_and_those_who_left_take_no_place() {
        let gate = Gate::new(1);
        let first = gate.enter(agent(), Priority::Apply).await;
        let mut background = pin!(gate.enter(agent(), Priority::Background));
        let mut user = pin!(gate.enter(agent(), Priority::User));
        let mut gone = Box::pin(gate.enter(agent(), Priority::User));
        assert!(background.as_mut().now_or_never().is_none());
        assert!(user.as_mut().now_or_never().is_none());
        assert!(gone.as_mut().now_or_never().is_none());
        drop(first);
        assert!(background.as_mut().now_or_never().is_none());
        let permit = user.as_mut().now_or_never().unwrap();
        drop(gone);
        drop(permit);
        drop(background.as_mut().now_or_never().unwrap());
        assert!(gate.state().line.is_empty());
    }

    #[tokio::test]
    async fn a_permit_sent_to_one_who_just_left_is_passed_on() {
        let gate = Gate::new(1);
        let first = gate.enter(agent(), Priority::Apply).await;
        let mut gone = Box::pin(gate.enter(agent(), Priority::User));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(first);
        drop(gone);
        assert!(gate.enter(agent(), Priority::Background).now_or_never().is_some());
    }

    #[tokio::test]
    async fn throttling_halves_and_success_recovers() {
        let gate = Gate::new(8);
        gate.throttled();
        gate.throttled();
        assert_eq!(gate.limit(), 2);
        for _ in 0..3 {
            gate.throttled();
        }
        assert_eq!(gate.limit(), 1);
        for _ in 0..1 + 2 + 3 {
            gate.answered();
        }
        assert_eq!(gate.limit(), 4);
        for _ in 0..100 {
            gate.answered();
        }
        assert_eq!(gate.limit(), 8);
    }
}
