//! With which word does a wait for a revision end? Commits are `a`, `b`, `c`, each after the one before; `x` comes after none
//! of them.

use crate::words::{Story, revision};
use engine::waiting::{Outcome, Verdict, Wanted, of_request, outcome, revisions};

/// What an app was told up to its first sync being sent.
const APPLYING: &[&str] =
    &["app auto", "resolved a", "rendered a", "compared a: web=missing", "planned: apply web"];

/// Tells a story and returns where a wait for a revision stands after its last line.
fn after(parts: &[&[&str]], wanted: &str) -> String {
    let mut story = Story::new();
    let mut wait = Wanted { revision: Some(revision(wanted)), has_looked: true, ..Wanted::default() };
    let mut stands = String::new();
    for line in parts.iter().copied().flatten() {
        story.line(line);
        let holds = |name: &str| name >= wanted && (name == wanted || !name.starts_with('x'));
        let reached = revisions(&story.state).into_iter().filter(|revision| holds(revision.as_str()));
        wait.reached = reached.cloned().collect();
        wait.was_reached |= !wait.reached.is_empty();
        stands = match outcome(&story.state, &story.app, &wait) {
            Outcome::Waits(what) => format!("waits for {what}"),
            Outcome::Decided(Verdict { word, revision, object, message, .. }) => {
                let object = object.map(|key| format!(" by {key}")).unwrap_or_default();
                format!("{} at {revision}{object}: {message}", word.as_str())
            }
        };
    }
    stands
}

#[track_caller]
fn ends(parts: &[&[&str]], wanted: &str, expected: &str) {
    assert_eq!(after(parts, wanted), expected);
}

const DEPLOYED: &[&str] = &["done: web=created", "compared a: web=synced"];

#[test]
fn a_sync_that_settles_deploys() {
    ends(&[APPLYING], "a", "waits for the sync under way");
    let progressing: &[&str] = &["done: web=created", "compared a: web=synced/Progressing"];
    let waits = "waits for the sync to settle: waiting for ConfigMap ns/web to be healthy; it is Progressing";
    ends(&[APPLYING, progressing], "a", waits);
    let healthy = "Deployed at a: everything is as Git wants it, and healthy";
    ends(&[APPLYING, DEPLOYED], "a", healthy);
    ends(&[APPLYING, progressing, &["compared a: web=synced"]], "a", healthy);
}

#[test]
fn what_declares_checks_is_waited_for_until_they_pass() {
    let begun: &[&str] = &[
        "stable 1: b",
        "app auto check=smoke grace=6 soak=5",
        "resolved a",
        "rendered a",
        "compared a: web=missing",
    ];
    let settled: &[&str] =
        &["differs a: web", "planned: apply web", "done: web=created", "compared a: web=synced"];
    let soaking = "waits for everything to stay healthy for 5s, and for";
    ends(&[begun, settled], "a", &format!("{soaking} check smoke to pass"));
    let failing: &[&str] = &["checked a: smoke=failed it answers 500"];
    ends(&[begun, settled, failing], "a", &format!("{soaking} check smoke: it answers 500"));
    let away: &[&str] = &["checked a: smoke=unknown nobody answers", "+305", "woke"];
    let held = "Held at a: everything is as Git wants it, and healthy, but does not count as stable: check smoke: nobody answers";
    ends(&[begun, settled, away], "a", held);
    let passing: &[&str] = &["checked a: smoke=passed", "+5", "woke", "checked a: smoke=passed"];
    let deployed = "Deployed at a: everything is as Git wants it, and healthy";
    ends(&[begun, settled, passing, &["stable 2: a"]], "a", deployed);
    // Nobody goes back: it is as healthy as ever, and has failed.
    let manual: &[&str] =
        &["app auto rollback=manual check=smoke grace=0", "checked a: smoke=failed it answers 500"];
    ends(&[begun, settled, manual], "a", "Failed at a: check smoke failed: it answers 500");
}

