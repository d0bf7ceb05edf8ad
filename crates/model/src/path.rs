//! The interfaces that a path's packets pass on this host, from the route's own interface down to the device.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an interface comes to be on the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PathRole {
    /// The kernel's route to the target leaves by it, or the user named it.
    Route,
    /// Below another one: a bond's slave, a VLAN's device, a bridge's port, a tunnel's underlay.
    Lower,
    /// The virtual function that carries the packets of a synthetic interface (netvsc).
    Vf,
    /// Received packets are redirected to it (an ifb).
    Redirect,
}

/// One interface of the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathLink {
    /// Name.
    pub name: String,
    /// How it comes to be on the path.
    pub role: PathRole,
    /// The kernel's link kind (`bond`, `vlan`, `bridge`, …); `null` for a device.
    pub kind: Option<String>,
    /// The interface above it; `null` for the route's own.
    pub above: Option<String>,
}
