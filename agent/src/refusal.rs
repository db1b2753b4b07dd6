//! What is told of an object that the API server refused: its own sentence, and what a person can do.

use model::{CallError, ErrorClass, ObjectKey, ObjectOutcome};

/// Returns what became of an object whose call failed.
pub(crate) fn outcome(error: CallError, key: &ObjectKey) -> ObjectOutcome {
    ObjectOutcome::Failed(error.class, sentence(error, key))
}

/// Returns what became of an object that could not be pruned. Git does not have it any more, so no content is at fault:
/// whatever forbids its deletion only holds it up.
pub(crate) fn of_prune(error: CallError, key: &ObjectKey) -> ObjectOutcome {
    let class = if error.class.condemns() { ErrorClass::Forbidden } else { error.class };
    ObjectOutcome::Failed(class, undeleted(error, key))
}

/// Returns why an object does not go with its Application.
pub(crate) fn of_deletion(error: CallError, key: &ObjectKey) -> String {
    format!("{key} cannot be deleted: {}", undeleted(error, key))
}

/// Returns why an object could not be read.
pub(crate) fn unread(error: CallError, key: &ObjectKey) -> String {
    format!("could not be read: {}", sentence(error, key))
}

fn undeleted(error: CallError, key: &ObjectKey) -> String {
    let next = match error.class {
        ErrorClass::Denied | ErrorClass::Invalid => "see to what forbids its deletion".into(),
        ErrorClass::NotFound => String::new(),
        ErrorClass::Forbidden
        | ErrorClass::NoSuchKind
        | ErrorClass::Conflict
        | ErrorClass::Gone
        | ErrorClass::Throttled
        | ErrorClass::Unavailable
        | ErrorClass::Withheld => next_step(&error, key),
    };
    joined(error, &next)
}

/// Returns the API server's sentence, and what a person can do.
pub(crate) fn sentence(error: CallError, key: &ObjectKey) -> String {
    let next = next_step(&error, key);
    joined(error, &next)
}

fn joined(error: CallError, next: &str) -> String {
    let separator = if next.is_empty() { "" } else { "; " };
    error.message + separator + next
}

/// Returns why an object of a kind that discovery does not name cannot be applied: its group may not answer just now.
pub(crate) fn unknown_kind(discovery: &cluster::Discovery, gvk: &model::GroupVersionKind) -> CallError {
    let (class, message) = if discovery.lacks(&gvk.group_kind()) {
        (ErrorClass::NoSuchKind, format!("no such kind: {gvk}; is its CRD installed?"))
    } else {
        let (group, version) = (&gvk.group, &gvk.version);
        let message = format!("API group {group} does not answer; see to APIService {version}.{group}");
        (ErrorClass::Unavailable, message)
    };
    CallError::new(class, message)
}

fn next_step(error: &CallError, key: &ObjectKey) -> String {
    let says = |text: &str| error.message.contains(text);
    let namespace = &key.namespace;
    match error.class {
        ErrorClass::Invalid if says("immutable") => {
            "undo the change, or delete the object: it is made anew as Git has it".into()
        }
        ErrorClass::Invalid | ErrorClass::Denied => "correct the manifest".into(),
        ErrorClass::Forbidden => forbidden(&error.message, key).unwrap_or_else(|| {
            format!("grant the agent's service account what is missing on {}", key.group_kind())
        }),
        ErrorClass::NotFound if !namespace.is_empty() && says("namespaces \"") => {
            "add the Namespace to the manifests, or set the sync option CreateNamespace=true".into()
        }
        ErrorClass::NoSuchKind => "is its CRD installed?".into(),
        ErrorClass::Unavailable if says("exceeded quota") => {
            format!("ask for less, or raise the ResourceQuota of namespace {namespace}")
        }
        ErrorClass::Unavailable if says("because it is being terminated") => {
            format!("namespace {namespace} has to be gone, and made anew")
        }
        ErrorClass::Unavailable if says("failed calling webhook") => {
            "see to the webhook, or to its failurePolicy".into()
        }
        ErrorClass::NotFound
        | ErrorClass::Conflict
        | ErrorClass::Gone
        | ErrorClass::Throttled
        | ErrorClass::Unavailable
        | ErrorClass::Withheld => String::new(),
    }
}

/// Returns whether a call failed for want of rights, and not for what the object asks for.
pub(crate) fn lacks_rights(error: &CallError, key: &ObjectKey) -> bool {
    error.class == ErrorClass::Forbidden && forbidden(&error.message, key).is_none()
}

