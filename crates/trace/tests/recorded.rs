//! Pages that real kernels gave, with the kernels' own description of them: round trips between two ends in one host,
//! over veth (6.18) and over two e1000e back to back (5.10 and 6.12, in the VM lab).
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use lowlat_model::trace::{FarAnswer, FarTrace, How, Side, TraceDirection, TraceDocument, TraceStage};
use lowlat_trace::{
    Decoder, Figures, Flight, Joined, PageForm, Point, Threads, Trace, TraceEvent, TracedRound, What, answers, join,
    passes, records, threads,
};
use proptest::prelude::*;

const RECORDED: [&str; 3] = ["veth-6.18", "e1000e-5.10", "e1000e-6.12"];

fn bytes(of: &str, file: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/trace").join(of).join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn text(of: &str, file: &str) -> String {
    String::from_utf8(bytes(of, file)).unwrap()
}

fn form(of: &str) -> PageForm {
    PageForm::parse(&text(of, "header_page"), &text(of, "header_event")).unwrap()
}

/// The formats stand one after the other, each beginning with its name.
fn decoder(of: &str) -> Decoder {
    let formats = text(of, "formats");
    let mut decoder = Decoder::default();
    for format in formats.split("name: ").filter(|f| !f.is_empty()) {
        let name = format.lines().next().unwrap();
        decoder.learn(name, &format!("name: {format}")).unwrap_or_else(|e| panic!("{of} {name}: {e}"));
    }
    decoder
}

fn trace(of: &str) -> Trace {
    let (form, decoder) = (form(of), decoder(of));
    let mut trace = Trace::default();
    for cpu in 0..2 {
        // The pages are cut out of longer rings.
        trace.take(&form, &decoder, (cpu, true), &bytes(of, &format!("cpu{cpu}.pages")));
    }
    trace.sort();
    trace
}

/// The recorded prober slept in its receiving call: from each of its sends to the next thing it received.
fn flights(trace: &Trace, near: u32) -> Vec<Flight> {
    let mut flights = Vec::new();
    let mut sent = None;
    for event in trace.events.iter().filter(|e| e.thread == near && e.own) {
        match event.what {
            What::Send => sent = Some(event.at).filter(|at| *at >= trace.complete_from),
            What::Read(None) => {
                if let Some(sent) = sent.take() {
                    flights.push(Flight { sent, received: event.at, residence: None, far_stamps: None });
                }
            }
            _ => {}
        }
    }
    flights
}

/// Both threads of a recording; the prober is the one that was started later.
fn ends(trace: &Trace) -> (u32, u32) {
    let mut senders: Vec<u32> = trace.events.iter().filter(|e| e.what == What::Send).map(|e| e.thread).collect();
    senders.sort_unstable();
    senders.dedup();
    assert_eq!(senders.len(), 2, "{senders:?}");
    (senders[1], senders[0])
}

fn document(of: &str) -> TraceDocument {
    let trace = trace(of);
    let (near, far) = ends(&trace);
    let flights = flights(&trace, near);
    let found = threads(&trace.events, &flights).unwrap();
    assert_eq!(found, Threads { near, far: vec![far] }, "{of}");
    let mut figures = Figures::default();
    figures.take(&TracedRound { trace: &trace, flights: &flights, lost: 0, overruns: 0 }, &found);
    // As the reader of a kernel without them says.
    let missing = if of.ends_with("5.10") {
        BTreeMap::from([(
            "sk_data_ready".to_owned(),
            "absent: this kernel has no trace point sk_data_ready".to_owned(),
        )])
    } else {
        BTreeMap::new()
    };
    figures.document(&missing, TraceDocument::default())
}

fn stage<'a>(d: &'a TraceDocument, side: Side, direction: TraceDirection, name: &str) -> &'a TraceStage {
    let found = d.stages.iter().find(|s| s.side == side && s.direction == direction && s.name == name);
    found.unwrap_or_else(|| panic!("no {name}: {:#?}", d.stages))
}

#[test]
fn pages_are_read_to_their_end_and_in_the_order_of_time() {
    for of in RECORDED {
        let form = form(of);
        for cpu in 0..2 {
            let pages = bytes(of, &format!("cpu{cpu}.pages"));
            let (mut last, mut count) = (0, 0);
            for page in pages.chunks(form.length()) {
                let end = records(&form, page, &mut |at, _| {
                    assert!(at >= last, "{of}: {at} after {last}");
                    (last, count) = (at, count + 1);
                });
                assert!(!end.garbled && !end.lost, "{of}: {end:?}");
            }
            assert!(count > 300, "{of}: {count} records");
        }
    }
}

