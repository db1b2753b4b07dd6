//! How many files may be open, and how many of them may callers take? A connection is one, and so is whatever is read of Git,
//! of the cache, and of the cluster.

use api::Limits;

/// How many connections there may be however few files may be open.
const LEAST: usize = 8;

/// Returns what callers of the API may take: no more connections than a quarter of the files that may be open, so that no
/// flood of callers keeps the agent from its work.
pub(crate) fn limits() -> Limits {
    within(Limits::default(), may_be_open())
}

fn within(limits: Limits, may_be_open: Option<usize>) -> Limits {
    let Some(files) = may_be_open else { return limits };
    let max_connections = limits.max_connections.min((files / 4).max(LEAST));
    // As many of them may last as by default: three quarters.
    Limits { max_connections, max_long: limits.max_long.min(max_connections * 3 / 4), ..limits }
}

/// Returns how many files this process may have open; `None` where that is not told, or without a limit.
fn may_be_open() -> Option<usize> {
    parse(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

/// Reads the soft limit, which is what counts (`proc_pid_limits(5)`).
fn parse(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_take_a_quarter_of_what_may_be_open_at_most() {
        let line =
            |soft: &str| format!("Max processes 7 7 processes\nMax open files   {soft}   1048576   files\n");
        for (soft, expected) in [
            ("1048576", (1024, 768)),
            ("unlimited", (1024, 768)),
            ("4096", (1024, 768)),
            ("1024", (256, 192)),
            ("256", (64, 48)),
            ("3", (8, 6)),
        ] {
            let limits = within(Limits::default(), parse(&line(soft)));
            assert_eq!((limits.max_connections, limits.max_long), expected, "{soft}");
        }
        assert_eq!(within(Limits::default(), parse("")), Limits::default());
    }
}
