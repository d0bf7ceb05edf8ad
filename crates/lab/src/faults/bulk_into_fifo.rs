//! A bulk transfer fills a plain FIFO in front of a slow line, and every probe waits behind it.

use std::net::SocketAddrV4;

use lowlat_netlink::tc::options;
use lowlat_netlink::tc::qdisc::{self, Parent, TcHandle};

use super::{Bed, Fault, FaultSite, PlantedFault, failed};
use crate::netns::{FAR_ADDRESS, LabError};
use crate::traffic::{RunningTraffic, Traffic};

/// The line: fast enough to leave the CPUs to the probe, slow enough for one stream to fill it.
const LINE_BPS: u64 = 200_000_000;
/// One full frame and a little: the shaper then splits segmentation-offload packets into frames (net/sched/sch_tbf.c,
/// `tbf_segment`), as a line of that rate would send them.
const BURST_BYTES: u32 = 3_000;
/// FIFO length in frames: 24 × 1,514 bytes at 200 Mbit/s are 1.5 ms.
const FIFO_FRAMES: u32 = 24;
const SINK_PORT: u16 = 9_009;
/// One stream holds about a millisecond of its own data below the socket (TSQ, net/ipv4/tcp_output.c,
/// `tcp_small_queue_check`), 17 frames at this rate: every probe waits for them, and few are lost.
const STREAMS: usize = 1;

pub(super) struct BulkIntoFifo;

impl Fault for BulkIntoFifo {
    fn rule(&self) -> &'static str {
        "plain-fifo-backlog"
    }

    fn beds(&self) -> &'static [Bed] {
        &[Bed::Veth]
    }

    fn plant(&self, site: &mut FaultSite<'_>) -> Result<PlantedFault, LabError> {
        let e = failed("plant a slow line with a plain FIFO");
        let root = TcHandle(0x0001_0000);
        // The shaper's own limit only sizes the inner queue that the FIFO replaces.
        qdisc::put(site.link, Parent::Root, root, "tbf", Some(&options::tbf(LINE_BPS, BURST_BYTES, 1 << 20)))
            .map_err(&e)?;
        let class = Parent::Class(TcHandle(root.0 | 1));
        qdisc::put(site.link, class, TcHandle(0x0010_0000), "pfifo", Some(&options::fifo(FIFO_FRAMES))).map_err(&e)?;
        site.far.ask(&Traffic::Sink { port: SINK_PORT }.line())?;
        let bulk = (0..STREAMS)
            .map(|_| RunningTraffic::bulk(SocketAddrV4::new(FAR_ADDRESS, SINK_PORT)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| LabError::new("start the bulk transfer to the far node", e, "run the demo again"))?;
        Ok(PlantedFault {
            words: format!(
                "a bulk TCP transfer fills a plain FIFO ({FIFO_FRAMES} frames) in front of a {} Mbit/s line",
                LINE_BPS / 1_000_000
            ),
            rule: self.rule(),
            traffic: bulk,
        })
    }
}
