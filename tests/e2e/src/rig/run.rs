//! How is a scenario played with a fault, and what was to be seen of it?

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::case::Case;
use super::keeper::Keeper;
use super::picture::Picture;
use super::scenario::{LONGEST, Scenario};
use crate::agent::Agent;
use crate::kube::DEADLINE;
use crate::proxy::{Entry, Proxy};

/// How long an agent at rest may take for what it has begun in its cache folder.
const IN_WORK: Duration = Duration::from_secs(10);

/// What was seen of a run.
pub struct Outcome {
    /// All requests, those before the story as well.
    pub(crate) entries: Vec<Entry>,
    /// How many of them came before the story began.
    pub(crate) n_before: usize,
    /// How often each rule came.
    pub(crate) n_fired: Vec<usize>,
    /// How often the agent was started again.
    pub(crate) n_restarts: usize,
    /// The cluster before the story.
    pub(crate) before: Picture,
    /// The cluster when the status first said that all is well.
    pub(crate) claimed: Picture,
    /// The cluster after the silence.
    pub(crate) after: Picture,
    /// Whether silence came.
    pub(crate) is_quiet: bool,
    /// Whether the agent panicked.
    pub(crate) panicked: bool,
    /// What the agent holds at the end.
    pub(crate) holds: Holdings,
}

/// Plays a scenario and returns what was seen, or why it did not come to its end.
///
/// # Errors
/// What was waited for did not come in time, the agent did not start, or it told a secret: each scene looks for that when it ends.
pub(crate) fn play(scenario: Scenario, case: Option<&Case>, quiet: Duration) -> Result<Outcome, String> {
    let played = catch_unwind(AssertUnwindSafe(|| perform(scenario, case, quiet)));
    played.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
    })
}

fn perform(scenario: Scenario, case: Option<&Case>, quiet: Duration) -> Outcome {
    let mut stage = scenario.set_up();
    let proxy = Arc::clone(&stage.proxy);
    let rules = case.map(Case::rules).unwrap_or_default();
    if scenario.begins_with_start() {
        proxy.arm(&rules);
    }
    let mut settings = stage.scene.settings();
    settings.kubeconfig = proxy.kubeconfig(&stage.scene);
    settings.options = scenario.options();
    let agent = stage.scene.start(settings.clone());
    let cache = settings.cache.clone();
    let keeps_cache = case.is_none_or(|case| case.keeps_cache);
    let keeper = Keeper::new(agent, settings, &proxy, stage.scene.lab, keeps_cache);
    scenario.prepare(&stage);

    let mut n_before = 0;
    if !scenario.begins_with_start() {
        proxy.wait_quiet(Duration::from_secs(1), DEADLINE, is_write);
        n_before = proxy.entries().len();
        proxy.arm(&rules);
    }
    let before = Picture::take(scenario_before(scenario), &stage);
    scenario.act(&mut stage);
    scenario.wait_end(&stage);
    let claimed = Picture::take(scenario, &stage);
    let is_quiet = settle(&proxy, &keeper, quiet);
    scenario.wait_end(&stage);
    let after = Picture::take(scenario, &stage);
    let agent = keeper.ready();
    let (panicked, holds) = (agent.log_text().contains("panicked at"), Holdings::of(&agent, &cache));
    drop(agent);
    Outcome {
        entries: proxy.entries(),
        n_before,
        n_fired: proxy.n_fired(),
        n_restarts: keeper.n_restarts(),
        before,
        claimed,
        after,
        is_quiet,
        panicked,
        holds,
    }
}

/// What a process holds on to, and what it left lying in its cache folder.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Holdings {
    pub(crate) tasks: usize,
    pub(crate) files: usize,
    pub(crate) children: usize,
    pub(crate) half_done: usize,
}

impl Holdings {
    fn of(agent: &Agent, cache: &Path) -> Self {
        let process = PathBuf::from(format!("/proc/{}", agent.pid()));
        let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
        let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        Self {
            tasks: usize::try_from(agent.metric("tautline_tasks")).unwrap_or(usize::MAX),
            files: fs::read_dir(process.join("fd")).into_iter().flatten().count(),
            children: children.map(|children| children.split_whitespace().count()).sum(),
            half_done: still_half_done(cache),
        }
    }
}

/// Returns how many files and folders below a cache folder stay half done.
fn still_half_done(cache: &Path) -> usize {
    let end = Instant::now() + IN_WORK;
    loop {
        let n = half_done(cache);
        if n == 0 || Instant::now() >= end {
            return n;
        }
        sleep(Duration::from_millis(20));
    }
}

/// Counts what the agent and libgit2 give another name once it is whole, or remove: clones on their way in and out, packs,
/// objects, locks.
fn half_done(folder: &Path) -> usize {
    let is_half_done = |name: &str| {
        let ends = [".new", ".old", ".lock", "unfinished"].iter().any(|end| name.ends_with(end));
        ends || name.starts_with("pack_git2_") || name.starts_with("tmp_")
    };
    let count = |entry: fs::DirEntry| {
        let below = if entry.path().is_dir() { half_done(&entry.path()) } else { 0 };
        below + usize::from(is_half_done(&entry.file_name().to_string_lossy()))
    };
    fs::read_dir(folder).into_iter().flatten().flatten().map(count).sum()
}

/// Returns the scenario whose Applications exist before the story.
fn scenario_before(scenario: Scenario) -> Scenario {
    if scenario.begins_with_start() { Scenario::Delete } else { Scenario::Update }
}

/// Waits until nothing is written any more, by the last process that there is.
fn settle(proxy: &Proxy, keeper: &Keeper, quiet: Duration) -> bool {
    loop {
        let n_restarts = keeper.n_restarts();
        drop(keeper.ready());
        // The last cause of a write may be a watch that is frozen still.
        let is_quiet = proxy.wait_quiet(quiet, LONGEST + quiet, is_write);
        drop(keeper.ready());
        if keeper.n_restarts() == n_restarts {
            return is_quiet;
        }
    }
}

/// Returns whether a request changes something, leases aside.
pub(crate) fn is_write(entry: &Entry) -> bool {
    entry.asked.verb.writes() && !entry.asked.resource.starts_with("leases")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_half_done_in_a_cache_is_counted_wherever_it_lies() {
        let cache = tempfile::tempdir().expect("the folder for temporary files is writable");
        for (path, expected) in [
            ("rendered/a.json", 0),
            ("git/a/objects/pack/pack-1.pack", 0),
            ("git/a/objects/pack/pack_git2_1", 1),
            ("git/b.new/HEAD", 2),
            ("git/c.old/HEAD", 3),
            ("git/a/refs/heads/main.lock", 4),
            ("git/a/tautline-access.unfinished", 5),
            ("ssh/.ssh/unfinished", 6),
        ] {
            let file = cache.path().join(path);
            fs::create_dir_all(file.parent().expect("it is in a folder")).expect("the folder is writable");
            fs::write(file, "").expect("the folder is writable");
            assert_eq!(half_done(cache.path()), expected, "{path}");
        }
    }
}
