//! Is a bad commit taken back, nothing but what it did to the apps, and nobody's work lost over it?

mod files;
mod here;
mod refused;

use crate::remote::Served;
use crate::support::{Repo, at, folder, with};
use model::{Revision, Timestamp};
use source::{Credentials, Identity, Kind, Part, Repository, Revert, Reverted, SourceError};
use std::path::PathBuf;
use std::sync::Arc;

/// A repository behind a server that takes pushes, with a good commit and a bad one.
struct Case {
    it: Served,
    good: Revision,
    bad: Revision,
}

impl Case {
    /// The files of the good commit, and those of the bad one.
    fn new(good: &[(&str, &str)], bad: &[(&str, &str)]) -> Self {
        let it = Served::new();
        it.repo.git.config().unwrap().set_bool("http.receivepack", true).unwrap();
        let (good, bad) = (it.repo.commit("main", good), it.repo.commit("main", bad));
        Self { it, good, bad }
    }

    /// Two apps and something else, all changed by the bad commit.
    fn of_two() -> Self {
        Self::new(
            &[("api/b.yaml", "1"), ("other.txt", "1"), ("web/a.yaml", "1"), ("web/notes.txt", "1")],
            &[("api/b.yaml", "2"), ("other.txt", "2"), ("web/a.yaml", "2"), ("web/notes.txt", "2")],
        )
    }

    fn revert(&self, paths: &[&str]) -> Revert {
        revert(&self.bad, paths.iter().map(|path| part(path, &self.good)).collect())
    }

    fn at(&self) -> Repository {
        at(&self.it.server.url("open/app.git"))
    }

    async fn run(&self, revert: &Revert) -> Result<Reverted, SourceError> {
        self.it.place.sources.revert(&self.at(), revert).await
    }

    async fn pushed(&self, revert: &Revert) -> (Revision, Vec<String>) {
        match self.run(revert).await.unwrap() {
            Reverted::Pushed { revision, left, .. } => {
                (revision, left.into_iter().map(|(_, why)| why).collect())
            }
            Reverted::Nothing(why) => panic!("nothing was pushed: {why}"),
        }
    }

    /// What was pushed or not, or why it could not be.
    async fn told(&self, revert: &Revert) -> String {
        match self.run(revert).await {
            Ok(Reverted::Pushed { branch, left, .. }) => format!("{branch}{left:?}"),
            Ok(Reverted::Nothing(why)) => why,
            Err(error) => format!("{:?}: {error}", error.kind),
        }
    }

    fn show(&self, branch: &str) -> String {
        show(&self.it.repo, branch)
    }
}

pub(crate) fn revert(bad: &Revision, parts: Vec<Part>) -> Revert {
    Revert {
        branch: "main".into(),
        own_branch: None,
        bad: bad.clone(),
        parts,
        message: format!("Revert to what worked\n\nThe pods of web crash.\n\nCulprit: {bad}"),
        author: Identity { name: "Tautline".into(), mail: "tautline@example.com".into() },
        at: "2026-02-03T04:05:06Z".parse::<Timestamp>().unwrap(),
    }
}

/// All of a folder but notes, as `folder` takes it.
pub(crate) fn part(path: &str, good: &Revision) -> Part {
    Part { folder: folder(path), filter: Arc::new(|path| !path.ends_with("notes.txt")), good: good.clone() }
}

/// All files of a branch and their content, `-> ` before that of links and `+x ` before that of programs.
pub(crate) fn show(repo: &Repo, branch: &str) -> String {
    let commit = tip(repo, branch);
    let mut shown = Vec::new();
    let walk = |folder: &str, entry: &git2::TreeEntry<'_>| {
        if let Ok(blob) = entry.to_object(&repo.git).unwrap().into_blob() {
            let mark = match entry.filemode() {
                0o120_000 => "-> ",
                0o100_755 => "+x ",
                _ => "",
            };
            let name = entry.name().unwrap();
            shown.push(format!("{folder}{name}: {mark}{}", String::from_utf8_lossy(blob.content())));
        }
        git2::TreeWalkResult::Ok
    };
    commit.tree().unwrap().walk(git2::TreeWalkMode::PreOrder, walk).unwrap();
    shown.join(", ")
}

fn tip<'r>(repo: &'r Repo, branch: &str) -> git2::Commit<'r> {
    repo.git.find_reference(&format!("refs/heads/{branch}")).unwrap().peel_to_commit().unwrap()
}

