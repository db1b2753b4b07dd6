//! Is this Secret a release of ours, and what does it say?

use crate::record::{self, Bound};
use crate::seal::sealed;
use crate::{FORMAT, Key, Payload, Record, Refusal, Why, head_name, name};
use model::{AppKey, base64_decode, digest, names, tracking};
use serde_json::Value;

/// A release that is ours, without its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What is remembered.
    pub record: Record,
    /// Whether its objects are kept.
    pub payload: PayloadState,
    /// `metadata.resourceVersion` of its Secret, empty where it has none yet.
    pub resource_version: String,
    bound: Option<Bound>,
}

/// Whether the objects of a release are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadState {
    /// They never were.
    None,
    /// They were, and have been trimmed.
    Trimmed,
    /// They are, in the head's Secret and as many more.
    Kept {
        /// Secrets besides the head's.
        parts: usize,
    },
}

/// Releases as a list shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Those that are ours, by app and number.
    pub heads: Vec<Head>,
    /// Those that are not used, and why.
    pub refused: Vec<Refusal>,
}

impl Head {
    /// Returns whether its objects are kept.
    pub fn has_payload(&self) -> bool {
        matches!(self.payload, PayloadState::Kept { .. })
    }

    /// Returns the name of its Secret.
    pub fn secret(&self) -> String {
        head_name(&self.record.app, self.record.number)
    }

    /// Returns the names of the Secrets besides its head's that its payload has or had.
    pub fn part_secrets(&self) -> Vec<String> {
        let n_parts = self.bound.map_or(0, |bound| bound.parts);
        (1..=n_parts).map(|n| name::part_name(&self.record.app, self.record.number, n)).collect()
    }

    /// Returns what it is once its objects have been taken out, which gave its Secret another resourceVersion.
    #[must_use]
    pub fn stripped(&self, resource_version: &str) -> Self {
        let payload = match self.payload {
            PayloadState::Kept { .. } => PayloadState::Trimmed,
            other => other,
        };
        Self { payload, resource_version: resource_version.into(), ..self.clone() }
    }

    /// Refuses it where it is not this very Application's.
    pub fn belongs_to(&self, app: &AppKey, uid: &str) -> Result<(), Box<Refusal>> {
        if self.record.app == *app && self.record.app_uid == uid {
            return Ok(());
        }
        Err(self.refused(Why::Foreign))
    }

    fn refused(&self, why: Why) -> Box<Refusal> {
        let AppKey { namespace, name } = &self.record.app;
        Box::new(Refusal {
            namespace: namespace.clone(),
            secret: self.secret(),
            app: name.clone(),
            number: Some(self.record.number),
            label: tracking::part_of_label(&self.record.app),
            why,
        })
    }
}

impl Listing {
    /// Adds what a Secret turns out to be.
    pub fn add(&mut self, secret: &Value, key: Option<&Key>) {
        match open_head(secret, key) {
            Ok(head) => self.heads.push(head),
            Err(refusal) => self.refused.push(*refusal),
        }
    }

    /// Puts the heads into their order: by app, then by number.
    pub fn sort(&mut self) {
        self.heads.sort_by(|a, b| (&a.record.app, a.record.number).cmp(&(&b.record.app, b.record.number)));
    }

    /// Takes out what concerns one Application: its releases by number, and what claims to be one and is not.
    #[must_use]
    pub fn of(&self, app: &AppKey, uid: &str) -> Self {
        let mut found = Self::default();
        for head in self.heads.iter().filter(|head| head.record.app == *app) {
            match head.belongs_to(app, uid) {
                Ok(()) => found.heads.push(head.clone()),
                Err(refusal) => found.refused.push(*refusal),
            }
        }
        found.refused.extend(self.refused.iter().filter(|refusal| refusal.claims(app)).cloned());
        found
    }
}

/// Returns the number that a Secret's name claims, be it a head or a part; `None` where it is no such name.
pub fn claimed_number(secret: &str) -> Option<u64> {
    name::parse(secret).map(|(_, number)| number)
}

