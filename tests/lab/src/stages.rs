//! Which stages does kwok play, and what do its containers write?

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// One file per behaviour; `src/lib.rs` has the table for readers.
const STAGES: &[&str] = &[
    include_str!("../stages/node-ready.yaml"),
    include_str!("../stages/pod-bad-name.yaml"),
    include_str!("../stages/pod-crash.yaml"),
    include_str!("../stages/pod-delete.yaml"),
    include_str!("../stages/pod-finish.yaml"),
    include_str!("../stages/pod-pull.yaml"),
    include_str!("../stages/pod-ready.yaml"),
    include_str!("../stages/pod-slow.yaml"),
    include_str!("../stages/pod-start.yaml"),
];

/// What every container writes, in the format of the Container Runtime Interface.
const LOG: &str = include_str!("../logs/current.log");
/// What every container wrote in the run before.
const PREVIOUS_LOG: &str = include_str!("../logs/previous.log");

/// Writes kwok's configuration file and the files that it names into `folder`.
pub(crate) fn write(folder: &Path) -> Result<()> {
    for (name, text) in [("current.log", LOG), ("previous.log", PREVIOUS_LOG), ("stages.yaml", &text(folder))]
    {
        fs::write(folder.join(name), text).with_context(|| format!("write {name}"))?;
    }
    Ok(())
}

fn text(folder: &Path) -> String {
    let folder = folder.display();
    let logs = format!(
        "apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata:
  name: of-every-container
spec:
  logs:
  - logsFile: {folder}/current.log
    previousLogsFile: {folder}/previous.log
"
    );
    let parts: Vec<&str> = STAGES.iter().copied().chain([logs.as_str()]).collect();
    parts.join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the values of the lists that follow a test of the image's tag with `operator`.
    fn tags(text: &str, operator: &str) -> Vec<String> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let tests = lines.windows(3).filter(|lines| {
            lines[0].contains(r#"split("/") | last | split(":")"#)
                && lines[1] == format!("operator: {operator}")
        });
        let values = tests.flat_map(|lines| lines[2].split('"').skip(1).step_by(2));
        values.map(String::from).collect()
    }

    #[test]
    fn a_tag_with_a_first_stage_of_its_own_is_not_ready_at_once() {
        let mut excepted = tags(include_str!("../stages/pod-ready.yaml"), "NotIn");
        let mut special = tags(&text(Path::new("/tmp")), "In");
        // It is Ready at once, and crashes later.
        special.retain(|tag| tag != "ready-then-crash");
        excepted.sort();
        special.sort();
        special.dedup();
        assert_eq!(excepted, special);
    }
}
