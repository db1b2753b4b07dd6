//! What if the machine's clock is set an hour back, or a day on, between two events or two lives of the agent?

use crate::words::{Story, effect};

/// Takes lines in and returns what they caused.
fn tell(story: &mut Story, lines: &[&str]) -> Vec<String> {
    lines.iter().flat_map(|line| story.line(line)).map(|told| effect(&told)).collect()
}

/// A story at noon of the second day, so that there is a past to go back to.
fn noon() -> Story {
    let mut story = Story::new();
    tell(&mut story, &["+129600"]);
    story
}

fn wakes(told: &[String]) -> Vec<&String> {
    told.iter().filter(|told| told.starts_with("wake")).collect()
}

const DEPLOYED: [&str; 7] = [
    "app auto prune heal",
    "resolved a",
    "rendered a",
    "compared a: web=missing",
    "planned: apply web",
    "done: web=created",
    "compared a: web=synced",
];

#[test]
fn what_is_deployed_is_not_deployed_again() {
    for jump in ["+-3600", "+86400", "+-86400"] {
        let mut story = noon();
        tell(&mut story, &DEPLOYED);
        let told =
            tell(&mut story, &[jump, "woke", "resolved a", "compared a: web=synced", "app auto prune heal"]);
        assert!(
            !told.iter().any(|told| told.starts_with("plan") || told.starts_with("render")),
            "{jump}: {told:#?}"
        );
        // And a new commit is, at once.
        let told = tell(&mut story, &["resolved b", "rendered b", "compared b: web=out"]);
        assert!(told.iter().any(|told| told.starts_with("plan #2 of b")), "{jump}: {told:#?}");
    }
}

#[test]
fn what_somebody_fights_over_is_corrected_as_late_as_ever_and_no_later() {
    let mut story = noon();
    tell(&mut story, &DEPLOYED);
    let heal =
        ["compared a: web=out", "planned: apply web", "done: web=configured", "compared a: web=synced"];
    tell(&mut story, &heal);
    tell(&mut story, &["+-3600"]);
    // The wait after one correction is two seconds, by whatever clock.
    let told = tell(&mut story, &["compared a: web=out"]);
    assert!(!told.iter().any(|told| told.starts_with("plan")), "{told:#?}");
    assert_eq!(wakes(&told), [&format!("wake at {}s", 129_600 - 3_600 + 2)]);
    let told = tell(&mut story, &["+2", "woke"]);
    assert!(told.iter().any(|told| told.starts_with("plan #3 of a: only web")), "{told:#?}");
}

#[test]
fn what_failed_is_tried_again_in_its_time() {
    let mut story = noon();
    tell(&mut story, &DEPLOYED[..5]);
    tell(&mut story, &["done: web=unavailable timeout", "compared a: web=missing"]);
    // Five seconds later it would be tried again, were the clock not set back: three minutes are the longest wait there is.
    tell(&mut story, &["+-3600", "woke"]);
    let told = tell(&mut story, &["+239", "woke"]);
    assert!(!told.iter().any(|told| told.starts_with("plan")), "{told:#?}");
    let told = tell(&mut story, &["+1", "woke"]);
    assert!(told.iter().any(|told| told.starts_with("plan #1 of a")), "{told:#?}");
}

#[test]
fn a_failure_that_the_status_dates_in_the_future_is_tried_again_in_its_time() {
    let mut story = noon();
    tell(&mut story, &["start Failed a", "+-3600"]);
    let told =
        tell(&mut story, &["app auto prune heal", "resolved a", "rendered a", "compared a: web=missing"]);
    assert!(!told.iter().any(|told| told.starts_with("plan")), "{told:#?}");
    let told = tell(&mut story, &["+5", "woke"]);
    assert!(told.iter().any(|told| told.starts_with("plan")), "{told:#?}");
}
