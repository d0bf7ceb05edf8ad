//! Pages of the kernel's trace ring, and the kernel's own description of them.

use lowlat_model::TraceDocument;
use lowlat_model::trace::FarTrace;
use lowlat_trace::{
    Decoder, EventForm, Figures, Flight, PageForm, Threads, Trace, TracedRound, answers, join, records, threads,
};

macro_rules! recorded {
    ($($name:literal),*) => {
        [$((
            include_str!(concat!("../../fixtures/trace/", $name, "/header_page")),
            include_str!(concat!("../../fixtures/trace/", $name, "/header_event")),
            include_str!(concat!("../../fixtures/trace/", $name, "/formats")),
        )),*]
    };
}

/// The descriptions of real kernels.
const KERNELS: [(&str, &str, &str); 3] = recorded!("veth-6.18", "e1000e-5.10", "e1000e-6.12");

/// A byte that says whose pages they are, or that the rest is a description; then the pages of two CPUs in turn.
pub fn run(mut data: &[u8]) {
    let which = usize::from(crate::byte(&mut data));
    let Some((page, event, formats)) = KERNELS.get(which) else {
        let text = String::from_utf8_lossy(data);
        let (first, rest) = text.split_once('\0').unwrap_or((&text, ""));
        if let Ok(form) = PageForm::parse(first, rest) {
            let end = records(&form, data, &mut |_, payload| assert!(payload.len() <= data.len()));
            assert!(end.garbled || form.length() > 0);
        }
        let _ = EventForm::parse(&text);
        let _ = Decoder::default().learn("sched_switch", &text);
        return;
    };
    let form = PageForm::parse(page, event).expect("a real kernel's");
    let mut decoder = Decoder::default();
    for format in formats.split("name: ").filter(|f| !f.is_empty()) {
        decoder.learn(format.lines().next().unwrap_or_default(), format).expect("a real kernel's");
    }
    let mut trace = Trace::default();
    for (number, page) in data.chunks(form.length()).enumerate() {
        trace.take(&form, &decoder, (number as u32 % 2, number == 0), page);
    }
    trace.sort();
    assert!(trace.events.is_sorted_by_key(|e| e.at));
    let (from, to) = (trace.events.first().map_or(0, |e| e.at), trace.events.last().map_or(0, |e| e.at));
    let middle = from + (to - from) / 2;
    let flight = |sent, received| Flight { sent, received, residence: None, far_stamps: Some((sent, received)) };
    let flights = [flight(from, to), flight(from, middle), flight(middle, to), flight(to, from)];
    let found = threads(&trace.events, &flights).unwrap_or_else(|| Threads { near: 1, far: vec![2] });
    let (joined, incomplete) = join(&trace.events, &flights, &found);
    assert!(joined.len() as u64 + incomplete <= flights.len() as u64);
    for probe in joined {
        assert_eq!(probe.lengths().iter().flatten().sum::<u64>(), probe.rtt, "the stages are the round trip");
    }
    // The same events as the far host's own trace of what it answered.
    let (answers, incomplete) = answers(&trace.events, &found.far);
    let mut figures = Figures::default();
    figures.take(&TracedRound { trace: &trace, flights: &flights, lost: 0, overruns: 0 }, &found);
    let far = FarTrace { answers, incomplete, ..FarTrace::default() };
    assert!(figures.with_far(&far) <= flights.len());
    let shown = figures.document(&Default::default(), TraceDocument::default());
    assert!(shown.largest.is_none_or(|l| l.share_ratio.is_finite()));
}
