//! What is read of a commit, and what is refused?

use crate::support::{Place, Repo, folder, read, show};
use git2::Oid;
use model::Revision;
use source::{Folder, Kind};

const FILE: &str = "100644";
const LINK: &str = "120000";
const TREE: &str = "40000";

async fn content(files: &[(&str, &str)], path: &str) -> String {
    let place = Place::new();
    let repo = place.repo("app.git");
    repo.commit("main", files);
    read(&place.sources, &repo.at(), "main", path).await
}

// N2: links that stay inside
#[tokio::test]
async fn links_inside_the_repository_are_followed() {
    let files = [
        ("apps/web/a.yaml", "-> ../shared/a.yaml"),
        ("apps/web/b.yaml", "-> c.yaml"),
        ("apps/web/c.yaml", "-> d.yaml"),
        ("apps/web/d.yaml", "-> ../../lib/x.yaml"),
        ("apps/web/gone.yaml", "-> nowhere.yaml"),
        ("apps/web/folder", "-> ../shared"),
        ("apps/shared/a.yaml", "A"),
        ("lib", "-> apps/shared/lib"),
        ("apps/shared/lib/x.yaml", "X"),
        ("alias", "-> apps/web/../shared"),
    ];
    assert_eq!(
        content(&files, "apps/web").await,
        "apps/web/a.yaml -> apps/shared/a.yaml: A, apps/web/b.yaml -> apps/shared/lib/x.yaml: X, \
         apps/web/c.yaml -> apps/shared/lib/x.yaml: X, apps/web/d.yaml -> apps/shared/lib/x.yaml: X"
    );
    assert_eq!(content(&files, "alias/**").await, "alias/a.yaml: A, alias/lib/x.yaml: X");
}

// N2: links out, by several links, of every name and kind
#[tokio::test]
async fn links_out_of_the_repository_are_refused() {
    for (link, target) in [
        ("a.yaml", "/etc/passwd"),
        ("a.yaml", "../../outside"),
        ("README", "../.."),
        ("Chart.yaml", "sub/../../../x"),
        ("kustomization.yaml", "hop/../x"),
    ] {
        let files =
            [(&*format!("web/{link}"), &*format!("-> {target}")), ("web/hop", "-> ../up"), ("up", "-> ..")];
        let told = content(&files, "web").await;
        assert!(
            told.starts_with("Invalid: ") && told.contains("is a link out of the repository (-> "),
            "{told}"
        );
        assert!(!told.contains("root:"), "{told}");
    }
    let told = content(&[("web", "-> ../other"), ("b/c", "x")], "web").await;
    assert!(told.starts_with("Invalid: \"web\" is a link out of the repository (-> \"../other\")"), "{told}");
    assert_eq!(content(&[("evil", "-> /etc"), ("web/a.yaml", "ok")], "web").await, "web/a.yaml: ok");
}

// N2: circles of links
#[tokio::test]
async fn cycles_of_links_end() {
    for files in [
        &[("web/a.yaml", "-> a.yaml")][..],
        &[("web/a.yaml", "-> b.yaml"), ("web/b.yaml", "-> c"), ("web/c", "-> a.yaml")],
        &[("web/a", "-> b/x"), ("web/b", "-> a/y")],
    ] {
        let told = content(files, "web").await;
        assert!(told.starts_with("Invalid: ") && told.contains("leads back to itself"), "{told}");
    }
}

// N1: paths that climb or begin at the root of the disk
#[tokio::test]
async fn paths_that_are_no_folders_are_told_apart() {
    let files = [("web/a.yaml", "1")];
    for (path, expected) in [
        ("nope", "PathNotFound: there is no folder \"nope\" in commit "),
        ("web/a.yaml", "PathNotFound: path \"web/a.yaml\" is a file, not a folder"),
        ("web/a.yaml/x", "PathNotFound: there is no folder"),
        ("../x", "Invalid: path \"../x\" is not a path inside the repository"),
        ("web/../..", "Invalid: path"),
        ("/web", "Invalid: path"),
        ("web\\x", "Invalid: path"),
        ("a\0b", "Invalid: path"),
    ] {
        let told = content(&files, path).await;
        assert!(told.starts_with(expected), "{path}: {told}");
    }
}

