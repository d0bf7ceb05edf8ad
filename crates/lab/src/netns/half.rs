//! The far node's half of the link.

use std::net::Ipv4Addr;

use lowlat_netlink::route::{address, link};

/// The far end's address.
pub const FAR_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

/// The far node's half of [`super::join`] and [`super::join_nics`].
pub(super) fn far_half(far_link: &str) -> Result<String, String> {
    let failed = |e: lowlat_netlink::Error| e.to_string();
    link::up("lo").map_err(failed)?;
    address::add(far_link, FAR_ADDRESS.into(), 24).map_err(failed)?;
    link::up(far_link).map_err(failed)?;
    Ok(String::new())
}
