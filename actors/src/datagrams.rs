//! Datagrams in batches: what has come is taken with one system call, and what is to go leaves with
//! one, as many answers to the same peer as the system takes at once (segmentation offload) in one
//! piece. Where the system has no such calls (outside Linux) each datagram is one.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use actix::Message;
use bytes::{Buf, Bytes};

use crate::traffic;

/// Datagrams taken with one call.
pub const BATCH: usize = 64;
/// Room for the largest datagram there is, in bytes.
const SLOT: usize = 65_536;
/// Answers of one size that go out in one piece: UDP_MAX_SEGMENTS.
const SEGMENTS: usize = 64;
/// Bytes of one piece at most, below what an IP packet may have.
const PIECE: usize = 65_000;
/// After so many pieces in a row that the system did not take, it gets single datagrams.
const SPLITS: u32 = 1000;
/// Bytes that wait for the socket at most; the oldest give way.
const OUTBOX: usize = 8 << 20;
/// What the socket's buffers shall take, in bytes, as far as the system allows.
pub const SOCKET_BUFFER: usize = 4 << 20;

/// One or several datagrams for one peer.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Letters {
    pub to: SocketAddr,
    /// What the only datagram begins with, so that many peers can share the rest; else nothing.
    pub head: Bytes,
    pub wire: Bytes,
    /// Bytes of each datagram; the last one may be shorter.
    pub each: usize,
}

impl Letters {
    /// A single datagram.
    pub fn one(to: SocketAddr, wire: impl Into<Bytes>) -> Letters {
        let wire = wire.into();
        Letters::many(to, wire.len(), wire)
    }

    /// A single datagram in two parts.
    pub fn parts(to: SocketAddr, head: Bytes, wire: Bytes) -> Letters {
        match wire.is_empty() {
            true => Letters::one(to, head),
            false => Letters {
                head,
                ..Letters::one(to, wire)
            },
        }
    }

    /// Datagrams of `each` bytes; the last one may be shorter.
    pub fn many(to: SocketAddr, each: usize, wire: Bytes) -> Letters {
        Letters {
            to,
            head: Bytes::new(),
            wire,
            each: each.max(1),
        }
    }

    /// How many datagrams.
    fn count(&self) -> usize {
        self.wire.len().div_ceil(self.each)
    }

    fn bytes(&self) -> usize {
        self.head.len() + self.wire.len()
    }
}

/// A bound socket with buffers for bursts.
///
/// # Errors
/// The address can't be bound.
pub fn bind(address: SocketAddr, buffer: usize) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::DGRAM,
        Some(socket2::Protocol::UDP),
    )?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    // As much as the system grants: a burst that finds no room is lost, and repeated by its senders.
    let _ = socket.set_recv_buffer_size(buffer);
    let _ = socket.set_send_buffer_size(buffer);
    #[cfg(target_os = "linux")]
    linux::force_buffers(&socket, buffer);
    Ok(socket.into())
}

/// What one call brought.
pub struct Inbox {
    buffer: Vec<u8>,
    /// Length in bytes, and sender, of each.
    came: Vec<(usize, SocketAddr)>,
}

impl Inbox {
    pub fn new() -> Inbox {
        Inbox {
            // Zeroed by the system, page by page as datagrams need it.
            buffer: vec![0; SLOT * BATCH],
            came: Vec::with_capacity(BATCH),
        }
    }

    /// Takes what has come, [`BATCH`] datagrams at most.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; the socket's.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.came.clear();
        #[cfg(target_os = "linux")]
        linux::receive(socket, &mut self.buffer, &mut self.came)?;
        #[cfg(not(target_os = "linux"))]
        for slot in self.buffer.chunks_mut(SLOT) {
            match socket.recv_from(slot) {
                Ok(came) => self.came.push(came),
                Err(e) if self.came.is_empty() => return Err(e),
                Err(_) => break,
            }
        }
        traffic::came(self.came.iter().map(|(length, _)| length).sum());
        Ok(())
    }

    /// The datagrams of the last call.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        let slots = self.buffer.chunks(SLOT);
        slots
            .zip(&self.came)
            .map(|(slot, &(length, from))| (slot.get(..length).unwrap_or(slot), from))
    }
}

/// What is to go out.
pub struct Outbox {
    letters: VecDeque<Letters>,
    bytes: usize,
    /// Whether the system cuts a piece into datagrams.
    segments: bool,
    /// Pieces in a row that it did not take.
    splits: u32,
    /// Datagrams that went out.
    pub sent: u64,
    /// Datagrams that did not: there was no room, or the system would not take them.
    pub dropped: u64,
}

