//! What the program does with memory that it no longer needs.

/// Blocks of so many bytes go back to the system at once when they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 1024 * 1024;

/// Has large blocks, such as cameras' frames, given back to the system when they are freed. Left alone, the
/// C library would learn from the first of them that blocks of their size are usual, and keep what dozens of
/// cameras once took.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn give_back_large_blocks() {
    // SAFETY: takes plain integers; a refusal changes nothing and is no harm.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// The same, where the C library does so by itself or can't be told.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back_large_blocks() {}
