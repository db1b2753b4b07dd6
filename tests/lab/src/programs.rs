//! Where do the control plane's programs come from, and how are they built once?
//!
//! ```text
//! <cache>/lock                     held while somebody builds
//! <cache>/<module>-<hash>/go.mod   the pinned module files, written out
//! <cache>/<module>-<hash>/bin/     what `go build` made of them
//! <cache>/bin-<hash>/              links to all programs: the folder that callers see
//! ```
//!
//! A hash covers the module files and the linker flags, so that a changed pin builds beside the old
//! programs instead of over them, and only the module that changed is built again.

use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// The version that the Kubernetes programs report; the one that `programs/kubernetes/go.mod` pins.
pub const KUBERNETES_VERSION: &str = "v1.36.3";

/// Without these flags the programs would call themselves v0.0.0, which kubectl and clients that
/// look at the server's version do not accept.
const KUBERNETES_LINKER_FLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=36";

/// One Go module of ours that pins other people's programs, or what a small one of ours is made of.
struct Module {
    name: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    /// Source of our own, by file name.
    files: &'static [(&'static str, &'static str)],
    linker_flags: &'static str,
    /// File name of each program and the package it is built from.
    programs: &'static [(&'static str, &'static str)],
}

const MODULES: &[Module] = &[
    Module {
        name: "etcd",
        go_mod: include_str!("../programs/etcd/go.mod"),
        go_sum: include_str!("../programs/etcd/go.sum"),
        files: &[],
        linker_flags: "-s -w",
        programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
    },
    Module {
        name: "kwok",
        go_mod: include_str!("../programs/kwok/go.mod"),
        go_sum: include_str!("../programs/kwok/go.sum"),
        files: &[],
        linker_flags: "-s -w",
        programs: &[("kwok", "sigs.k8s.io/kwok/cmd/kwok")],
    },
    Module {
        name: "kubernetes",
        go_mod: include_str!("../programs/kubernetes/go.mod"),
        go_sum: include_str!("../programs/kubernetes/go.sum"),
        files: &[],
        linker_flags: KUBERNETES_LINKER_FLAGS,
        programs: &[
            ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
            ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ],
    },
];

/// The Git server by SSH, which the control plane does without.
const SSH: &[Module] = &[Module {
    name: "ssh",
    go_mod: include_str!("../programs/ssh/go.mod"),
    go_sum: include_str!("../programs/ssh/go.sum"),
    files: &[("main.go", include_str!("../programs/ssh/main.go"))],
    linker_flags: "-s -w",
    programs: &[("git-ssh", ".")],
}];

/// Builds the Git server by SSH if it is missing, as [`programs`] does, and returns where it is.
///
/// # Errors
/// As [`programs`].
pub(crate) fn git_ssh() -> Result<PathBuf> {
    Ok(programs_in(&cache_folder()?, SSH)?.join("git-ssh"))
}

/// Builds the programs that are missing and returns the folder that holds them all: `etcd`, `kwok`,
/// `kubectl`, `kube-apiserver`, `kube-controller-manager` and `kube-scheduler`.
///
/// The first call on a machine needs the Go tool chain and the network and takes some minutes, which
/// it says on standard error; later calls only look. Processes that call it at the same time build once.
///
/// # Errors
/// The cache folder cannot be written, or `go build` fails.
pub fn programs() -> Result<PathBuf> {
    programs_in(&cache_folder()?, MODULES)
}

/// Returns the folder that outlives every lab: `$TAUTLINE_LAB_CACHE`, else `$XDG_CACHE_HOME/tautline/lab`,
/// else `~/.cache/tautline/lab`.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    let folder = cache_folder_from(|name| {
        std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    })?;
    // Servers run in folders of their own, and links point into this one.
    std::path::absolute(folder).context("find the cache folder")
}

fn cache_folder_from(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    if let Some(folder) = variable("TAUTLINE_LAB_CACHE") {
        return Ok(folder);
    }
    let base = match variable("XDG_CACHE_HOME") {
        Some(base) => base,
        None => variable("HOME")
            .context("find a cache folder; set TAUTLINE_LAB_CACHE, XDG_CACHE_HOME or HOME")?
            .join(".cache"),
    };
    Ok(base.join("tautline").join("lab"))
}

fn programs_in(cache: &Path, modules: &[Module]) -> Result<PathBuf> {
    let folder = cache.join(format!("bin-{}", hash(modules.iter().map(Module::hash))));
    if is_complete(&folder, modules) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let _lock = lock(cache)?;
    for module in modules {
        let built = module.build(cache)?;
        for (program, _) in module.programs {
            link(&built.join(program), &folder.join(program))?;
        }
    }
    Ok(folder)
}

fn is_complete(folder: &Path, modules: &[Module]) -> bool {
    modules.iter().flat_map(|module| module.programs).all(|(program, _)| folder.join(program).exists())
}

/// Waits until no other process builds. The lock goes away with the file handle, also when the
/// process is killed.
fn lock(cache: &Path) -> Result<File> {
    let path = cache.join("lock");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say("lab: another process is building the control plane's programs; waiting for it");
            file.lock().context("wait for the build lock")?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("lock {}", path.display()));
        }
    }
    Ok(file)
}

fn link(target: &Path, link: &Path) -> Result<()> {
    if link.exists() {
        return Ok(());
    }
    if link.is_symlink() {
        fs::remove_file(link).with_context(|| format!("remove the dangling {}", link.display()))?;
    }
    std::os::unix::fs::symlink(target, link).with_context(|| format!("link {}", link.display()))
}

