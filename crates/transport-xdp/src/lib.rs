//! The `af-xdp` engine: UDP round trips past the kernel's network stack, over AF_XDP sockets.
//!
//! ## What it does
//! Attaches a small XDP program to the interface that hands the packets of *one* flow (the far end's address and port
//! to ours) to AF_XDP sockets, one per RX queue; all other packets go to the kernel as before. Builds and reads the
//! Ethernet, IP and UDP headers itself. To send, it copies the packet into shared memory and, unless a zero-copy driver
//! is already awake, makes one system call; to receive, it reads a ring.
//!
//! ## What it changes, and how that ends
//! The program is attached by a BPF link (Linux 5.9) that only this process holds: it is detached when the engine is
//! closed and when the process ends, even by SIGKILL. The engine refuses an interface that already has an XDP program.
//! Meanwhile an ordinary UDP socket holds the local port. An unknown neighbour is resolved as for any packet. Nothing
//! else is changed.
//!
//! ## Modes
//! The engine tries [`XdpMode::ZeroCopy`] where the driver reports it (netdev-genl, Linux 6.3), then
//! [`XdpMode::NativeCopy`], then [`XdpMode::Generic`]; on veth it tries generic first, because native measured slower
//! there. It reads back the mode that the kernel gave (`XDP_OPTIONS`) and reports it in
//! [`Caps::words`](lowlat_transport::Caps::words).
//!
//! ## Where it does not work
//! Loopback, interfaces without Ethernet, TCP and ICMP, messages above the MTU. A VLAN device has no native XDP and
//! gets the generic hook (according to the kernel's source, `__netif_receive_skb_core`; not tried).
//!
//! Sources: Documentation/networking/af_xdp.rst; net/xdp/xsk.c; drivers/net/veth.c.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod ability;
mod answer;
mod asm;
mod attach;
mod bpf;
mod device;
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
pub mod wire;
mod xsk;

pub use ability::{ModeAbility, XdpAbility, probe};
pub use answer::{Answers, Range, Wire};
pub use engine::{XdpOptions, open, open_with};
pub use lowlat_transport::EngineError;
pub use mode::XdpMode;
pub use reflector::XdpReflector;
pub use responder::Responder;

/// Name in `--engine` and in results.
pub const NAME: &str = "af-xdp";
/// What it costs its user; an open engine's own words say more.
pub const COSTS: &str = "a core, an XDP program on the interface while it runs, and root; a partial bypass: this one flow \
                         goes past firewall, routing and sockets";
