//! Which files go back, whatever they are?

use super::{Case, part, revert};
use source::Part;
use std::sync::Arc;

fn any(path: &str, case: &Case) -> Part {
    Part { filter: Arc::new(|_| true), ..part(path, &case.good) }
}

/// What is on the branch after a revert of all of `web`, from one state to the other and back.
async fn back(good: &[(&str, &str)], bad: &[(&str, &str)]) -> String {
    let case = Case::new(good, bad);
    case.pushed(&revert(&case.bad, vec![any("web/**", &case)])).await;
    case.show("main")
}

#[tokio::test]
async fn files_come_back_and_go_with_their_modes_and_folders() {
    let keep = ("z.txt", "kept");
    // What was added, removed, run or no longer run, linked or no longer linked, and what changed its kind.
    for (good, bad) in [
        (("web/a", "1"), ("web/b", "2")),
        (("web/a", "1"), ("web/deep/er/b", "2")),
        (("web/deep/er/b", "2"), ("web/a", "1")),
        (("web/run", "+x 1"), ("web/run", "1")),
        (("web/run", "1"), ("web/run", "+x 1")),
        (("web/link", "-> ../z.txt"), ("web/link", "1")),
        (("web/link", "1"), ("web/link", "-> ../z.txt")),
        (("web/link", "-> ../z.txt"), ("web/link", "-> ../nowhere")),
        (("web/x", "1"), ("web/x/y", "1")),
        (("web/x/y", "1"), ("web/x", "1")),
    ] {
        let shown = back(&[good, keep], &[bad, keep]).await;
        assert_eq!(shown, format!("{}: {}, z.txt: kept", good.0, good.1), "after {bad:?}");
    }
    // A folder that the bad commit took away as a whole.
    assert_eq!(back(&[("web/x/y", "1"), keep], &[keep]).await, "web/x/y: 1, z.txt: kept");
}

#[tokio::test]
async fn folders_below_count_only_where_they_belong_to_the_app() {
    let good = [("web/a.yaml", "1"), ("web/sub/b.yaml", "1")];
    let bad = [("web/a.yaml", "2"), ("web/new/c.yaml", "2"), ("web/sub/b.yaml", "2")];
    for (path, expected) in [
        ("web", "web/a.yaml: 1, web/new/c.yaml: 2, web/sub/b.yaml: 2"),
        ("web/**", "web/a.yaml: 1, web/sub/b.yaml: 1"),
        ("web/sub", "web/a.yaml: 2, web/new/c.yaml: 2, web/sub/b.yaml: 1"),
        ("", "web/a.yaml: 2, web/new/c.yaml: 2, web/sub/b.yaml: 2"),
        ("**", "web/a.yaml: 1, web/sub/b.yaml: 1"),
    ] {
        let case = Case::new(&good, &bad);
        let told = case.told(&case.revert(&[path])).await;
        assert_eq!(case.show("main"), expected, "{path}: {told}");
    }
}

#[tokio::test]
async fn a_folder_behind_a_link_goes_back_where_it_really_is() {
    let case =
        Case::new(&[("base/a.yaml", "1"), ("web", "-> base")], &[("base/a.yaml", "2"), ("web", "-> base")]);
    case.pushed(&case.revert(&["web"])).await;
    assert_eq!(case.show("main"), "base/a.yaml: 1, web: -> base");
    // The link itself is not in the folder.
    let case = Case::new(
        &[("base/a.yaml", "1"), ("next/a.yaml", "2"), ("web", "-> base")],
        &[("base/a.yaml", "1"), ("next/a.yaml", "2"), ("web", "-> next")],
    );
    let told = case.told(&case.revert(&["web"])).await;
    assert_eq!(told, "folder \"web\" is a link that does not always lead to the same folder");
}

#[tokio::test]
async fn nothing_of_others_makes_room_for_what_comes_back() {
    // The app had a file where there is a folder of somebody else's now.
    let case = Case::new(&[("web/x.yaml", "1"), ("z", "")], &[("web/x.yaml/notes.txt", "theirs"), ("z", "")]);
    let told = case.told(&case.revert(&["web/**"])).await;
    assert_eq!(told, "folder \"web\" cannot go back: something else stands where one of its files was");
    // And a folder where there is a file.
    let case = Case::new(&[("web/notes.txt/a", "1"), ("z", "")], &[("web/notes.txt", "theirs"), ("z", "")]);
    let told = case.told(&case.revert(&["web/**"])).await;
    assert_eq!(told, "folder \"web\" cannot go back: something else stands where one of its files was");
    let told = case.told(&case.revert(&["absent"])).await;
    assert_eq!(told, format!("there is no folder \"absent\" in commit {}", case.good.short()));
    let told = case.told(&case.revert(&["../web"])).await;
    assert_eq!(told, "path \"../web\" is not a path inside the repository");
}

#[tokio::test]
async fn a_repository_that_holds_nothing_but_what_was_bad_becomes_empty() {
    let case = Case::new(&[("web/notes.txt", "1")], &[("web/a.yaml", "2")]);
    case.it.repo.commit("main", &[("web/a.yaml", "2")]);
    case.pushed(&case.revert(&["web"])).await;
    assert_eq!(case.show("main"), "");
}
