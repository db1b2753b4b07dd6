//! What does libgit2 do in the whole process?

use crate::allowance::ALLOCATOR;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

static ONCE: Once = Once::new();

/// The largest object that a pack may make by unfolding another one, in bytes: libgit2 unfolds it in memory, and a kilobyte
/// may ask for two gigabytes. Public servers take no larger files; one that is not folded is written to disk as it comes.
pub(crate) const MAX_UNFOLDED: usize = 128_000_000;

/// Sets what libgit2 has only once per process: the timeouts of its sockets, no configuration file of the machine or the
/// user (`insteadOf`, `http.proxy` and their like change what a URL means), a home, in which it looks for
/// `.ssh/known_hosts` to choose among the kinds of a server's host keys, how large an object may get when it is unfolded, and
/// where its memory comes from.
/// The first call decides.
pub(crate) fn once(timeout: Duration, home: &Path) {
    ONCE.call_once(|| {
        let read = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let done = set(read.min(10_000), read).and_then(|()| set_home(home));
        if let Err(error) = done {
            tracing::warn!(%error, "libgit2 refused a process-wide setting");
        }
    });
}

#[expect(
    unsafe_code,
    reason = "these functions write plain globals of libgit2 and are unsafe only because nothing orders them with \
              readers; `Once` runs them before the first call that reads them, which only `Sources::open` enables"
)]
fn set(connect_millis: i32, read_millis: i32) -> Result<(), git2::Error> {
    use git2::ConfigLevel::{Global, ProgramData, System, XDG};
    // SAFETY: no other thread uses libgit2 yet, see above.
    unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(connect_millis)?;
        git2::opts::set_server_timeout_in_milliseconds(read_millis)?;
        for level in [System, Global, XDG, ProgramData] {
            git2::opts::set_search_path(level, "")?;
        }
        let option = libgit2_sys::GIT_OPT_SET_PACK_MAX_OBJECT_SIZE.cast_signed();
        if libgit2_sys::git_libgit2_opts(option, MAX_UNFOLDED) != 0 {
            return Err(git2::Error::last_error(-1));
        }
        // It is copied. What was given out before comes from the C library, too, and may be given back here.
        let option = libgit2_sys::GIT_OPT_SET_ALLOCATOR.cast_signed();
        if libgit2_sys::git_libgit2_opts(option, &raw const ALLOCATOR) != 0 {
            return Err(git2::Error::last_error(-1));
        }
    }
    Ok(())
}

#[expect(unsafe_code, reason = "as above; git2 has no function for it")]
fn set_home(home: &Path) -> Result<(), git2::Error> {
    let home = CString::new(home.as_os_str().as_bytes())
        .map_err(|error| git2::Error::from_str(&error.to_string()))?;
    let option = libgit2_sys::GIT_OPT_SET_HOMEDIR.cast_signed();
    // SAFETY: no other thread uses libgit2 yet; libgit2 copies the path (`git_sysdir_set`).
    let answer = unsafe { libgit2_sys::git_libgit2_opts(option, home.as_ptr()) };
    if answer < 0 { Err(git2::Error::last_error(answer)) } else { Ok(()) }
}
