//! What would the cluster say of callers? A fake that knows a few tokens and rights, and counts what it is asked.

use crate::{Question, Reviews, Verb};
use futures::FutureExt as _;
use model::{CallError, ErrorClass, User};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Well,
    /// By an error.
    Badly,
    /// Never.
    NotAtAll,
}

#[derive(Default)]
pub(super) struct State {
    /// Tokens, each its owner's name.
    pub(super) tokens: BTreeSet<String>,
    /// Rights, as `ada may update argocd/shop`.
    pub(super) rights: BTreeSet<String>,
    /// The groups that whoever shows a token is in, and which of the owners of a name that is.
    pub(super) groups: Vec<String>,
    pub(super) uid: String,
    pub(super) on_tokens: Mood,
    pub(super) on_rights: Mood,
    /// Tokens that were reviewed.
    pub(super) reviewed: Vec<String>,
    /// Rights that were asked for, in the same words.
    pub(super) asked: Vec<String>,
}

#[derive(Clone, Default)]
pub(super) struct FakeCluster(Arc<Mutex<State>>);

impl FakeCluster {
    /// Knows `ada` with these rights.
    pub(super) fn with(rights: &[&str]) -> Self {
        let cluster = Self::default();
        cluster.edit(|state| {
            state.tokens.insert("ada".into());
            state.rights.extend(rights.iter().map(ToString::to_string));
        });
        cluster
    }

    pub(super) fn edit<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    pub(super) fn reviews(&self) -> Reviews {
        let (tokens, rights) = (self.clone(), self.clone());
        Reviews {
            identify: Arc::new(move |token| {
                let known = tokens.edit(|state| {
                    state.reviewed.push(token.text().to_owned());
                    let (groups, uid) = (state.groups.clone(), state.uid.clone());
                    let user = User { name: token.text().to_owned(), groups, uid, ..User::default() };
                    (state.on_tokens, state.tokens.contains(token.text()).then_some(user))
                });
                answer(known).boxed()
            }),
            allows: Arc::new(move |user, question| {
                let Question { verb, namespace, name } = question;
                let wish = |who: &str| format!("{who} may {} {namespace}/{name}", Verb::as_str(verb));
                let of_groups: Vec<String> = user.groups.iter().map(|group| wish(group)).collect();
                let wish = wish(&user.name);
                let known = rights.edit(|state| {
                    let is_granted = |wish: &String| state.rights.contains(wish);
                    let may = is_granted(&wish) || of_groups.iter().any(is_granted);
                    state.asked.push(wish);
                    (state.on_rights, may)
                });
                answer(known).boxed()
            }),
            namespace: "argocd".into(),
        }
    }
}

async fn answer<T>((mood, answer): (Mood, T)) -> Result<T, CallError> {
    // A question takes a while, in which others come.
    tokio::task::yield_now().await;
    match mood {
        Mood::Well => Ok(answer),
        Mood::Badly => Err(CallError::new(ErrorClass::Unavailable, "etcdserver: request timed out")),
        Mood::NotAtAll => std::future::pending().await,
    }
}
