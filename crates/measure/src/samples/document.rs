//! The document of a run.

use lowlat_model::measurement::LOST;
use lowlat_model::{Measurement, Quantiles, Schema};

use super::{Context, Samples, course};
use crate::histogram::Histogram;
use crate::{Spec, gaps, stages};

impl Samples {
    /// The document. `rtt_planned` stays empty where the plan is the send.
    pub fn measurement(&self, spec: &Spec, context: Context) -> Measurement {
        let c = self.counts;
        let exact = self.complete();
        let figures = |samples: Vec<u64>, histogram: &Histogram| {
            let mut samples = samples;
            if exact { Quantiles::of(&mut samples) } else { histogram.quantiles() }
        };
        let rtt = figures(self.rtts(), &self.rtt);
        let rtt_planned =
            if self.has_plan { figures(self.rtts_planned(), &self.rtt_planned) } else { Quantiles::default() };
        let mut residence: Vec<u64> =
            self.included().filter(|p| p.answered() && p.residence != LOST).map(|p| p.residence).collect();
        let shown = stages::show(self, context.peer == lowlat_peers::lowlat::ENTRY.name);
        let mut warnings = context.warnings;
        warnings.extend(self.warnings.iter().cloned());
        if !exact {
            warnings.push(format!(
                "{} probes, {} kept one by one: figures come from a histogram, at most 0.4 % above the sample",
                c.sent + c.unsent + c.warmup,
                self.probes.len()
            ));
        }
        if c.path_errors > 0 {
            warnings.push(format!("the path answered {} times with an error (refused or unreachable)", c.path_errors));
        }
        if self.interrupted {
            warnings.push("interrupted: figures are of the part that ran".to_owned());
        }
        let ratio = match (rtt.p99_ns, rtt.p50_ns) {
            (Some(p99), Some(p50)) if p50 > 0 => Some(p99 as f64 / p50 as f64),
            _ => None,
        };
        let mut out = Measurement {
            schema: Schema::current("measure"),
            target: context.target,
            proto: context.proto,
            peer: context.peer,
            engine: context.engine,
            mode: spec.mode_name().to_owned(),
            size_bytes: u32::try_from(spec.size).unwrap_or(u32::MAX),
            rate_pps: spec.rate_pps(),
            cpu: spec.cpu,
            sent: c.sent,
            received: c.received,
            lost: c.lost,
            duplicates: c.duplicates,
            reordered: c.reordered,
            late: c.late,
            foreign: c.foreign,
            warmup: c.warmup,
            loss_ratio: (c.sent > 0).then(|| c.lost as f64 / c.sent as f64),
            duration_ns: self.last_event.saturating_sub(self.first_planned.unwrap_or(self.last_event)),
            rtt,
            rtt_planned,
            jitter_ratio: ratio,
            residence: Quantiles::of(&mut residence),
            stamp_coverage: shown.coverage,
            legs: shown.legs,
            stamps: shown.report,
            one_way: shown.one_way,
            gaps: self.gaps.as_ref().map(|marks| gaps::figures(marks, self.included())),
            conditions: context.conditions,
            environment: context.environment,
            warnings,
            unsent: c.unsent,
            sent_rate_pps: self.sends.rate_pps(),
            rate_sustained: if self.has_plan { self.sends.sustained(&c) } else { None },
            send_delay: self.send_delay.quantiles(),
            distribution: self.rtt.distribution(),
            distribution_planned: if self.has_plan { self.rtt_planned.distribution() } else { None },
            course: if exact { course::course(self.has_plan, &self.probes) } else { None },
            interrupted: self.interrupted,
            ..Measurement::default()
        };
        out.warnings.extend(out.not_sustained());
        out
    }
}