async fn raw(build: impl FnOnce(&Repo, Oid) -> Oid, path: &str) -> String {
    // Some of them are large, and the machine has other things to do.
    let place = Place::with(|config| config.timeout = std::time::Duration::from_mins(1));
    let repo = place.repo("app.git");
    let blob = repo.git.blob(b"x").unwrap();
    let tree = build(&repo, blob);
    repo.commit_tree("main", tree);
    let told = read(&place.sources, &repo.at(), "main", path).await;
    let left: Vec<_> =
        std::fs::read_dir(place.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing is written beside the cache: {left:?}");
    told
}

// N3: names that leave a folder or mean Git's own
#[tokio::test]
async fn hostile_names_are_refused() {
    for name in [&b".."[..], b".", b".git", b".GIT", b"a\\b", b"../x", b"a/b"] {
        for (mode, is_tree) in [(FILE, false), (TREE, true)] {
            let told = raw(
                |repo, blob| {
                    let inner = repo.raw_tree(&[(FILE, b"x.yaml", blob)]);
                    repo.raw_tree(&[(mode, name, if is_tree { inner } else { blob })])
                },
                "**",
            );
            let told = told.await;
            assert!(
                told.starts_with("Invalid: the commit holds an entry with a forbidden name"),
                "{name:?} {told}"
            );
        }
    }
}

// N3: names that are long, twins or no text
#[tokio::test]
async fn strange_names_are_fine() {
    let long = "n".repeat(4096);
    let told = raw(
        |repo, blob| {
            repo.raw_tree(&[(FILE, b"A.yaml", blob), (FILE, b"a.yaml", blob), (FILE, long.as_bytes(), blob)])
        },
        "",
    );
    assert_eq!(told.await, format!("A.yaml: x, a.yaml: x, {long}: x"));
    let told = raw(|repo, blob| repo.raw_tree(&[(LINK, b"a\xff.yaml", blob)]), "").await;
    assert_eq!(told, "Invalid: the name of file \"a\u{fffd}.yaml\" is not UTF-8");
    let told = raw(|repo, blob| repo.raw_tree(&[(FILE, b"a\xff.yaml", blob)]), "").await;
    assert_eq!(told, "Invalid: the name of file \"a\u{fffd}.yaml\" is not UTF-8");
}

// N10: a submodule fetches nothing
#[tokio::test]
async fn submodules_are_passed_over_and_never_entered() {
    let module = |repo: &Repo, blob: Oid| {
        let id = Oid::from_str(&"1".repeat(40)).unwrap();
        repo.raw_tree(&[(FILE, b"a.yaml", blob), ("160000", b"module", id)])
    };
    assert_eq!(raw(module, "**").await, "a.yaml: x");
    assert_eq!(
        raw(module, "module").await,
        "Invalid: path \"module\" is a submodule, which is not supported"
    );
    assert!(raw(module, "module/x").await.starts_with("Invalid: path \"module/x\" is a submodule"));
}

// N2: links of 300 KB
#[tokio::test]
async fn huge_link_texts_lead_nowhere() {
    let told = raw(
        |repo, _| {
            let text = repo.git.blob("../".repeat(100_000).as_bytes()).unwrap();
            repo.raw_tree(&[(LINK, b"a.yaml", text)])
        },
        "",
    );
    assert_eq!(told.await, "");
}

// N48: folders in folders of one commit
#[tokio::test]
async fn trees_that_unfold_without_end_are_refused() {
    let told = raw(
        |repo, blob| {
            let mut tree = repo.raw_tree(&[(FILE, b"x", blob)]);
            for _ in 0..12 {
                let names: Vec<Vec<u8>> = (0..64).map(|n| format!("d{n:02}").into_bytes()).collect();
                let entries: Vec<_> = names.iter().map(|name| (TREE, name.as_slice(), tree)).collect();
                tree = repo.raw_tree(&entries);
            }
            tree
        },
        "**",
    );
    assert_eq!(told.await, "TooLarge: the folder holds too many files or folders");
}

#[tokio::test]
async fn only_selected_files_count_for_the_limits() {
    let place = Place::with(|config| (config.max_total, config.max_blob) = (30, 20));
    let repo = place.repo("app.git");
    let revision = repo.commit(
        "main",
        &[
            ("a.yaml", "12345678"),
            ("b.bin", &"x".repeat(50)),
            ("c.yaml", &"y".repeat(15)),
            ("d.yaml", "12345678"),
        ],
    );
    let told = async |wanted: &'static str| {
        let listing =
            place.sources.read(&repo.at(), &revision, &folder(""), move |path| wanted.contains(path)).await;
        listing.map_or_else(|error| format!("{:?}: {}", error.kind, error.message), |listing| show(&listing))
    };
    assert_eq!(told("a.yaml").await, "a.yaml: 12345678");
    assert_eq!(told("a.yaml d.yaml").await, "a.yaml: 12345678, d.yaml: 12345678");
    assert_eq!(told("b.bin").await, "TooLarge: file \"b.bin\" has 50 bytes; the limit is 20 bytes");
    let all = told("a.yaml c.yaml d.yaml").await;
    assert_eq!(all, "TooLarge: the manifests together are too large; the limit is 30 bytes");
}