/// A 403 is a lack of rights, or an admission plugin of the API server that forbids what the object asks for: then this says
/// what to do.
fn forbidden(message: &str, key: &ObjectKey) -> Option<String> {
    let says = |text: &str| message.contains(text);
    let namespace = &key.namespace;
    let is_bound = (says("maximum ") || says("minimum ")) && says(" usage per ");
    let other = if says("violates PodSecurity") {
        format!("the label pod-security.kubernetes.io/enforce of namespace {namespace}")
    } else if says("failed quota") {
        format!("the ResourceQuota of namespace {namespace}")
    } else if is_bound || says(" limit to request ratio per ") {
        format!("the LimitRange of namespace {namespace}")
    } else if says(" is forbidden: ") && !says(" cannot ") && !says("attempting to grant") {
        "the admission rule that forbids it".into()
    } else {
        return None;
    };
    Some(format!("correct the manifest, or {other}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(class: ErrorClass, message: &str) -> String {
        let key = ObjectKey::new("", "Pod", "shop", "web");
        match outcome(CallError::new(class, message), &key) {
            ObjectOutcome::Failed(_, message) => message,
            other => panic!("{other:?}"),
        }
    }

    /// The sentences are those of a Kubernetes 1.36.3 server.
    #[test]
    fn every_refusal_says_what_to_do() {
        use ErrorClass::{Conflict, Denied, Forbidden, Invalid, NotFound, Unavailable};
        let grant = "grant the agent's service account what is missing on Pod";
        for (class, message, next) in [
            (
                Forbidden,
                "pods \"web\" is forbidden: User \"system:serviceaccount:argocd:agent\" cannot patch resource \"pods\" in API \
                 group \"\" in the namespace \"shop\"",
                grant,
            ),
            (
                Forbidden,
                "roles.rbac.authorization.k8s.io \"web\" is forbidden: user \"agent\" (groups=[]) is attempting to grant RBAC \
                 permissions not currently held: {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}",
                grant,
            ),
            (
                Forbidden,
                "pods \"web\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true",
                "correct the manifest, or the label pod-security.kubernetes.io/enforce of namespace shop",
            ),
            (
                Forbidden,
                "pods \"web\" is forbidden: failed quota: bounds: must specify limits.cpu for: web",
                "correct the manifest, or the ResourceQuota of namespace shop",
            ),
            (
                Forbidden,
                "pods \"web\" is forbidden: maximum cpu usage per Container is 100m, but limit is 1",
                "correct the manifest, or the LimitRange of namespace shop",
            ),
            (
                Forbidden,
                "pods \"web\" is forbidden: memory max limit to request ratio per Container is 2, but provided ratio is 4",
                "correct the manifest, or the LimitRange of namespace shop",
            ),
            (
                Forbidden,
                "pods \"web\" is forbidden: error looking up service account shop/web: serviceaccount \"web\" not found",
                "correct the manifest, or the admission rule that forbids it",
            ),
            (
                Unavailable,
                "pods \"web\" is forbidden: exceeded quota: bounds, requested: pods=1, used: pods=0, limited: pods=0",
                "ask for less, or raise the ResourceQuota of namespace shop",
            ),
            (
                Unavailable,
                "pods \"web\" is forbidden: unable to create new content in namespace shop because it is being terminated",
                "namespace shop has to be gone, and made anew",
            ),
            (
                Unavailable,
                "Internal error occurred: failed calling webhook \"a.b\": failed to call webhook: EOF",
                "see to the webhook, or to its failurePolicy",
            ),
            (NotFound, "namespaces \"shop\" not found", NAMESPACE),
            (Denied, "admission webhook \"a.b\" denied the request: no", "correct the manifest"),
            (Invalid, "Pod \"web\" is invalid: spec.containers: Required value", "correct the manifest"),
            (
                Invalid,
                "ConfigMap \"web\" is invalid: data: Forbidden: field is immutable when `immutable` is set",
                "undo the change, or delete the object: it is made anew as Git has it",
            ),
        ] {
            assert_eq!(told(class, message), format!("{message}; {next}"));
        }
        assert_eq!(told(Unavailable, "etcdserver: leader changed"), "etcdserver: leader changed");
        assert_eq!(told(Conflict, "the object has been modified"), "the object has been modified");
    }

    #[test]
    fn what_forbids_a_deletion_condemns_no_content() {
        let key = ObjectKey::new("", "Pod", "shop", "web");
        let denied =
            || CallError::new(ErrorClass::Denied, "admission webhook \"a.b\" denied the request: no");
        let told = "admission webhook \"a.b\" denied the request: no; see to what forbids its deletion";
        assert_eq!(of_prune(denied(), &key), ObjectOutcome::Failed(ErrorClass::Forbidden, told.into()));
        assert_eq!(of_deletion(denied(), &key), format!("Pod shop/web cannot be deleted: {told}"));
        let conflict = CallError::new(ErrorClass::Conflict, "changed");
        assert_eq!(of_prune(conflict, &key), ObjectOutcome::Failed(ErrorClass::Conflict, "changed".into()));
    }

    const NAMESPACE: &str = "add the Namespace to the manifests, or set the sync option CreateNamespace=true";
}
