//! A delay that somebody put in for a test and forgot: what comes in runs through an `ifb` whose queue discipline holds
//! it back.

use std::time::Duration;

use lowlat_netlink::route::link;
use lowlat_netlink::tc::qdisc::{self, Parent, TcHandle};
use lowlat_netlink::tc::{filter, options};

use super::{Bed, Fault, FaultSite, PlantedFault, failed};
use crate::netns::LabError;

const IFB: &str = "ifb-test";
const DELAY: Duration = Duration::from_micros(400);
/// Without netem: a shaper that lets one small probe pass every 2.8 ms. A 64 byte probe is 106 bytes on the wire as the
/// shaper counts it (Ethernet, IPv4 and UDP headers), and 106 × 8 bit / 300 kbit/s = 2.8 ms: more than the wait in the
/// FIFO of the bulk transfer at its longest, or taking the one away would only show the other.
const SHAPER_BPS: u64 = 300_000;
const SHAPER_BURST: u32 = 160;

pub(super) struct DelayLeftBehind;

impl Fault for DelayLeftBehind {
    fn rule(&self) -> &'static str {
        "netem-on-path"
    }

    fn beds(&self) -> &'static [Bed] {
        &[Bed::Veth, Bed::Nic]
    }

    fn plant(&self, site: &mut FaultSite<'_>) -> Result<PlantedFault, LabError> {
        let e = failed("plant a delay on the receive side");
        link::ifb(IFB).map_err(&e)?;
        link::up(IFB).map_err(&e)?;
        let netem = options::netem(&options::Netem { delay: DELAY, ..options::Netem::default() });
        let handle = TcHandle(0x0020_0000);
        let (words, rule) = if qdisc::put(IFB, Parent::Root, handle, "netem", Some(&netem)).is_ok() {
            (format!("a netem delay of {} µs left behind on the receive side ({IFB})", DELAY.as_micros()), self.rule())
        } else {
            // ENOENT: this kernel has no netem. The nearest fault it can have is a shaper of a far too small rate.
            let shaper = options::tbf(SHAPER_BPS, SHAPER_BURST, 1 << 16);
            qdisc::put(IFB, Parent::Root, handle, "tbf", Some(&shaper)).map_err(&e)?;
            let rate = SHAPER_BPS / 1_000;
            let words =
                format!("a {rate} kbit/s shaper left behind on the receive side ({IFB}); this kernel has no netem");
            (words, "shaper-below-line-rate")
        };
        qdisc::add_ingress(site.link).map_err(&e)?;
        filter::redirect_ingress_udp(site.link, IFB, site.probe_port).map_err(&e)?;
        Ok(PlantedFault { words, rule, traffic: Vec::new() })
    }
}
