//! What a socket tells about its send buffer, as far as the system does.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;

/// What [`Outbound`](crate::Outbound) writes to.
pub trait SendBuffer {
    /// Ready when the socket takes something.
    ///
    /// # Errors
    /// The socket's.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// One write; says how many bytes it took.
    ///
    /// # Errors
    /// The socket's; `WouldBlock` if it takes nothing now.
    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Bytes written that the peer's system has not acknowledged yet.
    fn unacknowledged(&self) -> usize;

    /// Whether the connection still stands.
    ///
    /// # Errors
    /// What became of it.
    fn check(&self) -> io::Result<()>;

    /// Bytes that one write takes now, about.
    fn room(&self) -> usize;
}

impl SendBuffer for TcpStream {
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(cx)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_write_vectored(slices)
    }

    fn unacknowledged(&self) -> usize {
        unacknowledged(self)
    }

    fn check(&self) -> io::Result<()> {
        match self.take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn room(&self) -> usize {
        room(self)
    }
}

/// Bytes written that the peer's system has not acknowledged yet; 0 where the system doesn't tell.
#[cfg(target_os = "linux")]
fn unacknowledged(stream: &TcpStream) -> usize {
    use std::os::fd::AsRawFd;
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (TIOCOUTQ) writes one int to the address given, which is a live local.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &mut bytes) };
    if result == 0 {
        usize::try_from(bytes).unwrap_or(0)
    } else {
        0
    }
}

/// Bytes that the send buffer takes at once, about; more than any write where the system doesn't tell.
#[cfg(target_os = "linux")]
fn room(stream: &TcpStream) -> usize {
    use std::os::fd::AsRawFd;
    // linux/sock_diag.h: SK_MEMINFO_SNDBUF, SK_MEMINFO_WMEM_QUEUED, SK_MEMINFO_VARS.
    const SEND_BUFFER: usize = 3;
    const WRITE_QUEUED: usize = 5;
    let mut memory = [0_u32; 9];
    let mut length = size_of_val(&memory) as libc::socklen_t;
    // SAFETY: the option writes at most `length` bytes into the array given, which is a live local.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            memory.as_mut_ptr().cast(),
            &mut length,
        )
    };
    if result != 0 {
        return usize::MAX / 2;
    }
    // An eighth is left for what the system books beside the bytes.
    let free = memory[SEND_BUFFER].saturating_sub(memory[WRITE_QUEUED]) as usize;
    free - free / 8
}

/// How long it takes to the peer and back, as the system has measured it.
#[cfg(target_os = "linux")]
pub fn round_trip(stream: &TcpStream) -> Option<Duration> {
    use std::mem::MaybeUninit;
    use std::os::fd::AsRawFd;
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the option writes at most `length` bytes into the struct given, which is a live local.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &mut length,
        )
    };
    // SAFETY: a struct of integers, all of them zero or written to.
    let info = unsafe { info.assume_init() };
    // 0 if it was not measured, as after a flood of connections.
    (result == 0 && info.tcpi_rtt > 0).then(|| Duration::from_micros(info.tcpi_rtt.into()))
}

/// Whether only full segments go out, however little comes at once.
///
/// # Errors
/// The socket's.
#[cfg(target_os = "linux")]
pub fn cork(stream: &TcpStream, corked: bool) -> io::Result<()> {
    socket2::SockRef::from(stream).set_tcp_cork(corked)
}

#[cfg(not(target_os = "linux"))]
pub fn cork(_: &TcpStream, _: bool) -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub fn round_trip(_: &TcpStream) -> Option<Duration> {
    None
}

#[cfg(not(target_os = "linux"))]
fn unacknowledged(_: &TcpStream) -> usize {
    0
}

#[cfg(not(target_os = "linux"))]
fn room(_: &TcpStream) -> usize {
    usize::MAX / 2
}

/// Lets this process have as many open files as the system grants it: each connection is one.
/// Returns the number, 0 where it is not known.
#[cfg(unix)]
pub fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls only read or write the struct given, which is a live local.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return 0;
        }
        let wanted = libc::rlimit {
            rlim_cur: limit.rlim_max,
            ..limit
        };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &wanted) == 0 {
            limit = wanted;
        }
    }
    limit.rlim_cur
}

#[cfg(not(unix))]
pub fn raise_open_files() -> u64 {
    0
}
