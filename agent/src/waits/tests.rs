//! Which look at Git answers which wait, and what is asked of Git for one that nobody waits for any more?

use super::*;
use crate::harness::{Harness, shop};
use crate::polling::Found;
use api::Awaited;
use engine::SourceView;
use source::Kind;

/// An agent whose app follows a repository.
struct Scene {
    harness: Harness,
    id: RepoId,
    /// The poll that began last.
    number: u64,
}

impl Scene {
    async fn new() -> Self {
        let mut harness = Harness::new(&[]).await;
        let app = harness.agent.apps[&shop()].app.clone().unwrap();
        harness.agent.follow(&shop(), &app).unwrap();
        let id = harness.agent.repos.of(&shop()).unwrap().0.clone();
        let mut scene = Self { harness, id, number: 0 };
        scene.begin();
        scene.answer(&found("x"));
        scene
    }

    /// Begins a poll, as if everything that was asked for were due.
    fn begin(&mut self) {
        let due = self.harness.agent.repos.take_due(Instant::now() + Duration::from_hours(1));
        assert_eq!(due.len(), 1);
        self.number = due[0].number;
    }

    fn answer(&mut self, polled: &Polled) {
        let polled = match polled {
            Ok(Found { targets, names, .. }) => {
                Ok(Found { targets: targets.clone(), names: names.clone(), ..Found::default() })
            }
            Err(error) => Err(error.clone()),
        };
        self.harness.agent.take_in(Input::Polled(self.id.clone(), self.number, polled));
    }

    fn wait(&mut self, name: &str) -> (u64, oneshot::Receiver<Reply>) {
        let (answer, answered) = oneshot::channel();
        let awaited = if name.is_empty() { Awaited::Followed } else { Awaited::Revision(name.to_owned()) };
        (self.harness.agent.begin_wait(&shop(), awaited, answer), answered)
    }

    fn waiters(&self) -> &[Waiter] {
        self.harness.agent.waits.by_app.get(&shop()).map_or(&[], Vec::as_slice)
    }

    /// What the wanted revisions of all waits are found to be.
    fn named(&self) -> Vec<&str> {
        self.waiters().iter().map(|w| w.wanted.revision.as_ref().map_or("-", Revision::as_str)).collect()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a poll answers")]
fn found(main: &str) -> Polled {
    let targets = BTreeMap::from([("main".to_owned(), Ok(Revision::new(main)))]);
    let names = BTreeMap::from([
        ("v1".to_owned(), Ok(Some(Revision::new("one")))),
        ("abcdef0".to_owned(), Ok(None)),
        ("gone".to_owned(), Err(SourceError::new(Kind::RevisionNotFound, "no branch \"gone\""))),
    ]);
    Ok(Found { targets, names, ..Found::default() })
}

#[tokio::test]
async fn a_wait_is_answered_by_a_look_that_began_after_it_and_what_moved_is_acted_on_at_once() {
    let mut scene = Scene::new().await;
    scene.begin();
    let _answered = [scene.wait(""), scene.wait("v1")];
    scene.answer(&found("y"));
    // The refs may have been read before whoever waits pushed; whoever waits holds nothing up.
    assert_eq!(scene.named(), ["-", "-"]);
    let source = &scene.harness.agent.apps[&shop()].state.source;
    assert_eq!(*source, SourceView::At(Revision::new("y")));
    scene.begin();
    scene.answer(&found("z"));
    assert_eq!(scene.named(), ["z", "one"]);
    assert!(scene.waiters().iter().all(|waiter| waiter.wanted.has_looked));
}

#[tokio::test]
async fn names_are_looked_up_by_the_poll_once_each_and_beginnings_of_shas_one_look_at_a_time() {
    let mut scene = Scene::new().await;
    let short: Vec<_> = (0..3).map(|_| scene.wait("abcdef0")).collect();
    let _others = [scene.wait("gone"), scene.wait(&"A".repeat(40)), scene.wait("")];
    let asked = scene.harness.agent.names_waited_for(&scene.id);
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), ["abcdef0", "gone"]);
    for _ in 0..2 {
        scene.begin();
        scene.answer(&found("x"));
        assert_eq!(scene.harness.agent.waits.completing.len(), 1);
    }
    assert_eq!(scene.waiters()[3].waits_for, "no branch \"gone\"");
    // With the last who waits for it the look ends.
    for (n_left, (id, answered)) in short.into_iter().enumerate().rev() {
        drop(answered);
        scene.harness.agent.wait_news(WaitNews::Over(shop(), id));
        assert_eq!(scene.harness.agent.waits.completing.len(), usize::from(n_left > 0));
    }
    let _again = scene.wait("abcdef0");
    scene.begin();
    scene.answer(&found("x"));
    let names = BTreeMap::from([("abcdef0".to_owned(), Ok(Revision::new("whole")))]);
    let stale = WaitNews::Completed(scene.id.clone(), scene.number - 1, Ok(BTreeMap::new()));
    scene.harness.agent.wait_news(stale);
    assert_eq!(scene.harness.agent.waits.completing.len(), 1, "another look ended");
    scene.harness.agent.wait_news(WaitNews::Completed(scene.id.clone(), scene.number, Ok(names)));
    assert_eq!(scene.named().last(), Some(&"whole"));
    assert!(scene.harness.agent.waits.completing.is_empty());
}
