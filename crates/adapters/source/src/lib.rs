//! Which commit does a revision name, which files does it hold, and how is it taken back?
//!
//! The only user of `git2`, `notify` and `semver`.
//!
//! ```text
//!  RepoUrl + Credentials ──refs──▶ Refs ──resolve──▶ Revision ──fetch──▶ clone in the cache folder
//!     (url, secret)              (remote)           (refs)     (remote)         │ (clone; local repositories
//!                                                                               │  are read where they are)
//!  Watch ──hint──▶ poll again                    inputs / read / commit ◀───────┘
//!  (watch)                                       (tree, listing, commit)
//!                                                           │
//!  Revert ──draft──▶ a commit in memory ──push──▶ a branch  │ good, bad, tip
//!  (revert)          (draft, differences, edit)   (push) ◀──┘
//! ```
//!
//! libgit2 blocks, so all of it runs on two pools of threads of our own ([`Config::threads`]): one for whatever
//! waits for a network, with a limit per host, and one for what only reads disks. The `async` functions of
//! [`Sources`] wait for an answer or for the deadline, whichever comes first, and cancel when they are dropped.
//!
//! What is read comes from the object database: nothing is ever checked out, so names and links in a commit
//! cannot make us write or read a file. Deliberately absent: submodules, LFS, and any use of the configuration
//! files of the machine, those of SSH among them.

mod allowance;
mod clone;
mod clones;
mod commit;
mod config;
mod confine;
mod constraint;
mod credentials;
mod differences;
mod disk;
mod draft;
mod edit;
mod error;
mod explain;
mod github;
mod known_hosts;
mod listing;
mod local;
mod opened;
mod packs;
mod pick;
mod pool;
mod push;
mod refs;
mod remote;
mod revert;
mod secret;
mod size;
mod sources;
mod tree;
mod trees;
mod url;
mod watch;

pub use commit::Commit;
pub use config::{Config, Repository};
pub use credentials::{Access, Checks, Credentials};
pub use disk::read_folder;
pub use error::{Kind, SourceError};
pub use github::GitHubApp;
pub use listing::{File, Folder, Listing};
pub use pick::{consulted, pick, reverts, rivals};
pub use refs::{RefTarget, Refs, Resolution};
pub use revert::{
    Filter, Identity, Part, REVERT_ANNOTATION, REVERT_AUTHOR_ANNOTATION, Revert, RevertPolicy, RevertTo,
    Reverted,
};
pub use secret::{RepositorySecret, SecretKind};
pub use sources::Sources;
pub use url::{RepoUrl, normalise};
pub use watch::{Hints, Watch};
