//! Where does a sync stand once everything is applied, and how long may it take?

use crate::run::Run;
use model::{
    App, Comparison, Evidence, HealthStatus, ObjectKey, ObjectStatus, Reason, SYNC_DEADLINE, Seconds,
    Timestamp,
};

/// Longest time of one try in all.
const DEADLINE_IN_ALL: Seconds = Seconds::new(3600);
/// How many states of an app are told from new ones; who has more of them gets on.
const MOST_SEEN: usize = 256;
/// How the sentence begins that a person has to consent to a deletion.
pub(crate) const CONSENT: &str = "waiting for pruning confirmation of ";

/// Where a sync stands once everything is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Everything that it changed is healthy.
    Settled,
    /// Not yet; the text says what it waits for.
    Waits(String),
    /// It will not get there: the content is at fault; why.
    Condemned(Reason, String),
    /// Its time is over, and what held it up may pass; what that was.
    Held(String),
}

/// How much an obstacle says; the heaviest one is told, and decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// A person has to consent to a deletion: no deadline counts.
    Consent,
    /// Something is on its way.
    Waits,
    /// An object is Degraded, and the content is not to blame for it.
    Sick,
    /// An object is not healthy, and the content is to blame if it stays so.
    Suspect,
    /// An object is Degraded by the content's own fault.
    Broken,
}

impl Weight {
    fn condemns(self) -> bool {
        match self {
            Self::Suspect | Self::Broken => true,
            Self::Consent | Self::Waits | Self::Sick => false,
        }
    }
}

/// What keeps a sync from being settled.
struct Obstacle {
    weight: Weight,
    text: String,
    /// The object, and what its health says.
    object: Option<(ObjectKey, String)>,
}

impl Obstacle {
    fn without_object(weight: Weight, text: String) -> Self {
        Self { weight, text, object: None }
    }
}

impl Run {
    /// Judges where the sync stands, given how the app compares now.
    pub fn standing(&mut self, comparison: &Comparison, app: &App, now: Timestamp) -> Standing {
        if self.progress != Some(comparison.progress) {
            self.progress = Some(comparison.progress);
            // Pods that crash as soon as they are ready are ready again and again.
            if self.seen.len() >= MOST_SEEN || self.seen.insert(comparison.progress) {
                self.progress_at = now;
            }
        }
        let obstacle = self.obstacle(comparison);
        let is_broken = obstacle.as_ref().is_some_and(|obstacle| obstacle.weight == Weight::Broken);
        self.broken_since = is_broken.then(|| self.broken_since.unwrap_or(now));
        let Some(Obstacle { weight, text, object }) = obstacle else { return Standing::Settled };
        self.sick = object;
        if self.broken_since.is_some_and(|since| now >= since + app.rollback.degraded_grace) {
            return Standing::Condemned(Reason::Degraded, text);
        }
        if weight == Weight::Consent || now < self.deadline(app) {
            return Standing::Waits(text);
        }
        let text = format!("{text}, with no progress before the deadline");
        if weight.condemns() {
            Standing::Condemned(Reason::HealthTimeout, text)
        } else {
            Standing::Held(text)
        }
    }

    /// Returns whether nothing keeps the sync from being settled.
    pub(crate) fn is_settled(&self, comparison: &Comparison) -> bool {
        self.obstacle(comparison).is_none()
    }

    /// Returns how long nothing may get on.
    pub(crate) fn patience(&self, app: &App) -> Seconds {
        let rollout = self.desired.as_ref().map_or(Seconds::ZERO, |desired| desired.progress_deadline);
        app.sync_deadline.unwrap_or(SYNC_DEADLINE).max(rollout)
    }

    /// Returns when this try of the sync fails unless something gets on.
    pub fn deadline(&self, app: &App) -> Timestamp {
        let quiet = self.patience(app);
        (self.progress_at + quiet).min(self.tried_at + DEADLINE_IN_ALL.max(quiet))
    }

    /// Returns when the standing has to be judged again although nothing happens.
    pub fn next_judgement(&self, app: &App) -> Timestamp {
        let deadline = self.deadline(app);
        self.broken_since.map_or(deadline, |since| (since + app.rollback.degraded_grace).min(deadline))
    }

    /// Returns the heaviest obstacle, the first of several.
    fn obstacle(&self, comparison: &Comparison) -> Option<Obstacle> {
        let mut heaviest: Option<(Weight, &ObjectStatus)> = None;
        for object in &comparison.objects {
            let Some(weight) = self.weigh(object) else { continue };
            if heaviest.is_none_or(|(known, _)| weight > known) {
                heaviest = Some((weight, object));
            }
        }
        if let Some((weight, object)) = heaviest {
            let message = object.health.as_ref().map(|health| health.message.clone()).unwrap_or_default();
            let text = self.words(weight, object);
            return Some(Obstacle { weight, text, object: Some((object.key.clone(), message)) });
        }
        if !comparison.is_settled {
            let text = "waiting for the comparison with the cluster".into();
            return Some(Obstacle::without_object(Weight::Waits, text));
        }
        let key = self.unconfirmed.first()?;
        let text =
            format!("{CONSENT}{key}: annotate the Application with argocd.argoproj.io/deletion-approved");
        Some(Obstacle::without_object(Weight::Consent, text))
    }

    fn is_leaving(&self, object: &ObjectStatus) -> bool {
        object.requires_pruning && self.leaving.contains(&object.key)
    }

    fn weigh(&self, object: &ObjectStatus) -> Option<Weight> {
        if self.is_leaving(object) {
            return Some(Weight::Waits);
        }
        if !self.watched.contains(&object.key) {
            return None;
        }
        let condemns = object.evidence == Evidence::Condemns;
        match object.health.as_ref()?.status {
            HealthStatus::Healthy | HealthStatus::Suspended => None,
            HealthStatus::Degraded if condemns => Some(Weight::Broken),
            HealthStatus::Degraded => Some(Weight::Sick),
            HealthStatus::Progressing | HealthStatus::Missing | HealthStatus::Unknown if condemns => {
                Some(Weight::Suspect)
            }
            HealthStatus::Progressing | HealthStatus::Missing | HealthStatus::Unknown => Some(Weight::Waits),
        }
    }

    fn words(&self, weight: Weight, object: &ObjectStatus) -> String {
        let key = &object.key;
        if self.is_leaving(object) {
            let why = object.health.as_ref().filter(|health| health.status == HealthStatus::Progressing);
            let why = why.map(|health| format!(" ({})", health.message)).unwrap_or_default();
            return format!("waiting for deletion of {key}{why}");
        }
        let state = match &object.health {
            None => "without health".to_owned(),
            Some(health) if health.message.is_empty() => health.status.to_string(),
            Some(health) => format!("{}: {}", health.status, health.message),
        };
        match weight {
            Weight::Broken => format!("{key} is {state}"),
            Weight::Consent | Weight::Waits | Weight::Sick | Weight::Suspect => {
                format!("waiting for {key} to be healthy; it is {state}")
            }
        }
    }
}
