//! What was asked of the API server, and which faults are still to come?

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::asked::Asked;
use super::fault::{Fault, Refusal, Rule};
use crate::kube::DEADLINE;

/// A request that came by.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which process of the agent asked, counted from zero.
    pub life: usize,
    /// When it came.
    pub at: Instant,
    /// What it wanted.
    pub asked: Asked,
    /// What the API server, or a fault in its place, answered; none where no answer came (yet).
    pub status: Option<u16>,
    /// When a whole answer was passed on to the agent; none where it was lost on the way, and for a watch.
    pub reached: Option<Instant>,
    /// What befell it.
    pub fault: Option<Fault>,
    /// When a watch told something last.
    pub told: Option<Instant>,
    /// What a deletion, or the holder of a lease, was sent with.
    pub body: Vec<u8>,
}

/// What the connections of a proxy share.
#[derive(Default)]
pub(crate) struct Journal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    rules: Vec<Armed>,
    /// What befalls all that no rule is about.
    refusal: Option<Refusal>,
    /// What is left out of discovery.
    hidden: Option<String>,
    /// Those that are open, each by a number of its own.
    sockets: BTreeMap<usize, TcpStream>,
    n_sockets: usize,
    pid: Option<u32>,
    life: usize,
    /// The first answers to reads, by path and query.
    first: BTreeMap<String, Vec<u8>>,
}

struct Armed {
    rule: Rule,
    n_seen: usize,
    n_fired: usize,
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request to a path with its query, and returns its number and what befalls it; nothing where the process is dead
    /// that sent it.
    pub(crate) fn take_in(
        &self,
        life: usize,
        asked: &Asked,
        target: &str,
        body: &[u8],
    ) -> Option<(usize, Option<Fault>)> {
        let mut state = self.lock();
        if life != state.life {
            return None;
        }
        let is_known = state.first.contains_key(target);
        let fault = state.rules.iter_mut().find_map(|armed| armed.request(asked, is_known));
        let fault = fault.or(state.refusal.map(Fault::Refuse));
        let number = state.entries.len();
        state.entries.push(Entry {
            life,
            at: Instant::now(),
            asked: asked.clone(),
            status: None,
            reached: None,
            fault,
            told: None,
            body: body.to_owned(),
        });
        self.changed.notify_all();
        Some((number, fault))
    }

    /// Notes that a watch tells something, and returns what befalls that.
    pub(crate) fn befalls_event(&self, number: usize, asked: &Asked) -> Option<Fault> {
        let mut state = self.lock();
        state.entries[number].told = Some(Instant::now());
        state.rules.iter_mut().find_map(|armed| armed.event(asked))
    }

    pub(crate) fn answered(&self, number: usize, status: u16) {
        self.lock().entries[number].status = Some(status);
        self.changed.notify_all();
    }

    /// Notes that the whole answer is on its way to the agent.
    pub(crate) fn passes_on(&self, number: usize) {
        self.lock().entries[number].reached = Some(Instant::now());
    }

    pub(crate) fn arm(&self, rules: &[Rule]) {
        let armed = |rule: &Rule| Armed { rule: rule.clone(), n_seen: 0, n_fired: 0 };
        self.lock().rules.extend(rules.iter().map(armed));
    }

    pub(crate) fn refuse_all(&self, refusal: Option<Refusal>) {
        self.lock().refusal = refusal;
    }

    pub(crate) fn hide_group(&self, group: Option<&str>) {
        self.lock().hidden = group.map(str::to_owned);
    }

    pub(crate) fn hidden_group(&self) -> Option<String> {
        self.lock().hidden.clone()
    }

    /// Forgets the faults that are still to come; returns how often each came.
    pub(crate) fn disarm(&self) -> Vec<usize> {
        let rules = std::mem::take(&mut self.lock().rules);
        rules.iter().map(|armed| armed.n_fired).collect()
    }

    pub(crate) fn n_fired(&self) -> Vec<usize> {
        self.lock().rules.iter().map(|armed| armed.n_fired).collect()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.lock().entries.clone()
    }

    pub(crate) fn runs(&self, pid: u32) {
        self.lock().pid = Some(pid);
        self.changed.notify_all();
    }

    /// Returns how many processes were killed so far.
    pub(crate) fn life(&self) -> usize {
        self.lock().life
    }

