//! Do objects that nobody manages cost anything (B8)?

use super::{Bench, figure, size};
use crate::agent::Agent;
use crate::bed::{CONNECTIONS, app_name, config_maps};
use crate::repository::IDLE_DEPLOYMENT;
use crate::requests::Requests;
use anyhow::Context as _;
use cluster::Endpoint;
use futures::{StreamExt as _, TryStreamExt as _};
use model::Object;
use serde_json::{Value, json};

/// How many ConfigMaps and Deployments there are beside the apps.
const MAPS: usize = 20_000;
const DEPLOYMENTS: usize = 2_000;
const NAMESPACE: &str = "strangers";

impl Bench {
    /// Restarts the agent and changes an app, without strangers and among them.
    pub(crate) async fn strangers(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("B8 strangers");
        // So that the second kind is watched.
        self.deploy_everywhere("idle.yaml", IDLE_DEPLOYMENT).await?;
        // Both rounds follow one of their kind.
        self.restart_and_change().await?;
        let (alone, memory_alone) = self.restart_and_change().await?;
        self.create_strangers().await?;
        let (among, memory_among) = self.restart_and_change().await?;
        self.report
            .count(&bench, "requests, beside those without strangers", among_over(&among, &alone), 0.0)
            .note(format!("{among}; without them {alone}"));
        self.report
            .size(&bench, "memory, beside that without strangers", memory_among - memory_alone, 2.0)
            .note(format!("{memory_alone:.1} MiB without them, {memory_among:.1} among them"));
        Ok(())
    }

    /// Returns what a start and one commit took, and the memory after that.
    async fn restart_and_change(&mut self) -> anyhow::Result<(Requests, f64)> {
        let before = self.bed.settled().await?;
        self.agent.stop()?;
        self.agent = Agent::start(&self.bed.setup)?;
        self.agent.wait_until_ready()?;
        self.bed.settled().await?;
        let version = self.next_version();
        self.bed.repository.write(0..=0, &version)?;
        let commit = self.bed.repository.commit("change one")?;
        self.bed.observer.expect(&commit, &version);
        self.bed.repository.push()?;
        self.bed.observer.wait(self.patience(), |seen| seen.apps.contains_key(&app_name(0))).await?;
        let requests = self.bed.settled().await?.since(&before);
        Ok((requests, self.agent.cost()?.resident))
    }

    async fn create_strangers(&self) -> anyhow::Result<()> {
        let namespaces = Endpoint::new("v1", "Namespace", "namespaces", false);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        self.create(&namespaces, namespace).await?;
        let deployments = Endpoint::new("apps/v1", "Deployment", "deployments", true);
        let maps = (0..MAPS).map(|n| (config_maps(), map(n)));
        let all = maps.chain((0..DEPLOYMENTS).map(|n| (deployments.clone(), deployment(n))));
        let creates = all.map(|(endpoint, object)| async move { self.create(&endpoint, object).await });
        futures::stream::iter(creates).buffer_unordered(CONNECTIONS).try_for_each(|()| async { Ok(()) }).await
    }

    async fn create(&self, endpoint: &Endpoint, value: Value) -> anyhow::Result<()> {
        let object = Object::from_value(value).map_err(|why| anyhow::anyhow!(why.0))?;
        self.bed.admin.create(endpoint, &object, "strangers").await.map(drop).context("create a stranger")
    }
}

/// Returns how many requests there were more, of any sort that strangers could be the reason of.
fn among_over(among: &Requests, alone: &Requests) -> f64 {
    figure(among.deploying().saturating_sub(alone.deploying()))
        + size(usize::from(among.of("watch") > alone.of("watch")))
}

fn map(n: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("stranger-{n:05}"), "namespace": NAMESPACE},
        "data": {"text": "nobody's ".repeat(20)},
    })
}

fn deployment(n: usize) -> Value {
    let labels = json!({"app": format!("stranger-{n:05}")});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": format!("stranger-{n:05}"), "namespace": NAMESPACE},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]},
            },
        },
    })
}
