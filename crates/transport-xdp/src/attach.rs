//! One attempt: a socket on each RX queue, the XSKMAP, the program, the link. Dropping what it gives undoes all of it.

use std::io;
use std::os::fd::OwnedFd;

use lowlat_netlink::route::link::{self, Link};

use crate::asm::{AsmError, Slot};
use crate::bpf::{self, LoadError};
use crate::device::plain;
use crate::mode::XdpMode;
use crate::xsk::{BusyPoll, Xsk};

/// A program on an interface. Dropping it (or the end of the process, however it ends) takes the program off.
#[derive(Debug)]
pub(crate) struct Attachment {
    link: OwnedFd,
    _program: OwnedFd,
    /// The kernel's number of the program.
    pub(crate) program_id: Option<u32>,
    /// Where the kernel reports it: `native`, `generic`.
    pub(crate) hook: &'static str,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // Refused where the right to attach was given up since: then closing does it.
        let _ = bpf::detach(&self.link);
    }
}

/// Sockets, map and program of one flow.
#[derive(Debug)]
pub(crate) struct Sockets {
    // First: packets stop coming before the sockets go.
    pub(crate) attachment: Attachment,
    _map: OwnedFd,
    /// One per RX queue, in order.
    pub(crate) queues: Vec<Xsk>,
}

/// What did not work, as text, and the kernel's answer.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) what: String,
    pub(crate) source: io::Error,
}

/// Loads `program` and attaches it to `link`.
pub(crate) fn attach(link: &Link, mode: XdpMode, name: &str, program: &[Slot]) -> Result<Attachment, Refused> {
    let program = bpf::load(program, name).map_err(|LoadError { source, log }| Refused {
        what: if log.is_empty() { "load the XDP program".to_owned() } else { format!("load the XDP program ({log})") },
        source,
    })?;
    let attached = bpf::attach(&program, link.index, mode.attach_flags()).map_err(|source| Refused {
        what: format!("attach the XDP program to {}{}", link.name, attach_hint(&source)),
        source,
    })?;
    let program_id = bpf::program_id(&program).ok();
    let mut attachment = Attachment { link: attached, program_id, hook: "none", _program: program };
    attachment.hook = reported(link, program_id)?;
    Ok(attachment)
}

/// Where the kernel reports the program that was just attached. Not believed unasked: a program that is not where it was
/// put sees no packet, and nobody would say so.
fn reported(link: &Link, program: Option<u32>) -> Result<&'static str, Refused> {
    let refused = |source| Refused { what: format!("read which program is on {}", link.name), source };
    let now = link::numbered(link.index).map_err(|e| refused(plain(e)))?;
    let now = now.ok_or_else(|| refused(io::Error::from_raw_os_error(libc::ENODEV)))?;
    if now.xdp == "none" || program.is_some() && now.xdp_program != program {
        let there = occupant(&now).unwrap_or_else(|| "no program".to_owned());
        return Err(refused(io::Error::other(format!("{there} is there and not the one that was attached"))));
    }
    Ok(now.xdp)
}

/// Binds a socket to each of `queues` RX queues in `mode` and redirects the flow to them.
pub(crate) fn open(
    link: &Link,
    mode: XdpMode,
    queues: u32,
    chunk: usize,
    busy: Option<BusyPoll>,
    program: impl FnOnce(i32) -> Result<Vec<Slot>, AsmError>,
) -> Result<Sockets, Refused> {
    use std::os::fd::AsRawFd;

    let mut sockets = Vec::with_capacity(queues as usize);
    for queue in 0..queues {
        let socket = Xsk::bind(link.index, queue, mode.copying(), chunk, busy).map_err(|source| Refused {
            what: format!("bind an AF_XDP socket to {} queue {queue}{}", link.name, bind_hint(&source)),
            source,
        })?;
        sockets.push(socket);
    }
    let map = bpf::xskmap(queues).map_err(|source| Refused { what: "create the XSKMAP".to_owned(), source })?;
    for (queue, socket) in (0..).zip(&sockets) {
        bpf::xskmap_set(&map, queue, socket.fd())
            .map_err(|source| Refused { what: format!("put queue {queue} into the XSKMAP"), source })?;
    }
    let program = program(map.as_raw_fd())
        .map_err(|e| Refused { what: "assemble the XDP program".to_owned(), source: io::Error::other(e) })?;
    // Last: no packet is redirected before there is a socket to take it.
    let attachment = attach(link, mode, "lowlat_flow", &program)?;
    Ok(Sockets { attachment, _map: map, queues: sockets })
}