#[tokio::test]
async fn the_listing_names_what_stands_in_the_folder() {
    let place = Place::new();
    let repo = place.repo("app.git");
    let revision =
        repo.commit("main", &[("web/Chart.yaml", "c"), ("web/z/a.yaml", "1"), ("web/l", "-> Chart.yaml")]);
    let listing = place
        .sources
        .read(&repo.at(), &revision, &folder("web/**"), |path| path == "z/a.yaml")
        .await
        .unwrap();
    assert_eq!(show(&listing), "web/z/a.yaml: 1");
    assert_eq!(listing.root_names, ["Chart.yaml", "l", "z"]);
}

struct Inputs {
    place: Place,
    repo: Repo,
}

impl Inputs {
    fn new() -> Self {
        let place = Place::new();
        Self { repo: place.repo("app.git"), place }
    }

    async fn of(&self, files: &[(&str, &str)], path: &str) -> String {
        let revision = self.repo.commit("main", files);
        let folder = folder(path);
        let twice = [folder.clone(), folder.clone()];
        let inputs = self.place.sources.inputs(&self.repo.at(), &revision, &twice).await.unwrap();
        let inputs: Vec<String> = inputs.into_iter().map(Result::unwrap).collect();
        let read = self.place.sources.read(&self.repo.at(), &revision, &folder, |_| false).await.unwrap();
        assert_eq!(inputs, [read.inputs.clone(), read.inputs.clone()], "asked and read are the same");
        read.inputs
    }
}

// N42: the files that are read
#[tokio::test]
async fn inputs_change_with_what_is_read_and_with_nothing_else() {
    let it = Inputs::new();
    let base = [("web/a.yaml", "1"), ("web/sub/b.yaml", "2"), ("other/c.yaml", "3")];
    let elsewhere = [("web/a.yaml", "1"), ("web/sub/b.yaml", "2"), ("other/c.yaml", "new")];
    let below = [("web/a.yaml", "1"), ("web/sub/b.yaml", "new"), ("other/c.yaml", "3")];
    let inside = [("web/a.yaml", "new"), ("web/sub/b.yaml", "2"), ("other/c.yaml", "3")];
    let renamed = [("web/b.yaml", "1"), ("web/sub/b.yaml", "2"), ("other/c.yaml", "3")];
    for path in ["web", "web/**"] {
        assert_eq!(it.of(&base, path).await, it.of(&elsewhere, path).await, "{path}");
        assert_ne!(it.of(&base, path).await, it.of(&inside, path).await, "{path}");
        assert_ne!(it.of(&base, path).await, it.of(&renamed, path).await, "{path}");
    }
    assert_eq!(it.of(&base, "web").await, it.of(&below, "web").await);
    assert_ne!(it.of(&base, "web/**").await, it.of(&below, "web/**").await);
    assert_ne!(it.of(&base, "web").await, it.of(&base, "web/**").await);
}

