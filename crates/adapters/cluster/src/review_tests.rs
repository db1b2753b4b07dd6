//! Does anything but a plain yes of the API server let somebody in?

use super::*;
use crate::fake::{Asked, Reply, cluster};
use model::ErrorClass;

const ADA: &str = r#"{"username": "ada", "uid": "7", "groups": ["dev", "system:authenticated"], "extra": {"scopes": ["a"]}}"#;

fn ada() -> User {
    User {
        name: "ada".into(),
        uid: "7".into(),
        groups: vec!["dev".into(), "system:authenticated".into()],
        extra: [("scopes".to_owned(), vec!["a".to_owned()])].into(),
    }
}

fn answered(kind: &str, status: &str) -> Reply {
    Reply::Full(201, format!(r#"{{"kind": "{kind}", "metadata": {{}}, "spec": {{}}, "status": {status}}}"#))
}

/// Reviews a token for these audiences where the API server answers so.
async fn token(audiences: &[&str], reply: Reply) -> (Result<Option<User>, CallError>, Asked) {
    let audiences: Vec<String> = audiences.iter().map(ToString::to_string).collect();
    let (cluster, asked) = cluster(vec![reply]);
    (cluster.review_token("s3cret", &audiences).await, asked)
}

async fn may(reply: Reply) -> (Result<bool, CallError>, Asked) {
    let (cluster, asked) = cluster(vec![reply]);
    let wish = Wish { verb: "update", namespace: "argocd", name: "shop" };
    (cluster.review_access(&ada(), wish).await, asked)
}

#[tokio::test]
async fn a_token_is_somebodys() {
    let status = format!(r#"{{"authenticated": true, "user": {ADA}}}"#);
    let (user, asked) = token(&[], answered("TokenReview", &status)).await;
    assert_eq!(user.unwrap(), Some(ada()));
    assert_eq!(
        *asked.lock().unwrap(),
        [
            r#"POST /apis/authentication.k8s.io/v1/tokenreviews application/json {"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"s3cret"}}"#
        ]
    );
    let bare = r#"{"authenticated": true, "user": {"username": "ada"}}"#;
    let (user, _) = token(&[], answered("TokenReview", bare)).await;
    assert_eq!(user.unwrap(), Some(User { name: "ada".into(), ..User::default() }));
}

// N25: a token that was made for somebody else
#[tokio::test]
async fn a_token_counts_for_the_audiences_that_were_asked_for() {
    for (granted, is_accepted) in [
        (r#", "audiences": ["b"]"#, true),
        (r#", "audiences": ["x", "a"]"#, true),
        (r#", "audiences": ["x"]"#, false),
        (r#", "audiences": []"#, false),
        (r#", "audiences": "a""#, false),
        ("", false),
    ] {
        let status = format!(r#"{{"authenticated": true, "user": {ADA}{granted}}}"#);
        let (user, asked) = token(&["a", "b"], answered("TokenReview", &status)).await;
        assert_eq!(user.unwrap().is_some(), is_accepted, "{granted}");
        assert!(asked.lock().unwrap()[0].contains(r#""audiences":["a","b"]"#));
    }
}

// N27: no name, an error, words instead of a yes
#[tokio::test]
async fn a_token_that_is_not_plainly_accepted_is_nobodys() {
    for status in [
        r#"{"authenticated": false}"#.to_owned(),
        "{}".to_owned(),
        format!(r#"{{"user": {ADA}}}"#),
        format!(r#"{{"authenticated": "true", "user": {ADA}}}"#),
        format!(r#"{{"authenticated": 1, "user": {ADA}}}"#),
        format!(r#"{{"authenticated": true, "error": "expired", "user": {ADA}}}"#),
        format!(r#"{{"authenticated": true, "error": {{}}, "user": {ADA}}}"#),
    ] {
        let (user, _) = token(&[], answered("TokenReview", &status)).await;
        assert_eq!(user.unwrap(), None, "{status}");
    }
    for user in [
        "null",
        "{}",
        r#"{"username": ""}"#,
        r#"{"username": "  "}"#,
        r#"{"username": 5}"#,
        r#"{"username": "ada", "uid": 5}"#,
        r#"{"username": "ada", "groups": "system:masters"}"#,
        r#"{"username": "ada", "groups": [5]}"#,
        r#"{"username": "ada", "extra": []}"#,
        r#"{"username": "ada", "extra": {"a": "b"}}"#,
    ] {
        let status = format!(r#"{{"authenticated": true, "user": {user}}}"#);
        let (answer, _) = token(&[], answered("TokenReview", &status)).await;
        assert_eq!(answer.unwrap_err().class, ErrorClass::Unavailable, "{user}");
    }
}

#[tokio::test]
async fn rights_are_asked_for_with_all_that_is_known_of_the_user() {
    let (may, asked) = may(answered("SubjectAccessReview", r#"{"allowed": true}"#)).await;
    assert!(may.unwrap());
    let asked = asked.lock().unwrap()[0].clone();
    let (line, body) = asked.split_once(" application/json ").unwrap();
    assert_eq!(line, "POST /apis/authorization.k8s.io/v1/subjectaccessreviews");
    assert_eq!(
        serde_json::from_str::<Value>(body).unwrap(),
        json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {
                "user": "ada", "uid": "7", "groups": ["dev", "system:authenticated"], "extra": {"scopes": ["a"]},
                "resourceAttributes": {
                    "verb": "update", "group": "argoproj.io", "resource": "applications", "namespace": "argocd", "name": "shop",
                },
            },
        })
    );
}

#[tokio::test]
async fn nobody_may_anything() {
    let (cluster, asked) = cluster(vec![answered("SubjectAccessReview", r#"{"allowed": true}"#)]);
    let groups_alone = User { groups: vec!["system:masters".into()], ..User::default() };
    let wish = Wish { verb: "get", namespace: "argocd", name: "" };
    assert!(!cluster.review_access(&groups_alone, wish).await.unwrap());
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_right_that_is_not_plainly_granted_is_none() {
    for (status, may_it) in [
        (r#"{"allowed": false}"#, false),
        (r#"{"allowed": false, "evaluationError": "no such role"}"#, false),
        (r#"{"allowed": true, "denied": true}"#, false),
        (r#"{"allowed": true, "denied": "no"}"#, false),
        (r#"{"allowed": true, "denied": false, "reason": "RBAC"}"#, true),
    ] {
        let (answer, _) = may(answered("SubjectAccessReview", status)).await;
        assert_eq!(answer.unwrap(), may_it, "{status}");
    }
    for status in ["{}", r#"{"allowed": "true"}"#, r#"{"allowed": null}"#] {
        let (answer, _) = may(answered("SubjectAccessReview", status)).await;
        assert_eq!(answer.unwrap_err().class, ErrorClass::Unavailable, "{status}");
    }
}

// N27: 500, silence, pages of others
#[tokio::test(start_paused = true)]
async fn trouble_and_nonsense_are_errors() {
    let replies: [fn() -> Reply; 8] = [
        || Reply::Full(500, "etcdserver: request timed out".into()),
        || Reply::Full(401, r#"{"kind": "Status", "message": "Unauthorized"}"#.into()),
        || Reply::Full(403, r#"{"kind": "Status", "message": "tokenreviews is forbidden"}"#.into()),
        || Reply::Full(201, "<html>".into()),
        || Reply::Full(201, "[]".into()),
        || Reply::Full(200, r#"{"kind": "Pod", "status": {"authenticated": true, "allowed": true}}"#.into()),
        || Reply::Refused,
        || Reply::Silence,
    ];
    for reply in replies {
        token(&[], reply()).await.0.unwrap_err();
        may(reply()).await.0.unwrap_err();
    }
    let huge = format!(r#"{{"authenticated": true, "user": {{"username": "ada{}"}}}}"#, "a".repeat(LONGEST));
    token(&[], answered("TokenReview", &huge)).await.0.unwrap_err();
}

#[tokio::test]
async fn what_an_api_server_says_of_a_token_is_not_passed_on() {
    let status = r#"{"kind": "Status", "code": 422, "message": "TokenReview \"\" is invalid: spec.token: \"s3cret\""}"#;
    let (answer, _) = token(&[], Reply::Full(422, status.into())).await;
    let error = answer.unwrap_err();
    assert!(!error.message.contains("s3cret"), "{error}");
}
