//! What the system knows of ports and of the server's process.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports that the system gives to nobody who does not ask for them.
const QUIET_PORTS: (u16, u16) = (20_000, 30_000);
/// Processes that look for ports at the same time begin so far apart.
const APART: u16 = 64;

/// The UDP ports that this process has bound.
pub fn udp_ports(pid: u32) -> BTreeSet<u16> {
    let mut ports = read_udp_ports(pid);
    loop {
        // The system's table is read in pieces, and lacks some lines if others go meanwhile.
        let again = read_udp_ports(pid);
        if again == ports {
            return ports;
        }
        ports = again;
    }
}

fn read_udp_ports(pid: u32) -> BTreeSet<u16> {
    let sockets: BTreeSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        // One may be closed meanwhile.
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    let lines = table(&format!("/proc/{pid}/net/udp"));
    let own = lines.iter().filter(|line| sockets.contains(&line.inode));
    own.map(|line| line.port).collect()
}

/// Whether somebody on this machine takes TCP connections on this port.
pub fn is_listening(port: u16) -> bool {
    let lines = table("/proc/net/tcp");
    lines
        .iter()
        .any(|line| line.port == port && line.state == "0A")
}

/// A socket of the system.
struct Line {
    port: u16,
    state: String,
    inode: String,
}

fn table(path: &str) -> Vec<Line> {
    let text = fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (_, port) = words[1].split_once(':').unwrap();
        Line {
            port: u16::from_str_radix(port, 16).unwrap(),
            state: words[3].to_owned(),
            inode: words[9].to_owned(),
        }
    };
    text.lines().skip(1).map(line).collect()
}

/// The first of so many ports in a row, up to 64, that nobody has.
pub fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let (first, last) = QUIET_PORTS;
    let slots = (last - first) / APART;
    let own = u16::try_from(std::process::id() % u32::from(slots)).unwrap();
    loop {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(turn < slots, "no {count} free ports in a row");
        let start = first + (own + turn) % slots * APART;
        let is_free = |port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
        };
        if (start..start + count).all(is_free) {
            return start;
        }
    }
}

/// Resident memory of a process, in KiB.
pub fn rss_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