impl Module {
    fn hash(&self) -> String {
        let pins = [self.go_mod, self.go_sum, self.linker_flags];
        hash(pins.into_iter().chain(self.files.iter().map(|(_, text)| *text)))
    }

    /// Returns the folder with this module's programs; builds those that are missing.
    fn build(&self, cache: &Path) -> Result<PathBuf> {
        let source = cache.join(format!("{}-{}", self.name, self.hash()));
        let bin = source.join("bin");
        fs::create_dir_all(&bin).with_context(|| format!("create {}", bin.display()))?;
        let pins = [("go.mod", self.go_mod), ("go.sum", self.go_sum)];
        for (name, text) in pins.iter().chain(self.files) {
            fs::write(source.join(name), text).with_context(|| format!("write {name}"))?;
        }
        for (program, package) in self.programs {
            if !bin.join(program).exists() {
                self.build_program(&source, program, package)?;
            }
        }
        Ok(bin)
    }

    fn build_program(&self, source: &Path, program: &str, package: &str) -> Result<()> {
        let begin = Instant::now();
        say(&format!("lab: building {program}; this happens once per version and can take minutes"));
        // Built under another name first: a build that is cut short must not look finished.
        let unfinished = source.join(format!("{program}.unfinished"));
        let output = Command::new("go")
            .args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false"])
            .arg(format!("-ldflags={}", self.linker_flags))
            .arg("-o")
            .arg(&unfinished)
            .arg(package)
            .current_dir(source)
            .output()
            .context("run `go build`; help: the lab needs the Go tool chain, https://go.dev/dl")?;
        if !output.status.success() {
            bail!("build {program} from {package}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        fs::rename(&unfinished, source.join("bin").join(program)).context("keep the built program")?;
        say(&format!("lab: built {program} in {} s", begin.elapsed().as_secs()));
        Ok(())
    }
}

fn hash<T: AsRef<str>>(parts: impl IntoIterator<Item = T>) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_ref());
        digest.update([0]);
    }
    digest.finalize().iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Tells whoever waits that a build of minutes is no hang. Written past the test harness, which keeps what
/// `eprintln` prints to itself until the test fails.
fn say(line: &str) {
    // A closed standard error is no reason not to build.
    drop(writeln!(io::stderr(), "{line}"));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::thread;

    use super::*;
    use crate::folder::Folder;

    /// A module whose program comes with the Go tool chain: it is built in seconds and without a network.
    const GOFMT: Module = Module {
        name: "gofmt",
        go_mod: "module tautline.dev/lab/gofmt\n\ngo 1.24\n",
        go_sum: "",
        files: &[],
        linker_flags: "-s -w",
        programs: &[("gofmt", "cmd/gofmt")],
    };

    #[test]
    fn the_cache_folder_is_where_the_environment_says() {
        let all = [("TAUTLINE_LAB_CACHE", "/t"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        let from = |variables: &[(&str, &str)]| {
            cache_folder_from(|name| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, path)| path.into())
            })
        };
        assert_eq!(from(&all).unwrap(), Path::new("/t"));
        assert_eq!(from(&all[1..]).unwrap(), Path::new("/x/tautline/lab"));
        assert_eq!(from(&all[2..]).unwrap(), Path::new("/h/.cache/tautline/lab"));
        assert!(from(&[]).unwrap_err().to_string().contains("TAUTLINE_LAB_CACHE"));
    }

    #[test]
    fn callers_at_the_same_time_build_once_and_share_the_result() {
        let cache = Folder::create().unwrap();
        let build = || programs_in(cache.path(), &[GOFMT]).unwrap().join("gofmt");
        let [one, two] =
            thread::scope(|scope| [scope.spawn(build), scope.spawn(build)].map(|it| it.join().unwrap()));
        assert_eq!(one, two);
        let before = one.metadata().unwrap();
        assert_ne!(before.mode() & 0o100, 0, "not a program");

        let after = build().metadata().unwrap();
        assert_eq!((after.ino(), after.mtime_nsec()), (before.ino(), before.mtime_nsec()), "built again");
    }

    #[test]
    fn another_pin_is_built_beside_the_first() {
        let cache = Folder::create().unwrap();
        let first = programs_in(cache.path(), &[GOFMT]).unwrap();
        let second = programs_in(cache.path(), &[Module { linker_flags: "-s", ..GOFMT }]).unwrap();
        assert_ne!(first, second);
        assert!(first.join("gofmt").exists() && second.join("gofmt").exists());
    }

    #[test]
    fn a_failed_build_says_why_and_leaves_no_program() {
        const NOTHING: Module = Module { programs: &[("nothing", "tautline.dev/nothing")], ..GOFMT };
        let cache = Folder::create().unwrap();
        let error = programs_in(cache.path(), &[NOTHING]).unwrap_err().to_string();
        assert!(error.starts_with("build nothing from tautline.dev/nothing: "), "{error}");
        assert!(error.contains("cannot find module providing package"), "{error}");
        assert!(programs_in(cache.path(), &[NOTHING]).is_err(), "the failed build counts as finished");
    }

    #[test]
    fn the_reported_version_is_the_pinned_one() {
        let pinned = MODULES.iter().find(|module| module.name == "kubernetes").unwrap();
        assert!(pinned.go_mod.contains(&format!("k8s.io/kubernetes {KUBERNETES_VERSION} ")));
        assert!(pinned.linker_flags.contains(&format!("version.gitVersion={KUBERNETES_VERSION}")));
    }
}
