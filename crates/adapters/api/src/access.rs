//! Who is asking, and may they do that? The cluster is asked, and its answers are kept for seconds.
//!
//! ```text
//! headers ─▶ token ─▶ Authority ─▶ tokens (memory) ─▶ lanes ─▶ Reviews::identify ─▶ TokenReview
//!                        │ User
//!                        └──────▶ rights (memory) ───────────▶ Reviews::allows ───▶ SubjectAccessReview
//!                                     └─▶ Session: the caller, for as long as the request lasts
//! ```
//!
//! Only a plain yes lets in. A no, an error, an answer that makes no sense and none at all are refused alike.

mod memory;
mod session;
mod token;

use crate::query::{self, Pairs};
use crate::{Access, ApiError, Verb};
use futures::future::BoxFuture;
use memory::{Memory, Verdict};
use model::{CallError, Digest, ErrorClass, User};
pub(crate) use session::Session;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
pub use token::Token;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use warp::http::header::HeaderMap;

/// Tokens whose review is remembered, good and bad.
const MOST_TOKENS: usize = 1024;
/// Rights whose review is remembered: one for each user, verb and Application.
const MOST_RIGHTS: usize = 4096;
/// Reviews of tokens under way at once, in each lane.
const TOKENS_AT_ONCE: usize = 4;
/// Reviews of rights under way at once, in each lane.
const RIGHTS_AT_ONCE: usize = 8;
/// Questions that wait for their turn, in each lane; a further one is not asked.
const LONGEST_QUEUE: usize = 256;
/// How long a token that is refused keeps its place in the lane for strangers: so 40 bad tokens a second are reviewed.
const PENALTY: Duration = Duration::from_millis(100);
/// Longest wait for a review, from when it is wanted.
const DEADLINE: Duration = Duration::from_secs(10);
/// Trouble with reviews is told once in this time.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// What somebody wants to do to Applications.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// What.
    pub verb: Verb,
    /// In which namespace.
    pub namespace: String,
    /// To which Application; empty for all of the namespace.
    pub name: String,
}

/// Asks whose a token is; `None` where it is nobody's.
pub type Identify = Arc<dyn Fn(Token) -> BoxFuture<'static, Result<Option<User>, CallError>> + Send + Sync>;

/// Asks whether somebody may do something.
pub type Allows =
    Arc<dyn Fn(Arc<User>, Question) -> BoxFuture<'static, Result<bool, CallError>> + Send + Sync>;

/// Who knows users and rights.
#[derive(Clone)]
pub struct Reviews {
    /// Whose is a token?
    pub identify: Identify,
    /// May somebody do this?
    pub allows: Allows,
    /// Where Applications are that a request names without a namespace.
    pub namespace: String,
}

/// Who is let in.
#[derive(Clone, Default)]
pub(crate) enum Admission {
    /// Whoever reaches the listener, which is on loopback then.
    #[default]
    Everyone,
    /// Who shows a token, for what its owner may do.
    Reviewed(Arc<Authority>),
}

impl Admission {
    pub(crate) fn new(reviews: Option<Reviews>) -> Self {
        reviews.map_or(Self::Everyone, |reviews| Self::Reviewed(Arc::new(Authority::new(reviews))))
    }

    /// Lets a request in, or not: one of the route that needs `access`, with what stands for `{name}` in its path.
    ///
    /// # Errors
    /// 401, 400 where the request names no Application that could be, or 403.
    pub(crate) async fn admit(
        &self,
        access: Access,
        headers: &HeaderMap,
        (name, pairs): (&str, &Pairs),
    ) -> Result<Session, ApiError> {
        let Self::Reviewed(authority) = self else { return Ok(Session::of_everyone()) };
        let (verb, names_app) = match access {
            Access::Anyone => return Ok(Session::of_everyone()),
            Access::List => (Verb::List, false),
            Access::App(verb) => (verb, true),
        };
        let question = |control: &str| {
            let (name, namespace) = if names_app {
                let app = query::app_ref(name.to_owned(), pairs)?;
                (app.name, app.namespace)
            } else {
                let (name, namespace) = query::listed(pairs)?;
                (name.map_or_else(String::new, String::from), namespace.map(String::from))
            };
            Ok(Question { verb, namespace: namespace.unwrap_or_else(|| control.to_owned()), name })
        };
        Session::begin(authority, headers, question).await
    }
}

