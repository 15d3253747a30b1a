//! What the system knows of this program: memory, processor time, threads.

use std::time::Duration;

/// What this program uses.
#[derive(Debug, Clone, Copy, Default)]
pub struct Process {
    /// Bytes in memory; 0 where the system doesn't say.
    pub rss_bytes: u64,
    /// Processor time of all threads since the start.
    pub cpu: Duration,
    /// 0 where the system doesn't say.
    pub threads: u64,
}

/// This program as it is now.
pub fn look() -> Process {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let word = line.and_then(|rest| rest.split_whitespace().next());
        word.and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
    };
    Process {
        rss_bytes: number("VmRSS:").saturating_mul(1024),
        cpu: cpu(),
        threads: number("Threads:"),
    }
}

fn cpu() -> Duration {
    // SAFETY: all zeroes is a valid `rusage`, which is plain numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a live local of the type that is asked for.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } != 0 {
        return Duration::ZERO;
    }
    time(usage.ru_utime) + time(usage.ru_stime)
}

fn time(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_program_uses_something() {
        let process = look();
        assert!(process.cpu > Duration::ZERO);
        if cfg!(target_os = "linux") {
            assert!(
                process.rss_bytes > 1_000_000 && process.threads > 0,
                "{process:?}"
            );
        }
    }
}
