//! Does the cache repair itself, and does it survive a restart?

use crate::remote::Served;
use crate::support::at;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn packs(served: &Served, extension: &str) -> Vec<PathBuf> {
    let clone = served.place.clones().pop().unwrap();
    let files = std::fs::read_dir(clone.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    let mut permissions = std::fs::metadata(path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(path, permissions).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn rewrite_all(served: &Served, extension: &str, change: impl Fn(&mut Vec<u8>)) {
    for path in packs(served, extension) {
        rewrite(&path, &change);
    }
}

fn flip(bytes: &mut [u8]) {
    for byte in bytes {
        *byte ^= 0x55;
    }
}

type Damage = (&'static str, fn(&Served));

const DAMAGES: [Damage; 9] = [
    ("flipped pack", |it| rewrite_all(it, "pack", |bytes| flip(&mut bytes[14..]))),
    ("truncated pack", |it| rewrite_all(it, "pack", |bytes| bytes.truncate(30))),
    ("empty pack", |it| rewrite_all(it, "pack", Vec::clear)),
    ("flipped index", |it| rewrite_all(it, "idx", |bytes| flip(&mut bytes[1040..]))),
    ("truncated index", |it| rewrite_all(it, "idx", |bytes| bytes.truncate(100))),
    ("no pack", |it| packs(it, "pack").iter().try_for_each(std::fs::remove_file).unwrap()),
    ("no objects", |it| std::fs::remove_dir_all(it.place.clones()[0].join("objects")).unwrap()),
    ("no HEAD", |it| std::fs::remove_file(it.place.clones()[0].join("HEAD")).unwrap()),
    ("no clone", |it| std::fs::remove_dir_all(&it.place.clones()[0]).unwrap()),
];

// N41, N43: packs and indexes, while it runs
#[tokio::test]
async fn a_damaged_clone_is_built_anew() {
    for (name, damage) in DAMAGES {
        let it = Served::new();
        let revision = it.repo.commit("main", &[("a.yaml", "2"), ("b.yaml", "3")]);
        assert_eq!(it.read("").await, "a.yaml: 2, b.yaml: 3");
        damage(&it);
        let remote = at(&it.server.url("open/app.git"));
        let listing = it.place.sources.read(&remote, &revision, &crate::support::folder(""), |_| true).await;
        let listing = listing.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(crate::support::show(&listing), "a.yaml: 2, b.yaml: 3", "{name}");
        assert_eq!(it.place.clones().len(), 1, "{name}");
        it.repo.commit("main", &[("a.yaml", "4")]);
        assert_eq!(it.read("").await, "a.yaml: 4", "{name}");
    }
}

// N43: with nowhere to clone from
#[tokio::test]
async fn damage_with_the_server_away_is_an_error_and_never_less_content() {
    let it = Served::new();
    let revision = it.repo.commit("main", &[("a.yaml", "2"), ("b.yaml", "3")]);
    assert_eq!(it.read("").await, "a.yaml: 2, b.yaml: 3");
    std::fs::rename(&it.repo.path, it.place.path("away.git")).unwrap();
    let remote = at(&it.server.url("open/app.git"));
    let read =
        async || it.place.sources.read(&remote, &revision, &crate::support::folder(""), |_| true).await;
    assert_eq!(
        crate::support::show(&read().await.unwrap()),
        "a.yaml: 2, b.yaml: 3",
        "what is here needs no server"
    );
    DAMAGES[0].1(&it);
    assert!(read().await.is_err());
    std::fs::rename(it.place.path("away.git"), &it.repo.path).unwrap();
    assert_eq!(crate::support::show(&read().await.unwrap()), "a.yaml: 2, b.yaml: 3");
}

#[tokio::test]
async fn a_restart_finds_the_clone_and_sweeps_up() {
    let mut it = Served::new();
    assert_eq!(it.read("").await, "a.yaml: 1");
    let clone = it.place.clones().pop().unwrap();
    std::fs::create_dir_all(clone.with_extension("new").join("objects")).unwrap();
    std::fs::create_dir_all(clone.with_extension("old")).unwrap();
    std::fs::write(clone.join("objects/pack/pack_git2_1a2b3c"), "half").unwrap();
    it.place.restart();
    assert_eq!(it.place.clones(), std::slice::from_ref(&clone));
    assert!(!clone.join("objects/pack/pack_git2_1a2b3c").exists());
    let before = it.server.seen().len();
    let revision = model::Revision::new(it.repo.git.refname_to_id("refs/heads/main").unwrap().to_string());
    let remote = at(&it.server.url("open/app.git"));
    it.place.sources.commit(&remote, &revision).await.unwrap();
    assert_eq!(it.server.seen().len(), before, "what is here needs no server");
}

#[tokio::test]
async fn a_cache_folder_that_cannot_be_written_is_told() {
    let it = Served::new();
    let cache = it.place.folder.path().join("cache/git");
    std::fs::remove_dir_all(&cache).unwrap();
    std::fs::write(&cache, "in the way").unwrap();
    let told = it.read("").await;
    assert!(told.starts_with("Unavailable: the cache folder cannot be written: "), "{told}");
    std::fs::remove_file(&cache).unwrap();
    assert_eq!(it.read("").await, "a.yaml: 1");
}

#[tokio::test]
async fn many_callers_share_one_fetch() {
    let it = Served::new();
    let remote = at(&it.server.url("open/app.git"));
    let reads = (0..8).map(|_| {
        let (sources, remote) = (it.place.sources.clone(), remote.clone());
        tokio::spawn(async move { crate::support::read(&sources, &remote, "main", "").await })
    });
    for read in reads.collect::<Vec<_>>() {
        assert_eq!(read.await.unwrap(), "a.yaml: 1");
    }
    assert_eq!(it.n_fetches(), 1);
}

#[tokio::test]
async fn many_fetches_leave_few_packs_and_lose_nothing() {
    let it = Served::new();
    let first = it.repo.commit("main", &[("a.yaml", "first")]);
    assert_eq!(it.read("").await, "a.yaml: first");
    it.repo.delete("refs/heads/main");
    for n in 0..45 {
        it.repo.commit("main", &[("a.yaml", &format!("{n}"))]);
        assert_eq!(it.read("").await, format!("a.yaml: {n}"));
    }
    assert!(packs(&it, "pack").len() < 10, "{}", packs(&it, "pack").len());
    assert_eq!(packs(&it, "pack").len(), packs(&it, "idx").len());
    assert_eq!(it.read(first.as_str()).await, "a.yaml: first", "no ref leads to it any more");
}

#[tokio::test]
async fn clones_that_nobody_uses_go_unless_somebody_works_on_them() {
    let place = crate::support::Place::with(|config| config.unused = std::time::Duration::ZERO);
    let it = Served::in_place(place);
    assert_eq!(it.read("").await, "a.yaml: 1");
    let remote = at(&it.server.url("open/app.git"));
    let in_use = BTreeSet::from([remote.url.normalised()]);
    assert_eq!(it.place.sources.sweep(in_use).await.unwrap(), 0);
    assert_eq!(it.place.clones().len(), 1);

    // Somebody reads, for as long as we look.
    let (begins, begun) = std::sync::mpsc::channel();
    let (ends, end) = std::sync::mpsc::channel::<()>();
    let end = std::sync::Mutex::new(end);
    let (sources, reader) = (it.place.sources.clone(), remote.clone());
    let revision = model::Revision::new(it.repo.git.refname_to_id("refs/heads/main").unwrap().to_string());
    let reading = tokio::spawn(async move {
        let slowly = move |_: &str| {
            begins.send(()).unwrap();
            // Ends with its sender.
            let _ended = end.lock().unwrap().recv();
            true
        };
        sources.read(&reader, &revision, &crate::support::folder(""), slowly).await
    });
    tokio::task::spawn_blocking(move || begun.recv().unwrap()).await.unwrap();
    assert_eq!(it.place.sources.sweep(BTreeSet::new()).await.unwrap(), 0);
    drop(ends);
    assert_eq!(crate::support::show(&reading.await.unwrap().unwrap()), "a.yaml: 1");

    assert_eq!(it.place.sources.sweep(BTreeSet::new()).await.unwrap(), 1);
    assert!(it.place.clones().is_empty());
    assert_eq!(it.read("").await, "a.yaml: 1", "it is cloned again");
}

#[tokio::test]
async fn clones_that_nobody_used_for_a_moment_only_stay() {
    let it = Served::new();
    assert_eq!(it.read("").await, "a.yaml: 1");
    for _ in 0..2 {
        assert_eq!(it.place.sources.sweep(BTreeSet::new()).await.unwrap(), 0);
    }
    assert_eq!(it.place.clones().len(), 1);
}
