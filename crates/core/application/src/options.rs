//! What does a sync option ask for, and do we act on it? (Argo CD sync options documentation.)

/// What one option means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing that is not so already.
    NoEffect,
    /// Create the destination namespace.
    CreateNamespace,
    /// Never prune.
    NoPrune,
    /// Never delete with the app.
    NoDelete,
    /// Prune only with a person's consent.
    ConfirmPrune,
    /// Delete with the app only with a person's consent.
    ConfirmDelete,
    /// Argo CD acts on it and we do not yet.
    NotYet,
    /// No option of this name, or not this value.
    Unknown,
}

/// Every option of Argo CD, its values, and what they mean. `Force` counts on objects only, as in Argo CD, but asks for
/// something destructive wherever it stands.
const TABLE: &[(&str, &[(&str, Meaning)])] = &[
    ("Validate", &[("true", Meaning::NoEffect), ("false", Meaning::NotYet)]),
    ("SkipDryRunOnMissingResource", BOTH),
    ("CreateNamespace", &[("true", Meaning::CreateNamespace), ("false", Meaning::NoEffect)]),
    ("PruneLast", OFF_ONLY),
    (
        "PrunePropagationPolicy",
        &[("foreground", Meaning::NoEffect), ("background", Meaning::NotYet), ("orphan", Meaning::NotYet)],
    ),
    (
        "Prune",
        &[("true", Meaning::NoEffect), ("false", Meaning::NoPrune), ("confirm", Meaning::ConfirmPrune)],
    ),
    (
        "Delete",
        &[("true", Meaning::NoEffect), ("false", Meaning::NoDelete), ("confirm", Meaning::ConfirmDelete)],
    ),
    ("ApplyOutOfSyncOnly", BOTH),
    ("Replace", OFF_ONLY),
    ("Force", OFF_ONLY),
    ("ServerSideApply", BOTH),
    ("ClientSideApplyMigration", &[("true", Meaning::NoEffect), ("false", Meaning::NotYet)]),
    ("FailOnSharedResource", OFF_ONLY),
    ("RespectIgnoreDifferences", OFF_ONLY),
];

/// Either way we do what we always do: server-side apply, of what differs only, waiting for missing kinds.
const BOTH: &[(&str, Meaning)] = &[("true", Meaning::NoEffect), ("false", Meaning::NoEffect)];
/// Off is how we work; on is not supported yet.
const OFF_ONLY: &[(&str, Meaning)] = &[("true", Meaning::NotYet), ("false", Meaning::NoEffect)];

/// Looks an option up, such as `Prune=false`; blanks around it do not count.
pub(crate) fn meaning(option: &str) -> Meaning {
    let (name, value) = option.trim().split_once('=').unwrap_or((option.trim(), ""));
    TABLE
        .iter()
        .find(|(known, _)| *known == name)
        .and_then(|(_, values)| values.iter().find(|(known, _)| *known == value))
        .map_or(Meaning::Unknown, |(_, meaning)| *meaning)
}

/// Returns what to do about an unknown option: the values of its name, or the names.
pub(crate) fn help(option: &str) -> String {
    let name = option.trim().split('=').next().unwrap_or_default();
    if let Some((known, values)) = TABLE.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        let values: Vec<String> = values.iter().map(|(value, _)| format!("{known}={value}")).collect();
        format!("write {}", values.join(" or "))
    } else {
        let names: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
        format!("known options are {}", names.join(", "))
    }
}