impl Outbox {
    pub fn new() -> Outbox {
        Outbox {
            letters: VecDeque::new(),
            bytes: 0,
            segments: cfg!(target_os = "linux"),
            splits: 0,
            sent: 0,
            dropped: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Queues `letters`. If too many bytes wait, the oldest are dropped: their receivers ask again.
    pub fn push(&mut self, letters: Letters) {
        // An empty datagram is one, too, but no protocol of the house has any.
        if letters.wire.is_empty() {
            return;
        }
        self.bytes += letters.bytes();
        self.letters.push_back(letters);
        while self.bytes > OUTBOX {
            self.drop_front();
        }
    }

    fn drop_front(&mut self) {
        if let Some(letters) = self.letters.pop_front() {
            self.bytes -= letters.bytes();
            self.dropped += u64::try_from(letters.count()).unwrap_or(u64::MAX);
        }
    }

    /// Sends all that the socket takes.
    ///
    /// # Errors
    /// `WouldBlock` if it takes no more now.
    pub fn send(&mut self, socket: &UdpSocket) -> io::Result<()> {
        while !self.is_empty() {
            match self.send_some(socket) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(e),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // Perhaps a piece that can't be cut (no offload on that way): one by one, then.
                Err(_) if self.letters[0].count() > 1 => self.split_front(),
                // No way to that peer: it hears nothing, and nobody else waits for it.
                Err(_) => self.drop_front(),
            }
        }
        Ok(())
    }

    /// Makes single datagrams of what is first.
    fn split_front(&mut self) {
        let Some(letters) = self.letters.pop_front() else {
            return;
        };
        let (to, each, length) = (letters.to, letters.each, letters.wire.len());
        for at in (0..letters.count()).rev().map(|n| n * each) {
            let wire = letters.wire.slice(at..length.min(at + each));
            self.letters.push_front(Letters::one(to, wire));
        }
        // Where it happens all the time there is no offload, and no peer can make it happen so often
        // between two pieces that go out.
        self.splits += 1;
        self.segments &= self.splits < SPLITS;
    }

    #[cfg(target_os = "linux")]
    fn send_some(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let mut pieces: Vec<linux::Piece<'_>> = Vec::with_capacity(BATCH);
        for letters in &self.letters {
            let fitting = match self.segments {
                true => SEGMENTS.min(PIECE / letters.each).max(1),
                false => 1,
            };
            let free = BATCH - pieces.len();
            let cut = letters.wire.chunks(letters.each * fitting).take(free);
            pieces.extend(cut.map(|wire| linux::Piece {
                to: letters.to,
                head: &letters.head,
                wire,
                each: letters.each,
            }));
            if pieces.len() == BATCH {
                break;
            }
        }
        let lengths: Vec<usize> = pieces.iter().map(|piece| piece.wire.len()).collect();
        let taken = linux::send(socket, &pieces)?;
        for length in lengths.into_iter().take(taken) {
            self.went(length);
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn send_some(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let letters = &self.letters[0];
        let length = letters.each.min(letters.wire.len());
        let datagram = [&letters.head[..], &letters.wire[..length]].concat();
        socket.send_to(&datagram, letters.to)?;
        self.went(length);
        Ok(())
    }

    /// So many bytes of what is first went out, with its head.
    fn went(&mut self, length: usize) {
        let Some(first) = self.letters.front_mut() else {
            return;
        };
        traffic::went(length + first.head.len());
        self.bytes -= length;
        if length > first.each {
            self.splits = 0;
        }
        self.sent += u64::try_from(length.div_ceil(first.each)).unwrap_or(0);
        first.wire.advance(length);
        if first.wire.is_empty() {
            self.bytes -= first.head.len();
            self.letters.pop_front();
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::mem::{size_of, zeroed};
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
    use std::os::fd::AsRawFd;

    use super::{BATCH, SLOT};

    /// Also beyond what the system grants everyone, where we are allowed to.
    pub fn force_buffers(socket: &socket2::Socket, bytes: usize) {
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        for option in [libc::SO_RCVBUFFORCE, libc::SO_SNDBUFFORCE] {
            // SAFETY: the option reads one int from the address given, which is a live local. That it
            // may be refused is fine.
            unsafe {
                libc::setsockopt(
                    socket.as_raw_fd(),
                    libc::SOL_SOCKET,
                    option,
                    (&raw const bytes).cast(),
                    size_of::<libc::c_int>() as libc::socklen_t,
                );
            }
        }
    }

    /// Fills `came` from `buffer`, a slot each.
    pub fn receive(
        socket: &UdpSocket,
        buffer: &mut [u8],
        came: &mut Vec<(usize, SocketAddr)>,
    ) -> io::Result<()> {
        // SAFETY: plain old data, for which zeroes are valid: no pointers, no lengths.
        let (mut heads, mut slices, mut names): (
            [libc::mmsghdr; BATCH],
            [libc::iovec; BATCH],
            [libc::sockaddr_storage; BATCH],
        ) = unsafe { (zeroed(), zeroed(), zeroed()) };
        let slots = buffer.chunks_mut(SLOT);
        for (((head, slice), name), slot) in
            heads.iter_mut().zip(&mut slices).zip(&mut names).zip(slots)
        {
            slice.iov_base = slot.as_mut_ptr().cast();
            slice.iov_len = slot.len();
            head.msg_hdr.msg_iov = slice;
            head.msg_hdr.msg_iovlen = 1;
            head.msg_hdr.msg_name = (name as *mut libc::sockaddr_storage).cast();
            head.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        // SAFETY: each head names a slot of `buffer` and an address of `names`, with their lengths; all
        // of them live until the call returns, and nothing else refers to them meanwhile.
        let result = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                heads.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(result).map_err(|_| io::Error::last_os_error())?;
        for (head, name) in heads.iter().zip(&names).take(count) {
            // One from nowhere can't be answered; it is empty then, and no packet of anything.
            let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
            let length = usize::try_from(head.msg_len).unwrap_or(0);
            match address(name) {
                Some(from) => came.push((length, from)),
                None => came.push((0, unknown)),
            }
        }
        Ok(())
    }

    /// What goes out in one piece: a datagram with a head, or datagrams of `each` bytes without one.
    pub struct Piece<'a> {
        pub to: SocketAddr,
        pub head: &'a [u8],
        pub wire: &'a [u8],
        pub each: usize,
    }

    /// Sends the pieces. Says how many of them the socket took.
    pub fn send(socket: &UdpSocket, pieces: &[Piece<'_>]) -> io::Result<usize> {
        /// Room for one control message that holds a u16, aligned as one has to be.
        type Control = [u64; 3];
        // SAFETY: plain old data, for which zeroes are valid: no pointers, no lengths.
        let (mut heads, mut slices, mut names, mut controls): (
            [libc::mmsghdr; BATCH],
            [[libc::iovec; 2]; BATCH],
            [libc::sockaddr_storage; BATCH],
            [Control; BATCH],
        ) = unsafe { (zeroed(), zeroed(), zeroed(), zeroed()) };
        let mut count = 0;
        let places = heads.iter_mut().zip(&mut slices).zip(&mut names);
        for (((head, slices), name), (control, piece)) in
            places.zip(controls.iter_mut().zip(pieces))
        {
            for (slice, part) in slices.iter_mut().zip([piece.head, piece.wire]) {
                // The call only reads it.
                slice.iov_base = part.as_ptr().cast_mut().cast();
                slice.iov_len = part.len();
            }
            let head = &mut head.msg_hdr;
            head.msg_iov = slices.as_mut_ptr();
            head.msg_iovlen = slices.len();
            head.msg_namelen = write_address(piece.to, name);
            head.msg_name = (name as *mut libc::sockaddr_storage).cast();
            if piece.wire.len() > piece.each {
                let size = u16::try_from(piece.each).unwrap_or(u16::MAX);
                head.msg_control = control.as_mut_ptr().cast();
                // SAFETY: `control` is aligned and large enough for the header and a u16; these calls
                // compute addresses within it, and the writes stay within it.
                unsafe {
                    head.msg_controllen = libc::CMSG_SPACE(2) as _;
                    let first = libc::CMSG_FIRSTHDR(head);
                    (*first).cmsg_level = libc::SOL_UDP;
                    (*first).cmsg_type = libc::UDP_SEGMENT;
                    (*first).cmsg_len = libc::CMSG_LEN(2) as _;
                    libc::CMSG_DATA(first).cast::<u16>().write_unaligned(size);
                }
            }
            count += 1;
        }
        // SAFETY: the first `count` heads name live bytes, addresses and control messages with their
        // lengths; the call only reads them, and writes the lengths sent into the heads.
        let result = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                heads.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }

    fn address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
        let place: *const libc::sockaddr_storage = storage;
        match libc::c_int::from(storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says that this is what the storage, which is larger, holds.
                let v4 = unsafe { &*place.cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let v6 = unsafe { &*place.cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }

    /// Writes `address` into `storage`; says how many bytes of it count.
    fn write_address(address: SocketAddr, storage: &mut libc::sockaddr_storage) -> libc::socklen_t {
        let place: *mut libc::sockaddr_storage = storage;
        match address {
            SocketAddr::V4(v4) => {
                // SAFETY: the storage is made to hold any address, aligned for all of them.
                let out = unsafe { &mut *place.cast::<libc::sockaddr_in>() };
                out.sin_family = libc::AF_INET as libc::sa_family_t;
                out.sin_port = v4.port().to_be();
                out.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
                size_of::<libc::sockaddr_in>() as libc::socklen_t
            }
            SocketAddr::V6(v6) => {
                // SAFETY: as above.
                let out = unsafe { &mut *place.cast::<libc::sockaddr_in6>() };
                out.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                out.sin6_port = v6.port().to_be();
                out.sin6_flowinfo = v6.flowinfo();
                out.sin6_addr.s6_addr = v6.ip().octets();
                out.sin6_scope_id = v6.scope_id();
                size_of::<libc::sockaddr_in6>() as libc::socklen_t
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that has come to `socket`, waited for until there are so many.
    fn taken(socket: &UdpSocket, many: usize) -> Vec<Vec<u8>> {
        let mut inbox = Inbox::new();
        let mut all = Vec::new();
        while all.len() < many {
            match inbox.receive(socket) {
                Ok(()) => all.extend(inbox.iter().map(|(bytes, _)| bytes.to_vec())),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(e) => panic!("{e}"),
            }
        }
        all
    }

    fn pair() -> (UdpSocket, UdpSocket, SocketAddr) {
        let bind = |ip: &str| bind(SocketAddr::new(ip.parse().unwrap(), 0), SOCKET_BUFFER).unwrap();
        let (from, to) = (bind("127.0.0.1"), bind("127.0.0.1"));
        let address = to.local_addr().unwrap();
        (from, to, address)
    }

    #[test]
    fn datagrams_arrive_one_by_one_whether_the_system_cuts_them_or_we() {
        for segments in [true, false] {
            let (from, to, address) = pair();
            let mut outbox = Outbox::new();
            outbox.segments &= segments;
            let wire: Vec<u8> = (0..14 * 150 + 5).map(|n| (n % 251) as u8).collect();
            let expected: Vec<Vec<u8>> = wire.chunks(14).map(<[u8]>::to_vec).collect();
            outbox.push(Letters::many(address, 14, wire.into()));
            outbox.push(Letters::one(address, vec![7; 65_507]));
            let (head, rest) = (
                Bytes::from_static(b"to you: "),
                Bytes::from_static(b"hello"),
            );
            outbox.push(Letters::parts(address, head.clone(), rest));
            outbox.push(Letters::parts(address, head, Bytes::new()));
            outbox.send(&from).unwrap();
            let came = taken(&to, expected.len() + 3);
            let (chunks, others) = came.split_at(expected.len());
            assert_eq!(chunks, expected);
            assert_eq!(others[0], [7; 65_507]);
            assert_eq!(others[1], b"to you: hello");
            assert_eq!(others[2], b"to you: ");
            assert!(outbox.is_empty());
            assert_eq!((outbox.sent, outbox.dropped, outbox.bytes), (154, 0, 0));
        }
    }

    #[test]
    fn one_who_can_not_be_reached_keeps_nobody_waiting() {
        let (from, to, address) = pair();
        let mut outbox = Outbox::new();
        outbox.push(Letters::one("[::1]:9".parse().unwrap(), vec![1]));
        outbox.push(Letters::one(address, vec![2; 70_000]));
        outbox.push(Letters::one(address, vec![3]));
        outbox.send(&from).unwrap();
        assert_eq!(taken(&to, 1), [[3]]);
        assert_eq!((outbox.sent, outbox.dropped), (1, 2));
    }

    #[test]
    fn one_who_can_not_be_reached_costs_others_no_offload() {
        let (from, to, address) = pair();
        let mut outbox = Outbox::new();
        let segments = outbox.segments;
        let nowhere = SocketAddr::new(address.ip(), 0);
        outbox.push(Letters::many(nowhere, 2, vec![1; 7].into()));
        outbox.push(Letters::many(address, 2, vec![2; 3].into()));
        outbox.send(&from).unwrap();
        assert_eq!(taken(&to, 2), [&[2, 2][..], &[2]]);
        assert_eq!((outbox.sent, outbox.dropped, outbox.bytes), (2, 4, 0));
        assert_eq!((outbox.segments, outbox.splits), (segments, 0));
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_goes() {
        let mut outbox = Outbox::new();
        let to = "127.0.0.1:9".parse().unwrap();
        for n in 0..200_u8 {
            outbox.push(Letters::one(to, vec![n; 60_000]));
        }
        assert!(outbox.bytes <= OUTBOX);
        assert_eq!(outbox.letters.back().unwrap().wire[0], 199);
        assert_eq!(outbox.dropped, 200 - outbox.letters.len() as u64);
    }
}
