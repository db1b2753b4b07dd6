//! Is the agent alive and ready, and what does it count?

use crate::agent::Agent;
use crate::input::Input;
use crate::metrics::Metrics;
use api::Readiness;
use cluster::Cluster;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// How long the loop may stand still before the process counts as wedged.
const WEDGED: Duration = Duration::from_secs(30);

/// Longest wait for the loop to say what it knows.
const SCRAPE: Duration = Duration::from_secs(5);

/// What the loop publishes about itself after each turn.
pub(crate) struct Pulse {
    readiness: watch::Sender<Readiness>,
    shared: Arc<Shared>,
    /// Whether everything was listed once, as far as it can be. What goes blind later concerns some apps, and is told there.
    is_warm: bool,
}

/// What probes read.
pub(crate) struct Shared {
    turned: Mutex<Instant>,
    /// One scrape at a time: each costs the loop a walk over all apps, and anybody may ask.
    scraping: tokio::sync::Mutex<()>,
    sources: OnceLock<Scraped>,
}

/// Where the metrics come from.
pub(crate) struct Scraped {
    /// What is counted wherever it happens.
    pub counters: Metrics,
    /// Counts its requests.
    pub cluster: Cluster,
    /// The loop, which knows the apps.
    pub inputs: mpsc::UnboundedSender<Input>,
    /// Counts webhooks.
    pub webhooks: Arc<api::Webhooks>,
}

impl Shared {
    /// Returns the metrics as they are now. A loop that stands still leaves its own out: that it does is told by `/healthz`.
    pub(crate) async fn metrics(&self) -> String {
        let Some(scraped) = self.sources.get() else { return String::new() };
        let _turn = self.scraping.lock().await;
        let (reply, answer) = oneshot::channel();
        // The loop may have ended; then there is no answer.
        let _unheard = scraped.inputs.send(Input::Scrape(reply));
        let known = tokio::time::timeout(SCRAPE, answer).await;
        let mut text = known.ok().and_then(Result::ok).unwrap_or_default();
        text.push_str(&crate::exposition::counters(&scraped.counters, &scraped.cluster, &scraped.webhooks));
        text
    }

    /// Names where the metrics come from, once that is known.
    pub(crate) fn scrape(&self, scraped: Scraped) {
        // Set once per process; there is nothing to replace.
        drop(self.sources.set(scraped));
    }

    /// Returns what probes answer: what the loop said last, unless that was too long ago.
    pub(crate) fn judge(&self, last: Readiness) -> Readiness {
        let silence = self.turned.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        if silence < WEDGED {
            return last;
        }
        let mut reasons = last.reasons;
        reasons.push(format!("the loop has not turned for {} s", silence.as_secs()));
        Readiness { alive: false, reasons, ..last }
    }
}

impl Pulse {
    /// Returns a pulse and what probes read.
    pub(crate) fn new() -> (Self, watch::Receiver<Readiness>, Arc<Shared>) {
        let starting = Readiness { ready: false, alive: true, reasons: vec!["starting".into()] };
        let (readiness, receiver) = watch::channel(starting);
        let shared = Arc::new(Shared {
            turned: Mutex::new(Instant::now()),
            scraping: tokio::sync::Mutex::default(),
            sources: OnceLock::new(),
        });
        (Self { readiness, shared: Arc::clone(&shared), is_warm: false }, receiver, shared)
    }

    /// Publishes how the agent is.
    pub(crate) fn beat(&mut self, agent: &Agent) {
        *self.shared.turned.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let reasons = if self.is_warm { Vec::new() } else { obstacles(agent) };
        self.is_warm = reasons.is_empty();
        let new = Readiness { ready: reasons.is_empty(), alive: true, reasons };
        self.readiness.send_if_modified(|old| {
            let differs = *old != new;
            *old = new;
            differs
        });
    }
}

/// Says what has yet to be read. A kind that cannot be listed does not hold up the others.
fn obstacles(agent: &Agent) -> Vec<String> {
    let mut reasons = Vec::new();
    if !agent.settings.is_ready() {
        reasons.push("projects, repository Secrets or settings have not been read yet".into());
    }
    if !agent.has_listed_apps {
        reasons.push("Applications have not been listed yet".into());
    }
    let listing = agent.live.kinds.keys().filter(|kind| agent.live.is_listing(kind)).cloned();
    reasons.extend(agent.unseen(listing));
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_still_is_not_alive_whatever_it_said_last() {
        let (_pulse, _readiness, shared) = Pulse::new();
        let last = Readiness { ready: true, alive: true, reasons: Vec::new() };
        assert_eq!(shared.judge(last.clone()), last);
        let turned = |ago: Duration| {
            let at = Instant::now().checked_sub(ago).expect("the machine runs for longer than that");
            *shared.turned.lock().unwrap() = at;
            shared.judge(last.clone())
        };
        // It turns every five seconds at least, and may wait for a slow machine.
        assert!(turned(Duration::from_secs(20)).alive);
        let wedged = turned(WEDGED);
        assert_eq!(
            (wedged.alive, wedged.reasons),
            (false, vec!["the loop has not turned for 30 s".to_owned()])
        );
        assert!(turned(Duration::ZERO).alive, "it is alive again once it turns");
    }
}
