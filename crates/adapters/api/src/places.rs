//! How many requests that take much are answered at once, and how many of them for one caller?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for requests of one sort. One caller has at most half of them, so that there is always room for another.
pub(crate) struct Places {
    most: usize,
    free: Arc<Semaphore>,
    /// What is left of each user's own half; what nobody holds a place of is forgotten.
    users: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _of_user: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

/// Whose places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All of them.
    All,
    /// The half that the caller may have.
    Own,
}

impl Places {
    /// Makes so many places.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, free: Arc::new(Semaphore::new(most)), users: Mutex::default() }
    }

    /// Returns how many there are.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Returns how many of them one user may have.
    pub(crate) fn most_of_one(&self) -> usize {
        (self.most / 2).max(1)
    }

    /// Takes a place for a user, and waits for one at most so long. Where nobody was asked who they are, the name is empty, and
    /// nobody's half counts.
    ///
    /// # Errors
    /// Whose places are taken.
    pub(crate) async fn take(&self, user: &str, patience: Duration) -> Result<Place, Taken> {
        let mut taken = Taken::Own;
        let place = async {
            let of_user = match self.half_of(user) {
                Some(half) => Some(half.acquire_owned().await.map_err(|_| Taken::Own)?),
                None => None,
            };
            taken = Taken::All;
            let of_all = Arc::clone(&self.free).acquire_owned().await.map_err(|_| Taken::All)?;
            Ok(Place { _of_user: of_user, _of_all: of_all })
        };
        let place = tokio::time::timeout(patience, place).await;
        place.unwrap_or(Err(taken))
    }

    fn half_of(&self, user: &str) -> Option<Arc<Semaphore>> {
        if user.is_empty() {
            return None;
        }
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(half) = users.get(user).and_then(Weak::upgrade) {
            return Some(half);
        }
        users.retain(|_, half| half.strong_count() > 0);
        let half = Arc::new(Semaphore::new(self.most_of_one()));
        users.insert(user.to_owned(), Arc::downgrade(&half));
        Some(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_AT_ALL: Duration = Duration::ZERO;

    #[tokio::test]
    async fn one_user_takes_half_of_them_and_another_the_rest() {
        let places = Places::new(4);
        let ada =
            [places.take("ada", NOT_AT_ALL).await.unwrap(), places.take("ada", NOT_AT_ALL).await.unwrap()];
        assert_eq!(places.take("ada", NOT_AT_ALL).await.unwrap_err(), Taken::Own);
        let bob =
            [places.take("bob", NOT_AT_ALL).await.unwrap(), places.take("bob", NOT_AT_ALL).await.unwrap()];
        assert_eq!(places.take("cy", NOT_AT_ALL).await.unwrap_err(), Taken::All);
        drop(ada);
        places.take("cy", NOT_AT_ALL).await.unwrap();
        assert_eq!(places.take("bob", NOT_AT_ALL).await.unwrap_err(), Taken::Own);
        drop(bob);
        places.take("dan", NOT_AT_ALL).await.unwrap();
        assert_eq!(places.users.lock().unwrap().len(), 1, "who holds nothing is forgotten");
    }

    #[tokio::test]
    async fn who_is_not_asked_who_they_are_may_have_all() {
        let places = Places::new(3);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(places.take("", NOT_AT_ALL).await.unwrap());
        }
        assert_eq!(places.take("", NOT_AT_ALL).await.unwrap_err(), Taken::All);
        let single = Places::new(1);
        single.take("ada", NOT_AT_ALL).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_what_comes_free_in_time() {
        let places = Arc::new(Places::new(1));
        let held = places.take("ada", NOT_AT_ALL).await.unwrap();
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take("bob", Duration::from_secs(2)).await.map(drop) }
        });
        tokio::time::sleep(Duration::from_millis(1_900)).await;
        drop(held);
        waiting.await.unwrap().unwrap();
        let _held = places.take("ada", NOT_AT_ALL).await.unwrap();
        assert_eq!(places.take("bob", Duration::from_secs(2)).await.unwrap_err(), Taken::All);
    }
}
