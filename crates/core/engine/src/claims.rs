//! Which app owns an object that several want? A pure registry from keys to apps.

use model::{AppKey, ObjectKey};
use std::collections::{BTreeMap, BTreeSet};

/// Who wants which objects.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Sorted and never empty; mostly one, for which a set of its own would take ten times the room.
    by_key: BTreeMap<ObjectKey, Vec<AppKey>>,
    /// What each app wants of which that is known, be it nothing; sorted.
    by_app: BTreeMap<AppKey, Box<[ObjectKey]>>,
}

impl Claims {
    /// Replaces what `app` wants; returns the other apps whose ownership may have changed.
    pub fn set(&mut self, app: &AppKey, keys: BTreeSet<ObjectKey>) -> BTreeSet<AppKey> {
        let affected = self.replace(app, &keys);
        self.by_app.insert(app.clone(), keys.into_iter().collect());
        affected
    }

    /// Forgets an app that is gone; returns the other apps whose ownership may have changed.
    pub fn forget(&mut self, app: &AppKey) -> BTreeSet<AppKey> {
        self.replace(app, &BTreeSet::new())
    }

    fn replace(&mut self, app: &AppKey, keys: &BTreeSet<ObjectKey>) -> BTreeSet<AppKey> {
        let before = self.by_app.remove(app).unwrap_or_default();
        let mut affected = BTreeSet::new();
        for key in before.iter().filter(|key| !keys.contains(*key)) {
            if let Some(apps) = self.by_key.get_mut(key) {
                apps.retain(|other| other != app);
                affected.extend(apps.iter().cloned());
                if apps.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        for key in keys.iter().filter(|key| before.binary_search(key).is_err()) {
            let apps = self.by_key.entry(key.clone()).or_insert_with(|| Vec::with_capacity(1));
            affected.extend(apps.iter().cloned());
            if let Err(place) = apps.binary_search(app) {
                apps.insert(place, app.clone());
            }
        }
        affected
    }

    /// Returns whether it is known what an app wants. Until then it may want whatever it holds.
    pub fn knows(&self, app: &AppKey) -> bool {
        self.by_app.contains_key(app)
    }

    /// Returns who owns `key` instead of `app`: the holder, whose label the live object carries, as long as it wants the
    /// object or may want it, else the first by name. `None` if `app` owns it.
    pub fn owner_instead_of<'a>(
        &'a self,
        app: &AppKey,
        key: &ObjectKey,
        holder: Option<&'a AppKey>,
    ) -> Option<&'a AppKey> {
        let apps = self.by_key.get(key)?;
        let holder = holder.filter(|holder| apps.contains(*holder) || !self.knows(holder));
        let owner = holder.or_else(|| apps.first())?;
        (owner != app).then_some(owner)
    }

    /// Returns the other apps that want `key`.
    pub fn others<'a>(&'a self, app: &'a AppKey, key: &ObjectKey) -> impl Iterator<Item = &'a AppKey> {
        self.by_key.get(key).into_iter().flatten().filter(move |other| *other != app)
    }

    /// Returns the apps that want `key`.
    pub fn claimants(&self, key: &ObjectKey) -> impl Iterator<Item = &AppKey> {
        self.by_key.get(key).into_iter().flatten()
    }

    /// Returns what `app` wants that others want, too.
    pub fn shared(&self, app: &AppKey) -> impl Iterator<Item = &ObjectKey> {
        self.by_app
            .get(app)
            .into_iter()
            .flatten()
            .filter(|key| self.by_key.get(*key).is_some_and(|apps| apps.len() > 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("", "ConfigMap", "ns", name)
    }

    #[test]
    fn the_holder_keeps_what_both_want_until_it_lets_go() {
        let (a, b) = (AppKey::new("ns", "a"), AppKey::new("ns", "b"));
        let mut claims = Claims::default();
        assert!(claims.set(&b, BTreeSet::from([key("x")])).is_empty());
        assert_eq!(claims.set(&a, BTreeSet::from([key("x"), key("y")])), BTreeSet::from([b.clone()]));
        assert_eq!(claims.owner_instead_of(&a, &key("x"), Some(&b)), Some(&b));
        assert_eq!(claims.owner_instead_of(&b, &key("x"), Some(&b)), None);
        assert_eq!(claims.owner_instead_of(&b, &key("x"), None), Some(&a));
        assert_eq!(claims.shared(&a).collect::<Vec<_>>(), [&key("x")]);
        assert_eq!(claims.set(&b, BTreeSet::new()), BTreeSet::from([a.clone()]));
        assert!(claims.knows(&b), "it is known to want nothing");
        assert_eq!(claims.owner_instead_of(&a, &key("x"), Some(&b)), None);
        assert_eq!(claims.shared(&a).count(), 0);
    }

    #[test]
    fn a_holder_that_has_not_said_what_it_wants_keeps_what_it_holds() {
        let (a, b, c) = (AppKey::new("ns", "a"), AppKey::new("ns", "b"), AppKey::new("ns", "c"));
        let mut claims = Claims::default();
        claims.set(&a, BTreeSet::from([key("x")]));
        assert_eq!(claims.owner_instead_of(&a, &key("x"), Some(&b)), Some(&b));
        assert_eq!(claims.owner_instead_of(&a, &key("x"), None), None);
        // It wants it, too: it stays.
        claims.set(&b, BTreeSet::from([key("x")]));
        assert_eq!(claims.owner_instead_of(&a, &key("x"), Some(&b)), Some(&b));
        // It wants something else: it lets go.
        claims.set(&b, BTreeSet::from([key("y")]));
        assert_eq!(claims.owner_instead_of(&a, &key("x"), Some(&b)), None);
        // An app that is gone is known no more; the agent names no holder then.
        assert_eq!(claims.forget(&b), BTreeSet::new());
        assert!(!claims.knows(&b) && claims.claimants(&key("y")).next().is_none());
        assert_eq!(claims.owner_instead_of(&a, &key("x"), Some(&c)), Some(&c));
    }
}
