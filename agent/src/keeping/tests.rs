//! Does each app come to the releases that were listed, whichever was there first?

use super::*;
use crate::harness::{Harness, record, shop};
use release::{Key, ROOM, seal};

/// What lists the third release of the app.
fn listing() -> Listing {
    let key = Key::new(&[7; Key::LENGTH]).unwrap();
    let record = Record { app_uid: "u".into(), ..record(shop(), 3) };
    let mut listing = Listing::default();
    listing.add(&seal(&record, None, &key, ROOM)[0], Some(&key));
    listing
}

/// Returns the release that the app can go back to, and the number of the next one.
fn known(harness: &Harness) -> (bool, Option<u64>, u64) {
    let entry = &harness.agent.apps[&shop()];
    let stable = entry.state.stable.as_ref().map(|stable| stable.number);
    (entry.state.knows_releases, stable, entry.kept.next)
}

#[tokio::test]
async fn an_app_that_is_read_after_the_list_of_releases_takes_its_own() {
    let mut harness = Harness::new(&[]).await;
    // The Applications come before what they depend on: projects, and what Secrets say of repositories.
    let app = harness.agent.apps.get_mut(&shop()).unwrap().app.take();
    harness.agent.releases_listed(Ok(Box::new(listing())));
    assert!(!known(&harness).0, "it has no engine yet that could be told");
    harness.agent.apps.get_mut(&shop()).unwrap().app = app;
    harness.agent.tell_releases(&shop());
    assert_eq!(known(&harness), (true, Some(3), 4));
    harness.agent.tell_releases(&shop());
    assert_eq!(known(&harness), (true, Some(3), 4), "what it knows is not forgotten");
}

#[tokio::test]
async fn an_app_that_was_read_before_is_told_with_the_list() {
    let mut harness = Harness::new(&[]).await;
    harness.agent.tell_releases(&shop());
    assert!(!known(&harness).0, "nothing is listed");
    harness.agent.releases_listed(Ok(Box::new(listing())));
    assert_eq!(known(&harness), (true, Some(3), 4));
}