#[test]
fn what_comes_after_the_revision_counts_for_it() {
    let newer: &[&str] = &["resolved c", "rendered c", "compared c: web=out", "planned: apply web"];
    ends(&[APPLYING, DEPLOYED, newer], "b", "waits for the sync under way");
    let settled: &[&str] = &["done: web=configured", "compared c: web=synced"];
    let deployed = "Deployed at c: everything is as Git wants it, and healthy";
    ends(&[APPLYING, DEPLOYED, newer, settled], "b", deployed);
    // The sync of the revision itself was cut short by it.
    let cut_short: &[&str] = &["resolved c", "rendered c", "late done: web=created", "compared c: web=out"];
    ends(&[APPLYING, cut_short, &["planned: apply web"], settled], "a", deployed);
    let failed: &[&str] = &["done: web=invalid no such field"];
    let message = "one or more objects failed to apply, reason: ConfigMap ns/web: no such field";
    ends(&[APPLYING, DEPLOYED, newer, failed], "b", &format!("Failed at c by ConfigMap ns/web: {message}"));
}

#[test]
fn a_revision_that_changes_nothing_is_deployed_once_it_is_looked_at() {
    // It has the content of the first.
    let pushed: &[&str] = &["resolved a-2"];
    let before = "waits for a-2 to come to what the Application follows, which is at a and does not hold it";
    ends(&[APPLYING, DEPLOYED], "a-2", before);
    ends(&[APPLYING, DEPLOYED, pushed], "a-2", "waits for the revision to be rendered");
    let nothing = "Deployed at a-2: everything is as Git wants it, and healthy; the revision changed nothing for the Application";
    ends(&[APPLYING, DEPLOYED, pushed, &["rendered a-2", "compared a: web=synced"]], "a-2", nothing);
}

#[test]
fn what_was_there_before_and_is_still_unhealthy_is_no_fault_of_a_revision_that_was_synced() {
    let sick: &[&str] =
        &["app auto", "resolved a", "rendered a", "compared a: web=missing db=synced/Degraded"];
    let settled: &[&str] =
        &["planned: apply web", "done: web=created", "compared a: web=synced db=synced/Degraded"];
    let said = after(&[sick, settled], "a");
    assert!(
        said.starts_with("Deployed at a: successfully synced (all tasks run); by now it is Degraded"),
        "{said}"
    );
    // Nothing was synced: nobody knows whose fault it is, and somebody has to look.
    let found: &[&str] = &["app auto", "resolved a", "rendered a", "compared a: db=synced/Degraded~crashes"];
    let said = after(&[found], "a");
    assert!(
        said.starts_with("Failed at a by ConfigMap ns/db: everything is as Git wants it, but Degraded"),
        "{said}"
    );
}

#[test]
fn content_that_is_at_fault_fails() {
    let refused: &[&str] = &["done: web=invalid no such field"];
    let message = "one or more objects failed to apply, reason: ConfigMap ns/web: no such field";
    ends(&[APPLYING, refused], "a", &format!("Failed at a by ConfigMap ns/web: {message}"));
    let broken: &[&str] = &["done: web=created", "compared a: web=synced/Degraded!~crashes", "+16", "woke"];
    ends(&[APPLYING, broken], "a", "Failed at a by ConfigMap ns/web: ConfigMap ns/web is Degraded: crashes");
    let invalid: &[&str] = &["resolved b", "invalid b: web.yaml:3: no colon"];
    ends(&[APPLYING, DEPLOYED, invalid], "b", "Failed at b: b cannot be deployed: web.yaml:3: no colon");
    // What was deployed before stays.
    ends(&[APPLYING, DEPLOYED, invalid], "a", "Deployed at a: everything is as Git wants it, and healthy");
    let ended: &[&str] = &["app auto terminate"];
    ends(&[APPLYING, ended], "a", "Failed at a: Operation terminated");
}

