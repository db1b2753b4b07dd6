//! Is a repository on disk reverted where the operator permits it, and nobody's working copy with it?

use super::{part, revert, show, tip};
use crate::support::{Place, Repo, at};
use model::Revision;
use source::{Kind, Revert, Reverted};
use std::fs;
use std::process::Command;

fn broken(repo: &Repo) -> Revert {
    let good = repo.commit("main", &[("web/a.yaml", "1"), ("z", "")]);
    let bad = repo.commit("main", &[("web/a.yaml", "2"), ("z", "")]);
    revert(&bad, vec![part("web", &good)])
}

#[tokio::test]
async fn a_bare_repository_gets_the_commit() {
    let place = Place::new();
    let repo = place.repo("app.git");
    let wanted = broken(&repo);
    let done = place.sources.revert(&repo.at(), &wanted).await.unwrap();
    let Reverted::Pushed { revision, branch, left } = done else { panic!("{done:?}") };
    assert_eq!((branch.as_str(), left), ("main", vec![]));
    assert_eq!(show(&repo, "main"), "web/a.yaml: 1, z: ");
    assert_eq!(tip(&repo, "main").id().to_string(), revision.as_str());
    let own = Revert { own_branch: Some("side".into()), message: "again".into(), ..wanted };
    repo.set("refs/heads/main", &own.bad);
    drop(place.sources.revert(&repo.at(), &own).await.unwrap());
    assert_eq!(show(&repo, "side"), "web/a.yaml: 1, z: ");
    assert_eq!(show(&repo, "main"), "web/a.yaml: 2, z: ");
}

#[tokio::test]
async fn a_repository_with_no_more_than_its_last_commits_gets_it_as_well() {
    let place = Place::new();
    let whole = place.repo("whole.git");
    whole.commit("main", &[("web/a.yaml", "0")]);
    let wanted = broken(&whole);
    let path = place.path("shallow.git");
    let url = format!("file://{}", whole.path.display());
    let mut clone = Command::new("git");
    clone.args(["clone", "--quiet", "--bare", "--depth", "2"]).arg(url).arg(&path);
    assert!(clone.status().unwrap().success());
    let repo = Repo { git: git2::Repository::open_bare(&path).unwrap(), path };
    assert!(repo.git.is_shallow());
    drop(place.sources.revert(&repo.at(), &wanted).await.unwrap());
    assert_eq!(show(&repo, "main"), "web/a.yaml: 1, z: ");
    let older = revert(&wanted.parts[0].good, vec![part("web", &first_of(&whole))]);
    let error = place.sources.revert(&repo.at(), &older).await.unwrap_err();
    assert_eq!(error.kind, Kind::RevisionNotFound, "{error}");
}

fn first_of(repo: &Repo) -> Revision {
    let commit = tip(repo, "main").parent(0).unwrap().parent(0).unwrap();
    Revision::new(commit.id().to_string())
}

#[tokio::test]
async fn a_branch_that_is_checked_out_stays_as_it_is() {
    let place = Place::new();
    let path = place.path("copy");
    let git =
        git2::Repository::init_opts(&path, git2::RepositoryInitOptions::new().initial_head("main")).unwrap();
    let repo = Repo { path: path.clone(), git };
    let wanted = broken(&repo);
    repo.set("refs/heads/side", &wanted.bad);
    let side = repo.git.find_reference("refs/heads/side").unwrap();
    let mut options = git2::WorktreeAddOptions::new();
    repo.git.worktree("tree", &place.path("tree"), Some(options.reference(Some(&side)))).unwrap();
    for (path, branch, expected) in [(&path, "main", "main"), (&path, "side", "side")] {
        let wanted = Revert { branch: branch.into(), ..wanted.clone() };
        let error = place.sources.revert(&at(path.to_str().unwrap()), &wanted).await.unwrap_err();
        assert_eq!(error.kind, Kind::NotPermitted);
        let told = format!("branch {expected:?} is checked out in repository {}", path.display());
        assert_eq!(error.message, told);
    }
    assert_eq!(show(&repo, "main"), "web/a.yaml: 2, z: ");
    let own = Revert { own_branch: Some("mended".into()), ..wanted };
    drop(place.sources.revert(&at(path.to_str().unwrap()), &own).await.unwrap());
    assert_eq!(show(&repo, "mended"), "web/a.yaml: 1, z: ");
}

#[tokio::test]
async fn nothing_is_written_where_nothing_may_be_read_or_written() {
    let place = Place::new();
    let outside = Repo::init(&place.folder.path().join("outside.git"));
    let error = place.sources.revert(&outside.at(), &broken(&outside)).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotPermitted);
    assert_eq!(show(&outside, "main"), "web/a.yaml: 2, z: ");

    let repo = place.repo("app.git");
    let wanted = broken(&repo);
    // Whoever runs this may write everything: there is a file where a folder would have to be.
    fs::write(repo.path.join("refs/heads/side"), "").unwrap();
    let own = Revert { own_branch: Some("side/web".into()), ..wanted };
    let error = place.sources.revert(&repo.at(), &own).await.unwrap_err();
    assert_eq!((error.kind, error.is_transient()), (Kind::NotPermitted, false), "{error}");
    assert!(error.message.starts_with(&format!("repository {} cannot be written: ", repo.path.display())));
}