/// Opened anew, for a thread of its own.
fn again(path: &PathBuf) -> Repo {
    Repo { git: git2::Repository::open_bare(path).unwrap(), path: path.clone() }
}

#[tokio::test]
async fn only_the_apps_own_files_go_back_on_top_of_what_others_did() {
    let case = Case::of_two();
    let later = [
        ("api/b.yaml", "2"),
        ("new.txt", "3"),
        ("other.txt", "2"),
        ("web/a.yaml", "2"),
        ("web/notes.txt", "2"),
    ];
    let tip_before = case.it.repo.commit("main", &later);
    let (revision, left) = case.pushed(&case.revert(&["web"])).await;
    assert_eq!(case.show("main"), "api/b.yaml: 2, new.txt: 3, other.txt: 2, web/a.yaml: 1, web/notes.txt: 2");
    let commit = tip(&case.it.repo, "main");
    assert_eq!((commit.id().to_string(), left), (revision.to_string(), vec![]));
    assert_eq!(commit.parent_ids().map(|id| id.to_string()).collect::<Vec<_>>(), [tip_before.as_str()]);
    assert_eq!(
        commit.message().unwrap(),
        format!(
            "Revert to what worked\n\nThe pods of web crash.\n\nCulprit: {}\nSigned-off-by: Tautline <tautline@example.com>\n",
            case.bad
        )
    );
    for who in [commit.author(), commit.committer()] {
        assert_eq!((who.name().unwrap(), who.email().unwrap()), ("Tautline", "tautline@example.com"));
        assert_eq!((who.when().seconds(), who.when().offset_minutes()), (1_770_091_506, 0));
    }
    assert_eq!(case.it.read("main").await, "new.txt: 3, other.txt: 2", "and it is read like any other");
}

#[tokio::test]
async fn a_revert_leaves_nothing_in_the_clone_and_a_repeated_one_finds_the_first() {
    let case = Case::of_two();
    let (revision, _) = case.pushed(&case.revert(&["web"])).await;
    let clone = git2::Repository::open_bare(&case.it.place.clones()[0]).unwrap();
    let id = git2::Oid::from_str(revision.as_str()).unwrap();
    assert!(!clone.odb().unwrap().exists(id), "it comes with the next fetch, as what others push");
    let other = [
        ("api/b.yaml", "2"),
        ("more.txt", ""),
        ("other.txt", "2"),
        ("web/a.yaml", "1"),
        ("web/notes.txt", "2"),
    ];
    case.it.repo.commit("main", &other);
    // As after a crash, or an answer that was lost.
    let mut later = case.revert(&["web"]);
    later.at = Timestamp::from_millis(later.at.as_millis() + 60_000);
    assert_eq!(case.pushed(&later).await, (revision.clone(), vec![]));
    later.message.push('!');
    let sha = case.good.short();
    assert_eq!(case.told(&later).await, format!("folder \"web\" is again what it was in {sha}"));
    // Whoever brings it back wants it back.
    let theirs = [("api/b.yaml", "2"), ("other.txt", "2"), ("web/a.yaml", "2"), ("web/notes.txt", "2")];
    case.it.repo.commit("main", &theirs);
    assert_eq!(case.pushed(&case.revert(&["web"])).await, (revision, vec![]));
    assert_eq!(case.show("main"), "api/b.yaml: 2, other.txt: 2, web/a.yaml: 2, web/notes.txt: 2");
}

#[tokio::test]
async fn a_branch_of_its_own_is_made_once_and_never_moved() {
    let case = Case::of_two();
    let wanted = Revert { own_branch: Some("revert/web".into()), ..case.revert(&["web"]) };
    let (revision, _) = case.pushed(&wanted).await;
    assert_eq!(case.show("revert/web"), "api/b.yaml: 2, other.txt: 2, web/a.yaml: 1, web/notes.txt: 2");
    assert_eq!(tip(&case.it.repo, "revert/web").parent_id(0).unwrap().to_string(), case.bad.as_str());
    assert_eq!(tip(&case.it.repo, "main").id().to_string(), case.bad.as_str());
    assert_eq!(case.pushed(&wanted).await.0, revision);
    case.it.repo.commit("main", &[("web/a.yaml", "2")]);
    let other = Revert { message: "Revert something else".into(), ..wanted.clone() };
    assert_eq!(case.told(&other).await, "branch \"revert/web\" is there already");
    // Somebody makes it while the commit is on its way.
    for stage in
        ["GET /open/app.git/info/refs?service=git-receive-pack", "POST /open/app.git/git-receive-pack"]
    {
        let name = format!("taken-{}", &stage[..3]);
        let (path, theirs) = (case.it.repo.path.clone(), name.clone());
        case.it.server.before(stage, move || drop(again(&path).commit(&theirs, &[("theirs", "")])));
        let wanted = Revert { own_branch: Some(format!("refs/heads/{name}")), ..wanted.clone() };
        assert_eq!(case.told(&wanted).await, format!("branch {name:?} is there already"));
        assert_eq!(case.show(&name), "theirs: ");
    }
}

