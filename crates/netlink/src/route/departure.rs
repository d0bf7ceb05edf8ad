//! That an interface was deleted or left this network namespace, by the kernel's own notice.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use crate::message::{ReceivedMessages, split};

/// Notices of links (`RTMGRP_LINK`, include/uapi/linux/rtnetlink.h).
const LINKS: u32 = 1;
/// Sent when an interface is deleted, and in the namespace that one leaves (`rtmsg_ifinfo_build_skb`,
/// `dev_change_net_namespace`, net/core/dev.c).
const RTM_DELLINK: u16 = 17;
/// Where `ifi_index` is in `struct ifinfomsg`.
const INDEX: usize = 4;

/// Waits for one interface to go.
#[derive(Debug)]
pub struct Departure {
    fd: OwnedFd,
    index: u32,
    gone: bool,
}

impl Departure {
    /// Listens from now on for the interface with this index.
    ///
    /// # Errors
    /// The kernel's, where it gives no socket.
    pub fn of(index: u32) -> io::Result<Self> {
        // NETLINK_ROUTE is 0.
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        bind(&fd, &SocketAddrNetlink::new(0, LINKS))?;
        Ok(Self { fd, index, gone: false })
    }

    /// Whether it has gone. Waits for nothing and needs no system call but `recvfrom`, so that a process which gave up
    /// the others may ask. Where notices were lost for want of room, those that are left decide.
    pub fn is_gone(&mut self) -> bool {
        let mut room = vec![0u8; 16 << 10];
        loop {
            match recv(&self.fd, &mut room[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return self.gone,
                Ok((len, _)) => self.gone |= deletes(&room[..len.min(room.len())], self.index),
                Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) => {}
                Err(_) => return self.gone,
            }
        }
    }
}

/// Whether one of the messages in a datagram reports that the interface is deleted. What is no message reports nothing.
fn deletes(bytes: &[u8], index: u32) -> bool {
    let of = |m: &ReceivedMessages<'_>| m.payload.get(INDEX..INDEX + 4)?.try_into().ok().map(u32::from_ne_bytes);
    split(bytes).unwrap_or_default().iter().any(|m| m.kind == RTM_DELLINK && of(m) == Some(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, index: u32, tail: usize) -> Vec<u8> {
        let len = 16 + INDEX + 4 + tail;
        let mut bytes = u32::try_from(len).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(16 + INDEX, 0);
        bytes.extend(index.to_ne_bytes());
        bytes.resize(len.next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn only_the_deletion_of_that_interface_counts() {
        let all = [message(16, 7, 9), message(RTM_DELLINK, 8, 3), message(RTM_DELLINK, 7, 1)].concat();
        assert!(deletes(&all, 7) && deletes(&all, 8) && !deletes(&all, 9));
        assert!(!deletes(&message(16, 7, 0), 7));
    }

    #[test]
    fn any_bytes_end_the_walk() {
        let cut = message(RTM_DELLINK, 7, 0);
        for n in 0..cut.len() {
            assert!(!deletes(&cut[..n], 7), "{n} bytes");
        }
        assert!(!deletes(&[0; 64], 7) && !deletes(&[0xff; 64], 7));
    }
}