#[test]
fn what_may_pass_is_waited_out_once_and_holds_then() {
    let fails: &[&str] = &["done: web=unavailable timeout"];
    let failed = "one or more objects failed to apply, reason: ConfigMap ns/web: timeout";
    let said = format!("waits for the next try at 1970-01-01T00:00:05Z, for the last one failed: {failed}");
    ends(&[APPLYING, fails], "a", &said);
    let again: &[&str] = &["compared a: web=missing", "+5", "woke", "planned: apply web"];
    let said = format!("Held at a by ConfigMap ns/web: {failed}; it is tried again at 1970-01-01T00:00:15Z");
    ends(&[APPLYING, fails, again, fails], "a", &said);
    ends(&[APPLYING, fails, again], "a", "waits for the sync under way");
}

#[test]
fn what_a_person_has_to_change_holds() {
    let read_only: &[&str] =
        &["app auto needs=spec.source.helm", "resolved a", "rendered a", "compared a: web=out"];
    let said = after(&[read_only], "a");
    assert!(said.starts_with("Held at a: Read-only: Tautline does not act on spec.source.helm"), "{said}");
    ends(&[&["app auto", "refused: no such project"]], "a", "Held at a: no such project");
    ends(&[&["app auto", "fails: wrong password"]], "a", "Held at a: wrong password");
    ends(&[&["app auto", "blinks: no answer"]], "a", "waits for the repository to answer");
    let skipped = after(&[APPLYING, &["app auto skip"]], "a");
    assert!(skipped.starts_with("Held at a: the Application is left alone"), "{skipped}");
    let unsupported: &[&str] = &["resolved b", "unsupported b: Job.batch/a"];
    let said = after(&[APPLYING, DEPLOYED, unsupported], "b");
    assert!(said.starts_with("Held at b: Read-only: Tautline does not act on Job.batch/a"), "{said}");
    let wipes: &[&str] = &["app auto prune", "resolved a", "rendered a", "compared a: web=extra"];
    let said = after(&[wipes], "a");
    assert!(
        said.starts_with("Held at a by ConfigMap ns/web: an automated sync would delete everything"),
        "{said}"
    );
}

#[test]
fn what_the_repository_said_before_the_wait_began_decides_nothing() {
    let stands = |lines: &[&str], has_looked| {
        let mut story = Story::new();
        for line in lines {
            story.line(line);
        }
        let reached = revisions(&story.state).into_iter().filter(|revision| revision.as_str() == "a");
        let reached = reached.cloned().collect();
        let wanted = Wanted { revision: Some(revision("a")), reached, has_looked, ..Wanted::default() };
        outcome(&story.state, &story.app, &wanted)
    };
    let locked: &[&str] = &["app auto", "fails: wrong password"];
    assert_eq!(stands(locked, false), Outcome::Waits("the repository to answer".into()));
    assert!(matches!(stands(locked, true), Outcome::Decided(_)));
    // Whoever pushed it once more waits for what that comes to.
    let replaced = [APPLYING, DEPLOYED, &["resolved x", "rendered x", "compared x: web=synced"]].concat();
    assert!(matches!(stands(&replaced, false), Outcome::Waits(_)));
    assert!(matches!(stands(&replaced, true), Outcome::Decided(_)));
}

#[test]
fn what_nobody_asked_for_is_not_requested() {
    let manual: &[&str] = &["app manual", "resolved a", "rendered a", "compared a: web=missing"];
    let nobody = "the Application differs from it, is not synced automatically, and nobody asked for a sync";
    ends(&[manual], "a", &format!("NotRequested at a by ConfigMap ns/web: {nobody}"));
    ends(&[manual, &["app manual op"]], "a", "waits for the sync's revision to be rendered");
    let synced: &[&str] = &["app manual", "resolved a", "rendered a", "compared a: web=synced"];
    let nothing =
        "everything is as Git wants it, and healthy; the revision changed nothing for the Application";
    ends(&[synced], "a", &format!("Deployed at a: {nothing}"));
}

