//! How well is delivered, per app and in total? Of the replica that writes: the others would count the same again.

use crate::agent::Agent;
use crate::clock::now;
use crate::releases::view::milli;
use api::metrics::{self, Family, Metric, Sample};
use model::Seconds;
use release::Delivery;

pub(super) fn families(agent: &Agent) -> Vec<Family> {
    if !agent.may_write || !agent.has_listed_apps {
        return Vec::new();
    }
    let apps = agent.apps.iter().map(|(key, entry)| (key, &*entry.stored.uid));
    let deliveries = agent.releases.deliveries(apps, now());
    let of_each = |metric: &Metric<3>, value: &dyn Fn(&Delivery) -> Option<f64>| {
        let samples = deliveries.iter().filter_map(|(key, delivery)| {
            let project: &str = agent.apps.get(*key).map_or("", |entry| &entry.stored.project);
            Some(metric.sample([&key.namespace, &key.name, project], value(delivery)?))
        });
        metric.family(samples.collect::<Vec<Sample>>())
    };
    let mut total = Delivery::default();
    for (_, delivery) in &deliveries {
        total.add(delivery);
    }
    let of_all = |metric: &Metric<0>, value: Option<Seconds>| {
        metric.family(value.map(|value| metric.sample([], milli(value))).into_iter().collect())
    };
    vec![
        of_each(&metrics::DEPLOYMENTS, &|delivery| Some(count(delivery.deployments))),
        of_each(&metrics::FAILED_CHANGES, &|delivery| Some(count(delivery.failures))),
        of_each(&metrics::LEAD_TIME, &|delivery| delivery.lead_time().map(milli)),
        of_each(&metrics::TIME_TO_RESTORE, &|delivery| delivery.time_to_restore().map(milli)),
        of_all(&metrics::OVERALL_LEAD_TIME, total.lead_time()),
        of_all(&metrics::OVERALL_TIME_TO_RESTORE, total.time_to_restore()),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}