#[tokio::test]
async fn apps_broken_by_one_commit_go_back_in_one_and_those_that_somebody_went_on_with_stay() {
    let case = Case::of_two();
    let (revision, left) = case.pushed(&case.revert(&["web", "api", "web"])).await;
    assert_eq!(case.show("main"), "api/b.yaml: 1, other.txt: 2, web/a.yaml: 1, web/notes.txt: 2");
    assert_eq!(tip(&case.it.repo, "main").parent_id(0).unwrap().to_string(), case.bad.as_str());
    let again = format!("folder \"web\" is again what it was in {}", case.good.short());
    assert_eq!((tip(&case.it.repo, "main").id().to_string(), left), (revision.to_string(), vec![again]));

    let case = Case::of_two();
    case.it.repo.commit("main", &[("api/b.yaml", "2"), ("web/a.yaml", "3"), ("web/notes.txt", "2")]);
    let (_, left) = case.pushed(&case.revert(&["web", "api"])).await;
    assert_eq!(case.show("main"), "api/b.yaml: 1, web/a.yaml: 3, web/notes.txt: 2");
    let expected = format!(
        "folder \"web\" holds \"a.yaml\" otherwise than {} left it: somebody went on",
        case.bad.short()
    );
    assert_eq!(left, std::slice::from_ref(&expected));
    let other = Revert { message: "Revert web".into(), ..case.revert(&["web"]) };
    assert_eq!(case.told(&other).await, expected);
    assert_eq!(case.told(&Revert { parts: Vec::new(), ..other }).await, "no app has a part in it");
}

#[tokio::test]
async fn a_fix_in_another_file_of_the_app_is_somebody_who_went_on() {
    let case = Case::of_two();
    let fixed = [("api/b.yaml", "2"), ("other.txt", "2"), ("web/a.yaml", "2"), ("web/c.yaml", "3")];
    case.it.repo.commit("main", &fixed);
    assert_eq!(
        case.told(&case.revert(&["web"])).await,
        format!(
            "folder \"web\" holds \"c.yaml\" otherwise than {} left it: somebody went on",
            case.bad.short()
        )
    );
    // Whose files those are not has nothing to do with it.
    case.pushed(&case.revert(&["api"])).await;
}

#[tokio::test]
async fn the_content_of_another_branch_is_brought_to_none() {
    let case = Case::of_two();
    let elsewhere = case.it.repo.commit("release-1", &[("web/a.yaml", "0")]);
    let wanted = revert(&case.bad, vec![part("web", &elsewhere)]);
    assert_eq!(
        case.told(&wanted).await,
        format!(
            "folder \"web\": {}, what it went back to, is not in the history of {}",
            elsewhere.short(),
            case.bad.short()
        )
    );
}

#[tokio::test]
async fn what_is_mended_already_is_left_alone() {
    let case = Case::of_two();
    let mended = case.it.repo.commit("main", &[("api/b.yaml", "2"), ("other.txt", "2"), ("web/a.yaml", "1")]);
    assert_eq!(
        case.told(&case.revert(&["web"])).await,
        format!("folder \"web\" is again what it was in {}", case.good.short())
    );
    let same = revert(&case.bad, vec![part("web", &case.bad)]);
    let sha = case.bad.short();
    assert_eq!(
        case.told(&same).await,
        format!("folder \"web\" holds for this app in {sha} what it does in {sha}")
    );
    assert_eq!(tip(&case.it.repo, "main").id().to_string(), mended.as_str());
    assert!(case.it.server.seen().iter().all(|seen| !seen.line.contains("receive-pack")), "nothing was sent");
}

/// Where a branch may move under a push: before its server says where it is, and after.
const STAGES: [&str; 2] =
    ["GET /open/app.git/info/refs?service=git-receive-pack", "POST /open/app.git/git-receive-pack"];

