//! What does a requested sync look like?

use super::{Info, Retry, Source, wire};

wire! {
    /// A sync that somebody asks for, or that is under way.
    Operation {
        /// What to sync.
        sync: SyncOperation,
        /// Who asked.
        initiated_by: Initiator,
        /// Shown to people; without effect.
        info: Vec<Info>,
        /// Repeats, instead of the spec's.
        retry: Retry,
    }

    /// Who asked for a sync.
    Initiator {
        /// Name of the person or machine.
        username: String,
        /// Whether the controller itself asked.
        automated: bool,
    }

    /// What to sync.
    SyncOperation {
        /// Revision to deploy instead of the spec's.
        revision: String,
        /// Revisions to deploy, one per entry of `sources`.
        revisions: Vec<String>,
        /// Delete what Git no longer has.
        prune: bool,
        /// Change nothing.
        dry_run: bool,
        /// How to apply.
        sync_strategy: SyncStrategy,
        /// Only these objects.
        resources: Vec<SyncResource>,
        /// Source to deploy instead of the spec's.
        source: Source,
        /// Sources to deploy instead of the spec's.
        sources: Vec<Source>,
        /// Manifests to deploy instead of any source's, as JSON texts. Kept for Argo CD; always refused by Tautline.
        manifests: Vec<String>,
        /// Options instead of the spec's.
        sync_options: Vec<String>,
        /// How often self-heal has tried in a row.
        auto_heal_attempts_count: i64,
    }

    /// How to apply.
    SyncStrategy {
        /// Apply, and run no hooks.
        apply: SyncStrategyOptions,
        /// Apply, and run hooks: what happens where nothing is said.
        hook: HookStrategy,
    }

    /// Options of applying without hooks.
    SyncStrategyOptions {
        /// Delete and create again what cannot be changed.
        force: bool,
    }

    /// Options of applying with hooks.
    HookStrategy {
        /// Delete and create again what cannot be changed.
        force: bool,
    }

    /// One object of a selective sync.
    SyncResource {
        /// API group; empty for the core group.
        group: String,
        /// Kind.
        #[schemars(required)]
        kind: String,
        /// Name.
        #[schemars(required)]
        name: String,
        /// Namespace; empty for any.
        namespace: String,
    }
}
