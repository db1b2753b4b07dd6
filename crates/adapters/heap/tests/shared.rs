//! Do all threads take their memory from the one heap, and does what is large go back? In a process of its own: the threads of
//! a test harness would have heaps before anything is set.

use std::sync::Barrier;

/// More than two heaps, and than threads that could have found one that another left.
const THREADS: usize = 8;

fn main() {
    assert!(heap::share_one());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || !maps.contains("[heap]") {
        return;
    }
    large_pieces_go_back();
    threads_share_the_heap();
}

/// As often as one likes: left to itself, glibc takes the second one from the heap.
fn large_pieces_go_back() {
    for _ in 0..3 {
        let large = vec![1_u8; 1 << 20];
        assert!(!is_in_the_heap(large.as_ptr().addr()), "the heap grows by what is needed for a moment");
    }
}

fn threads_share_the_heap() {
    let all_are_there = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let threads = [(); THREADS].map(|()| {
            scope.spawn(|| {
                let memory = vec![0_u8; 1_000];
                all_are_there.wait();
                assert!(is_in_the_heap(memory.as_ptr().addr()), "a thread has a heap of its own");
            })
        });
        for thread in threads {
            assert!(thread.join().is_ok());
        }
    });
}

/// Returns whether an address lies in what the kernel calls the process's heap, as it is now.
fn is_in_the_heap(address: usize) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let heap = maps.lines().find(|line| line.ends_with("[heap]")).unwrap_or_default();
    let range = heap.split_whitespace().next().unwrap_or_default();
    let end = |text: &str| usize::from_str_radix(text, 16).ok();
    let range = range.split_once('-').and_then(|(from, to)| Some(end(from)?..end(to)?));
    range.is_some_and(|range| range.contains(&address))
}
