//! A file's way from the system's memory to a socket, past ours.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

use crate::traffic;

/// Bytes read at once.
const PIECE: usize = 128 * 1024;
/// One byte in so many is asked for, to see whether a file is in memory: the system reads files in
/// pieces of about this size.
#[cfg(target_os = "linux")]
const PROBE: u64 = 128 * 1024;

/// Sends at most `most` bytes of `file` from `offset` on to a socket; says how many, 0 past the end. Waits
/// for the disk where they are not in memory.
///
/// # Errors
/// The file's or the socket's; `WouldBlock` if it takes nothing now.
#[cfg(target_os = "linux")]
pub fn send(socket: BorrowedFd<'_>, file: &File, offset: u64, most: usize) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    let mut from = libc::off_t::try_from(offset).map_err(io::Error::other)?;
    loop {
        // SAFETY: both descriptors are open as long as they are borrowed, and `from` is a live local.
        let sent = unsafe { libc::sendfile(socket.as_raw_fd(), file.as_raw_fd(), &mut from, most) };
        match usize::try_from(sent) {
            Ok(sent) => {
                traffic::went(sent);
                return Ok(sent);
            }
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}

/// Reads so much of `file` into the system's memory; waits for the disk.
///
/// # Errors
/// The file's.
pub fn read_in(file: &File, offset: u64, length: usize) -> io::Result<()> {
    let mut piece = vec![0; length.min(PIECE)];
    let (mut at, end) = (offset, offset + length as u64);
    while at < end {
        match file.read_at(&mut piece, at)? {
            // It has become shorter, which is seen when it is sent.
            0 => break,
            read => at += read as u64,
        }
    }
    Ok(())
}

/// Whether so much of `file` is in memory, as far as a few bytes of it tell; if it is, sending it does
/// not wait for the disk. False where the system or the file system doesn't say.
#[cfg(target_os = "linux")]
pub fn is_in_memory(file: &File, offset: u64, length: usize) -> bool {
    let end = offset + length as u64;
    let first = offset..offset + 1;
    let others = (offset / PROBE + 1..).map(|n| n * PROBE);
    first
        .chain(others)
        .take_while(|&at| at < end)
        .all(|at| byte_is_in_memory(file, at))
}

#[cfg(target_os = "linux")]
fn byte_is_in_memory(file: &File, at: u64) -> bool {
    use std::os::fd::AsRawFd;
    let mut byte = 0_u8;
    let slice = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let Ok(at) = libc::off_t::try_from(at) else {
        return false;
    };
    // SAFETY: the slice is one live local byte, and the descriptor is open as long as `file` is borrowed.
    let read = unsafe { libc::preadv2(file.as_raw_fd(), &slice, 1, at, libc::RWF_NOWAIT) };
    read == 1
}

#[cfg(not(target_os = "linux"))]
pub fn send(socket: BorrowedFd<'_>, file: &File, offset: u64, most: usize) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    let mut bytes = vec![0; most.min(PIECE)];
    let read = file.read_at(&mut bytes, offset)?;
    // SAFETY: the descriptor is open as long as it is borrowed, and the first `read` bytes are there.
    let sent = unsafe { libc::write(socket.as_raw_fd(), bytes.as_ptr().cast(), read) };
    let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
    traffic::went(sent);
    Ok(sent)
}

#[cfg(not(target_os = "linux"))]
pub fn is_in_memory(_: &File, _: u64, _: usize) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn any_part_of_a_file_is_sent() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let (here, mut there) = UnixStream::pair().unwrap();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            there.read_to_end(&mut all).unwrap();
            all
        });
        let mut at = 17;
        while at < bytes.len() {
            at += send(here.as_fd(), &file, at as u64, 100_001).unwrap();
        }
        assert_eq!(send(here.as_fd(), &file, at as u64, 1).unwrap(), 0);
        drop(here);
        assert_eq!(reader.join().unwrap(), bytes[17..]);
    }

    #[test]
    fn what_is_past_the_end_is_not_in_memory() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; 400_000]).unwrap();
        assert!(!is_in_memory(&file, 0, 1_000_000));
        assert!(!is_in_memory(&file, 400_000, 1));
        // Where the file system tells, what was just written is.
        if byte_is_in_memory(&file, 0) {
            assert!(is_in_memory(&file, 0, 400_000));
            assert!(is_in_memory(&file, 399_999, 1));
        }
    }
}