// N42: files behind links
// N42: a branch that moves between the question and the answer
#[tokio::test]
async fn what_is_read_is_the_commit_that_was_asked_for_wherever_its_branch_is_by_then() {
    let it = Inputs::new();
    let first = it.repo.commit("main", &[("web/a.yaml", "1")]);
    let refs = it.place.sources.refs(&it.repo.at()).await.unwrap();
    let second = it.repo.commit("main", &[("web/a.yaml", "2")]);
    it.place.sources.fetch(&it.repo.at(), &refs, &first).await.unwrap();
    let read = async |revision: &Revision| {
        let sources = &it.place.sources;
        let listing = sources.read(&it.repo.at(), revision, &folder("web"), |_| true).await.unwrap();
        (show(&listing), listing.inputs)
    };
    let (before, after) = (read(&first).await, read(&second).await);
    assert_eq!((before.0.as_str(), after.0.as_str()), ("web/a.yaml: 1", "web/a.yaml: 2"));
    assert_ne!(before.1, after.1);
    it.repo.set("refs/heads/main", &first);
    assert_eq!(read(&first).await, before, "the same content has the same key, whatever came in between");
}

#[tokio::test]
async fn inputs_follow_links_to_files_elsewhere() {
    let it = Inputs::new();
    let linked =
        |content| [("web/a.yaml", "-> ../lib/hop"), ("lib/hop", "-> x.yaml"), ("lib/x.yaml", content)];
    for path in ["web", "web/**"] {
        assert_eq!(it.of(&linked("1"), path).await, it.of(&linked("1"), path).await);
        assert_ne!(it.of(&linked("1"), path).await, it.of(&linked("2"), path).await);
        let gone = [("web/a.yaml", "-> ../lib/hop")];
        assert_ne!(it.of(&linked("1"), path).await, it.of(&gone, path).await);
    }
}

#[tokio::test]
async fn one_wrong_folder_does_not_stop_the_others() {
    let it = Inputs::new();
    let revision = it.repo.commit("main", &[("web/a.yaml", "1"), ("bad/x", "-> /etc/passwd")]);
    let folders = ["web", "nope", "bad"].map(folder);
    let found = it.place.sources.inputs(&it.repo.at(), &revision, &folders).await.unwrap();
    let kinds: Vec<_> =
        found.iter().map(|inputs| inputs.as_ref().map(drop).map_err(|error| error.kind)).collect();
    assert_eq!(kinds, [Ok(()), Err(Kind::PathNotFound), Err(Kind::Invalid)]);
}

#[tokio::test]
async fn fifty_thousand_files_are_ordinary() {
    let place = Place::new();
    let repo = place.repo("big.git");
    let blob = repo.git.blob(b"kind: ConfigMap").unwrap();
    let files: Vec<String> = (0..100).map(|n| format!("f{n:02}.yaml")).collect();
    let entries: Vec<_> = files.iter().map(|name| (FILE, name.as_bytes(), blob)).collect();
    let leaf = repo.raw_tree(&entries);
    let names: Vec<String> = (0..500).map(|n| format!("d{n:03}")).collect();
    let dirs: Vec<_> = names.iter().map(|name| (TREE, name.as_bytes(), leaf)).collect();
    let tree = repo.raw_tree(&dirs);
    let revision: Revision = repo.commit_tree("main", tree);
    let all = Folder { path: String::new(), recurse: true };
    let listing = place.sources.read(&repo.at(), &revision, &all, |_| true).await.unwrap();
    assert_eq!(listing.files.len(), 50_000);
    let folders: Vec<Folder> = names.iter().map(|name| folder(name)).collect();
    let inputs = place.sources.inputs(&repo.at(), &revision, &folders).await.unwrap();
    assert!(inputs.iter().all(|inputs| inputs == &inputs.clone()) && inputs.len() == 500);
}
