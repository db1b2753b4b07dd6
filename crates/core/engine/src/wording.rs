//! Which words of conditions and messages does somebody read back? Whoever has only the status makes of it what the engine knew
//! when it wrote that, so these stand here once for both.

/// How a condition begins that says why the repository cannot be read.
pub const CANNOT_BE_READ: &str = "Failed to load target state: ";
/// How one begins that says why a commit cannot be deployed, with the commit's beginning after it.
pub const CANNOT_BE_DEPLOYED: &str = "Failed to load target state at ";
/// How one begins that says why the last sync failed, with its commit after it.
pub const FAILED: &str = "Failed last sync attempt to [";
/// What stands between that commit and why.
pub const WHY: &str = "]: ";
/// What the message of a sync that is going to be tried again says last, before its number and the time.
pub const RETRYING: &str = " Retrying attempt #";
/// The message of a sync that applies.
pub const APPLYING: &str = "applying";
