//! What does a process cost? Its CPU time and memory, as Linux counts them.

use anyhow::Context as _;
use std::time::Duration;

/// What a process has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cost {
    /// User and system time.
    pub cpu: Duration,
    /// Resident set, in MiB.
    pub resident: f64,
    /// Largest resident set so far, in MiB.
    pub peak: f64,
}

impl Cost {
    /// Returns the CPU time since an earlier reading, in milliseconds.
    pub(crate) fn cpu_since(&self, earlier: &Self) -> f64 {
        self.cpu.saturating_sub(earlier.cpu).as_secs_f64() * 1000.0
    }
}

/// Reads what a process has cost so far.
pub(crate) fn cost(pid: u32) -> anyhow::Result<Cost> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        std::fs::read_to_string(&path).with_context(|| format!("read {path}"))
    };
    let cpu = cpu(&read("stat")?).context("find the CPU time in /proc/<pid>/stat")?;
    let status = read("status")?;
    let mib =
        |field: &str| mib(&status, field).with_context(|| format!("find {field} in /proc/<pid>/status"));
    Ok(Cost { cpu, resident: mib("VmRSS:")?, peak: mib("VmHWM:")? })
}

/// What a process holds of the system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// Open files, sockets among them.
    pub files: usize,
    /// Threads.
    pub threads: usize,
    /// Heaps that threads have of their own, beside the one of the process.
    pub heaps: usize,
}

/// Counts what a process holds now.
pub(crate) fn open(pid: u32) -> anyhow::Result<Open> {
    let count = |folder: &str| {
        let path = format!("/proc/{pid}/{folder}");
        let entries = std::fs::read_dir(&path).with_context(|| format!("read {path}"))?;
        anyhow::Ok(entries.count())
    };
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).context("read its mappings")?;
    Ok(Open { files: count("fd")?, threads: count("task")?, heaps: heaps(&maps) })
}

/// Counts the heaps that glibc gave to threads: each begins at a multiple of 64 MiB, and what it does not use yet of as much
/// may not be touched.
fn heaps(maps: &str) -> usize {
    const LONGEST: u64 = 64 << 20;
    let regions: Vec<(u64, u64, &str)> = maps.lines().filter_map(region).collect();
    let is_heap = |used: &(u64, u64, &str), rest: &(u64, u64, &str)| {
        let is_whole = used.0.is_multiple_of(LONGEST) && used.1 == rest.0 && rest.1 == used.0 + LONGEST;
        is_whole && used.2.starts_with("rw") && rest.2.starts_with("---")
    };
    regions.windows(2).filter(|pair| is_heap(&pair[0], &pair[1])).count()
}

/// Reads a line of proc(5)'s `maps`: from where, to where, and what may be done with it.
fn region(line: &str) -> Option<(u64, u64, &str)> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?, words.next()?))
}

/// Fields 14 and 15 of proc(5)'s `stat`, in ticks: a hundredth of a second on every Linux that we run on. The name in
/// field 2 may hold spaces and brackets, so counting starts behind its last bracket.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}

fn mib(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u32 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(f64::from(kib) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 12 30 0 0 20 0 4 0 100 1000 200";
        assert_eq!(cpu(stat), Some(Duration::from_millis(420)));
    }

    #[test]
    fn heaps_of_threads_are_told_from_other_memory() {
        let maps = "\
            561c2f1f4000-561c2f215000 rw-p 00000000 00:00 0                          [heap]\n\
            7f2d44000000-7f2d44021000 rw-p 00000000 00:00 0 \n\
            7f2d44021000-7f2d48000000 ---p 00000000 00:00 0 \n\
            7f2d4c000000-7f2d4c021000 rw-p 00000000 00:00 0 \n\
            7f2d4c021000-7f2d4c022000 ---p 00000000 00:00 0 \n";
        assert_eq!(heaps(maps), 1, "the first is the process's, the last no whole one");
    }

    #[test]
    fn memory_is_in_mib() {
        assert_eq!(mib("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1536 kB\n", "VmRSS:"), Some(1.5));
    }
}
