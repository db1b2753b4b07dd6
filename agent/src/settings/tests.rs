//! Which settings are in force, and when is what a watch shows news?

use super::*;
use serde_json::json;

fn project(name: &str) -> Object {
    Object::from_value(json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": name, "namespace": "argocd"}, "spec": {"sourceRepos": ["*"]}}))
    .unwrap()
}

fn secret(name: &str) -> Object {
    Object::from_value(json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "labels": {"argocd.argoproj.io/secret-type": "repository"}},
        "data": {"url": "aHR0cHM6Ly9leGFtcGxlLmNvbS8=", "username": "YQ==", "password": "Yg=="}}))
    .unwrap()
}

fn config() -> Object {
    Object::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"},
        "data": {"timeout.reconciliation": "7s"}}))
    .unwrap()
}

/// Settings of two projects, two Secrets and `argocd-cm`.
fn filled() -> Settings {
    let mut settings = Settings::default();
    for name in ["a", "b"] {
        assert!(settings.put_project(&project(name)).is_empty());
        settings.put_secret(&secret(name)).unwrap();
    }
    assert!(settings.put_config(Some(&config()), Timestamp::from_millis(0), Seconds::ZERO).is_empty());
    settings
}

#[test]
fn what_a_list_does_not_show_is_forgotten() {
    let mut settings = filled();
    settings.listing_projects.begin();
    settings.listing_projects.see("b");
    settings.drop_unlisted_projects();
    assert!(settings.project("a").is_err() && settings.project("b").is_ok());
    settings.listing_secrets.begin();
    settings.listing_secrets.see("b");
    settings.drop_unlisted_secrets();
    assert_eq!(settings.secrets().len(), 1);
    settings.listing_config.begin();
    assert!(settings.is_config_unlisted());
}

#[test]
fn what_a_list_shows_stays_and_so_does_all_without_a_whole_list() {
    let mut settings = filled();
    let serials = (settings.projects_serial, settings.secrets_serial);
    // No list began.
    settings.drop_unlisted_projects();
    settings.drop_unlisted_secrets();
    // A list began anew: what the first one showed says nothing.
    for names in [&["a"][..], &["b", "a"]] {
        settings.listing_projects.begin();
        settings.listing_secrets.begin();
        for name in names {
            settings.listing_projects.see(name);
            settings.listing_secrets.see(name);
        }
    }
    settings.drop_unlisted_projects();
    settings.drop_unlisted_secrets();
    // Something is there whose name nobody can read: it may be any of them.
    settings.listing_projects.begin();
    settings.listing_projects.see("");
    settings.drop_unlisted_projects();
    assert_eq!((settings.projects_serial, settings.secrets_serial), serials);
    settings.listing_config.begin();
    settings.listing_config.see("argocd-cm");
    assert!(!settings.is_config_unlisted());
    assert_eq!(settings.poll_interval, Some(Duration::from_secs(7)));
    assert!(settings.project("a").is_ok() && settings.secrets().len() == 2);
}

#[test]
fn secrets_that_contradict_each_other_are_told_once_and_by_the_apps_concerned() {
    let mut settings = Settings::default();
    let put = |settings: &mut Settings, name: &str, password: &str| {
        let mut secret = secret(name);
        secret.fields_mut()["data"]["url"] = "aHR0cHM6Ly9naXQuZXgvc2hvcA==".into();
        secret.fields_mut()["data"]["password"] = password.into();
        settings.put_secret(&secret).unwrap();
    };
    put(&mut settings, "a", "Yg==");
    put(&mut settings, "b", "Yg==");
    assert!(settings.find_rivals().is_empty(), "they say the same");
    put(&mut settings, "other", "Yw==");
    let told = "repository Secrets a, b, other are for the same URL and project and hold different credentials: a is \
                used. Delete the others, or correct their url";
    assert_eq!(settings.find_rivals(), [told]);
    assert!(settings.find_rivals().is_empty(), "it is known");
    let says = |settings: &Settings, url: &str| -> Vec<String> {
        let raw = json!({"metadata": {"name": "shop", "namespace": "argocd"}, "spec": {"project": "default",
            "source": {"repoURL": url, "path": "."}, "destination": {"name": "in-cluster"}}});
        let app = application::read(&raw).unwrap();
        settings.unreadable_for(&app).into_iter().map(|setting| setting.message).collect()
    };
    assert_eq!(says(&settings, "https://git.ex/shop"), [told]);
    assert!(says(&settings, "https://elsewhere.com/shop").is_empty());
    settings.drop_secret("other");
    assert!(settings.find_rivals().is_empty() && says(&settings, "https://git.ex/shop").is_empty());
}

