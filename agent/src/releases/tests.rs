//! The store on a real API server: what is written is read back, and what others make of it is not used.

use super::*;
use cluster::Access;
use lab::{Lab, Options};
use model::{DesiredHash, ErrorClass, ObjectKey, base64_encode, digest};
use release::{PayloadState, Timings, Verdict, next_number};
use std::sync::OnceLock;
use std::time::Duration;

/// A control plane without controllers: nobody collects releases whose Application was never made.
fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| Lab::start(&Options::bare()).unwrap())
}

/// One namespace with releases, and the ways to it.
struct Scene {
    cluster: Cluster,
    namespace: String,
    store: Store,
}

impl Scene {
    async fn new(name: &str) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let namespace = tokio::task::spawn_blocking({
            let name = format!("releases-{name}");
            move || lab().namespace(&name)
        })
        .await
        .unwrap();
        let access = Access {
            kubeconfig: Some(lab().kubeconfig().to_owned()),
            user_agent: "test".into(),
            in_flight: 4,
            call_timeout: Duration::from_mins(1),
        };
        let cluster = Cluster::connect(access).await.unwrap();
        let store = Store::new(cluster.clone(), &namespace);
        Self { cluster, namespace, store }
    }

    /// Another replica, or the same after a restart.
    fn restarted(&self) -> Store {
        Store::new(self.cluster.clone(), &self.namespace)
    }

    fn app(&self) -> AppKey {
        AppKey::new(&self.namespace, "shop")
    }

    fn record(&self, number: u64) -> Record {
        crate::harness::record(self.app(), number)
    }

    async fn write(&self, record: &Record, objects: &[Value]) -> Head {
        self.store.write(record, Some(&pack(objects))).await.unwrap()
    }

    async fn secret(&self, name: &str) -> Value {
        self.store.get(Priority::User, name).await.unwrap().unwrap()
    }

    /// Does what somebody does who may write Secrets.
    async fn edit(&self, name: &str, patch: &Value) {
        self.cluster.merge_patch(&endpoint(), &self.namespace, name, patch, "somebody").await.unwrap();
    }

    async fn plant(&self, secret: &Value, name: &str) {
        let mut secret = secret.clone();
        for field in ["resourceVersion", "uid", "managedFields", "creationTimestamp"] {
            secret["metadata"].as_object_mut().unwrap().remove(field);
        }
        secret["metadata"]["name"] = name.into();
        self.cluster.create(&endpoint(), &Object::from_value(secret).unwrap(), "somebody").await.unwrap();
    }

    /// What the store tells of the app: its numbers, and what it refuses.
    async fn told(&self) -> (Vec<u64>, Vec<String>) {
        let listing = self.store.list(&self.app(), "u-1").await.unwrap();
        let numbers = listing.heads.iter().map(|head| head.record.number).collect();
        (numbers, listing.refused.iter().map(Refusal::to_string).collect())
    }

    async fn objects(&self, number: u64) -> Result<Vec<Value>, String> {
        let found = self.store.payload(&self.app(), "u-1", number, Priority::User).await;
        found.map(|(_, objects)| objects).map_err(|why| why.to_string())
    }
}

fn pack(objects: &[Value]) -> Payload {
    Payload::pack(objects.iter().map(|object| object.as_object().unwrap())).unwrap()
}

fn secret(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web", "namespace": "shop"},
        "data": {"password": base64_encode(value.as_bytes())}})
}

