//! What is said where a revert cannot be pushed?

use super::{Case, revert};
use crate::support::with;
use source::{Credentials, Kind, Revert};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

fn ann(password: &str) -> Credentials {
    Credentials::Basic { username: "ann".into(), password: password.into() }
}

fn hook(case: &Case, name: &str, text: &str) {
    let folder = case.it.repo.path.join("hooks");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

// N19: a hook that says the secret back
#[tokio::test]
async fn what_a_hook_says_is_told_in_its_words_and_without_the_secret() {
    for (name, reason) in [("pre-receive", "pre-receive hook declined"), ("update", "hook declined")] {
        let case = Case::of_two();
        hook(&case, name, "printf 'no pushes on\\033[31m Fridays\\n\\377 canary\\n' >&2; exit 1");
        let at = with(&case.it.server.url("basic/app.git"), ann("canary"));
        let error = case.it.place.sources.revert(&at, &case.revert(&["web"])).await.unwrap_err();
        assert_eq!((error.kind, error.is_transient()), (Kind::NotPermitted, false));
        let url = case.it.server.url("basic/app.git");
        let expected = format!(
            "repository {url} refuses the revert on \"main\": {reason}; no pushes on [31m Fridays; \u{fffd} ***"
        );
        assert!(error.message.starts_with(&expected), "{error}");
        assert_eq!(super::tip(&case.it.repo, "main").id().to_string(), case.bad.as_str());
        assert_eq!(
            case.it.server.seen().iter().filter(|seen| seen.line.ends_with("/git-receive-pack")).count(),
            1,
            "what is refused is not tried again"
        );
    }
}

#[tokio::test]
async fn who_may_read_and_not_write_is_told_what_is_missing() {
    let case = Case::of_two();
    case.it.repo.git.config().unwrap().set_bool("http.receivepack", false).unwrap();
    let url = case.it.server.url("basic/app.git");
    let at = with(&url, ann("canary"));
    let error = case.it.place.sources.revert(&at, &case.revert(&["web"])).await.unwrap_err();
    assert_eq!((error.kind, error.is_transient()), (Kind::Authentication, false));
    assert_eq!(
        error.to_string(),
        format!(
            "the credentials for repository {url} may not push to it (403) (give them write access, or take the annotation off)"
        )
    );
    let wrong = with(&url, ann("wrong"));
    let error = case.it.place.sources.revert(&wrong, &case.revert(&["web"])).await.unwrap_err();
    assert!(error.message.ends_with("refuses the credentials"), "{error}");
    // Read by anybody, written by some: git asks for no password before it is pushed to.
    for (credentials, expected) in [
        (Credentials::None, "wants credentials of whoever pushes to it"),
        (ann("wrong"), "refuses the credentials"),
    ] {
        let closed = case.it.server.url("readable/app.git");
        let at = with(&closed, credentials);
        let error = case.it.place.sources.revert(&at, &case.revert(&["web"])).await.unwrap_err();
        assert_eq!(error.kind, Kind::Authentication);
        assert_eq!(error.message, format!("repository {closed} {expected}"));
    }
    assert_eq!(case.it.read("main").await, "other.txt: 2", "it is read as before");
}

#[tokio::test]
async fn only_branches_can_be_reverted_and_only_by_somebody() {
    let case = Case::of_two();
    case.it.repo.set("refs/tags/v1", &case.good);
    for (branch, expected) in [
        (
            "v1",
            "NotSupported: \"v1\" is no branch, so that nothing can be reverted on it (follow a branch, or take the annotation off)",
        ),
        (case.bad.as_str(), "NotSupported: "),
        (">=1", "NotSupported: "),
        ("nope", "RevisionNotFound: no branch, tag or commit \"nope\" in the repository (it has main)"),
    ] {
        let told = case.told(&Revert { branch: branch.into(), ..case.revert(&["web"]) }).await;
        assert!(told.starts_with(expected), "{branch}: {told}");
    }
    let mut nobody = revert(&case.bad, Vec::new());
    nobody.author.mail.clear();
    assert!(case.told(&nobody).await.starts_with("Invalid: nobody can sign off as \"Tautline\""));
    for branch in ["HEAD", "", "refs/heads/main"] {
        let case = Case::of_two();
        let wanted = Revert { branch: branch.into(), ..case.revert(&["web"]) };
        assert_eq!(case.told(&wanted).await, "main[]", "{branch}");
    }
}

#[tokio::test]
async fn a_server_that_fails_at_a_push_may_take_it_later() {
    let case = Case::of_two();
    for (path, expected) in [
        ("unwell", "answered 503"),
        ("hangup", "cannot be reached: "),
        ("mute", "did not take the revert on \"main\""),
    ] {
        let at = with(&case.it.server.url(&format!("{path}/app.git")), Credentials::None);
        let error = case.it.place.sources.revert(&at, &case.revert(&["web"])).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.message.contains(expected), "{path}: {error}");
    }
    let rude = with(&case.it.server.url("rude/app.git"), Credentials::None);
    let error = case.it.place.sources.revert(&rude, &case.revert(&["web"])).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotPermitted);
    assert!(
        error.message.ends_with("refuses the revert on \"main\": in words that cannot be read"),
        "{error}"
    );
    case.pushed(&case.revert(&["web"])).await;
}
