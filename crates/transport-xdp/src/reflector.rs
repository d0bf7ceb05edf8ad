//! A far end inside the kernel: an XDP program that sends each probe straight back.
//!
//! The answer is the probe's own bytes, so it serves where the peer protocol takes an echo. It takes socket, wake-up
//! and program of the far end out of the round trip: whoever reports a figure against it says so.

use std::io;
use std::net::SocketAddr;

use lowlat_model::Capability;
use lowlat_netlink::route::link;

use crate::asm::Slot;
use crate::attach::{self, Attachment, Refused};
use crate::frame::Mac;
use crate::mode::{self, XdpMode};
use crate::path::unavailable;
use crate::program::reflect;
use crate::{EngineError, device};

/// A running reflector; dropping it (or the end of the process) takes it off.
#[derive(Debug)]
pub struct XdpReflector {
    _attachment: Attachment,
    words: String,
}

impl XdpReflector {
    /// Sends back what comes in on `iface` for UDP `local`.
    ///
    /// Native on veth needs NAPI on the other end (a native program or GRO there), or `XDP_TX` drops silently
    /// (`veth_xdp_xmit`, drivers/net/veth.c), and loses a kernel sender's partial checksums; so veth starts generic.
    pub fn open(iface: &str, local: SocketAddr, only: Option<XdpMode>) -> Result<Self, EngineError> {
        let what = format!("reflect {local} on {iface}");
        let program = reflect(local).map_err(|e| unavailable(&what, e.to_string(), "report this"))?;
        let (attachment, hook) = attach_free(iface, &what, only, "lowlat_reflect", |_| Ok(program.clone()))?;
        Ok(Self { _attachment: attachment, words: format!("{hook} XDP_TX reflector for {local} on {iface}") })
    }

    /// What it is on this host.
    pub fn words(&self) -> &str {
        &self.words
    }
}

/// Attaches a far end's program to an interface that has none; says at which hook it is.
pub(crate) fn attach_free(
    iface: &str,
    what: &str,
    only: Option<XdpMode>,
    name: &str,
    program: impl FnOnce(Mac) -> Result<Vec<Slot>, EngineError>,
) -> Result<(Attachment, &'static str), EngineError> {
    const WITHOUT: &str = "use lowlat serve without it";
    let os = |source| EngineError::Os { what: format!("read interface {iface}"), source };
    let link = link::named(iface).map_err(device::plain).map_err(os)?.ok_or_else(|| {
        unavailable(what, format!("no interface {iface:?} in this network namespace"), "see ip link for the names")
    })?;
    let Some(mac) = link.ethernet.filter(|_| !link.loopback) else {
        return Err(unavailable(what, format!("{iface} is not an Ethernet interface"), WITHOUT));
    };
    if let Some(program) = attach::occupant(&link) {
        return Err(unavailable(what, format!("{program} is attached"), "nothing was changed"));
    }
    let program = program(mac)?;
    let driver = device::driver(iface);
    let features = device::xdp_features(iface).map_err(os)?;
    let order = only.map_or_else(|| mode::order(&link, &driver, features.as_deref()).modes, |mode| vec![mode]);
    let (mut refusals, mut denied) = (Vec::new(), false);
    // Zero-copy is a matter of sockets, and a far end in the kernel has none.
    for mode in order.into_iter().filter(|m| *m != XdpMode::ZeroCopy) {
        match attach::attach(&link, mode, name, &program) {
            Ok(attachment) => return Ok((attachment, if mode == XdpMode::Generic { "generic" } else { "native" })),
            Err(Refused { what, source }) => {
                denied |= is_denied(&source);
                refusals.push(format!("{what}: {source}"));
            }
        }
    }
    Err(unavailable(what, refusals.join("; "), if denied { lacks() } else { WITHOUT.to_owned() }))
}

/// The kernel refuses a program by `EPERM`, and its verifier one that calculates with pointers by `EACCES`.
pub(crate) fn is_denied(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EPERM | libc::EACCES))
}

/// What to do about it. That the verifier allows a packet's length, which is one pointer less another, takes `CAP_PERFMON`
/// (include/linux/bpf.h, `bpf_allow_ptr_leaks`; kernel/bpf/verifier.c, `adjust_ptr_min_max_vals`).
pub(crate) fn lacks() -> String {
    lowlat_transport::next_where_denied(&[Capability::NetAdmin, Capability::Perfmon, Capability::Bpf])
}