#[tokio::test]
async fn a_branch_that_moves_meanwhile_is_looked_at_again_and_nobodys_commit_is_lost() {
    for stage in STAGES {
        let case = Case::of_two();
        let path = case.it.repo.path.clone();
        case.it.server.before(stage, move || {
            let all = [("api/b.yaml", "3"), ("other.txt", "2"), ("web/a.yaml", "2"), ("web/notes.txt", "3")];
            again(&path).commit("main", &all);
        });
        // What is in the way of the one is none of the other's business.
        let (_, left) = case.pushed(&case.revert(&["web", "api"])).await;
        assert_eq!(
            case.show("main"),
            "api/b.yaml: 3, other.txt: 2, web/a.yaml: 1, web/notes.txt: 3",
            "{stage}"
        );
        assert_eq!(left.len(), 1, "{left:?}");
        let theirs = tip(&case.it.repo, "main").parent(0).unwrap();
        assert_eq!(theirs.parent_id(0).unwrap().to_string(), case.bad.as_str());
    }
}

// libgit2 by itself would push onto the earlier commit, and with it bring back what was taken away.
#[tokio::test]
async fn a_commit_that_somebody_took_away_by_force_does_not_come_back() {
    for stage in STAGES {
        let case = Case::of_two();
        let all = [
            ("api/b.yaml", "2"),
            ("leaked", "x"),
            ("other.txt", "2"),
            ("web/a.yaml", "2"),
            ("web/notes.txt", "2"),
        ];
        case.it.repo.commit("main", &all);
        let (path, bad) = (case.it.repo.path.clone(), case.bad.clone());
        case.it.server.before(stage, move || again(&path).set("refs/heads/main", &bad));
        case.pushed(&case.revert(&["web"])).await;
        assert_eq!(
            case.show("main"),
            "api/b.yaml: 2, other.txt: 2, web/a.yaml: 1, web/notes.txt: 2",
            "{stage}"
        );
        assert_eq!(tip(&case.it.repo, "main").parent_id(0).unwrap().to_string(), case.bad.as_str());
    }
}

#[tokio::test]
async fn a_branch_that_never_stands_still_is_left_to_others() {
    let case = Case::of_two();
    for n in 0..5 {
        let path = case.it.repo.path.clone();
        case.it.server.before(STAGES[1], move || {
            let n = n.to_string();
            again(&path).commit("main", &[("web/a.yaml", "2"), ("n", n.as_str())]);
        });
    }
    let error = case.run(&case.revert(&["web"])).await.unwrap_err();
    assert_eq!((error.kind, error.is_transient()), (Kind::Unavailable, true));
    let url = case.it.server.url("open/app.git");
    assert_eq!(
        error.to_string(),
        format!("branch \"main\" of repository {url} moved 5 times while a revert was on its way to it")
    );
    assert_eq!(case.show("main"), "n: 4, web/a.yaml: 2");
    case.pushed(&case.revert(&["web"])).await;
    assert_eq!(case.show("main"), "n: 4, web/a.yaml: 1");
}

#[tokio::test]
async fn a_good_commit_that_no_branch_leads_to_is_looked_for_and_not_gone_back_to() {
    let case = Case::of_two();
    let lone = case.it.repo.commit("temporary", &[("web/a.yaml", "0")]);
    case.it.repo.delete("refs/heads/temporary");
    let wanted = revert(&case.bad, vec![part("web", &lone)]);
    let told = case.told(&wanted).await;
    assert!(told.starts_with(&format!("RevisionNotFound: commit {}", lone.short())), "{told}");
    case.it.repo.git.config().unwrap().set_bool("uploadpack.allowAnySHA1InWant", true).unwrap();
    assert!(case.told(&wanted).await.contains("is not in the history of"));
}

#[tokio::test]
async fn who_may_push_pushes() {
    let ann = Credentials::Basic { username: "ann".into(), password: "canary".into() };
    let by_token = Credentials::Basic { username: "x-access-token".into(), password: "canary".into() };
    for (path, credentials) in
        [("basic", ann), ("bearer", Credentials::Bearer("canary".into())), ("token", by_token)]
    {
        let case = Case::of_two();
        let at = with(&case.it.server.url(&format!("{path}/app.git")), credentials);
        let done = case.it.place.sources.revert(&at, &case.revert(&["web"])).await.unwrap();
        assert!(matches!(done, Reverted::Pushed { .. }), "{path}: {done:?}");
        assert_eq!(case.show("main"), "api/b.yaml: 2, other.txt: 2, web/a.yaml: 1, web/notes.txt: 2");
    }
}
