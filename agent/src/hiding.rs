//! What of an app's Secrets may stand in what its containers leave behind? Nothing: many leave their last log lines.

use crate::agent::Agent;
use crate::workloads::Assessment;
use health::Redaction;

impl Agent {
    /// Takes the values of the app's Secrets out of what containers left behind.
    pub(crate) fn hide_secrets(&mut self, part_of: &str, assessment: &mut Assessment) {
        let Some(health) = &mut assessment.health else { return };
        let entry = self.by_part_of.get(part_of).and_then(|app| self.apps.get(app));
        let Some(set) = entry.and_then(|entry| entry.current()) else { return };
        let known = self.workloads.redactions.entry(part_of.to_owned());
        let known = known.or_insert_with(|| (set.hash(), Redaction::new(set.objects.secret_values())));
        if known.0 != set.hash() {
            *known = (set.hash(), Redaction::new(set.objects.secret_values()));
        }
        health.message = known.1.hide(&health.message);
    }
}
