//! How much memory may libgit2 take for a list of refs, and until when?
//!
//! It keeps every line that a server sends, and asks nobody in between: a list without an end would fill all memory, and hold
//! its thread for as long as the server goes on. What can say no is what it takes its memory from; then it gives up, as it does
//! wherever there is no memory left.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::time::Instant;

/// What a call on this thread may still take.
#[derive(Clone, Copy)]
struct Allowance {
    bytes: usize,
    until: Instant,
    was_exceeded: bool,
}

thread_local! {
    static ALLOWANCE: Cell<Option<Allowance>> = const { Cell::new(None) };
}

/// Ends the allowance of a thread, also where its call panics.
struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        ALLOWANCE.set(None);
    }
}

/// Runs a call during which libgit2 is given so many bytes on this thread at most, what it gives back not counted, and none
/// after `until`. Returns, too, whether it wanted more bytes.
pub(crate) fn within<T>(bytes: usize, until: Instant, call: impl FnOnce() -> T) -> (T, bool) {
    ALLOWANCE.set(Some(Allowance { bytes, until, was_exceeded: false }));
    let _ends = Ends;
    let answer = call();
    (answer, ALLOWANCE.get().is_some_and(|allowance| allowance.was_exceeded))
}

/// Takes bytes off what the thread may have; returns whether it may have them.
fn grant(size: usize) -> bool {
    // A thread that is about to end has nothing to do with any call.
    let allowance = ALLOWANCE.try_with(Cell::get).unwrap_or_default();
    let Some(mut allowance) = allowance else { return true };
    let is_granted = size <= allowance.bytes && !allowance.was_exceeded;
    if is_granted {
        allowance.bytes -= size;
    } else {
        allowance.was_exceeded = true;
    }
    ALLOWANCE.set(Some(allowance));
    is_granted && Instant::now() < allowance.until
}

#[expect(unsafe_code, reason = "the C library's own, which libgit2 uses unless it is told otherwise")]
unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn realloc(memory: *mut c_void, size: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
}

/// libgit2's `git_allocator` (include/git2/sys/alloc.h), which git2 does not know.
#[repr(C)]
pub(crate) struct Allocator {
    take: unsafe extern "C" fn(usize, *const c_char, c_int) -> *mut c_void,
    resize: unsafe extern "C" fn(*mut c_void, usize, *const c_char, c_int) -> *mut c_void,
    give_back: unsafe extern "C" fn(*mut c_void),
}

/// The C library's, within the allowance of the thread.
pub(crate) static ALLOCATOR: Allocator = Allocator { take, resize, give_back };

#[expect(unsafe_code, reason = "libgit2 calls it")]
unsafe extern "C" fn take(size: usize, _file: *const c_char, _line: c_int) -> *mut c_void {
    if !grant(size) {
        return std::ptr::null_mut();
    }
    // SAFETY: any size may be asked for.
    unsafe { malloc(size) }
}

#[expect(unsafe_code, reason = "libgit2 calls it")]
unsafe extern "C" fn resize(
    memory: *mut c_void,
    size: usize,
    _file: *const c_char,
    _line: c_int,
) -> *mut c_void {
    if !grant(size) {
        return std::ptr::null_mut();
    }
    // SAFETY: libgit2 hands in what it was given by `take` or by this function, or null.
    unsafe { realloc(memory, size) }
}

#[expect(unsafe_code, reason = "libgit2 calls it")]
unsafe extern "C" fn give_back(memory: *mut c_void) {
    // SAFETY: as above.
    unsafe { free(memory) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_call_gets_what_it_may_have_and_nothing_once_that_was_too_little() {
        let later = Instant::now() + Duration::from_mins(10);
        let (granted, wanted_more) = within(100, later, || [grant(60), grant(40), grant(0)]);
        assert_eq!((granted, wanted_more), ([true, true, true], false));
        let (granted, wanted_more) = within(100, later, || [grant(60), grant(41), grant(1)]);
        assert_eq!((granted, wanted_more), ([true, false, false], true));
        let (granted, wanted_more) = within(100, Instant::now(), || grant(1));
        assert_eq!((granted, wanted_more), (false, false), "its time is over");
        assert!(grant(usize::MAX), "whoever has no allowance has no limit");
    }

    #[test]
    fn an_allowance_ends_with_a_call_that_panics() {
        let later = Instant::now() + Duration::from_mins(10);
        assert!(std::panic::catch_unwind(|| within(1, later, || panic!("as wanted"))).is_err());
        assert!(grant(2));
    }
}
