//! The veth link between the nodes.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::Duration;

use lowlat_netlink::route::{address, link};

use super::enter::LabError;
use super::far::Far;

/// The near end's name.
pub const NEAR_LINK: &str = "lan0";
/// The far end's name.
pub const FAR_LINK: &str = "lan1";
/// The near end's address; of the block that RFC 2544 keeps for benchmarks, so it is nobody's.
pub const NEAR_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// How often, and how long apart, a NIC is asked for its carrier: e1000e in QEMU has it after 2 to 3 s.
const CARRIER_TRIES: u32 = 100;
const CARRIER_TRY: Duration = Duration::from_millis(100);

/// Joins the calling process's namespace with the far node's: a veth pair, an address on each end, both up.
pub fn join(far: &mut Far) -> Result<(), LabError> {
    let failed = |e: lowlat_netlink::Error| {
        LabError::new("join the nodes by a veth link", e, "load the veth module (`modprobe veth`)")
    };
    link::up("lo").map_err(failed)?;
    link::veth(NEAR_LINK, FAR_LINK).map_err(failed)?;
    link::to_netns(FAR_LINK, netns(far)?.as_fd()).map_err(failed)?;
    address::add(NEAR_LINK, NEAR_ADDRESS.into(), 24).map_err(failed)?;
    link::up(NEAR_LINK).map_err(failed)?;
    far.ask(&format!("link {FAR_LINK}"))?;
    Ok(())
}

/// As [`join`], by two NICs of this machine that are linked: `far_link` goes to the far node, and the call returns when
/// both ends have their carrier.
pub fn join_nics(far: &mut Far, near_link: &str, far_link: &str) -> Result<(), LabError> {
    let failed = |e: lowlat_netlink::Error| {
        LabError::new(format!("join the nodes by {near_link} and {far_link}"), e, "look at `ip link`")
    };
    link::up("lo").map_err(failed)?;
    link::to_netns(far_link, netns(far)?.as_fd()).map_err(failed)?;
    address::add(near_link, NEAR_ADDRESS.into(), 24).map_err(failed)?;
    link::up(near_link).map_err(failed)?;
    far.ask(&format!("link {far_link}"))?;
    let carrier = format!("/sys/class/net/{near_link}/carrier");
    for _ in 0..CARRIER_TRIES {
        if std::fs::read_to_string(&carrier).is_ok_and(|c| c.trim() == "1") {
            return Ok(());
        }
        sleep(CARRIER_TRY);
    }
    Err(LabError::new(format!("join the nodes by {near_link} and {far_link}"), "no carrier after 10 s", "boot again"))
}

fn netns(far: &Far) -> Result<File, LabError> {
    let path = format!("/proc/{}/ns/net", far.pid());
    File::open(&path).map_err(|e| LabError::new(format!("open {path}"), e, "run the demo again"))
}
