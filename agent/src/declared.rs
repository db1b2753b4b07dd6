//! How are the checks looked at that an app declares? Some at a time, each for a few seconds; what was not found out by then is not
//! known, and the engine asks again.

mod trial;

use crate::agent::Agent;
use crate::desired::DesiredSet;
use crate::input::Input;
use cluster::{Cluster, ServicePort};
use engine::{Event, Inspection};
use futures::StreamExt as _;
use health::{Redaction, check};
use model::{AppKey, Check, DesiredHash, HttpProbe, Look, Probe, QueryProbe, Relayed, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use trial::Trial;

/// How many checks of an app are looked at at the same time.
const AT_A_TIME: usize = 4;
/// Longest time for all checks of an app together.
const DEADLINE: Duration = Duration::from_secs(45);
/// How long an answer of a Service is waited for, however soon it should be there: for 30 s the API server tries to reach a pod, and
/// says so then; a network that is down is not the commit's fault.
const PATIENCE: Duration = Duration::from_secs(35);
/// How long the API server has to answer for itself.
const CONTROL: Duration = Duration::from_secs(5);
/// How long Prometheus has to answer.
const QUERY: Duration = Duration::from_secs(10);
/// Where Prometheus takes queries.
const QUERIES: &str = "/api/v1/query";

/// All that a look needs.
struct Looks {
    /// The app's part of the API server.
    cluster: Cluster,
    /// Where Prometheus is, if the operator says.
    prometheus: Option<ServicePort>,
    /// The Jobs that are checks.
    trials: Vec<Trial>,
    /// What is deployed, with the values that may not be told.
    set: Option<Arc<DesiredSet>>,
    /// When the sync began.
    since: Timestamp,
}

impl Agent {
    /// Looks at the checks of an app; what they say comes back as an input.
    pub(crate) fn inspect(&mut self, key: &AppKey, inspection: Inspection) {
        let Inspection { hash, since, checks } = inspection;
        let Some(entry) = self.apps.get(key) else { return };
        let set = entry.sets.get(&hash);
        let trial = |check: &Check| match &check.probe {
            Probe::Job(job) => {
                let objects = &set?.objects;
                let keys = Trial::patterns(job);
                // What is run is a Job, whatever its pattern is.
                let is_permitted = Self::permits(entry, &job.key());
                let pattern = keys.iter().find(|key| is_permitted && objects.contains_key(key));
                let live = pattern.and_then(|key| self.live.get(key)).map(|live| live.digest.uid.as_str());
                Some(Trial::new(job, pattern.and_then(|key| objects.get(key)), live, since))
            }
            Probe::Http(_) | Probe::Query(_) => None,
        };
        let looks = Looks {
            cluster: self.cluster.for_app(key),
            prometheus: self.config.prometheus.clone(),
            trials: checks.iter().filter_map(trial).collect(),
            set: set.cloned(),
            since,
        };
        let key = key.clone();
        self.spawn(async move { Input::Inspected(key, hash, since, looks.all(checks).await) });
    }

    /// Takes in what the checks of an app say.
    pub(crate) fn inspected(
        &mut self,
        key: &AppKey,
        (hash, since): (DesiredHash, Timestamp),
        looks: Vec<(Check, Look)>,
    ) {
        self.event(key, Event::Checked { hash, since, looks });
    }
}

impl Looks {
    /// Looks at all of them, and returns what each says in the order in which they are declared.
    async fn all(self, checks: Vec<Check>) -> Vec<(Check, Look)> {
        let (looks, deadline) = (Arc::new(self), Instant::now() + DEADLINE);
        let one = |check: Check| {
            let looks = Arc::clone(&looks);
            async move {
                let look = timeout_at(deadline, looks.look(&check)).await;
                let look = look.unwrap_or_else(|_| Look::Unknown("its turn did not come in time".into()));
                (check, look)
            }
        };
        futures::stream::iter(checks).map(one).buffered(AT_A_TIME).collect().await
    }

    async fn look(&self, check: &Check) -> Look {
        let look = match &check.probe {
            Probe::Http(http) => self.http(http).await,
            Probe::Query(query) => self.query(query).await,
            Probe::Job(job) => match self.trials.iter().find(|trial| trial.is_of(job)) {
                Some(trial) => trial.look(&self.cluster).await,
                None => Look::Unknown("the Job is not known".into()),
            },
        };
        match look {
            Look::Passed => Look::Passed,
            Look::Failed(why) => Look::Failed(self.hide(&why)),
            Look::Waits(why) => Look::Waits(self.hide(&why)),
            Look::Unknown(why) => Look::Unknown(self.hide(&why)),
        }
    }

    /// Takes the values of the app's Secrets out of a sentence; they are read for what is told only.
    fn hide(&self, why: &str) -> String {
        Redaction::new(self.set.iter().flat_map(|set| set.objects.secret_values())).hide(why)
    }

    async fn http(&self, probe: &HttpProbe) -> Look {
        let HttpProbe { namespace, service, port, scheme, path, .. } = probe;
        let (namespace, service, port) = (namespace.clone(), service.clone(), port.clone());
        let to = ServicePort { namespace, service, port, scheme: *scheme };
        let relayed = self.cluster.ask_service(&to, path, &[], PATIENCE).await;
        match check::http(probe, &relayed) {
            Look::Failed(_) => {
                let control = self.cluster.ask_itself(CONTROL).await;
                check::confirmed(probe, &relayed, &control)
            }
            look => look,
        }
    }

    async fn query(&self, probe: &QueryProbe) -> Look {
        let Some(prometheus) = &self.prometheus else {
            return Look::Unknown("the agent knows no Prometheus: its option --prometheus names it".into());
        };
        let before = if probe.bound.is_relative() {
            let at = format!("{}", self.since.as_millis() / 1000);
            Some(self.ask(prometheus, &[("query", &probe.expr), ("time", &at)]).await)
        } else {
            None
        };
        let now = self.ask(prometheus, &[("query", &probe.expr)]).await;
        check::query(probe, &now, before.as_ref())
    }

    async fn ask(&self, prometheus: &ServicePort, query: &[(&str, &str)]) -> Relayed {
        self.cluster.ask_service(prometheus, QUERIES, query, QUERY).await
    }
}
