//! `suspend`: as `epoll`, and the NIC's interrupts stay off as long as the program finds events (IRQ suspension, Linux
//! 6.13).
//!
//! ## What it does
//! Around each of its rounds, every NAPI instance of the path's devices is set to defer its interrupt
//! (`nic.napi-defer-hard-irqs`, `nic.gro-flush-timeout`) and to suspend it (`nic.irq-suspend-timeout`), and put back
//! afterwards. The values that were there go to the journal first, as with every change: `lowlat rollback` puts them back
//! after a run that was killed.
//!
//! Each `epoll_wait` that finds an event keeps the instance's interrupt off; the next one polls the queue for the busy-poll
//! time (`--busy-poll`). When it finds none, deferral takes over, then the interrupt. So the busy-poll time has to be longer
//! than a round trip, or each wait ends with an interrupt as without the engine.
//!
//! Whether it acts is in the result: interrupts and NET_RX softirqs for each probe, and the NAPI instance of the answers. The
//! interrupts of packets that were sent stay where the driver gives them a line of their own: the program polls the queue of its
//! answers alone. Seen in the VM lab (`bench/suspend`: e1000e, Linux 7.3): 1.06 interrupts for each answer became 0.00.
//!
//! ## What it needs
//! Linux 6.13, a driver with NAPI instances that have an id and keep their settings (`netif_napi_add_config`),
//! CAP_NET_ADMIN, and no transaction of lowlat that is still open. Loopback has no such instance. veth has instances only
//! while GRO or native XDP is on, and they keep no settings (`netif_napi_add`). All queues of the NIC are set, also for
//! traffic of others, which then waits up to the flush timeout.
//!
//! Sources: Documentation/networking/napi.rst in linux 6.13: IRQ suspension; linux commit 8a6de2627fd3: eventpoll: Control
//! irq suspension for prefer_busy_poll; drivers/net/veth.c in linux 6.12: veth_set_features, veth_enable_xdp.
//!
//! ## What it gives up
//! Bypass: none.

use crate::{Endpoint, Engine, EngineError, epoll};

/// Name in `--engine` and in results.
pub const NAME: &str = "suspend";
/// What it costs its user.
pub const COSTS: &str = "CPU time up to the busy-poll time in each wait; other traffic of the NIC waits up to the flush \
                         timeout; changes settings of all its queues for its rounds, and puts them back";

/// Opens the socket and its epoll context. The settings are made around its rounds by who may change the host.
pub fn open(endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    epoll::open_as(NAME, COSTS, endpoint)
}
