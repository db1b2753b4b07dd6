//! Is the agent alive and ready, and what does it count?

use crate::agent::Agent;
use crate::live::Sight;
use crate::metrics::Metrics;
use api::Readiness;
use cluster::Cluster;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long the loop may stand still before the process counts as wedged.
const WEDGED: Duration = Duration::from_secs(30);

/// What the loop publishes about itself after each turn.
pub(crate) struct Pulse {
    readiness: watch::Sender<Readiness>,
    shared: Arc<Shared>,
    next_metrics: Instant,
}

/// What probes read without asking the loop.
pub(crate) struct Shared {
    turned: Mutex<Instant>,
    metrics: Mutex<String>,
    counters: OnceLock<(Metrics, Cluster)>,
}

impl Shared {
    /// Returns the metrics: counters as they are, the rest as the loop last wrote it.
    pub(crate) fn metrics(&self) -> String {
        let mut text = self.metrics.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((metrics, cluster)) = self.counters.get() {
            text.push_str(&crate::exposition::counters(metrics, cluster));
        }
        text
    }

    /// Names what is counted, once it is known.
    pub(crate) fn count(&self, metrics: Metrics, cluster: Cluster) {
        // Set once per process; there is nothing to replace.
        drop(self.counters.set((metrics, cluster)));
    }

    /// Returns whether the loop turned lately.
    pub(crate) fn is_alive(&self) -> bool {
        self.turned.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < WEDGED
    }
}

impl Pulse {
    /// Returns a pulse and what probes read.
    pub(crate) fn new() -> (Self, watch::Receiver<Readiness>, Arc<Shared>) {
        let starting = Readiness { ready: false, alive: true, reasons: vec!["starting".into()] };
        let (readiness, receiver) = watch::channel(starting);
        let shared = Arc::new(Shared {
            turned: Mutex::new(Instant::now()),
            metrics: Mutex::new(String::new()),
            counters: OnceLock::new(),
        });
        (Self { readiness, shared: Arc::clone(&shared), next_metrics: Instant::now() }, receiver, shared)
    }

    /// Publishes how the agent is.
    pub(crate) fn beat(&mut self, agent: &Agent) {
        let now = Instant::now();
        *self.shared.turned.lock().unwrap_or_else(PoisonError::into_inner) = now;
        let reasons = obstacles(agent);
        let new = Readiness { ready: reasons.is_empty(), alive: true, reasons };
        self.readiness.send_if_modified(|old| {
            let differs = *old != new;
            *old = new;
            differs
        });
        // Writing them costs a walk over all apps; nobody scrapes more often.
        if now >= self.next_metrics {
            self.next_metrics = now + Duration::from_secs(1);
            *self.shared.metrics.lock().unwrap_or_else(PoisonError::into_inner) =
                crate::exposition::text(agent);
        }
    }
}

fn obstacles(agent: &Agent) -> Vec<String> {
    let mut reasons = Vec::new();
    if !agent.settings.is_ready() {
        reasons.push("projects, repository Secrets or settings have not been read yet".into());
    }
    if !agent.has_listed_apps {
        reasons.push("Applications have not been listed yet".into());
    }
    for (kind, watch) in &agent.live.kinds {
        match &watch.sight {
            Sight::Listing => reasons.push(format!("{kind} has not been listed yet")),
            Sight::Blind(since, why) => {
                let mut reason = String::new();
                let _ = write!(reason, "{kind} is not seen since {since}: {}", why.message);
                reasons.push(reason);
            }
            Sight::Clear | Sight::NoSuchKind => {}
        }
    }
    reasons
}
