//! How soon is a commit Synced and Healthy that gives each app the objects of a small web site (B4)?

use super::{Bench, figure, size, until_last};
use crate::ingress::IngressController;
use std::time::Instant;

/// Objects per app.
const OBJECTS: usize = 4;
/// A Deployment of no replicas is healthy when its controller has seen it, an Ingress when it has an address.
const SITE: &str = "apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      containers: [{name: web, image: \"registry.example/web:1\", ports: [{containerPort: 8080}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
  - host: web.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}
";

impl Bench {
    /// Commits a site for each app. Something plays the ingress controller; what it takes is part of the time.
    pub(crate) async fn site(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("B4 site");
        let apps = self.scale.apps;
        let controller = IngressController::start(&self.bed)?;
        for app in 0..apps {
            self.bed.repository.put(app, "site.yaml", Some(SITE))?;
        }
        let commit = self.bed.repository.commit("a site each")?;
        self.bed.repository.stage()?;
        let before = self.rest().await?;
        let cost = self.agent.cost()?;
        self.bed.observer.expect(&commit, "");
        let begin = Instant::now();
        self.bed.repository.move_to(&commit)?;
        self.bed.observer.wait(self.patience(), |seen| seen.healthy.len() == apps).await?;
        let (synced, healthy) = {
            let seen = self.bed.observer.seen();
            (until_last(&seen.apps, begin), until_last(&seen.healthy, begin))
        };
        let after = self.rest().await?;
        let requests = after.0.since(&before.0);
        self.report.time(&bench, "commit to all synced", synced, "s", None);
        self.report
            .time(&bench, "commit to all synced and healthy", healthy, "s", Some(2.0))
            .note(format!("{} Ingresses got their address from the bench", controller.n_addressed()));
        // Each new kind is recorded once.
        let limit = size(OBJECTS * apps + OBJECTS) / size(apps);
        self.report
            .count(&bench, "applies per app", figure(requests.of("apply")) / size(apps), limit)
            .note(requests.to_string());
        // One while the sync runs for longer than two seconds, and one at its end.
        self.report.count(&bench, "status writes per app", figure(requests.of("status")) / size(apps), 2.0);
        self.report.time(&bench, "CPU per app", self.agent.cost()?.cpu_since(&cost) / size(apps), "ms", None);
        Ok(())
    }
}
