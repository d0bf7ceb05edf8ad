//! The veth link between the nodes.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use lowlat_netlink::route::{address, link};

use super::enter::LabError;
use super::far::Far;

/// The near end's name.
pub const NEAR_LINK: &str = "lan0";
/// The far end's name.
pub const FAR_LINK: &str = "lan1";
/// The near end's address; of the block that RFC 2544 keeps for benchmarks, so it is nobody's.
pub const NEAR_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The far end's address.
pub const FAR_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

/// Joins the calling process's namespace with the far node's: a veth pair, an address on each end, both up.
pub fn join(far: &mut Far) -> Result<(), LabError> {
    let failed = |e: lowlat_netlink::Error| {
        LabError::new("join the nodes by a veth link", e, "load the veth module (`modprobe veth`)")
    };
    link::up("lo").map_err(failed)?;
    link::veth(NEAR_LINK, FAR_LINK).map_err(failed)?;
    let path = format!("/proc/{}/ns/net", far.pid());
    let netns = File::open(&path).map_err(|e| LabError::new(format!("open {path}"), e, "run the demo again"))?;
    link::to_netns(FAR_LINK, netns.as_fd()).map_err(failed)?;
    address::add(NEAR_LINK, NEAR_ADDRESS.into(), 24).map_err(failed)?;
    link::up(NEAR_LINK).map_err(failed)?;
    far.ask("link")?;
    Ok(())
}

/// The far node's half of [`join`].
pub(super) fn far_half() -> Result<String, String> {
    let failed = |e: lowlat_netlink::Error| e.to_string();
    link::up("lo").map_err(failed)?;
    address::add(FAR_LINK, FAR_ADDRESS.into(), 24).map_err(failed)?;
    link::up(FAR_LINK).map_err(failed)?;
    Ok(String::new())
}
