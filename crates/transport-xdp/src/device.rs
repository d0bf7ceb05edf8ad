//! What a driver says of itself, as far as the choice of a mode needs it.

use std::io;

use lowlat_netlink::ethtool::{ioctl, sizes};
use lowlat_netlink::{Error, netdev};

/// Native XDP, in the kernel's words (include/uapi/linux/netdev.h).
pub(crate) const XDP_BASIC: &str = "basic";
/// AF_XDP zero-copy.
pub(crate) const XSK_ZEROCOPY: &str = "xsk-zerocopy";

/// Its name.
pub(crate) fn driver(iface: &str) -> String {
    ioctl::driver(iface).map_or_else(|_| "unknown".to_owned(), |d| d.driver)
}

/// RX queues in use: those of its RX-only and its combined channels. A driver that cannot tell its channels has one
/// queue.
pub(crate) fn rx_queues(iface: &str) -> u32 {
    let channels = sizes::channels(iface).unwrap_or_default();
    ["rx", "combined"].iter().filter_map(|kind| channels.get(*kind)).map(|c| c.current).sum::<u32>().max(1)
}

/// Its XDP abilities; `None` on kernels before 6.3, which do not say.
pub(crate) fn xdp_features(iface: &str) -> io::Result<Option<Vec<String>>> {
    match netdev::xdp_features(iface) {
        Ok(features) => Ok(Some(features)),
        Err(e) if e.errno() == Some(libc::EOPNOTSUPP) => Ok(None),
        Err(e) => Err(plain(e)),
    }
}

/// As an error of the system: what was asked is said by who asks.
pub(crate) fn plain(error: Error) -> io::Error {
    error.errno().map_or_else(|| io::Error::other(error), io::Error::from_raw_os_error)
}
