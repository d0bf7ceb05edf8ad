//! One attempt: a socket on each RX queue, the XSKMAP, the program, the link. Dropping what it gives undoes all of it.

use std::io;
use std::os::fd::OwnedFd;

use lowlat_netlink::route::link::Link;

use crate::asm::{AsmError, Slot};
use crate::bpf::{self, LoadError};
use crate::mode::XdpMode;
use crate::xsk::{BusyPoll, Xsk};

/// A program on an interface. Dropping it (or the end of the process, however it ends) takes the program off.
#[derive(Debug)]
pub(crate) struct Attachment {
    link: OwnedFd,
    _program: OwnedFd,
    /// The kernel's number of the program.
    pub(crate) program_id: Option<u32>,
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
    Ok(Attachment { link: attached, program_id: bpf::program_id(&program).ok(), _program: program })
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
        Some(libc::EBUSY) => " (another XDP program is on it)",
        _ => "",
    }
}

fn bind_hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EBUSY) => " (another AF_XDP socket holds it)",
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