#[cfg(test)]
impl Admission {
    pub(crate) fn n_remembered(&self) -> usize {
        match self {
            Self::Everyone => 0,
            Self::Reviewed(authority) => authority.tokens.len(),
        }
    }
}

/// What the cluster said of tokens and rights, for as long as it counts.
pub(crate) struct Authority {
    reviews: Reviews,
    tokens: Memory<Digest, Arc<User>>,
    rights: Memory<(Arc<User>, Question), ()>,
    /// For tokens that were good when they were last reviewed: a flood of others does not hold them up.
    known: Lane,
    strangers: Lane,
    /// The same for rights.
    kept: Lane,
    permissions: Lane,
    told: Mutex<Option<Instant>>,
}

impl Authority {
    fn new(reviews: Reviews) -> Self {
        Self {
            reviews,
            tokens: Memory::new(MOST_TOKENS),
            rights: Memory::new(MOST_RIGHTS),
            known: Lane::new(TOKENS_AT_ONCE),
            strangers: Lane::new(TOKENS_AT_ONCE),
            kept: Lane::new(RIGHTS_AT_ONCE),
            permissions: Lane::new(RIGHTS_AT_ONCE),
            told: Mutex::default(),
        }
    }

    async fn identify(self: &Arc<Self>, token: &Token) -> Verdict<Arc<User>> {
        let (authority, asked) = (Arc::clone(self), token.clone());
        let review = |was_good: bool| async move {
            let end = Instant::now() + DEADLINE;
            let lane = if was_good { &authority.known } else { &authority.strangers };
            let Some(_place) = lane.turn(end).await else { return Verdict::Unclear };
            let answer = in_time(end, (authority.reviews.identify)(asked)).await;
            let verdict = authority.judge(answer.map(|user| user.map(Arc::new)));
            if !was_good && !matches!(verdict, Verdict::Yes(_)) {
                tokio::time::sleep(PENALTY).await;
            }
            verdict
        };
        self.tokens.get(token.fingerprint(), review).await
    }

    async fn allows(self: &Arc<Self>, user: &Arc<User>, question: &Question) -> Verdict<()> {
        let key = (Arc::clone(user), question.clone());
        let (authority, (user, question)) = (Arc::clone(self), key.clone());
        let review = |was_good: bool| async move {
            let end = Instant::now() + DEADLINE;
            let lane = if was_good { &authority.kept } else { &authority.permissions };
            let Some(_place) = lane.turn(end).await else { return Verdict::Unclear };
            let answer = in_time(end, (authority.reviews.allows)(user, question)).await;
            authority.judge(answer.map(|may| may.then_some(())))
        };
        self.rights.get(key, review).await
    }

    fn judge<T>(&self, answer: Result<Option<T>, CallError>) -> Verdict<T> {
        match answer {
            Ok(Some(yes)) => Verdict::Yes(yes),
            Ok(None) => Verdict::No,
            Err(error) => {
                self.tell(&error);
                Verdict::Unclear
            }
        }
    }

    fn tell(&self, error: &CallError) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        *told = Some(Instant::now());
        let hint = if error.class == ErrorClass::Forbidden {
            "; grant `create` on tokenreviews.authentication.k8s.io and subjectaccessreviews.authorization.k8s.io to the agent"
        } else {
            ""
        };
        tracing::warn!(%error, "callers of the API are refused, for the cluster does not tell who they are or what they may{hint}");
    }
}

/// Where questions wait for their turn, and not too many of them.
struct Lane {
    places: Semaphore,
    queue: Semaphore,
}

impl Lane {
    fn new(n_places: usize) -> Self {
        Self { places: Semaphore::new(n_places), queue: Semaphore::new(LONGEST_QUEUE) }
    }

    /// Waits for a place; `None` where too many wait, or none comes free in time.
    async fn turn(&self, end: Instant) -> Option<SemaphorePermit<'_>> {
        let _waiting = self.queue.try_acquire().ok()?;
        tokio::time::timeout_at(end, self.places.acquire()).await.ok()?.ok()
    }
}

async fn in_time<T>(
    end: Instant,
    review: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let late = || CallError::new(ErrorClass::Unavailable, format!("no answer within {DEADLINE:?}"));
    tokio::time::timeout_at(end, review).await.unwrap_or_else(|_| Err(late()))
}
