//! Does a folder on disk read as its commit would?

use source::{Listing, SourceError, read_folder};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Makes a repository with these files; a text that begins with `-> ` is a link.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("-> ") {
            Some(target) => symlink(target, &path).unwrap(),
            None => fs::write(&path, text).unwrap(),
        }
    }
    folder
}

fn yaml(folder: &Path, recurse: bool) -> Result<Listing, SourceError> {
    read_folder(folder, recurse, |path| Path::new(path).extension().is_some_and(|ending| ending == "yaml"))
}

fn content(listing: &Listing) -> String {
    let files = listing.files.iter();
    let said = files.map(|file| format!("{}: {}", file.path, String::from_utf8_lossy(&file.bytes)));
    said.collect::<Vec<_>>().join(", ")
}

#[test]
fn links_inside_the_repository_are_followed() {
    let it = repository(&[
        ("apps/web/a.yaml", "-> ../shared/a.yaml"),
        ("apps/web/b.yaml", "-> c.yaml"),
        ("apps/web/c.yaml", "-> ./../../lib/x.yaml"),
        ("apps/web/gone.yaml", "-> nowhere.yaml"),
        ("apps/web/own.yaml", "-> ../../.git/config.yaml"),
        ("apps/web/folder.yaml", "-> ../shared"),
        ("apps/web/below/d.yaml", "D"),
        ("apps/web/other/.git/e.yaml", "another repository's"),
        ("apps/web/other/e.yaml", "another repository's"),
        ("apps/shared/a.yaml", "A"),
        ("apps/shared/lib/x.yaml", "X"),
        ("lib", "-> apps/shared/lib"),
        (".git/config.yaml", "not of the commit"),
    ]);
    let folder = it.path().join("apps/web");
    let flat = yaml(&folder, false).unwrap();
    assert_eq!(content(&flat), "a.yaml: A, b.yaml: X, c.yaml: X");
    assert!(flat.root_names.contains(&"below".to_owned()), "{:?}", flat.root_names);
    assert_eq!(content(&yaml(&folder, true).unwrap()), "a.yaml: A, b.yaml: X, below/d.yaml: D, c.yaml: X");
    // The folder itself may be reached by a link.
    symlink("apps/shared", it.path().join("alias")).unwrap();
    assert_eq!(content(&yaml(&it.path().join("alias"), true).unwrap()), "a.yaml: A, lib/x.yaml: X");
}

// N2: the same for a folder on disk
#[test]
fn links_out_of_the_repository_are_refused_whatever_is_selected() {
    for target in ["/etc/passwd", "../../outside", "../..", "hop/../x"] {
        let it =
            repository(&[("web/README", &format!("-> {target}")), ("web/hop", "-> ../up"), ("up", "-> .")]);
        let told = yaml(&it.path().join("web"), false).unwrap_err().to_string();
        assert!(told.starts_with("\"README\" is a link out of the repository (-> "), "{told}");
    }
    // Links elsewhere are nobody's business.
    let it = repository(&[("evil", "-> /etc"), ("web/a.yaml", "ok")]);
    assert_eq!(content(&yaml(&it.path().join("web"), true).unwrap()), "a.yaml: ok");
    let it = repository(&[("web/a.yaml", "-> b.yaml"), ("web/b.yaml", "-> a.yaml")]);
    let told = yaml(&it.path().join("web"), false).unwrap_err().to_string();
    assert!(told.ends_with("is a link that leads back to itself"), "{told}");
}

#[test]
fn what_is_too_large_for_the_agent_is_refused() {
    let it = repository(&[("web/a.yaml", &"x".repeat(10_000_001)), ("web/b", "x")]);
    let told = yaml(&it.path().join("web"), false).unwrap_err().to_string();
    assert!(told.starts_with("file \"a.yaml\" has 10000001 bytes; the limit is 10000000 bytes"), "{told}");
}
