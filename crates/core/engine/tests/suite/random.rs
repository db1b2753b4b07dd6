//! Do the invariants hold whatever happens, in whatever order?

use crate::invariants::broken;
use crate::replay::is_aside;
use crate::words::Story;
use proptest::prelude::*;

/// What may happen, the ordinary more often than the odd.
fn any_line() -> impl Strategy<Value = String> {
    let spec =
        prop::sample::select(vec!["auto prune heal", "auto", "manual", "auto prune limit=1", "auto heal"]);
    let odd = prop::sample::subsequence(
        vec!["refresh", "hard-refresh", "terminate", "skip", "needs=x", "deleted", "approved=5", "branch=b"],
        0..2,
    );
    let operation = prop::sample::select(vec![
        "",
        "",
        "",
        "op",
        "op prune",
        "op at=b prune",
        "op dry",
        "op only=web limit=1",
    ]);
    let app = (spec, odd, operation).prop_map(|(spec, odd, op)| format!("app {spec} {} {op}", odd.join(" ")));
    let revision = prop::sample::select(vec!["a", "b", "c", "b-2"]);
    let word = prop::sample::select(vec![
        "synced",
        "out",
        "missing",
        "synced/Progressing",
        "synced/Progressing!",
        "synced/Degraded",
        "synced/Degraded!",
        "unknown",
    ]);
    let extra = prop::sample::select(vec![
        "",
        "old=extra",
        "old=synced",
        "incomplete",
        "unsettled",
        "old=extra incomplete",
    ]);
    let content = prop::sample::select(vec!["a", "b", "c"]);
    let compared =
        (content, word, extra).prop_map(|(name, word, extra)| format!("compared {name}: web={word} {extra}"));
    let plan = prop::sample::select(vec![
        "apply web",
        "apply web | prune old",
        "prune old",
        "ask pv",
        "",
        "apply web | skip old",
    ]);
    let result = prop::sample::select(vec![
        "web=created",
        "web=configured",
        "web=unchanged",
        "web=unavailable x",
        "web=invalid x",
        "old=pruned",
    ]);
    prop_oneof![
        3 => app,
        3 => revision.clone().prop_map(|name| format!("resolved {name}")),
        3 => revision.clone().prop_map(|name| format!("rendered {name}")),
        6 => compared,
        4 => plan.prop_map(|plan| format!("planned: {plan}")),
        4 => result.prop_map(|result| format!("done: {result}")),
        2 => revision.prop_map(|name| format!("prepared {name}")),
        1 => prop::sample::select(vec![
            "fails: x", "blinks: x", "invalid b: x", "unsupported b: x", "rendered b: needs=x", "prepared nothing: x",
            "cascaded:", "cascaded: left=x", "cascaded: left=x conflicts", "cascaded: failed=x", "live", "ground", "locked: x",
            "unreadable: now=x from=9=y locked=z", "unreadable:", "refused: x", "allowed",
            "forbidden", "late done: web=created", "late planned: apply web", "start Running a", "start Failed b",
            "start", "start Terminating a",
        ]).prop_map(str::to_owned),
        3 => prop::sample::select(vec!["+1", "+2", "+5", "+20", "+301"]).prop_map(|step| format!("{step}; woke")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold(lines in prop::collection::vec(any_line(), 1..60)) {
        tell(lines.iter().flat_map(|line| line.split("; ")))?;
    }
}

/// Tells a story; fails with its first line after which something is wrong.
fn tell<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<(), TestCaseError> {
    let mut story = Story::new();
    for line in lines {
        let before = story.state.clone();
        let effects = story.line(line);
        if is_aside(line) {
            continue;
        }
        let wrong = broken(&before, &story.state, &effects, &story.app, story.now);
        prop_assert!(wrong.is_empty(), "{line}: {wrong:#?}");
    }
    Ok(())
}

#[test]
fn a_revision_that_somebody_chose_is_applied_while_git_is_away() {
    let lines = [
        "app auto prune heal  op at=b prune",
        "compared c: web=synced ",
        "prepared c",
        "blinks: x",
        "planned: apply web",
    ];
    tell(lines).unwrap();
}
