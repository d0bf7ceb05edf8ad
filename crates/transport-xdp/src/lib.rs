//! The `af-xdp` engine: UDP round trips past the kernel's network stack, over AF_XDP sockets.
//!
//! ## What it does
//! Attaches a small XDP program to the interface that hands the packets of *one* flow (the far end's address and port
//! to ours) to AF_XDP sockets, one per RX queue, so that it does not matter to which of them RSS sends the flow, and no
//! flow rule is needed; all other packets go to the kernel as before. Builds and reads the Ethernet, IP and UDP headers
//! itself; ARP and neighbour discovery are the kernel's. To send, it copies the packet into shared memory and, unless a
//! zero-copy driver is already awake, makes one system call; to receive, it reads a ring.
//!
//! ## What it changes, and how that ends
//! The program is attached by a BPF link (Linux 5.9) that only this process holds: it is detached when the engine is
//! closed and when the process ends, even by SIGKILL. The engine refuses an interface that already has an XDP program,
//! and a link never replaces one, so a program that comes in between is safe too. Meanwhile an ordinary UDP socket holds
//! the local port. An unknown neighbour is resolved as for any packet. Nothing else is changed.
//!
//! ## Modes
//! The engine tries [`XdpMode::ZeroCopy`] where the driver reports it (netdev-genl, Linux 6.3), then
//! [`XdpMode::NativeCopy`], then [`XdpMode::Generic`]; on veth it tries generic first, because native measured slower
//! there.
//!
//! ## What was got
//! Reported as `flow.bypass` of a measurement, and as text: the hook at which the kernel shows the program, zero-copy or
//! copy (`XDP_OPTIONS`), need-wakeup, the time of preferred busy polling that the socket has, and the RX queues with a
//! socket. Every packet of the flow is counted by the way it came: `by_socket`, `by_kernel` (the program let it pass:
//! fragmented, in another VLAN, on a queue without a socket), `dropped` at the sockets. Answers by the kernel count as
//! answers, and a warning says how many they were, because the figures are then not those of AF_XDP.
//!
//! ## VLANs
//! On a VLAN interface, program and sockets are on the device under it, and frames carry the tag, with the code point that
//! the interface's egress map has for the priority. Answers count with the tag, and without it where the device strips
//! tags. A VLAN in a VLAN and 802.1ad are refused. A VLAN on a bond, a bridge or the like keeps the generic hook of its
//! own.
//!
//! ## Where it does not work
//! Loopback, interfaces without Ethernet, TCP and ICMP, messages above the MTU, frames above 3072 bytes (they may lie
//! in several buffers).
//!
//! Sources: Documentation/networking/af_xdp.rst; net/xdp/xsk.c; drivers/net/veth.c.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod ability;
mod answer;
mod asm;
mod attach;
mod bpf;
mod device;
mod drivers;
mod engine;
mod frame;
mod mapping;
mod mode;
mod path;
mod program;
mod reflector;
mod responder;
#[doc(hidden)]
pub mod testing;
mod xsk;

pub use ability::{ModeAbility, XdpAbility, probe};
pub use answer::{Answers, Range, Wire};
pub use engine::{XdpOptions, open, open_with};
pub use lowlat_transport::EngineError;
pub use mode::XdpMode;
pub use reflector::XdpReflector;
pub use responder::Responder;

/// Whether an interface of this kind under a VLAN interface leaves program and sockets to the VLAN interface.
pub fn keeps_its_hook(kind: &str) -> bool {
    path::STACKED.contains(&kind)
}

/// Name in `--engine` and in results.
pub const NAME: &str = "af-xdp";
/// What it costs its user; an open engine's own words say more.
pub const COSTS: &str = "a core, an XDP program on the interface while it runs, and root; a partial bypass: this one flow \
                         goes past firewall, routing and sockets";