#[test]
fn every_probe_is_followed_through_both_ends_and_its_stages_are_its_round_trip() {
    for of in RECORDED {
        let trace = trace(of);
        let (near, far) = ends(&trace);
        let flights = flights(&trace, near);
        assert!(flights.len() >= 8, "{of}: {}", flights.len());
        let (joined, incomplete) = join(&trace.events, &flights, &Threads { near, far: vec![far] });
        assert_eq!((joined.len(), incomplete), (flights.len(), 0), "{of}");
        for j in &joined {
            assert!(j.far_seen() && j.far == Some(far), "{of}: {j:?}");
            assert_eq!(j.lengths().iter().flatten().sum::<u64>(), j.rtt, "{of}: {j:?}");
        }
    }
}

/// What the near host would see of a probe if the far one had a kernel of its own.
fn near_alone(trace: &Trace, joined: &[Joined]) -> Trace {
    let until = |j: &Joined, point: Point| j.sent + j.lengths().iter().take(point as usize + 1).flatten().sum::<u64>();
    let far: Vec<(u64, u64)> =
        joined.iter().map(|j| (until(j, Point::NearDriven), until(j, Point::FarDriven))).collect();
    let mut alone = trace.clone();
    alone.events.retain(|e| far.iter().all(|(from, to)| e.at <= *from || e.at >= *to));
    alone
}

#[test]
fn the_far_host_s_own_trace_gives_the_stages_that_one_kernel_shows() {
    use Side::Far;
    use TraceDirection::{Back, Out};
    for of in RECORDED {
        let trace = trace(of);
        let (near, far) = ends(&trace);
        let threads = Threads { near, far: vec![far] };
        let (found, _) = answers(&trace.events, &[far]);
        let mut flights = flights(&trace, near);
        for f in &mut flights {
            let answer = found.iter().find(|a| a.read_ns > f.sent && a.called_ns < f.received);
            let answer = answer.unwrap_or_else(|| panic!("{of}: no answer to {f:?} among {found:#?}"));
            f.far_stamps = Some((answer.read_ns, answer.called_ns));
        }
        let (whole, _) = join(&trace.events, &flights, &threads);
        let alone = near_alone(&trace, &whole);
        let mut figures = Figures::default();
        let near_only = Threads { near, far: Vec::new() };
        figures.take(&TracedRound { trace: &alone, flights: &flights, lost: 0, overruns: 0 }, &near_only);
        let without = figures.document(&BTreeMap::new(), TraceDocument::default());
        assert!(!without.far_seen, "{of}");

        let lacks = BTreeMap::from([("irq_handler_entry".to_owned(), "denied: there".to_owned())]);
        let reported = FarTrace { answers: found, missing: lacks, ..FarTrace::default() };
        assert_eq!(figures.with_far(&reported), flights.len(), "{of}");
        let joined = figures.document(&BTreeMap::new(), TraceDocument::default());
        assert!(joined.far_seen && joined.incomplete == 0, "{of}: {joined:#?}");
        let one_kernel = document(of);
        for (direction, name) in
            [(Out, "wake-up"), (Out, "scheduling"), (Out, "return"), (Back, "program"), (Back, "system call")]
        {
            let at = |d: &TraceDocument| stage(d, Far, direction, name).max_ns;
            assert_eq!(at(&joined), at(&one_kernel), "{of} {name}");
        }
        let shares: f64 = joined.stages.iter().filter_map(|s| s.share_p50_ratio).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{of}: {shares}");
        // Both wires are one, and that the other's length is not known is said.
        let out = stage(&joined, Far, Out, "wire");
        assert!(out.why_unseen.as_deref().is_some_and(|w| w.contains("clocks of two hosts")), "{of}: {out:#?}");
        // A trace of another time holds none of them.
        let mut figures = Figures::default();
        figures.take(&TracedRound { trace: &alone, flights: &flights, lost: 0, overruns: 0 }, &near_only);
        let later =
            reported.answers.iter().map(|a| FarAnswer { read_ns: a.read_ns + (1 << 40), ..a.clone() }).collect();
        assert_eq!(figures.with_far(&FarTrace { answers: later, ..FarTrace::default() }), 0, "{of}");
    }
}

