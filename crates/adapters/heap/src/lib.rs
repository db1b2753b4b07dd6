//! Where does memory come from, and does it go back?
//!
//! glibc gives each thread a heap of its own, up to eight for each processor, and a heap keeps what its busiest moment took.
//! Our threads take turns: whichever of them renders, packs or fetches next, one more heap grows to what the others hold
//! already and do not use. And once a large piece of memory was given back, pieces of its size come from a heap, too, instead
//! of from the system: the megabyte that libgit2 writes a pack through, and pages of lists. An agent of 20 threads then grows
//! for hours without keeping anything (`bench soak`).

/// Has all threads share one heap, and large pieces go back to the system as soon as nobody uses them. To be called before
/// there is a second thread: a heap that is there stays.
///
/// Returns whether that could be said. Other C libraries than glibc have no such settings, and no such heaps.
pub fn share_one() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    let is_set = glibc::share_one();
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let is_set = true;
    is_set
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    /// The settings, by the numbers that they have in `malloc.h`.
    const SETTINGS: [(c_int, c_int); 3] = [
        // How many heaps there are at most: there is too little to do for threads to wait for each other.
        (-8, 1),
        // From how many bytes on a piece comes from the system. It is what glibc begins with, and it stays so when it is set.
        (-3, 128 << 10),
        // How much may be free at the heap's end. It would stay at 128 KiB, which is taken and given back all the time.
        (-1, 1 << 20),
    ];

    #[expect(unsafe_code, reason = "mallopt(3); nothing of it is in Rust's library")]
    unsafe extern "C" {
        fn mallopt(setting: c_int, value: c_int) -> c_int;
    }

    #[expect(unsafe_code, reason = "as above")]
    pub(crate) fn share_one() -> bool {
        // SAFETY: it takes two numbers, sets them under the allocator's own lock, and may be called at any time.
        SETTINGS.into_iter().all(|(setting, value)| unsafe { mallopt(setting, value) == 1 })
    }
}
