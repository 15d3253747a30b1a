//! A core for the server and one for the load, so that neither takes the other's time.

use std::io;
use std::mem::{size_of, zeroed};

/// Cores of this machine: the load has one from now on until this is dropped.
pub struct Cores {
    /// As it was before.
    all: libc::cpu_set_t,
    server: libc::cpu_set_t,
    load: libc::cpu_set_t,
    /// Whether there are two; if not, server and load share what there is.
    pub apart: bool,
}

impl Cores {
    /// The first core that this thread may use becomes the load's, the second one the servers'.
    pub fn part() -> io::Result<Cores> {
        let all = allowed()?;
        let set_size = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
        // SAFETY: the set is a live local, and no number is beyond its size.
        let mut free = (0..set_size).filter(|&core| unsafe { libc::CPU_ISSET(core, &all) });
        let (load, server) = (free.next(), free.next());
        let cores = match (load, server) {
            (Some(load), Some(server)) => Cores {
                all,
                server: only(server),
                load: only(load),
                apart: true,
            },
            _ => Cores {
                all,
                server: all,
                load: all,
                apart: false,
            },
        };
        go_to(&cores.load)?;
        Ok(cores)
    }

    /// What `start` starts stays on the servers' core, with all its threads.
    pub fn for_server<T>(&self, start: impl FnOnce() -> T) -> io::Result<T> {
        go_to(&self.server)?;
        let started = start();
        go_to(&self.load)?;
        Ok(started)
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        // It was allowed before, so it is now.
        let _ = go_to(&self.all);
    }
}

fn allowed() -> io::Result<libc::cpu_set_t> {
    // SAFETY: all zeros are a valid value: the empty set.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: the call writes to `set` only, whose size is given.
    match unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(set),
    }
}

fn only(core: usize) -> libc::cpu_set_t {
    // SAFETY: all zeros are a valid value: the empty set.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: the set is a live local, and the core was found in one of this size.
    unsafe { libc::CPU_SET(core, &mut set) };
    set
}

/// This thread, and whatever it starts then, runs on `cores`.
fn go_to(cores: &libc::cpu_set_t) -> io::Result<()> {
    // SAFETY: the call reads `cores` only, whose size is given.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), cores) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