fn attach_hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        // Kernels before 5.9 know no XDP links; newer ones say EINVAL for an MTU or feature that native XDP cannot
        // have.
        Some(libc::EINVAL) => " (a kernel before 5.9, or an MTU or offload the driver's XDP cannot have)",
        // A link never replaces a program (`dev_xdp_attach`, net/core/dev.c): EBUSY at the same hook, EEXIST where native
        // and generic would be on at once.
        Some(libc::EBUSY | libc::EEXIST) => " (another XDP program is on it)",
        _ => "",
    }
}

fn bind_hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EBUSY) => " (another AF_XDP socket holds it)",
        // xdp_umem_account_pages, net/xdp/xdp_umem.c
        Some(libc::ENOBUFS) => " (its memory exceeds RLIMIT_MEMLOCK: raise ulimit -l)",
        _ => "",
    }
}

/// The program that is already on an interface, for an error text.
pub(crate) fn occupant(link: &Link) -> Option<String> {
    let how = match link.xdp {
        "none" => return None,
        "offload" => "offloaded",
        "multi" => "several",
        how => how,
    };
    Some(link.xdp_program.map_or_else(|| format!("{how} XDP programs"), |id| format!("XDP program {id} ({how})")))
}

/// On a real interface of a network namespace of its own. These need root.
#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use lowlat_netlink::message::Message;
    use lowlat_netlink::socket::{NetlinkSocket, Protocol};

    use super::*;
    use crate::asm::{Asm, R0};
    use crate::program::Action;

    /// `IFLA_XDP` and its parts, and `XDP_FLAGS_UPDATE_IF_NOEXIST` (include/uapi/linux/if_link.h).
    const IFLA_XDP: u16 = 43;
    const IFLA_XDP_FD: u16 = 1;
    const IFLA_XDP_FLAGS: u16 = 3;
    const IF_NOEXIST: u32 = 1;

    fn pass() -> Vec<Slot> {
        let mut pass = Asm::new();
        pass.mov_imm(R0, Action::Pass as i32).exit();
        pass.finish().unwrap()
    }

    /// As `ip link set xdp` and most loaders do it: without a link that anyone holds.
    fn attach_by_netlink(index: u32, flags: u32) -> u32 {
        let program = bpf::load(&pass(), "foreign").unwrap();
        let mut fixed = [0; 16];
        fixed[4..8].copy_from_slice(&index.to_ne_bytes());
        let message = Message::new(19, 0, &fixed).nest(IFLA_XDP, |m| {
            m.u32(IFLA_XDP_FD, program.as_raw_fd().cast_unsigned()).u32(IFLA_XDP_FLAGS, flags | IF_NOEXIST)
        });
        NetlinkSocket::open(Protocol::Route).unwrap().ask("attach a foreign program", message).unwrap();
        bpf::program_id(&program).unwrap()
    }

    /// Somebody attached after this engine had looked and found nothing: the attach itself has to refuse.
    #[test]
    fn a_program_that_came_between_look_and_attach_stays_where_it_is() {
        if let Err(e) = bpf::xskmap(1) {
            assert!(std::env::var_os("LOWLAT_REQUIRE_ROOT").is_none(), "needs root: {e}");
            eprintln!("NOT RUN: {e}");
            return;
        }
        std::thread::spawn(|| {
            lowlat_os::namespace::own_network().unwrap();
            for (n, foreign) in [XdpMode::Generic, XdpMode::NativeCopy].into_iter().enumerate() {
                for by_link in [true, false] {
                    let (name, peer) = (format!("x{n}{}", u8::from(by_link)), format!("y{n}{}", u8::from(by_link)));
                    link::veth(&name, &peer).unwrap();
                    let looked = link::named(&name).unwrap().unwrap();
                    assert_eq!(occupant(&looked), None);
                    let (held, id) = if by_link {
                        let held = attach(&looked, foreign, "foreign", &pass()).unwrap();
                        let id = held.program_id.unwrap();
                        (Some(held), id)
                    } else {
                        (None, attach_by_netlink(looked.index, foreign.attach_flags()))
                    };
                    for ours in [XdpMode::Generic, XdpMode::NativeCopy] {
                        let refused = attach(&looked, ours, "ours", &pass()).unwrap_err();
                        assert!(refused.what.contains("another XDP program is on it"), "{refused:?}");
                    }
                    let now = link::named(&name).unwrap().unwrap();
                    assert_eq!((now.xdp, now.xdp_program), (if n == 0 { "generic" } else { "native" }, Some(id)));
                    drop(held);
                }
            }
        })
        .join()
        .unwrap();
    }
}
