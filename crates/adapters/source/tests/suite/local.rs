//! Are repositories on disk read as they are?

use crate::support::{Place, read};

#[tokio::test]
async fn resolves_and_reads_branches_tags_and_commits() {
    let place = Place::new();
    let repo = place.repo("app.git");
    let first = repo.commit("main", &[("web/a.yaml", "1"), ("web/sub/b.yaml", "2"), ("c.yaml", "3")]);
    let author = git2::Signature::now("Ann", "a@b").unwrap();
    let object = repo.git.revparse_single(first.as_str()).unwrap();
    repo.git.tag("v1", &object, &author, "annotated", false).unwrap();
    let second = repo.commit("main", &[("web/a.yaml", "new")]);
    repo.commit("dev", &[("web/a.yaml", "dev")]);
    let source = repo.at();
    for (target, path, expected) in [
        ("main", "web", "web/a.yaml: new"),
        ("", "web", "web/a.yaml: new"),
        ("HEAD", "web", "web/a.yaml: new"),
        ("dev", "web", "web/a.yaml: dev"),
        ("refs/heads/dev", "web", "web/a.yaml: dev"),
        ("v1", "web", "web/a.yaml: 1"),
        ("v1", "web/**", "web/a.yaml: 1, web/sub/b.yaml: 2"),
        ("v1", "", "c.yaml: 3"),
        ("v1", "./web//sub/", "./web//sub/b.yaml: 2"),
        (first.as_str(), "", "c.yaml: 3"),
        (&first.as_str()[..8], "", "c.yaml: 3"),
    ] {
        assert_eq!(read(&place.sources, &source, target, path).await, expected, "{target} {path}");
    }
    let commit = place.sources.commit(&source, &second).await.unwrap();
    assert_eq!((commit.author.as_str(), commit.message.as_str()), ("Ann <ann@example.com>", "first line"));
    assert_eq!(
        (commit.time.to_string().as_str(), commit.parents),
        ("2026-01-01T00:00:00Z", vec![first.clone()])
    );
    assert!(place.sources.is_ancestor(&source, &first, &second).await.unwrap());
    assert!(!place.sources.is_ancestor(&source, &second, &first).await.unwrap());
    assert!(place.clones().is_empty(), "a local repository is not copied");
}
