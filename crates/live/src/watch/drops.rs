//! Where and why the kernel drops packets, by its trace points, in an instance of lowlat's own.

use std::collections::{BTreeMap, BTreeSet};

use lowlat_model::application::Owner;
use lowlat_model::watch::{DroppedPackets, WatchCost, WatchedSocket};
use lowlat_sys::Sys;
use lowlat_sys::tracefs::TraceInstance;
use lowlat_trace::{ACK_POINT, AckDecoder, AckEvent, DROP_POINTS, DropDecoder, DropEvent, PageForm, functions};

/// Room for each CPU, KiB: 4,000 drops between two readings, at 64 bytes each.
const ROOM_KIB: u32 = 256;
/// Places and reasons that are listed.
const LISTED: usize = 20;

/// Local ports whose connections are followed: a filter of the kernel has room for a page of text.
const MOST_PORTS: usize = 100;

/// Where, why, and for which port.
type Place = (u64, Option<u64>, Option<u16>);

/// The instance with what was read of it. Dropping it removes it.
#[derive(Debug)]
pub(super) struct DropTrace {
    instance: TraceInstance,
    form: PageForm,
    decoder: DropDecoder,
    acks: Option<AckDecoder>,
    cpus: Vec<u32>,
    counts: BTreeMap<Place, u64>,
    events: u64,
}

impl DropTrace {
    /// Begins to record; the error begins with `absent`, `denied`, `unsupported` or `garbled`.
    pub(super) fn begin() -> Result<Self, String> {
        let instance = TraceInstance::make("watch")?;
        instance.write("trace_clock", "mono")?;
        instance.write("buffer_size_kb", &ROOM_KIB.to_string())?;
        let garbled = |what: &str, why: String| format!("garbled: tracefs {what}: {why}");
        let form = PageForm::parse(&instance.read("events/header_page")?, &instance.read("events/header_event")?)
            .map_err(|why| garbled("events", why))?;
        let mut decoder = DropDecoder::default();
        let mut on = Vec::new();
        for (group, name) in DROP_POINTS {
            let learned = instance
                .read(&format!("events/{group}/{name}/format"))
                .and_then(|text| decoder.learn(name, &text).map_err(|why| garbled(name, why)));
            match learned {
                Ok(()) => on.push(format!("events/{group}/{name}/enable")),
                Err(why) if name == DROP_POINTS[0].1 => return Err(why),
                // Without it drops have no port.
                Err(_) => {}
            }
        }
        for file in on {
            instance.write(&file, "1")?;
        }
        let cpus = instance.cpus()?;
        instance.write("tracing_on", "1")?;
        Ok(Self { instance, form, decoder, acks: None, cpus, counts: BTreeMap::new(), events: 0 })
    }

    /// Also records what TCP knows of the connections of these local ports when a packet comes: one event a packet.
    pub(super) fn follow(&mut self, ports: &BTreeSet<u16>) -> Result<(), String> {
        let (group, name) = ACK_POINT;
        let file = |of: &str| format!("events/{group}/{name}/{of}");
        let form = self.instance.read(&file("format"))?;
        self.acks = Some(AckDecoder::learn(&form).map_err(|why| format!("garbled: tracefs {name}: {why}"))?);
        let some = ports.iter().take(MOST_PORTS).map(|p| format!("sport == {p}")).collect::<Vec<_>>();
        self.instance.write(&file("filter"), &some.join(" || "))?;
        self.instance.write(&file("enable"), "1")
    }

    /// Takes what was recorded since.
    pub(super) fn read(
        &mut self,
        dropped: &mut dyn FnMut(&DropEvent),
        acked: &mut dyn FnMut(AckEvent),
    ) -> Result<(), String> {
        for cpu in &self.cpus {
            let pages = self.instance.pages(*cpu, self.form.length())?;
            let mut found = Vec::new();
            self.decoder.take(&self.form, *cpu, &pages, &mut found);
            self.events += found.len() as u64;
            if let Some(acks) = &self.acks {
                acks.take(&self.form, &pages, acked);
            }
            for d in found {
                dropped(&d);
                *self.counts.entry((d.location, d.reason, d.port)).or_default() += 1;
            }
        }
        Ok(())
    }

    /// The drops, those of the watched sockets first, then by number.
    pub(super) fn finish(
        mut self,
        sys: &dyn Sys,
        sockets: &[WatchedSocket],
        cost: &mut WatchCost,
    ) -> Vec<DroppedPackets> {
        let _ = self.read(&mut |_| {}, &mut |_| {});
        cost.trace_events = self.events;
        cost.trace_overruns = self.cpus.iter().filter_map(|cpu| self.instance.lost(*cpu).ok()).sum();
        let places: BTreeSet<u64> = self.counts.keys().map(|(location, ..)| *location).collect();
        // Twenty thousand lines and more, so it is read only where there is something to name.
        let symbols = if places.is_empty() { None } else { sys.read("/proc/kallsyms").into_value() };
        let names = symbols.map_or_else(BTreeMap::new, |text| functions(&text, &places));
        let of: BTreeMap<u16, &[Owner]> = sockets
            .iter()
            .filter(|s| s.protocol == "udp")
            .filter_map(|s| Some((s.local.rsplit(':').next()?.parse().ok()?, s.owners.as_slice())))
            .collect();
        let decoder = &self.decoder;
        let mut all: Vec<(bool, DroppedPackets)> = std::mem::take(&mut self.counts)
            .into_iter()
            .map(|((location, reason, port), packets)| {
                let watched = port.and_then(|p| of.get(&p));
                let dropped = DroppedPackets {
                    reason: decoder.reason(reason),
                    place: names.get(&location).cloned(),
                    packets,
                    port,
                    owners: watched.map(|o| o.to_vec()).unwrap_or_default(),
                };
                (watched.is_some(), dropped)
            })
            .collect();
        all.sort_by_key(|(watched, d)| (!watched, std::cmp::Reverse(d.packets)));
        all.truncate(LISTED);
        all.into_iter().map(|(_, d)| d).collect()
    }
}
