//! Which stages does kwok play?

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

/// Returns the text of kwok's configuration file.
pub(crate) fn text() -> String {
    STAGES.join("---\n")
}