#[test]
fn live_messages_have_the_stages_that_probes_have() {
    for of in RECORDED {
        let trace = trace(of);
        let (near, far) = ends(&trace);
        let found = passes(&trace, &BTreeSet::from([far]), false);
        let flights = flights(&trace, near);
        let (joined, _) = join(&trace.events, &flights, &Threads { near, far: vec![far] });
        let (received, sent) = found.counts();
        // The recordings begin and end with probes that are cut.
        let probes = joined.len() as u64;
        assert!((probes..=probes + 4).contains(&received) && (probes..=probes + 4).contains(&sent), "{of}: {found:?}");
        let stages = found.stages();
        for (point, direction) in [
            (Point::FarWakeup, TraceDirection::Back),
            (Point::FarRunning, TraceDirection::Back),
            (Point::FarDriven, TraceDirection::Out),
        ] {
            let name = lowlat_trace::key(point).name;
            let live = stages
                .iter()
                .find(|s| s.name == name && s.direction == direction)
                .unwrap_or_else(|| panic!("{of} {name}: {stages:#?}"));
            let longest = joined.iter().filter_map(|j| j.lengths()[point as usize]).max();
            assert!(live.time.max_ns >= longest && live.passed >= probes, "{of} {name}: {live:?}, {longest:?}");
        }
        let nobody = passes(&trace, &BTreeSet::from([1]), true);
        assert_eq!((nobody.counts(), nobody.stages().len()), ((0, 0), 0));
    }
}

/// One round trip between threads 10 and 20 of one host; what comes in at the near end is redirected or not.
fn round_trip(redirected: bool) -> Trace {
    let event = |at, thread, own, what| TraceEvent { at, cpu: 0, thread, own, what };
    let (probe, answer) = (0xa0, 0xb0);
    let mut events = vec![
        event(100, 10, true, What::Queue(probe, 106)),
        event(110, 10, true, What::Start(probe)),
        event(120, 10, true, What::Backlog(probe)),
        event(140, 10, false, What::Receive(probe, 92)),
        event(150, 10, false, What::Ready(Some(5))),
        event(160, 10, false, What::Waking(20)),
        event(170, 10, false, What::Wakeup(20)),
        event(200, 10, true, What::Switch(10, 20)),
        event(210, 20, true, What::Read(Some(5))),
        event(220, 20, true, What::Send),
        event(230, 20, true, What::Queue(answer, 106)),
        event(240, 20, true, What::Start(answer)),
        event(250, 20, true, What::Backlog(answer)),
        event(260, 20, false, What::Softirq(3)),
        event(270, 20, false, What::Receive(answer, 92)),
    ];
    if redirected {
        events.extend([
            event(280, 20, false, What::Queue(answer, 106)),
            event(1_280, 0, false, What::Start(answer)),
            event(1_285, 0, false, What::Driven(answer)),
            event(1_300, 0, false, What::Receive(answer, 92)),
        ]);
    }
    events.extend([
        event(1_310, 0, false, What::Ready(Some(7))),
        event(1_320, 0, false, What::Waking(10)),
        event(1_330, 0, false, What::Wakeup(10)),
        event(1_350, 0, true, What::Switch(0, 10)),
        event(1_360, 10, true, What::Read(Some(7))),
    ]);
    Trace { events, ..Trace::default() }
}

#[test]
fn the_time_at_a_device_that_a_packet_was_redirected_to_is_a_stage_of_its_own() {
    let flights = [Flight { sent: 90, received: 1_400, residence: None, far_stamps: None }];
    let threads = Threads { near: 10, far: vec![20] };
    for (redirected, wanted) in [(true, Some(1_030)), (false, None)] {
        let trace = round_trip(redirected);
        let (joined, incomplete) = join(&trace.events, &flights, &threads);
        assert_eq!(incomplete, 0);
        let lengths = joined[0].lengths();
        assert_eq!(lengths[Point::NearRedirected as usize], wanted, "{lengths:?}");
        assert_eq!((lengths[Point::FarRedirected as usize], lengths[Point::FarCalled as usize]), (None, Some(10)));
        assert_eq!(lengths.iter().flatten().sum::<u64>(), 1_310);
        let mut figures = Figures::default();
        figures.take(&TracedRound { trace: &trace, flights: &flights, lost: 0, overruns: 0 }, &threads);
        let largest = figures.document(&BTreeMap::new(), TraceDocument::default()).largest.unwrap();
        assert_eq!(largest.stage.name == "redirection", redirected, "{largest:?}");
        assert!(!redirected || largest.rules[0] == "shaper-below-line-rate", "{largest:?}");
    }
}

#[test]
fn what_a_ring_had_no_room_for_is_counted_and_in_no_figure() {
    let of = "veth-6.18";
    let mut trace = trace(of);
    let (near, far) = ends(&trace);
    let flights = flights(&trace, near);
    let half = flights[flights.len() / 2].sent;
    trace.events.retain(|e| e.at >= half);
    trace.complete_from = half;
    let mut figures = Figures::default();
    figures.take(
        &TracedRound { trace: &trace, flights: &flights, lost: 0, overruns: 4_711 },
        &Threads { near, far: vec![far] },
    );
    let d = figures.document(&BTreeMap::new(), TraceDocument::default());
    let before = flights.iter().filter(|f| f.sent < half).count() as u64;
    assert_eq!((d.overruns, d.incomplete), (4_711, before));
    assert_eq!(d.probes + d.incomplete, flights.len() as u64);
}