/// Opens the head of a release. Nothing of it is believed before its seal is found to be ours; without a key nothing is.
///
/// # Errors
/// Says what is wrong with it.
pub fn open_head(secret: &Value, key: Option<&Key>) -> Result<Head, Box<Refusal>> {
    let metadata = &secret["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default();
    opened(secret, key).map_err(|why| {
        let claimed = name::parse(text("name"));
        Box::new(Refusal {
            namespace: text("namespace").into(),
            secret: text("name").into(),
            app: claimed.map_or_else(String::new, |(app, _)| app.into()),
            number: claimed.map(|(_, number)| number),
            label: metadata["labels"][names::RELEASE_OF_LABEL].as_str().unwrap_or_default().into(),
            why,
        })
    })
}

fn opened(secret: &Value, key: Option<&Key>) -> Result<Head, Why> {
    if secret["type"] != names::RELEASE_TYPE {
        return Err(Why::Damaged("its Secret has another type"));
    }
    let metadata = &secret["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default();
    let format = entry(secret, "format").ok_or(Why::Damaged("it does not say its format"))?;
    if format != FORMAT.as_bytes() {
        return Err(newer(&format));
    }
    let record = entry(secret, "record").ok_or(Why::Damaged("it has no record that can be read"))?;
    let seal = entry(secret, "mac").ok_or(Why::Damaged("it has no seal that can be read"))?;
    let key = key.ok_or(Why::OtherKey)?;
    if !key.verifies(&sealed(text("namespace"), text("name"), &record), &seal) {
        let is_ours = entry(secret, "key").is_some_and(|mark| mark == key.mark().as_bytes());
        return Err(if is_ours { Why::Changed } else { Why::OtherKey });
    }
    let (record, bound) = record::read(&record).ok_or(Why::Damaged("its record lacks something"))?;
    let is_at_home =
        record.app.namespace == text("namespace") && head_name(&record.app, record.number) == text("name");
    if !is_at_home {
        return Err(Why::Foreign);
    }
    let payload = match bound {
        None => PayloadState::None,
        Some(_) if secret["data"]["payload"].is_null() => PayloadState::Trimmed,
        Some(Bound { parts, .. }) => PayloadState::Kept { parts },
    };
    Ok(Head { record, payload, resource_version: text("resourceVersion").into(), bound })
}

/// Opens the objects of a release. `part` gives the Secret of a name, `None` where there is none.
///
/// # Errors
/// Says what is wrong with it; nothing is unfolded before its digest is found to be the sealed one.
pub fn open_payload<'a>(
    secret: &Value,
    part: impl Fn(&str) -> Option<&'a Value>,
    key: Option<&Key>,
) -> Result<(Head, Vec<Value>), Box<Refusal>> {
    let head = open_head(secret, key)?;
    let refuse = |why: Why| head.refused(why);
    let (PayloadState::Kept { parts }, Some(bound)) = (head.payload, head.bound) else {
        return Err(refuse(Why::NoPayload));
    };
    let damaged = || refuse(Why::Damaged("its payload cannot be read"));
    let mut bytes = entry(secret, "payload").ok_or_else(damaged)?;
    for (n, name) in head.part_secrets().iter().enumerate() {
        let found = part(name).ok_or_else(|| refuse(Why::MissingPart(n + 1, parts)))?;
        bytes.extend(entry(found, "payload").ok_or_else(damaged)?);
    }
    if digest(&bytes) != bound.digest {
        return Err(refuse(Why::Changed));
    }
    let objects = Payload::from_bytes(bytes).unpack().map_err(|what| refuse(Why::Damaged(what)))?;
    Ok((head, objects))
}

fn newer(format: &[u8]) -> Why {
    let text = String::from_utf8_lossy(format);
    let is_number = text.len() <= 9 && text.parse::<u32>().is_ok();
    if is_number { Why::NewerFormat(text.into_owned()) } else { Why::Damaged("its format is no number") }
}

/// Returns an entry of a Secret's data.
fn entry(secret: &Value, name: &str) -> Option<Vec<u8>> {
    base64_decode(secret["data"][name].as_str()?)
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
