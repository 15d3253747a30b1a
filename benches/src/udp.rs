//! Datagrams in batches: the load must not be slower than what it measures, and a system call for each
//! packet would make it so.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::SockRef;

/// Packets in one system call, at most.
pub const BATCH: usize = 64;
/// Room for each: more than any that is expected, so that one which is too long shows.
const ROOM: usize = 512;
/// What the system keeps for a socket that is not read at once.
const BUFFER: usize = 4 << 20;

/// A non-blocking socket of its own port that talks to `server` only.
pub fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    raise_buffers(&socket)?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// By default, a socket holds about as many small packets as four clients have on their way.
pub fn raise_buffers(socket: &UdpSocket) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_send_buffer_size(BUFFER)
}

/// Waits until one of `sockets` has something to read, or the time is over.
pub fn wait<'a>(
    sockets: impl IntoIterator<Item = &'a UdpSocket>,
    time: Duration,
) -> io::Result<()> {
    wait_for(libc::POLLIN, sockets, time)
}

fn wait_for<'a>(
    events: libc::c_short,
    sockets: impl IntoIterator<Item = &'a UdpSocket>,
    time: Duration,
) -> io::Result<()> {
    let mut sockets: Vec<_> = sockets
        .into_iter()
        .map(|socket| libc::pollfd {
            fd: socket.as_raw_fd(),
            events,
            revents: 0,
        })
        .collect();
    let time = libc::timespec {
        tv_sec: time.as_secs() as libc::time_t,
        tv_nsec: time.subsec_nanos().into(),
    };
    // SAFETY: the list has as many entries as is said, list and time live until the call returns, and no
    // mask of signals is given.
    let result = unsafe {
        libc::ppoll(
            sockets.as_mut_ptr(),
            sockets.len() as libc::nfds_t,
            &time,
            std::ptr::null(),
        )
    };
    match result {
        -1 => interrupted_is_fine(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn interrupted_is_fine(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

/// Up to [`BATCH`] packets that were received or are to be sent.
pub struct Packets {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

impl Packets {
    pub fn new() -> Packets {
        Packets {
            bytes: vec![0; BATCH * ROOM],
            lengths: Vec::with_capacity(BATCH),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let rooms = self.bytes.chunks_exact(ROOM);
        rooms.zip(&self.lengths).map(|(room, &n)| &room[..n])
    }

    /// One more, a copy of `packet`, to be changed in place.
    pub fn push(&mut self, packet: &[u8]) -> &mut [u8] {
        let room = &mut self.bytes[self.lengths.len() * ROOM..][..packet.len()];
        room.copy_from_slice(packet);
        self.lengths.push(packet.len());
        room
    }

    /// Sends all, and has none then.
    pub fn send(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.lengths.len() {
            let rooms = self.bytes.chunks_exact_mut(ROOM).skip(sent);
            let packets = rooms.zip(&self.lengths[sent..]);
            let result = with_headers(
                packets.map(|(room, &n)| &mut room[..n]),
                // SAFETY: see `with_headers`.
                |headers| unsafe {
                    let count = headers.len() as libc::c_uint;
                    libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0)
                },
            );
            match result {
                Ok(lengths) => sent += lengths.count(),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    wait_for(libc::POLLOUT, [socket], Duration::from_secs(1))?;
                }
                Err(e) => interrupted_is_fine(e)?,
            }
        }
        self.lengths.clear();
        Ok(())
    }

    /// What has come, instead of what was in here: perhaps nothing.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.lengths.clear();
        let result = with_headers(
            self.bytes.chunks_exact_mut(ROOM),
            // SAFETY: see `with_headers`; no time-out is given.
            |headers| unsafe {
                let count = headers.len() as libc::c_uint;
                let (fd, headers) = (socket.as_raw_fd(), headers.as_mut_ptr());
                libc::recvmmsg(fd, headers, count, 0, std::ptr::null_mut())
            },
        );
        match result {
            Ok(lengths) => self.lengths.extend(lengths),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => interrupted_is_fine(e)?,
        }
        Ok(())
    }
}

/// Calls the system with a header for each of `rooms`, at most [`BATCH`], and returns the lengths of
/// the packets that it has sent or received. The headers and what they point to live until it is back,
/// and each points to one room and its whole length.
fn with_headers<'a>(
    rooms: impl Iterator<Item = &'a mut [u8]>,
    call: impl FnOnce(&mut [libc::mmsghdr]) -> libc::c_int,
) -> io::Result<impl Iterator<Item = usize>> {
    // SAFETY: all zeros are a valid value of both: null pointers and lengths of 0.
    let (mut parts, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    let mut count = 0;
    for ((room, part), header) in rooms.zip(&mut parts).zip(&mut headers) {
        part.iov_base = room.as_mut_ptr().cast();
        part.iov_len = room.len();
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    let done = call(&mut headers[..count]);
    let done = usize::try_from(done).map_err(|_| io::Error::last_os_error())?;
    let done = headers.into_iter().take(done);
    Ok(done.map(|header| header.msg_len as usize))
}