/// Objects whose text is three times as long as a Secret may be, and does not compress.
fn large() -> Vec<Value> {
    let noise =
        |i: usize| (0..16).map(|j| digest(format!("{i} {j}").as_bytes()).to_string()).collect::<String>();
    (0..5_000)
        .map(|i| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": i.to_string()}, "data": {"noise": noise(i)}}))
        .collect()
}

#[tokio::test]
async fn what_is_written_is_read_back_by_whoever_comes_next() {
    let scene = Scene::new("written").await;
    assert_eq!(scene.told().await, (vec![], vec![]), "without a key there is nothing yet");
    let head = scene.write(&scene.record(1), &[secret("one")]).await;
    assert_eq!(head.payload, PayloadState::Kept { parts: 0 });
    let next = scene.restarted();
    next.write(&scene.record(2), None).await.unwrap();
    let listing = next.list_all().await.unwrap().of(&scene.app(), "u-1");
    assert_eq!(listing.heads[0], head);
    assert_eq!(listing.heads[1].record, scene.record(2));
    assert_eq!(listing.refused, []);
    assert_eq!(next_number(&listing), 3);
    assert_eq!(scene.objects(1).await.unwrap(), [secret("one")]);
    assert!(scene.objects(2).await.unwrap_err().contains("is remembered without its objects"));
    assert!(scene.objects(3).await.unwrap_err().contains("does not exist"));
}

#[tokio::test]
async fn the_same_again_is_done_and_a_later_verdict_replaces() {
    let scene = Scene::new("again").await;
    let first = scene.write(&scene.record(1), &[secret("one")]).await;
    let again = scene.write(&scene.record(1), &[secret("one")]).await;
    assert_eq!(again.resource_version, first.resource_version, "nothing was written");
    let failed = Record { verdict: Verdict::Failed, ..scene.record(1) };
    let replaced = scene.store.write(&failed, None).await.unwrap();
    assert_eq!((replaced.record, replaced.payload), (failed, PayloadState::None));
    assert!(scene.secret("tautline-release.shop.v1").await["data"]["payload"].is_null());
    let other = Record { hash: DesiredHash(digest(b"other")), ..scene.record(1) };
    assert_eq!(scene.store.write(&other, None).await.unwrap().record.number, 2, "it replaces no other");
    assert_eq!(scene.store.write(&other, None).await.unwrap().record.number, 2, "and is there once");
    assert_eq!(scene.told().await.0, [1, 2]);
}

#[tokio::test]
async fn what_a_crash_leaves_between_two_parts_is_no_release_and_is_written_over() {
    let scene = Scene::new("crash").await;
    scene.write(&scene.record(1), &[secret("one")]).await;
    let key = scene.store.key.to_write().await.unwrap();
    let left = release::seal(&scene.record(2), Some(&pack(&large())), &key, release::ROOM / 2);
    for part in &left[..2] {
        scene.store.create(part.clone()).await.unwrap().unwrap();
    }
    assert_eq!(scene.told().await, (vec![1], vec![]));
    let store = scene.restarted();
    assert_eq!(next_number(&store.list(&scene.app(), "u-1").await.unwrap()), 2);
    let head = store.write(&scene.record(2), Some(&pack(&large()))).await.unwrap();
    assert!(matches!(head.payload, PayloadState::Kept { parts: 2.. }), "{:?}", head.payload);
    assert_eq!(scene.objects(2).await.unwrap(), large());
    let lost = ObjectKey::new("", "Secret", &scene.namespace, "tautline-release.shop.v2.p2");
    scene.cluster.delete(&endpoint(), &lost, &anything()).await.unwrap();
    let told = scene.objects(2).await.unwrap_err();
    assert!(told.contains("is not whole: part 2 of"), "{told}");
    assert_eq!(scene.objects(1).await.unwrap(), [secret("one")], "its neighbour is whole");
}

fn anything() -> cluster::DeleteOptions {
    cluster::DeleteOptions {
        uid: String::new(),
        resource_version: String::new(),
        propagation: cluster::Propagation::Background,
        priority: Priority::User,
    }
}

#[tokio::test]
async fn when_the_key_is_lost_no_release_is_used_and_numbers_go_on() {
    let scene = Scene::new("lost").await;
    scene.write(&scene.record(1), &[secret("one")]).await;
    let key = ObjectKey::new("", "Secret", &scene.namespace, names::RELEASE_KEY);
    scene.cluster.delete(&endpoint(), &key, &anything()).await.unwrap();
    let store = scene.restarted();
    let listing = store.list(&scene.app(), "u-1").await.unwrap();
    assert_eq!((listing.heads.len(), &listing.refused[0].why), (0, &Why::OtherKey));
    let next = next_number(&listing);
    store.write(&scene.record(next), Some(&pack(&[secret("two")]))).await.unwrap();
    let listing = store.list(&scene.app(), "u-1").await.unwrap();
    assert_eq!((listing.heads[0].record.number, &listing.refused[0].why), (2, &Why::OtherKey));
    let lost = scene.secret("tautline-release.shop.v1").await;
    assert_eq!(store.write(&scene.record(1), None).await.unwrap().record.number, 3);
    assert_eq!(
        scene.secret("tautline-release.shop.v1").await,
        lost,
        "what does not verify is not written over"
    );
}

#[tokio::test]
async fn a_damaged_key_is_told_and_left_as_it_is() {
    let scene = Scene::new("damaged").await;
    scene.write(&scene.record(1), &[]).await;
    let short = base64_encode(b"hunter2");
    scene.edit(names::RELEASE_KEY, &json!({"data": {"key": short}})).await;
    let store = scene.restarted();
    for told in [
        store.list_all().await.unwrap_err().to_string(),
        store.write(&scene.record(2), None).await.unwrap_err().to_string(),
    ] {
        assert!(told.contains("tautline-release-key has no key of 32 bytes"), "{told}");
        assert!(!told.contains("hunter2") && !told.contains(&short), "{told}");
    }
    assert_eq!(scene.secret(names::RELEASE_KEY).await["data"]["key"], short);
}

// N40: planted, edited, replayed and swapped releases
#[tokio::test]
async fn what_is_planted_edited_or_copied_is_refused_and_its_neighbours_go_on() {
    let scene = Scene::new("planted").await;
    for number in 1..=4 {
        scene.write(&scene.record(number), &[secret("good")]).await;
    }
    let bank = Record { app: AppKey::new(&scene.namespace, "bank"), ..scene.record(1) };
    scene.write(&bank, &[secret("evil")]).await;
    let failed = Record { verdict: Verdict::Failed, ..scene.record(5) };
    scene.write(&failed, &[secret("bad")]).await;
    // Another app's, under this one's name; an older one of its own under a newer number.
    let of_bank = scene.secret("tautline-release.bank.v1").await;
    scene.plant(&of_bank, "tautline-release.shop.v6").await;
    let first = scene.secret("tautline-release.shop.v1").await;
    scene.plant(&first, "tautline-release.shop.v7").await;
    // A failed one that is to become stable; a payload that is swapped; one that nobody sealed.
    let record = scene.secret("tautline-release.shop.v5").await["data"]["record"].clone();
    let text = String::from_utf8(model::base64_decode(record.as_str().unwrap()).unwrap()).unwrap();
    let forged = text.replace("\"Failed\"", "\"Stable\"");
    assert_ne!(forged, text);
    let forged = json!({"data": {"record": base64_encode(forged.as_bytes())}});
    scene.edit("tautline-release.shop.v5", &forged).await;
    scene.edit("tautline-release.shop.v2", &json!({"data": {"payload": of_bank["data"]["payload"]}})).await;
    scene.edit("tautline-release.shop.v3", &json!({"data": {"mac": null, "key": null}})).await;
    let (numbers, mut refused) = scene.told().await;
    assert_eq!(numbers, [1, 2, 4], "whether the objects match is found out when they are read");
    refused.retain(|sentence| !sentence.contains("does not match its seal"));
    let damaged = "release 3 of";
    assert!(refused.iter().any(|sentence| sentence.starts_with(damaged)), "{refused:?}");
    for number in [2, 3, 5, 7] {
        let told = scene.objects(number).await.unwrap_err();
        assert!(told.contains("does not match its seal") || told.contains("has no seal"), "{told}");
        assert!(!told.contains(&base64_encode(b"evil")), "{told}");
    }
    assert_eq!(scene.objects(4).await.unwrap(), [secret("good")]);
    let listing = scene.store.list(&scene.app(), "u-1").await.unwrap();
    assert_eq!(next_number(&listing), 6, "what is known to be planted is passed over");
    let head = scene.write(&scene.record(6), &[secret("next")]).await;
    assert_eq!(head.record.number, 8, "so is what lies under its name");
    let other = scene.store.list(&scene.app(), "u-2").await.unwrap();
    assert_eq!(other.heads, [], "an Application of the same name that was made later has none of these");
}

#[tokio::test]
async fn trimming_keeps_three_payloads_and_as_many_records_as_it_should() {
    let scene = Scene::new("trimmed").await;
    for number in 1..=7 {
        scene.write(&scene.record(number), &if number == 2 { large() } else { vec![secret("x")] }).await;
    }
    let heads = scene.store.list(&scene.app(), "u-1").await.unwrap().heads;
    let (left, failure) = scene.store.trim(heads, 6).await;
    assert_eq!(failure, None);
    let listing = scene.store.list(&scene.app(), "u-1").await.unwrap();
    assert_eq!(listing.heads, left, "what trimming says is what is there");
    let kept: Vec<(u64, bool)> = left.iter().map(|head| (head.record.number, head.has_payload())).collect();
    assert_eq!(kept, [(2, false), (3, false), (4, false), (5, true), (6, true), (7, true)]);
    assert_eq!(scene.store.get(Priority::User, "tautline-release.shop.v2.p1").await.unwrap(), None);
    let (again, failure) = scene.store.trim(left.clone(), 6).await;
    assert_eq!((again, failure), (left, None));
    let stale = listing.heads.iter().map(|head| head.stripped("1")).collect();
    let (left, failure) = scene.store.trim(stale, 1).await;
    assert_eq!(failure.map(|error| error.class), Some(ErrorClass::Conflict), "only as it was seen");
    assert_eq!(left.len(), 6);
}

#[tokio::test]
async fn how_well_is_delivered_is_known_by_what_was_listed_and_written() {
    let scene = Scene::new("delivered").await;
    let at = |seconds: i64| Some(model::Timestamp::from_millis(1_000_000_000 + seconds * 1_000));
    let timings = Timings { started: at(0), settled: at(10), ..Timings::default() };
    let record = |number| Record { timings, ..scene.record(number) };
    let deliveries = |store: &Store| {
        let app = scene.app();
        let found = store.deliveries([(&app, "u-1")].into_iter(), at(60).unwrap());
        found.into_iter().map(|(_, delivery)| (delivery.deployments, delivery.failures)).collect::<Vec<_>>()
    };
    scene.write(&record(1), &[]).await;
    scene.write(&record(2), &[]).await;
    assert_eq!(deliveries(&scene.store), [(2, 0)]);
    let failed = Record { verdict: Verdict::Failed, ..record(2) };
    scene.store.write(&failed, None).await.unwrap();
    assert_eq!(deliveries(&scene.store), [(1, 1)], "a later verdict counts instead");
    let store = scene.restarted();
    assert_eq!((deliveries(&store), store.has_listed()), (vec![], false), "nothing is known yet");
    store.list_all().await.unwrap();
    assert!(store.has_listed());
    assert_eq!(deliveries(&store), [(1, 1)]);
    assert_eq!(store.deliveries([(&scene.app(), "u-2")].into_iter(), at(60).unwrap()), []);
    assert_eq!(deliveries(&store), [], "what is not asked for is forgotten");
}

#[tokio::test]
async fn more_than_a_page_is_listed_whole() {
    let scene = Scene::new("paged").await;
    for number in 1..=u64::from(PAGE) + 3 {
        scene.write(&scene.record(number), &[]).await;
    }
    let numbers = scene.told().await.0;
    assert_eq!(numbers, (1..=u64::from(PAGE) + 3).collect::<Vec<u64>>(), "in the order of their numbers");
}
