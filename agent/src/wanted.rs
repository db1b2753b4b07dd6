//! How are the objects that Git wants kept? As text, and opened where one is compared or applied: a tree of JSON takes up to
//! ten times as much, and there are as many as there are managed objects.

use model::{Digest, GroupVersionKind, Object, ObjectKey};

/// One desired object.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// What is applied.
    pub object: Object,
    /// Hash of what is applied.
    pub digest: Digest,
}

/// One desired object as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    text: Box<str>,
    version: Box<str>,
    /// Hash of what is applied.
    pub digest: Digest,
}

impl Kept {
    fn new(object: &Object) -> Self {
        let value = object.to_value();
        Self {
            text: value.to_string().into(),
            version: object.gvk().version.into(),
            digest: Digest::of_json(&value),
        }
    }

    /// Returns the object.
    pub(crate) fn open(&self) -> Wanted {
        let value = serde_json::from_str(&self.text).expect("the text was written from JSON");
        let object = Object::from_value(value).expect("the text was written from an object");
        Wanted { object, digest: self.digest }
    }

    /// Returns its kind at the version that Git wants.
    pub(crate) fn gvk(&self, key: &ObjectKey) -> GroupVersionKind {
        GroupVersionKind {
            group: key.group.clone(),
            version: self.version.to_string(),
            kind: key.kind.clone(),
        }
    }

    /// Returns its API version, such as `v1`.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }
}

/// The desired objects of an app, by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct WantedObjects(Box<[(ObjectKey, Kept)]>);

impl WantedObjects {
    /// Returns all but some.
    pub(crate) fn without(&self, is_left_out: impl Fn(&ObjectKey) -> bool) -> Self {
        Self(self.0.iter().filter(|(key, _)| !is_left_out(key)).cloned().collect())
    }

    /// Returns an object.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Kept> {
        let place = self.0.binary_search_by(|(other, _)| other.cmp(key)).ok()?;
        Some(&self.0[place].1)
    }

    /// Returns whether an object is wanted.
    pub(crate) fn contains_key(&self, key: &ObjectKey) -> bool {
        self.get(key).is_some()
    }

    /// Returns an object's kind at the version that Git wants.
    pub(crate) fn gvk(&self, key: &ObjectKey) -> Option<GroupVersionKind> {
        self.get(key).map(|kept| kept.gvk(key))
    }

    /// Returns every kind at the version that Git wants, as often as there are objects of it.
    pub(crate) fn gvks(&self) -> impl Iterator<Item = GroupVersionKind> {
        self.iter().map(|(key, kept)| kept.gvk(key))
    }

    /// Returns all keys in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.0.iter().map(|(key, _)| key)
    }

    /// Returns all objects in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &Kept)> {
        self.0.iter().map(|(key, kept)| (key, kept))
    }

    /// Returns the texts of all objects, each JSON.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, kept)| &*kept.text)
    }

    /// Returns the values of all Secrets, which nothing may tell.
    pub(crate) fn secret_values(&self) -> Vec<String> {
        let secrets = self.iter().filter(|(key, _)| key.is_kind("", "Secret"));
        secrets.flat_map(|(_, kept)| drift::secret_values(&kept.open().object)).collect()
    }

    /// Returns how many objects are wanted.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<Object> for WantedObjects {
    /// Keeps objects; of two with one key the later one.
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        let kept: std::collections::BTreeMap<ObjectKey, Kept> =
            objects.into_iter().map(|object| (object.key(), Kept::new(&object))).collect();
        Self(kept.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_kept_is_what_was_put_in() {
        let object = |kind: &str, name: &str| {
            let value = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": {"weight": 1.5}});
            Object::from_value(value).unwrap()
        };
        let all = [object("Deployment", "b"), object("Deployment", "a"), object("DaemonSet", "z")];
        let objects: WantedObjects = all.iter().cloned().collect();
        assert_eq!(objects.len(), 3);
        for object in &all {
            let kept = objects.get(&object.key()).unwrap();
            assert_eq!(kept.open().object, *object);
            assert_eq!(kept.digest, Digest::of_json(&object.to_value()));
            assert_eq!(objects.gvk(&object.key()), Some(object.gvk()));
        }
        let names: Vec<&str> = objects.keys().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["z", "a", "b"]);
        assert!(!objects.contains_key(&object("Deployment", "c").key()));
    }
}
