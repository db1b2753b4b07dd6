//! As whom does an agent act that has no more rights than it is shipped with?

use application::install;

use crate::scene::Scene;

impl Scene {
    /// Installs the agent's service account with its own rights and none on what Git may hold; what belongs to the cluster
    /// under names of its own. [`Scene::agent_as`] with [`install::NAME`] acts as it.
    ///
    /// # Panics
    /// When the API server refuses any of it.
    pub fn install_account(&self) {
        let ours = ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
        for mut document in install::documents(&self.control, install::IMAGE) {
            let kind = document["kind"].as_str().unwrap_or_default().to_owned();
            if !ours.contains(&kind.as_str()) || document["metadata"]["name"] == install::MANAGED_ROLE {
                continue;
            }
            if kind.starts_with("Cluster") {
                document["metadata"]["name"] = self.unique("agent").into();
            }
            if kind == "ClusterRoleBinding" {
                document["roleRef"]["name"] = self.unique("agent").into();
            }
            self.create(&document).unwrap_or_else(|error| panic!("install {document}: {error}"));
        }
    }

    /// Lets that account do something to kinds that it may otherwise not touch, such as `podtemplates` or
    /// `deployments.apps`.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn grant(&self, name: &str, resources: &str, verbs: &[&str]) {
        let (role, name) = (self.unique(name), format!("--clusterrole={}", self.unique(name)));
        let [verbs, resources] = [format!("--verb={}", verbs.join(",")), format!("--resource={resources}")];
        let account = format!("--serviceaccount={}:{}", self.control, install::NAME);
        for arguments in [
            ["create", "clusterrole", &role, &verbs, &resources],
            ["create", "clusterrolebinding", &role, &name, &account],
        ] {
            self.lab.kubectl(&arguments).unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}
