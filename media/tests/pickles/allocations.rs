//! How much memory something takes at most.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts for each thread, since tests run side by side.
struct Counting;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all that it does with memory is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.get().wrapping_add(layout.size());
        NOW.set(now);
        PEAK.set(PEAK.get().max(now));
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.set(NOW.get().wrapping_sub(layout.size()));
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The most bytes that `work` had allocated at one time, and its result.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    NOW.set(0);
    PEAK.set(0);
    let result = work();
    (PEAK.get(), result)
}

#[test]
fn what_is_allocated_is_counted() {
    let (peak, _) = peak_of(|| {
        drop(vec![0_u8; 3000]);
        vec![0_u8; 1000]
    });
    assert_eq!(peak, 3000);
}
