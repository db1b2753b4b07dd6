//! Are repositories on disk read as they are?

use crate::support::{Place, Repo, at, read};
use source::RepoUrl;

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

#[tokio::test]
async fn working_copies_and_worktrees_are_read_by_their_refs() {
    let place = Place::new();
    let path = place.path("copy");
    let git =
        git2::Repository::init_opts(&path, git2::RepositoryInitOptions::new().initial_head("main")).unwrap();
    std::fs::write(path.join("a.yaml"), "not committed").unwrap();
    let repo = Repo { path: path.clone(), git };
    repo.commit("main", &[("a.yaml", "1")]);
    repo.commit("side", &[("a.yaml", "side")]);
    let side = repo.git.find_reference("refs/heads/side").unwrap();
    let mut options = git2::WorktreeAddOptions::new();
    let tree = place.path("tree");
    repo.git.worktree("tree", &tree, Some(options.reference(Some(&side)))).unwrap();
    for (path, expected) in [(&path, "a.yaml: 1"), (&path.join(".git"), "a.yaml: 1"), (&tree, "a.yaml: side")]
    {
        let url = format!("file://{}", path.display());
        assert_eq!(read(&place.sources, &at(&url), "", "").await, expected, "{url}");
    }
}

#[tokio::test]
async fn pushes_force_pushes_and_deletions_show_at_once() {
    let place = Place::new();
    let repo = place.repo("app.git");
    let told = async |target: &'static str| read(&place.sources, &repo.at(), target, "").await;
    assert_eq!(told("").await, "RevisionNotFound: the repository is empty (push a first commit)");
    let first = repo.commit("main", &[("a.yaml", "1")]);
    repo.commit("main", &[("a.yaml", "2")]);
    assert_eq!(told("main").await, "a.yaml: 2");
    repo.set("refs/heads/main", &first);
    assert_eq!(told("main").await, "a.yaml: 1");
    repo.commit("dev", &[("a.yaml", "dev")]);
    repo.delete("refs/heads/main");
    assert_eq!(
        told("main").await,
        "RevisionNotFound: no branch, tag or commit \"main\" in the repository (it has dev)"
    );
    assert_eq!(told("dev").await, "a.yaml: dev");
    assert_eq!(told("0123456").await, "RevisionNotFound: no commit begins with \"0123456\"");
    let none = "a".repeat(40);
    let missing = read(&place.sources, &repo.at(), &none, "").await;
    assert!(missing.starts_with("RevisionNotFound: commit aaaaaaa is not in the repository"), "{missing}");
    let told_range = told(">=1").await;
    assert!(told_range.starts_with("RevisionNotFound: no tag in the repository"), "{told_range}");
    repo.set("refs/tags/v1.2.0", &first);
    assert_eq!(told(">=1").await, "a.yaml: 1");
}

// N13: by path, link, worktree and borrowed objects
#[tokio::test]
async fn only_folders_that_the_operator_names_may_be_read() {
    let place = Place::new();
    let inside = place.repo("app.git");
    inside.commit("main", &[("a.yaml", "1")]);
    let outside = Repo::init(&place.folder.path().join("secret.git"));
    outside.commit("main", &[("a.yaml", "canary")]);
    let cached = Repo::init(&place.folder.path().join("cache/git/x"));
    cached.commit("main", &[("a.yaml", "canary")]);
    std::os::unix::fs::symlink(&outside.path, place.path("link.git")).unwrap();
    std::os::unix::fs::symlink(&inside.path, place.path("fine.git")).unwrap();
    std::fs::create_dir(place.path("file")).unwrap();
    std::fs::write(place.path("file/.git"), format!("gitdir: {}", outside.path.display())).unwrap();
    let borrowing = place.repo("borrowing.git");
    std::fs::write(
        borrowing.path.join("objects/info/alternates"),
        outside.path.join("objects").to_str().unwrap(),
    )
    .unwrap();
    let shared = place.repo("shared.git");
    std::fs::remove_dir_all(shared.path.join("objects")).unwrap();
    std::os::unix::fs::symlink(outside.path.join("objects"), shared.path.join("objects")).unwrap();
    let climbing = place.path("../secret.git");
    let nowhere = place.folder.path().join("nowhere.git");
    for path in [
        &outside.path,
        &cached.path,
        &place.path("link.git"),
        &place.path("file"),
        &borrowing.path,
        &shared.path,
        &climbing,
        &nowhere,
    ] {
        let told = read(&place.sources, &at(path.to_str().unwrap()), "main", "").await;
        assert!(
            told.starts_with("NotPermitted: local repository ") && told.contains("--local-repos"),
            "{told}"
        );
    }
    assert_eq!(
        read(&place.sources, &at(place.path("fine.git").to_str().unwrap()), "main", "").await,
        "a.yaml: 1"
    );
    let none = read(&place.sources, &at(place.path("none.git").to_str().unwrap()), "main", "").await;
    assert!(none.starts_with("RepositoryNotFound: there is no Git repository at "), "{none}");
    assert_eq!(place.sources.check(&RepoUrl::parse("https://git.ex/a").unwrap()), Ok(()));
}

// N13: the clones of others in the cache
#[tokio::test]
async fn even_roots_above_the_cache_do_not_open_it() {
    let place =
        Place::with(|config| config.local_repos = vec![config.cache_dir.parent().unwrap().to_owned()]);
    let cached = Repo::init(&place.folder.path().join("cache/git/x"));
    cached.commit("main", &[("a.yaml", "canary")]);
    let told = read(&place.sources, &cached.at(), "main", "").await;
    assert!(told.starts_with("NotPermitted"), "{told}");
}

// N14: the user that the agent happens to be
#[tokio::test]
async fn the_owner_of_a_repository_does_not_matter() {
    let place = Place::new();
    let repo = place.repo("app.git");
    repo.commit("main", &[("a.yaml", "1")]);
    // Only root may give files away; for others the repository simply stays theirs.
    drop(std::os::unix::fs::chown(&repo.path, Some(1_000_660_000), None));
    assert_eq!(read(&place.sources, &repo.at(), "main", "").await, "a.yaml: 1");
}

// N43: a repository on disk
#[tokio::test]
async fn a_damaged_repository_is_named() {
    let place = Place::new();
    let repo = place.repo("app.git");
    let revision = repo.commit("main", &[("a.yaml", "1")]);
    let tree =
        repo.git.find_commit(git2::Oid::from_str(revision.as_str()).unwrap()).unwrap().tree_id().to_string();
    let object = repo.path.join("objects").join(&tree[..2]).join(&tree[2..]);
    std::fs::remove_file(object).unwrap();
    let told = read(&place.sources, &repo.at(), "main", "").await;
    assert!(told.starts_with("Unavailable: repository ") && told.contains(" is damaged: "), "{told}");
}
