//! The kernel's trace points of a packet's way, switched on and off, in a ring of lowlat's own.

use std::collections::BTreeMap;

use lowlat_sys::tracefs::TraceInstance;
use lowlat_trace::{Decoder, Keep, PageForm, TRACE_POINTS, Threads, Trace, TracePoint};

/// Room for the events of all CPUs together, KiB, and the least and the most for each.
const ROOM_KIB: u32 = 65_536;
const LEAST_KIB: u32 = 256;
const MOST_KIB: u32 = 4_096;
/// Without these two no packet can be followed.
const NEEDED: [&str; 2] = ["net_dev_queue", "netif_receive_skb"];

/// What a round left in the ring.
#[derive(Debug)]
pub(crate) struct Read {
    /// Its events.
    pub(crate) trace: Trace,
    /// Events that found no room.
    pub(crate) overruns: u64,
}

/// An instance with the trace points that this kernel has. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Tracer {
    instance: TraceInstance,
    form: PageForm,
    decoder: Decoder,
    points: Vec<&'static TracePoint>,
    /// Trace points that this kernel does not give, with the reason.
    missing: BTreeMap<String, String>,
    /// Each CPU and how many events it had lost before.
    cpus: Vec<(u32, u64)>,
    /// Whether the records are those of known threads.
    filtered: bool,
}

impl Tracer {
    /// Makes the instance, by `tag` another than this process's others, and reads the kernel's forms; the error begins with `absent`, `denied` or `unsupported`.
    pub(crate) fn begin(tag: &str) -> Result<Self, String> {
        let instance = TraceInstance::make(tag)?;
        // The prober's clock.
        instance.write("trace_clock", "mono")?;
        let cpus: Vec<(u32, u64)> = instance.cpus()?.into_iter().map(|cpu| (cpu, 0)).collect();
        let each = ROOM_KIB / u32::try_from(cpus.len().max(1)).unwrap_or(u32::MAX);
        instance.write("buffer_size_kb", &each.clamp(LEAST_KIB, MOST_KIB).to_string())?;
        let garbled = |what: &str, why: String| format!("garbled: tracefs {what}: {why}");
        let form = PageForm::parse(&instance.read("events/header_page")?, &instance.read("events/header_event")?)
            .map_err(|why| garbled("events", why))?;
        let mut tracer = Self {
            instance,
            form,
            decoder: Decoder::default(),
            points: Vec::new(),
            missing: BTreeMap::new(),
            cpus,
            filtered: false,
        };
        for point in TRACE_POINTS {
            let format = tracer.instance.read(&format!("events/{}/{}/format", point.group, point.name));
            let learned =
                format.and_then(|text| tracer.decoder.learn(point.name, &text).map_err(|why| garbled(point.name, why)));
            match learned {
                Ok(()) => tracer.points.push(point),
                Err(why) => {
                    let why = if why.starts_with("absent") {
                        format!("absent: this kernel has no trace point {}", point.name)
                    } else {
                        why
                    };
                    tracer.missing.insert(point.name.to_owned(), why);
                }
            }
        }
        match NEEDED.iter().find_map(|name| tracer.missing.get(*name)) {
            Some(why) => Err(why.clone()),
            None => Ok(tracer),
        }
    }

    /// Trace points that this kernel does not give, with the reason.
    pub(crate) fn missing(&self) -> &BTreeMap<String, String> {
        &self.missing
    }

    /// Keeps the records of these threads alone, where a trace point has too many of others. Until then such trace
    /// points stay off.
    pub(crate) fn keep_to(&mut self, threads: &Threads) -> Result<(), String> {
        let all = || threads.far.iter().chain([&threads.near]);
        let any = |field: &str| all().map(|t| format!("{field} == {t}")).collect::<Vec<_>>().join(" || ");
        for point in &self.points {
            let filter = match point.keep {
                Keep::All => continue,
                Keep::Own => any("common_pid"),
                Keep::OwnReceived => format!("ret > 0 && ({})", any("common_pid")),
                Keep::About => any("pid"),
            };
            self.instance.write(&format!("events/{}/{}/filter", point.group, point.name), &filter)?;
        }
        // A kernel that names the socket needs no second event for the same moment.
        let names_socket = self.points.iter().any(|p| p.name == "sock_recv_length");
        self.points.retain(|p| !(names_socket && p.name.starts_with("sys_exit_")));
        self.filtered = true;
        Ok(())
    }

    fn switch(&self, to: &str) -> Result<(), String> {
        let is_on = |p: &&&TracePoint| self.filtered || !matches!(p.keep, Keep::Own | Keep::OwnReceived);
        for point in self.points.iter().filter(is_on) {
            self.instance.write(&format!("events/{}/{}/enable", point.group, point.name), to)?;
        }
        Ok(())
    }

    /// Begins to record.
    pub(crate) fn on(&self) -> Result<(), String> {
        self.switch("1")?;
        self.instance.write("tracing_on", "1")
    }

    /// Ends it, switches the trace points off, and empties the ring.
    pub(crate) fn off(&mut self) -> Result<Read, String> {
        self.instance.write("tracing_on", "0")?;
        self.switch("0")?;
        let mut trace = Trace::default();
        let mut overruns = 0;
        for (cpu, before) in &mut self.cpus {
            let lost = self.instance.lost(*cpu)?;
            let new = lost.saturating_sub(*before);
            *before = lost;
            overruns += new;
            let pages = self.instance.pages(*cpu, self.form.length())?;
            trace.take(&self.form, &self.decoder, (*cpu, new > 0), &pages);
        }
        trace.sort();
        Ok(Read { trace, overruns })
    }
}