#[test]
fn a_revision_that_somebody_chose_is_deployed_though_git_wants_another() {
    let manual: &[&str] = &["app manual", "resolved c", "rendered c", "compared c: web=missing"];
    let chosen: &[&str] =
        &["app manual op at=x", "prepared x", "compared x: web=missing", "planned: apply web"];
    ends(&[manual, chosen], "x", "waits for the sync under way");
    let done: &[&str] = &["done: web=created", "compared x: web=synced"];
    ends(&[manual, chosen, done], "x", "Deployed at x: successfully synced (all tasks run)");
}

#[test]
fn what_does_not_come_after_the_revision_supersedes_it() {
    let replaced: &[&str] = &["resolved x", "rendered x", "compared x: web=out"];
    let said = "Superseded at x: the repository is at x, which does not come after a";
    ends(&[APPLYING, replaced], "a", said);
    // Something that the app was never at may yet come.
    let waits = "waits for b to come to what the Application follows, which is at x and does not hold it";
    ends(&[APPLYING, replaced], "b", waits);
    let said = "Superseded at a: the Application is being deleted";
    ends(&[APPLYING, &["app auto deleted"]], "a", said);
}

#[test]
fn a_wait_for_a_commit_that_is_not_known_yet_waits_for_git() {
    let mut story = Story::new();
    for line in APPLYING {
        story.line(line);
    }
    let stands = outcome(&story.state, &story.app, &Wanted::default());
    assert_eq!(stands, Outcome::Waits("the repository to say which commit that is".into()));
    story.line("app auto deleted");
    assert!(matches!(outcome(&story.state, &story.app, &Wanted::default()), Outcome::Decided(_)));
}

/// Tells a story and returns where a wait stands for the sync that was asked for.
fn request_after(parts: &[&[&str]]) -> String {
    let mut story = Story::new();
    for line in parts.iter().copied().flatten() {
        story.line(line);
    }
    match of_request(&story.state, &story.app) {
        None => "nobody asked".into(),
        Some(Outcome::Waits(what)) => format!("waits for {what}"),
        Some(Outcome::Decided(Verdict { word, revision, message, .. })) => {
            format!("{} at {revision}: {message}", word.as_str())
        }
    }
}

#[test]
fn a_sync_that_was_asked_for_is_judged_by_itself() {
    let manual: &[&str] = &["app manual", "resolved a", "rendered a", "compared a: web=missing"];
    assert_eq!(request_after(&[manual]), "nobody asked");
    assert_eq!(request_after(&[APPLYING, DEPLOYED]), "nobody asked");
    let dry: &[&str] = &["app manual op dry", "prepared a", "planned: apply web"];
    assert_eq!(request_after(&[manual, dry]), "waits for the sync under way");
    let done: &[&str] = &["done: web=created", "compared a: web=missing"];
    assert_eq!(request_after(&[manual, dry, done]), "Deployed at a: successfully synced (dry run)");
    // It says nothing of the revision: that was never synced.
    let nobody = "NotRequested at a by ConfigMap ns/web";
    assert!(after(&[manual, dry, done], "a").starts_with(nobody));
    let refused: &[&str] = &["done: web=invalid no such field"];
    assert!(request_after(&[manual, dry, refused]).starts_with("Failed at a: one or more objects failed"));
    let skipped: &[&str] = &["app manual skip op"];
    assert!(request_after(&[manual, skipped]).starts_with("Held at a: the Application is left alone"));
    let deleted: &[&str] = &["app manual deleted op"];
    assert!(
        request_after(&[manual, deleted]).starts_with("Superseded at a: the Application is being deleted")
    );
}

#[test]
fn a_sync_of_single_objects_says_nothing_of_the_revision() {
    let manual: &[&str] = &["app manual", "resolved a", "rendered a", "compared a: db=missing web=missing"];
    let single: &[&str] =
        &["app manual op only=web", "prepared a", "planned: apply web", "done: web=created"];
    let over: &[&str] = &["compared a: db=missing web=synced"];
    assert!(request_after(&[manual, single, over]).starts_with("Deployed at a: "));
    assert!(after(&[manual, single, over], "a").starts_with("NotRequested at a by ConfigMap ns/db"));
}
