//! The kernel's trace points for interrupts, softirqs and thread switches of one CPU.

use std::collections::BTreeSet;

use lowlat_model::cpus::print_mask;
use lowlat_sys::tracefs::TraceInstance;

/// Room on the CPU that is watched, KiB: two seconds of a thousand ticks each with ten events of about 40 bytes, ten
/// times over. On the others the least there is, since every CPU gets its own.
const ROOM_KIB: u32 = 8_192;
const LEAST_KIB: u32 = 4;
/// Groups of `irq_vectors` are x86's; elsewhere the timer is a line of `irq`.
const EVENTS: [&str; 3] = ["irq/enable", "irq_vectors/enable", "sched/sched_switch/enable"];

/// An instance, recording one CPU. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Trace {
    instance: TraceInstance,
    cpu: u32,
}

impl Trace {
    /// Begins to record `cpu`, which this process's threads may be pinned to meanwhile; or why not.
    pub(crate) fn begin(cpu: u32) -> Result<Self, String> {
        let trace = Self { instance: TraceInstance::make(&cpu.to_string())?, cpu };
        trace.set_up()?;
        Ok(trace)
    }

    fn set_up(&self) -> Result<(), String> {
        let to = &self.instance;
        // The clock of the gaps.
        to.write("trace_clock", "mono")?;
        to.write("buffer_size_kb", &LEAST_KIB.to_string())?;
        to.write(&format!("per_cpu/cpu{}/buffer_size_kb", self.cpu), &ROOM_KIB.to_string())?;
        to.write("tracing_cpumask", &print_mask(&BTreeSet::from([self.cpu])))?;
        let set: Vec<_> = EVENTS.iter().map(|e| to.write(&format!("events/{e}"), "1")).collect();
        if let Some(Err(why)) = set.iter().find(|_| set.iter().all(Result::is_err)) {
            return Err(why.clone());
        }
        to.write("tracing_on", "1")
    }

    /// Ends the recording and gives its text, with the number of events that found no room.
    pub(crate) fn end(self) -> Result<(String, u64), String> {
        self.instance.write("tracing_on", "0")?;
        let lost = self.instance.lost(self.cpu)?;
        Ok((self.instance.read(&format!("per_cpu/cpu{}/trace", self.cpu))?, lost))
    }
}
