//! Desired and live to drift, per field, with who did it.
//!
//! ```text
//!                    level 1            level 2            level 3
//! live, each event ─▶ fingerprint ─≠──▶ compare ──unsure──▶ compare_dry_run
//!                      = in sync         InSync/Drifted      in sync, later by values_at_desired
//!
//! before an apply:   adoption::adopt (others' entries become ours), replicas::hand_over (what Git stops saying)
//! before any apply:  takeover::labels (Argo CD's objects carry our labels)
//! for people:        report, unified; everything through mask
//! ```
//!
//! What a field manager owns is what is compared, so that defaults, webhooks and other owners' fields are no drift. No I/O
//! and no schema: where only the API server knows, the answer is [`Outcome::NeedsDryRun`].

pub mod adoption;
mod by_hand;
mod compare;
pub mod controller;
pub mod fight;
mod fingerprint;
#[cfg(test)]
mod fixtures;
mod forecast;
mod gap;
mod lasting;
mod listing;
mod mask;
mod ownership;
#[cfg(test)]
mod properties;
mod quantity;
pub mod replicas;
mod report;
mod rules;
mod sides;
mod states;
mod subject;
pub mod takeover;
mod text;

pub use by_hand::{ByHand, HAND_TOOLS};
pub use compare::{Options, Outcome, compare, compare_dry_run, values_at_desired};
pub use fight::Heat;
pub use fingerprint::{Fingerprint, fingerprint};
pub use lasting::{keep_lasting, may_last};
pub use mask::{mask, mask_together, secret_values};
pub use report::{FieldDrift, Presence, Report, What, between, report, unified};
pub use rules::{Rules, rules_for};
pub use states::{States, states};