#[test]
fn what_was_never_readable_is_forgotten_as_well() {
    let mut settings = Settings::default();
    let mut bad = project("default");
    bad.fields_mut().insert("spec".into(), json!({"sourceRepos": 7}));
    assert!(!settings.put_project(&bad).is_empty());
    assert!(settings.project("default").is_err());
    settings.listing_projects.begin();
    settings.drop_unlisted_projects();
    assert!(settings.project("default").is_ok(), "the built-in one stands in");
    let mut blank = secret("blank");
    blank.fields_mut().remove("data");
    settings.put_secret(&blank).unwrap_err();
    settings.listing_secrets.begin();
    settings.drop_unlisted_secrets();
    assert!(settings.unreadable.is_empty());
}

#[test]
fn what_says_the_same_again_is_no_news() {
    let mut settings = filled();
    let mut bad_project = project("bad");
    bad_project.fields_mut().insert("spec".into(), json!({"sourceRepos": 7}));
    let mut bad_secret = secret("bad");
    bad_secret.fields_mut().remove("data");
    let put_all = |settings: &mut Settings, secret: &Object| {
        settings.put_project(&project("a"));
        settings.put_project(&bad_project);
        drop((settings.put_secret(secret), settings.put_secret(&bad_secret)));
        (settings.projects_serial, settings.secrets_serial)
    };
    let first = put_all(&mut settings, &secret("a"));
    assert_eq!(first, (3, 3), "the broken ones are news");
    assert_eq!(put_all(&mut settings, &secret("a")), first);
    let mut other = secret("a");
    other.fields_mut()["data"]["password"] = "Yw==".into();
    assert_eq!(put_all(&mut settings, &other), (3, 4));
    settings.drop_secret("nothing");
    settings.drop_project("nothing");
    assert_eq!(put_all(&mut settings, &other), (3, 4));
    settings.drop_secret("bad");
    settings.drop_project("bad");
    assert_eq!((settings.projects_serial, settings.secrets_serial), (4, 5));
}

#[test]
fn what_is_wrong_about_reverts_takes_nobodys_credentials() {
    let mut settings = Settings::default();
    let mut object = secret("shop");
    let put = |settings: &mut Settings, object: &Object| settings.put_secret(object);
    object.set_annotation("tautline.dev/revert", "commit");
    object.set_annotation("tautline.dev/revert-author", "Ann <ann@example.com>");
    assert_eq!(put(&mut settings, &object), Ok(()));
    let known = settings.secrets.get("shop").unwrap().clone();
    assert!(known.reverts.is_some());
    object.set_annotation("tautline.dev/revert", "push");
    object.fields_mut()["data"]["password"] = "Yw==".into();
    assert!(put(&mut settings, &object).unwrap_err().contains("none of commit, branch"));
    let now = &settings.secrets["shop"];
    assert_ne!(now.credentials, known.credentials, "the new password is taken in");
    assert_eq!(now.reverts, known.reverts, "what was said before about reverts stays");
    // After a restart there is nothing that was said before.
    let mut settings = Settings::default();
    put(&mut settings, &object).unwrap_err();
    assert!(settings.secrets["shop"].reverts.is_none());
}
