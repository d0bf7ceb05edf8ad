//! A shape that a far end and a path carry, and what a run in it shows.

use std::sync::Arc;

use lowlat_measure::{Flags, Mode, Pattern, Probe, Samples};
use lowlat_model::FlowShape;
use lowlat_model::shape::ShapeFigures;
use lowlat_peers::Peer;
use lowlat_transport::Proto;
use lowlat_verdict::phases::{PhaseReport, ShapedProbe, phases};

use crate::Failure;
use crate::path::ProbePath;

/// A shape within what a path carries.
#[derive(Debug, Clone)]
pub struct FittedShape {
    shape: Arc<FlowShape>,
    clipped: u64,
}

impl FittedShape {
    /// Fits `shape` to the path: its packets get the nearest size that the far-end protocol and one packet of the path carry.
    /// The path's own size becomes that of the largest.
    ///
    /// Refuses far-end protocols whose messages have one size or one pace.
    pub fn new(shape: &FlowShape, path: &mut ProbePath) -> Result<Self, Failure> {
        let peer = path.peer(0, 0)?;
        if !peer.takes_shapes() {
            return Err(Failure::new(format!(
                "send the shape of a flow to {}: the far-end protocol {} has one size and one pace for all its messages; \
                 choose --peer lowlat, sockperf or stamp, or --proto icmp",
                path.words, path.peer
            )));
        }
        let (least, most) = carried(peer.as_ref(), path)?;
        let (shape, clipped) = shape.clipped(least, most);
        path.size = shape.sizes().1 as usize;
        Ok(Self { shape: Arc::new(shape), clipped })
    }

    /// When its probes leave.
    pub(crate) fn mode(&self) -> Mode {
        Mode::OpenLoop { rate_pps: self.shape.mean_rate_pps(), pattern: Pattern::Shape }
    }

    /// What is sent.
    pub(crate) fn flow(&self) -> Arc<FlowShape> {
        self.shape.clone()
    }

    /// Refuses a run in which no second packet would leave.
    pub(crate) fn lasts(&self, duration_ns: u64) -> Result<(), Failure> {
        let second = self.shape.at_ns(1);
        if second < duration_ns {
            return Ok(());
        }
        let s = |ns: u64| ns as f64 / 1e9;
        Err(Failure::new(format!(
            "send the shape of a flow for {} s: its second packet leaves after {} s; choose a longer --duration",
            s(duration_ns),
            s(second)
        )))
    }

    /// What a run in this shape shows.
    pub(crate) fn figures(&self, samples: &Samples) -> ShapeFigures {
        let of = &self.shape;
        let (smallest_bytes, largest_bytes) = of.sizes();
        // Without every probe the number of none is known.
        let kept: &[Probe] = if samples.complete() { samples.probes() } else { &[] };
        let measured = (0u64..).zip(kept).filter(|(_, p)| !p.flags.has(Flags::WARMUP) && !p.flags.has(Flags::UNSTEADY));
        let probe = |(number, p): (u64, &Probe)| {
            let left = !p.flags.has(Flags::UNSENT);
            ShapedProbe {
                number,
                rtt_planned: p.rtt_planned(),
                rtt: left.then(|| p.rtt()),
                late: left.then(|| p.sent.saturating_sub(p.planned)),
            }
        };
        let PhaseReport { phases, worth_ns, mut words } = phases(of, measured.map(probe));
        if !samples.complete() {
            "not every probe was kept one by one, so phases have no figures; measure shorter".clone_into(&mut words);
        }
        ShapeFigures {
            flow: of.flow.clone(),
            packets: of.packets.len() as u64,
            period_ns: of.period_ns(),
            smallest_bytes,
            largest_bytes,
            clipped: self.clipped,
            burst_gap_ns: of.burst_gap_ns,
            bursts: of.bursts().len() as u64,
            worth_ns,
            phases,
            words,
        }
    }
}

/// Smallest and largest message that the far-end protocol and one packet of the path carry.
fn carried(peer: &dyn Peer, path: &ProbePath) -> Result<(u32, u32), Failure> {
    let (least, most) = peer.message_sizes();
    // A stream has no packets of ours; opening one for this alone would be a connection that says nothing.
    let one_packet = if path.proto == Proto::Tcp {
        most
    } else {
        let small = ProbePath { size: least, stamps: false, ..path.clone() };
        small.open(lowlat_transport::block::NAME)?.caps().max_message
    };
    let bytes = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Ok((bytes(least), bytes(most.min(one_packet).max(least))))
}
