//! How does a commit get onto a branch of a server, and does the server say that it took it?

use crate::allowance;
use crate::clone::CacheClone;
use crate::draft::Draft;
use crate::error::{SourceError, printable};
use crate::remote::{Call, Heard, MAX_LIST, proxy, refused};
use git2::{ErrorCode, Oid, PushOptions, RemoteRedirect};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A branch that is to get a commit.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its full name.
    pub name: String,
    /// Where it has to be for that; `None` has it made.
    pub was: Option<Oid>,
}

/// What the other side made of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The commit is on the branch.
    Taken,
    /// The branch is no longer where it was; nothing was pushed.
    Moved,
    /// It was refused, in these words. The branch may have moved as well.
    Refused(String),
    /// The server does not say, as very old ones do not.
    Unsaid,
}

/// Bytes that are kept of what a server says during a push.
const MOST_WORDS: usize = 4096;

/// What came up during a push.
#[derive(Default)]
struct Said {
    has_moved: Cell<bool>,
    /// What the server tells people, such as the words of a hook.
    words: RefCell<Vec<u8>>,
    /// Whether the branch was updated, and if not, why.
    report: RefCell<Option<Result<(), String>>>,
}

impl Call<'_> {
    /// Pushes a commit, never by force: the branch has to be where it was when the commit was made. The server is told so and
    /// checks it again.
    pub(crate) fn push(
        &self,
        clone: &CacheClone,
        draft: &Draft,
        target: &Target,
    ) -> Result<Answer, SourceError> {
        self.token.check()?;
        // Opened for this alone, so that what it is lent goes with it.
        let repository = clone.ensure()?;
        let lent = draft.lend(&repository);
        lent.map_err(|error| self.explain(&error))?;
        let remote = repository.remote_anonymous(&self.repository.url.for_git());
        let mut remote = remote.map_err(|error| self.explain(&error))?;
        let (heard, said, header) = (Heard::default(), Said::default(), self.header());
        let mut options = self.push_options((&heard, &said), target, header.as_deref());
        let spec = format!("{}:{}", draft.commit, target.name);
        // git2 panics at a refusal in words that are not UTF-8.
        let push = || catch_unwind(AssertUnwindSafe(|| remote.push(&[spec], Some(&mut options))));
        // The server lists its refs first, as with a fetch.
        let (pushed, is_endless) = allowance::within(MAX_LIST, self.token.deadline(), push);
        drop(options);
        if is_endless {
            return Err(self.too_many_refs());
        }
        match (pushed, said.report.take()) {
            _ if said.has_moved.get() => Ok(Answer::Moved),
            (Err(_), _) => Ok(Answer::Refused("in words that cannot be read".into())),
            (_, Some(Err(why))) => Ok(Answer::Refused(self.words(&why, &said.words.take()))),
            (Ok(Ok(())), Some(Ok(()))) => Ok(Answer::Taken),
            (Ok(Ok(())), None) => Ok(Answer::Unsaid),
            (Ok(Err(error)), _) if error.code() == ErrorCode::NotFastForward => Ok(Answer::Moved),
            (Ok(Err(error)), _) => Err(self.plain(self.judge(&heard, error, Self::explain_push))),
        }
    }

    fn push_options<'c>(
        &'c self,
        (heard, said): (&'c Heard, &'c Said),
        target: &'c Target,
        header: Option<&str>,
    ) -> PushOptions<'c> {
        let mut callbacks = self.callbacks(heard);
        callbacks.push_negotiation(move |updates| {
            // libgit2 would also push onto a branch that went back to an earlier commit. None has an id of zeros.
            let was = target.was.unwrap_or(Oid::ZERO_SHA1);
            said.has_moved.set(updates.iter().any(|update| update.src() != was));
            let is_on = !said.has_moved.get() && self.token.is_wanted();
            if is_on { Ok(()) } else { Err(refused(ErrorCode::User)) }
        });
        callbacks.push_update_reference(move |name, refusal| {
            if name == target.name {
                *said.report.borrow_mut() = Some(refusal.map_or(Ok(()), |why| Err(why.to_owned())));
            }
            Ok(())
        });
        callbacks.sideband_progress(move |bytes| {
            let mut words = said.words.borrow_mut();
            let room = MOST_WORDS.saturating_sub(words.len());
            words.extend_from_slice(&bytes[..bytes.len().min(room)]);
            self.token.is_wanted()
        });
        let mut options = PushOptions::new();
        options.remote_callbacks(callbacks).proxy_options(proxy());
        options.follow_redirects(RemoteRedirect::None);
        if let Some(header) = header {
            options.custom_headers(&[header]);
        }
        options
    }

    /// Returns why a server refused a commit: the reason, and what it or a hook of its said.
    fn words(&self, why: &str, said: &[u8]) -> String {
        let said = String::from_utf8_lossy(said);
        let lines = said.lines().map(|line| line.rsplit('\r').next().unwrap_or_default().trim());
        let lines = lines.filter(|line| !line.is_empty() && !is_progress(line));
        let words: Vec<&str> = std::iter::once(why).chain(lines).collect();
        printable(&self.repository.credentials.scrub(&words.join("; ")))
    }
}

/// Tells how far a server is from what it wants to say.
fn is_progress(line: &str) -> bool {
    let begins = ["Unpacking objects:", "Receiving objects:", "Resolving deltas:", "Checking connectivity:"];
    begins.iter().any(|begin| line.starts_with(begin))
}
