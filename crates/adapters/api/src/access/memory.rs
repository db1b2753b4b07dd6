//! What did the cluster say a moment ago?

use futures::FutureExt as _;
use std::collections::HashMap;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::SetOnce;
use tokio::time::Instant;

/// How long a yes counts. What is taken away in the cluster may be done for as long.
pub(super) const YES: Duration = Duration::from_secs(10);
/// How long a no counts. What is granted in the cluster works after as long.
pub(super) const NO: Duration = Duration::from_secs(5);
/// How long callers are refused without another question after one that was not answered.
const UNCLEAR: Duration = Duration::from_secs(1);

/// What is known after a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict<T> {
    Yes(T),
    No,
    /// No answer, or none that makes sense.
    Unclear,
}

impl<T> Verdict<T> {
    fn lasts(&self) -> Duration {
        match self {
            Self::Yes(_) => YES,
            Self::No => NO,
            Self::Unclear => UNCLEAR,
        }
    }
}

/// Answers by question, at most so many. Who asks what is being asked already waits for that answer.
pub(super) struct Memory<K, T> {
    most: usize,
    cells: Mutex<HashMap<K, Cell<T>>>,
}

/// An answer, once it is there, and until when it counts.
type Cell<T> = Arc<SetOnce<(Verdict<T>, Instant)>>;

impl<K: Clone + Eq + Hash, T: Clone + Send + Sync + 'static> Memory<K, T> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, cells: Mutex::default() }
    }

    /// Returns what is remembered, or else asks. `ask` is told whether the last answer was a yes, however old it is. It is
    /// asked to the end, also when nobody waits any more: callers who come and go make no further questions.
    pub(super) async fn get<F: Future<Output = Verdict<T>> + Send + 'static>(
        &self,
        key: K,
        ask: impl FnOnce(bool) -> F,
    ) -> Verdict<T> {
        let cell = self.cell(key, ask);
        cell.wait().await.0.clone()
    }

    /// Returns the place of an answer that counts or is on its way; begins to ask where there is none.
    fn cell<F: Future<Output = Verdict<T>> + Send + 'static>(
        &self,
        key: K,
        ask: impl FnOnce(bool) -> F,
    ) -> Cell<T> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let known = cells.get(&key);
        if let Some(cell) = known.filter(|cell| cell.get().is_none_or(|(_, until)| Instant::now() < *until)) {
            return Arc::clone(cell);
        }
        let last = known.and_then(|cell| cell.get());
        let was_good = last.is_some_and(|(last, _)| matches!(last, Verdict::Yes(_)));
        if known.is_none() && cells.len() >= self.most {
            forget_one(&mut cells);
        }
        let cell = Cell::default();
        cells.insert(key, Arc::clone(&cell));
        drop(cells);
        let (question, answered) = (AssertUnwindSafe(ask(was_good)), Arc::clone(&cell));
        tokio::spawn(async move {
            let verdict = question.catch_unwind().await.unwrap_or(Verdict::Unclear);
            let until = Instant::now() + verdict.lasts();
            // Nobody else sets it.
            drop(answered.set((verdict, until)));
        });
        cell
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.cells.lock().unwrap().len()
    }
}

/// Forgets what is least of use: the oldest no, then a question that is being asked, which goes on and is only not shared
/// any more, then the oldest yes. So many wrong tokens push out no right one.
fn forget_one<K: Clone + Eq + Hash, T>(cells: &mut HashMap<K, Cell<T>>) {
    let rank = |cell: &Cell<T>| match cell.get() {
        Some((Verdict::No | Verdict::Unclear, until)) => (0, Some(*until)),
        None => (1, None),
        Some((Verdict::Yes(_), until)) => (2, Some(*until)),
    };
    let least = cells.iter().min_by_key(|(_, cell)| rank(cell)).map(|(key, _)| key.clone());
    if let Some(key) = least {
        cells.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    type Count = Arc<AtomicU32>;

    async fn ask(memory: &Memory<u32, ()>, key: u32, verdict: Verdict<()>, asked: &Count) -> Verdict<()> {
        let asked = Arc::clone(asked);
        let answer = |_| async move {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            verdict
        };
        memory.get(key, answer).await
    }

    fn count(asked: &Count) -> u32 {
        asked.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn answers_count_for_their_time() {
        for (verdict, lasts) in [(Verdict::Yes(()), YES), (Verdict::No, NO), (Verdict::Unclear, UNCLEAR)] {
            let (memory, asked) = (Memory::new(9), Count::default());
            let start = Instant::now();
            assert_eq!(ask(&memory, 1, verdict.clone(), &asked).await, verdict);
            tokio::time::advance(lasts.saturating_sub(Duration::from_millis(1))).await;
            assert_eq!(ask(&memory, 1, Verdict::No, &asked).await, verdict);
            assert_eq!((count(&asked), memory.len()), (1, 1));
            tokio::time::advance(start + lasts - Instant::now()).await;
            ask(&memory, 1, Verdict::No, &asked).await;
            assert_eq!((count(&asked), memory.len()), (2, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_question_is_asked_once_however_many_wait_or_leave() {
        let (memory, asked) = (Memory::new(9), Count::default());
        for _ in 0..100 {
            assert!(ask(&memory, 1, Verdict::Yes(()), &asked).now_or_never().is_none());
        }
        let all = (0..100).map(|_| ask(&memory, 1, Verdict::No, &asked));
        let answers = futures::future::join_all(all).await;
        assert!(answers.iter().all(|answer| *answer == Verdict::Yes(())));
        assert_eq!(count(&asked), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_ends_badly_is_asked_again() {
        let (memory, asked) = (Memory::new(9), Count::default());
        assert_eq!(memory.get(1, |_| async { panic!("a mistake") }).await, Verdict::Unclear);
        tokio::time::advance(UNCLEAR).await;
        assert_eq!(ask(&memory, 1, Verdict::Yes(()), &asked).await, Verdict::Yes(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_no_pushes_out_no_yes_and_does_not_grow() {
        let (memory, asked) = (Memory::new(10), Count::default());
        for good in 0..5 {
            ask(&memory, good, Verdict::Yes(()), &asked).await;
        }
        for bad in 100..10_000 {
            ask(&memory, bad, Verdict::No, &asked).await;
            assert!(memory.len() <= 10);
        }
        let before = count(&asked);
        for good in 0..5 {
            assert_eq!(ask(&memory, good, Verdict::No, &asked).await, Verdict::Yes(()));
        }
        assert_eq!(count(&asked), before);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_good_is_known_as_such_until_it_is_not() {
        let memory: Memory<u32, ()> = Memory::new(9);
        let ask = async |verdict: Verdict<()>| {
            let mut known = None;
            let answer = |was_good| {
                known = Some(was_good);
                async { verdict }
            };
            memory.get(1, answer).await;
            known
        };
        assert_eq!(ask(Verdict::Yes(())).await, Some(false));
        assert_eq!(ask(Verdict::No).await, None);
        tokio::time::advance(YES * 100).await;
        assert_eq!(ask(Verdict::No).await, Some(true));
        tokio::time::advance(NO).await;
        assert_eq!(ask(Verdict::No).await, Some(false));
    }
}
