//! The `dpdk` engine: UDP round trips through one port of DPDK.
//!
//! ## What it does
//! Starts `lowlat-dpdk`, a small program of its own that is linked with DPDK, and hands it whole frames over a socket. The
//! program sends each through its port by `rte_eth_tx_burst` and spins on `rte_eth_rx_burst` until the answer comes. It
//! reads both stamps itself, so the round trip holds nothing of the socket between the two programs.
//!
//! ## What it needs
//! `lowlat-dpdk` next to `lowlat` or in `/usr/lib/lowlat` (`LOWLAT_DPDK` names another), and the libraries of the DPDK that
//! it was built with. `scripts/dpdk` builds it: `apt install gcc pkg-config libdpdk-dev`. Without it everything else
//! works. The libraries have another name in each Debian release (`.23` in 22.11), so it is built per release.
//!
//! ## Ports
//! `--dpdk-port` names one:
//!
//! - `net_af_packet` (the default): the interface of the path stays the kernel's, which sees every frame too.
//! - `net_af_xdp`: the first receive queue of the interface is DPDK's for as long as the engine is open. *All* its packets
//!   are, not those of one flow, so it is refused on an interface that the host is reached by.
//! - `net_tap`: an interface that DPDK makes. `--dpdk-address` gives the port an address.
//! - a PCI address (`0000:03:00.0`): a device that `lowlat bypass bind` has given to vfio-pci, with `--dpdk-address`. The
//!   target must be on the same subnet; ARP is asked and answered here.
//!
//! ## The far end
//! `lowlat serve --engine dpdk --dpdk-port PORT --dpdk-address ADDRESS/LENGTH` answers lowlat's own UDP probes in the child
//! itself, in the buffers that they came in, and ARP for the address; on `net_af_packet` and `net_af_xdp` with `--iface`. It has
//! no sockets: no TCP, no key, no limits, no placement requests, and the kernel must not have the address of a
//! `net_af_packet` port, since it would refuse each probe.
//!
//! ## What it changes, and how that ends
//! EAL runs without hugepages, shared configuration and telemetry, and its folder is removed at once. The child ends when
//! its socket closes, so also when lowlat is killed, and takes the XDP program of net_af_xdp off as it ends. Where the child
//! is killed, lowlat takes it off. Only a `kill -9` of both leaves it: `ip link set IF xdp off`.
//!
//! ## Where it does not work
//! TCP, ICMP, loopback, messages above the MTU; with `--dpdk-address`, IPv6 and far ends behind a router.
//!
//! ## What it gives up
//! Bypass: full: what the port takes belongs to the program. A `net_af_packet` port takes a copy, and the kernel still
//! handles the interface's packets.
//! - firewall: nftables and iptables see no packet of the port, in either direction
//! - routing: no route, no next hop and no forwarding; the program writes the Ethernet header
//! - sockets: none; no TCP, no other program on the port, no count in `ss` or `nstat`
//! - tcpdump: packet sockets see no packet of the port
//! - interface: bound to vfio-pci it is gone, with its addresses, its counters and `ethtool`
//!
//! Sources: <https://doc.dpdk.org/guides-22.11/nics/af_packet.html>; <https://doc.dpdk.org/guides-22.11/nics/af_xdp.html>;
//! <https://doc.dpdk.org/guides-22.11/linux_gsg/linux_eal_parameters.html>.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod child;
mod engine;
mod port;
mod responder;
mod wire;

pub use engine::open;
pub use port::{Port, PortKind};
pub use responder::DpdkResponder;
pub use wire::{Moved, read as read_answer};

/// Name in `--engine` and in results.
pub const NAME: &str = "dpdk";
/// What it costs its user; an open engine's own words say more.
pub const COSTS: &str = "a core, a second program, and root; a full bypass: what the port takes has no firewall, routing, \
                         sockets or tcpdump";
