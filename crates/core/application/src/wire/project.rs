//! What does an AppProject permit, on the wire?

use super::{Destination, wire};

wire! {
    /// What apps of the project may do.
    ProjectSpec {
        /// Repositories, as globs; `!` forbids.
        source_repos: Vec<String>,
        /// Clusters and namespaces, as globs; `!` forbids.
        destinations: Vec<Destination>,
        /// Shown to people.
        #[schemars(length(max = 255))]
        description: String,
        /// Who may do what, for Argo CD's API.
        roles: Vec<Role>,
        /// Cluster-scoped kinds that are allowed; none where empty.
        cluster_resource_whitelist: Vec<ResourceRule>,
        /// Cluster-scoped kinds that are forbidden.
        cluster_resource_blacklist: Vec<ResourceRule>,
        /// Namespaced kinds that are allowed; all where absent, none where empty.
        namespace_resource_whitelist: Vec<KindRule>,
        /// Namespaced kinds that are forbidden.
        namespace_resource_blacklist: Vec<KindRule>,
        /// Whether to tell of objects that belong to no app.
        orphaned_resources: OrphanedResources,
        /// When syncs may run.
        sync_windows: Vec<SyncWindow>,
        /// Keys that commits must be signed with.
        signature_keys: Vec<SignatureKey>,
        /// How commits must be signed.
        source_integrity: SourceIntegrity,
        /// Namespaces that Applications of the project may live in, as globs.
        source_namespaces: Vec<String>,
        /// Only clusters that name this project count as destinations.
        permit_only_project_scoped_clusters: bool,
        /// Service accounts that syncs act as.
        destination_service_accounts: Vec<DestinationServiceAccount>,
    }

    /// Kinds, as patterns over group, kind and name.
    ResourceRule {
        /// API group; empty for the core group.
        #[schemars(required)]
        group: String,
        /// Kind.
        #[schemars(required)]
        kind: String,
        /// Name; any where empty.
        name: String,
    }

    /// Kinds, as patterns over group and kind.
    KindRule {
        /// API group; empty for the core group.
        #[schemars(required)]
        group: String,
        /// Kind.
        #[schemars(required)]
        kind: String,
    }

    /// A role for Argo CD's API.
    Role {
        /// Its name.
        #[schemars(required)]
        name: String,
        /// Shown to people.
        description: String,
        /// What it may do.
        policies: Vec<String>,
        /// Tokens issued for it.
        jwt_tokens: Vec<JwtToken>,
        /// Groups that have it.
        groups: Vec<String>,
    }

    /// When a token was issued and when it ends.
    JwtToken {
        /// Issued at, in seconds since 1970.
        #[schemars(required)]
        iat: i64,
        /// Ends at, in seconds since 1970.
        exp: i64,
        /// The token's id.
        id: String,
    }

    /// Whether to tell of objects that belong to no app.
    OrphanedResources {
        /// Whether to warn.
        warn: bool,
        /// Objects to say nothing of.
        ignore: Vec<OrphanedKey>,
    }

    /// Objects to say nothing of.
    OrphanedKey {
        /// API group.
        group: String,
        /// Kind.
        kind: String,
        /// Name.
        name: String,
    }

    /// A time when syncs may or may not run.
    SyncWindow {
        /// `allow` or `deny`.
        kind: String,
        /// When it begins, as a cron line.
        schedule: String,
        /// How long it lasts.
        duration: String,
        /// Apps it is for, as globs.
        applications: Vec<String>,
        /// Namespaces it is for, as globs.
        namespaces: Vec<String>,
        /// Clusters it is for, as globs.
        clusters: Vec<String>,
        /// Whether people may sync all the same.
        manual_sync: bool,
        /// Time zone of the schedule.
        time_zone: String,
        /// Whether apps, namespaces and clusters must all match.
        and_operator: bool,
        /// Shown to people.
        description: String,
        /// Whether a sync that began earlier may go on.
        sync_overrun: bool,
    }

    /// A key that commits must be signed with.
    SignatureKey {
        /// Its id, in hexadecimal.
        #[serde(rename = "keyID")]
        #[schemars(required)]
        key_id: String,
    }

    /// How commits must be signed.
    SourceIntegrity {
        /// For Git.
        #[schemars(required)]
        git: GitIntegrity,
    }

    /// How Git commits must be signed.
    GitIntegrity {
        /// Policies; the first that matches counts.
        #[schemars(required)]
        policies: Vec<GitIntegrityPolicy>,
    }

    /// How commits of some repositories must be signed.
    GitIntegrityPolicy {
        /// Repositories, as globs.
        #[schemars(required)]
        repos: Vec<IntegrityRepo>,
        /// Signatures by GPG.
        #[schemars(required)]
        gpg: GpgIntegrity,
    }

    /// Repositories that a policy is for.
    IntegrityRepo {
        /// URL, as a glob.
        #[schemars(required)]
        url: String,
    }

    /// Signatures by GPG.
    GpgIntegrity {
        /// What is checked: `none`, `head` or `strict`.
        #[schemars(required)]
        mode: String,
        /// Keys that count.
        #[schemars(required)]
        keys: Vec<String>,
    }

    /// A service account that syncs act as.
    DestinationServiceAccount {
        /// Cluster, as a glob.
        #[schemars(required)]
        server: String,
        /// Namespace, as a glob.
        namespace: String,
        /// The service account.
        #[schemars(required)]
        default_service_account: String,
    }
}