    /// Keeps a socket, so that it can be cut, until what this returns is dropped.
    pub(crate) fn keep(&self, socket: TcpStream) -> Kept<'_> {
        let mut state = self.lock();
        state.n_sockets += 1;
        let number = state.n_sockets;
        state.sockets.insert(number, socket);
        Kept { journal: self, number }
    }

    pub(crate) fn cut(&self) {
        for socket in std::mem::take(&mut self.lock().sockets).into_values() {
            // The other side may have closed it before.
            drop(socket.shutdown(Shutdown::Both));
        }
    }

    /// Kills the agent, once it is known which process it is.
    pub(crate) fn kill(&self) {
        let state = self.changed.wait_timeout_while(self.lock(), DEADLINE, |state| state.pid.is_none());
        let mut state = state.unwrap_or_else(PoisonError::into_inner).0;
        let Some(pid) = state.pid.take() else { return };
        // One that has ended already need not be killed.
        drop(Command::new("kill").args(["-KILL", &pid.to_string()]).status());
        state.life += 1;
        drop(state);
        self.cut();
        self.changed.notify_all();
    }

    /// Waits until so many processes were killed; returns whether they were.
    pub(crate) fn wait_killed(&self, n_killed: usize, longest: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), longest, |state| state.life < n_killed);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Waits until `is_it` holds for none of the requests of the last `quiet`; returns whether that came to be in time.
    pub(crate) fn wait_quiet(
        &self,
        quiet: Duration,
        longest: Duration,
        is_it: impl Fn(&Entry) -> bool,
    ) -> bool {
        let begun = Instant::now();
        let mut state = self.lock();
        loop {
            let last = state.entries.iter().rev().find(|entry| is_it(entry)).map(|entry| entry.at);
            let since = last.map_or(begun, |last| last.max(begun));
            let left = (since + quiet).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if begun.elapsed() > longest {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Keeps an answer for a read that is to be answered like the first one.
    pub(crate) fn remember(&self, target: &str, answer: &[u8]) {
        self.lock().first.entry(target.to_owned()).or_insert_with(|| answer.to_owned());
    }

    pub(crate) fn remembered(&self, target: &str) -> Option<Vec<u8>> {
        self.lock().first.get(target).cloned()
    }
}

/// A socket that can be cut.
pub(crate) struct Kept<'a> {
    journal: &'a Journal,
    number: usize,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.journal.lock().sockets.remove(&self.number);
    }
}

impl Armed {
    /// Returns what befalls a request; `is_known` says whether an older answer to it is kept.
    fn request(&mut self, asked: &Asked, is_known: bool) -> Option<Fault> {
        // Opening a watch again is where its end by a status shows; all else befalls what it tells.
        let is_opening = self.rule.fault == Fault::ExpireByStatus;
        if self.rule.fault.is_of_stream() && !(is_opening && self.n_fired % 2 == 1) {
            return None;
        }
        self.fire(asked, is_known || self.rule.fault != Fault::Stale)
    }

    fn event(&mut self, asked: &Asked) -> Option<Fault> {
        let is_opening = self.rule.fault == Fault::ExpireByStatus && self.n_fired % 2 == 1;
        if self.rule.fault.is_of_stream() && !is_opening { self.fire(asked, true) } else { None }
    }

    fn fire(&mut self, asked: &Asked, is_possible: bool) -> Option<Fault> {
        if self.rule.target != *asked {
            return None;
        }
        self.n_seen += 1;
        if !is_possible || self.n_seen <= self.rule.skip || self.n_fired >= self.rule.times {
            return None;
        }
        self.n_fired += 1;
        Some(self.rule.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_answered_before_is_not_answered_as_before_and_does_not_count() {
        let journal = Journal::default();
        let asked = Asked::parse("list configmaps -/*").expect("it is a request");
        journal.arm(&[Rule { target: asked.clone(), skip: 0, fault: Fault::Stale, times: 1 }]);
        journal.remember("/api/v1/configmaps?limit=500", b"one page");
        let befell = |target: &str| journal.take_in(0, &asked, target, b"").expect("it lives").1;
        assert_eq!(befell("/api/v1/configmaps?limit=250"), None);
        assert_eq!(journal.n_fired(), [0], "nothing was told that is stale");
        assert_eq!(befell("/api/v1/configmaps?limit=500"), Some(Fault::Stale));
        assert_eq!(journal.n_fired(), [1]);
    }

    #[test]
    fn what_the_dead_asked_for_is_not_taken_for_their_successors() {
        let journal = Journal::default();
        let asked = Asked::parse("apply configmaps app/shop-0").expect("it is a request");
        let life = journal.life();
        assert!(journal.take_in(life, &asked, "/", b"").is_some());
        let mut killed = Command::new("sleep").arg("600").spawn().expect("there is sleep");
        journal.runs(killed.id());
        journal.kill();
        killed.wait().expect("it is our child");
        assert!(journal.take_in(life, &asked, "/", b"").is_none(), "it waited to be read");
        assert!(journal.take_in(journal.life(), &asked, "/", b"").is_some());
        let lives: Vec<usize> = journal.entries().iter().map(|entry| entry.life).collect();
        assert_eq!(lives, [0, 1]);
    }
}