#[test]
fn the_stages_that_a_kernel_and_a_driver_have_are_seen_and_the_others_are_not() {
    use Side::{Far, Near};
    use TraceDirection::{Back, Out};
    for of in RECORDED {
        let d = document(of);
        let how = |side, direction, name| stage(&d, side, direction, name).how;
        for (side, direction, name) in [
            (Near, Out, "system call"),
            (Near, Out, "queue discipline"),
            (Near, Out, "driver"),
            (Far, Out, "wake-up"),
            (Far, Out, "scheduling"),
            (Far, Out, "return"),
            (Far, Back, "program"),
            (Far, Back, "system call"),
            (Far, Back, "driver"),
            (Near, Back, "wake-up"),
            (Near, Back, "scheduling"),
            (Near, Back, "return"),
        ] {
            assert_eq!(how(side, direction, name), How::Trace, "{of}: {side:?} {direction:?} {name}");
        }
        // An emulated device raises the other end's interrupt within the driver's own call: its wire takes no time.
        let wire = how(Far, Out, "wire");
        assert!(wire == How::Trace || of.starts_with("e1000e"), "{of}");
        // veth asks for the softirq in the sender's own call; there is no interrupt and no GRO to be seen.
        let device = if of.starts_with("veth") { How::Unseen } else { How::Trace };
        for (name, wanted) in [("interrupt", device), ("softirq", How::Trace), ("GRO", device)] {
            assert_eq!(how(Near, Back, name), wanted, "{of} {name}");
        }
        // 5.10 has no sk_data_ready: IP and socket are one.
        let ready = if of.ends_with("5.10") { How::Unseen } else { How::Trace };
        let ip = stage(&d, Near, Back, "IP");
        assert_eq!(ip.how, ready, "{of}: {ip:#?}");
        let why = ip.why_unseen.as_deref().unwrap_or("sk_data_ready");
        assert!(why.contains("sk_data_ready"), "{of}: {why}");
        assert_eq!(d.not_seen.len(), usize::from(ready == How::Unseen), "{of}: {:?}", d.not_seen);
        let shares: f64 = d.stages.iter().filter_map(|s| s.share_p50_ratio).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{of}: {shares}");
        // A median needs twenty probes.
        assert_eq!(d.sum_ratio.is_some(), d.probes >= 20, "{of}: {}", d.probes);
        assert!((0.97..1.03).contains(&d.sum_ratio.unwrap_or(1.0)), "{of}: {:?}", d.sum_ratio);
    }
}

#[test]
fn a_cut_page_gives_what_lies_before_the_cut_and_is_said_to_be_garbled() {
    let of = "veth-6.18";
    let form = form(of);
    let pages = bytes(of, "cpu0.pages");
    let page = &pages[..form.length()];
    let mut whole = Vec::new();
    records(&form, page, &mut |at, payload| whole.push((at, payload.to_vec())));
    let length = 16 + usize::from(u16::from_ne_bytes([page[8], page[9]]));
    for cut in (0..length).step_by(37) {
        let mut seen = 0;
        let end = records(&form, &page[..cut], &mut |at, payload| {
            assert_eq!((at, payload), (whole[seen].0, whole[seen].1.as_slice()));
            seen += 1;
        });
        assert!(end.garbled, "{cut}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(mut page in proptest::collection::vec(any::<u8>(), 0..5000), length in 0u64..5000) {
        let (form, decoder) = (form("veth-6.18"), decoder("veth-6.18"));
        if page.len() >= 16 {
            // Most lengths would be refused at once.
            page[8..16].copy_from_slice(&length.to_ne_bytes());
        }
        let mut trace = Trace::default();
        trace.take(&form, &decoder, (0, false), &page);
        trace.sort();
        let flights = [Flight { sent: 1, received: u64::MAX, residence: None, far_stamps: None }];
        let _ = threads(&trace.events, &flights);
        let _ = join(&trace.events, &flights, &Threads::default());
    }

    #[test]
    fn any_flipped_byte_is_survived(at in 0usize..16_384, with in any::<u8>()) {
        let of = "e1000e-5.10";
        let (form, decoder) = (form(of), decoder(of));
        let near = ends(&self::trace(of)).0;
        let mut trace = Trace::default();
        for cpu in 0..2 {
            let mut pages = bytes(of, &format!("cpu{cpu}.pages"));
            pages[at] ^= with;
            trace.take(&form, &decoder, (cpu, false), &pages);
        }
        trace.sort();
        let Some(threads) = threads(&trace.events, &flights(&trace, near)) else { return Ok(()) };
        let (joined, _) = join(&trace.events, &flights(&trace, threads.near), &threads);
        for j in joined {
            prop_assert_eq!(j.lengths().iter().flatten().sum::<u64>(), j.rtt);
        }
    }
}
