//! Is a push to a local repository noticed?

use crate::support::Place;
use source::RepoUrl;
use std::time::Duration;

#[tokio::test]
async fn commits_tags_and_packed_refs_are_hinted_once_each() {
    let place = Place::new();
    let repo = place.repo("app.git");
    let other = place.repo("other.git");
    repo.commit("main", &[("a.yaml", "1")]);
    let (mut watch, mut hints) = place.sources.watch().unwrap();
    let followed =
        [repo.at().url, RepoUrl::parse("https://git.ex/a").unwrap(), RepoUrl::parse("/nowhere").unwrap()];
    watch.follow(&place.sources, &followed);
    let mut hinted = async || tokio::time::timeout(Duration::from_secs(10), hints.next()).await;
    let expected = repo.at().url.normalised();
    repo.commit("main", &[("a.yaml", "2")]);
    assert_eq!(hinted().await.unwrap(), expected);
    let tip = model::Revision::new(repo.git.refname_to_id("refs/heads/main").unwrap().to_string());
    repo.set("refs/heads/new/branch", &tip);
    assert_eq!(hinted().await.unwrap(), expected);
    std::fs::write(repo.path.join("packed-refs"), format!("{tip} refs/heads/packed\n")).unwrap();
    assert_eq!(hinted().await.unwrap(), expected);

    watch.follow(&place.sources, &[other.at().url]);
    // Whatever was noted before the change of what is followed.
    while tokio::time::timeout(Duration::from_millis(50), hints.next()).await.is_ok() {}
    repo.commit("main", &[("a.yaml", "3")]);
    other.commit("main", &[("a.yaml", "1")]);
    let next = tokio::time::timeout(Duration::from_secs(10), hints.next()).await.unwrap();
    assert_eq!(next, other.at().url.normalised());
}
