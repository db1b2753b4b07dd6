//! Who asks, as the cluster knows them?

use std::collections::BTreeMap;

/// Somebody whom the API server knows by a token (`UserInfo` of `authentication.k8s.io/v1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct User {
    /// Such as `system:serviceaccount:ci:deployer`; never empty.
    pub name: String,
    /// Tells two users of one name apart that follow each other in time; may be empty.
    pub uid: String,
    /// Groups that rights may be bound to.
    pub groups: Vec<String>,
    /// What else the authenticator said, which authorizers may ask for.
    pub extra: BTreeMap<String, Vec<String>>,
}
