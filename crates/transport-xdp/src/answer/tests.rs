//! On the kernel's own verifier and runner (`BPF_PROG_TEST_RUN`), without an interface. These need root.

use super::*;
use crate::bpf::{self, Counter};
use crate::frame::Flow;

const WIRE: Wire =
    Wire { magic: *b"LwLt", probe: [1, 0, 0, 0], answer: [1, 1, 0, 0], length_at: 8, stamps_at: 32, shortest: 48 };
const NEAR: Mac = [2, 0, 0, 0, 0, 1];
const FAR: Mac = [2, 0, 0, 0, 0, 2];
const ENDS: [[&str; 2]; 2] = [["10.1.2.3:40000", "10.1.2.4:8620"], ["[fd00::3]:40000", "[fd00::4]:8620"]];

fn root() -> bool {
    match bpf::xskmap(1) {
        Ok(_) => true,
        Err(e) if std::env::var_os("LOWLAT_REQUIRE_ROOT").is_some() => panic!("needs root: {e}"),
        Err(e) => {
            eprintln!("NOT RUN: {e}");
            false
        }
    }
}

fn ends(i: usize) -> (SocketAddr, SocketAddr) {
    (ENDS[i][0].parse().unwrap(), ENDS[i][1].parse().unwrap())
}

fn message(len: usize) -> Vec<u8> {
    let mut m = vec![0x5a; len];
    m[..4].copy_from_slice(&WIRE.magic);
    m[4..8].copy_from_slice(&WIRE.probe);
    m[8..12].copy_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
    m
}

fn frame(from: SocketAddr, to: SocketAddr, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 2048];
    let len = Flow::new(from, to, NEAR, FAR, 0).unwrap().write(message, &mut frame).unwrap();
    frame.truncate(len);
    frame
}

/// Of `program`: what became of a packet.
struct Run {
    program: std::os::fd::OwnedFd,
    counter: Counter,
}

impl Run {
    fn new(to: &[SocketAddr], from: &[Range]) -> Self {
        let counter = Counter::new().unwrap();
        let answers = Answers { to: to.to_vec(), from: from.to_vec(), wire: WIRE };
        let program = bpf::load(&program(&answers, FAR, counter.fd()).unwrap(), "test").unwrap();
        Self { program, counter }
    }

    fn of(&self, frame: &[u8]) -> (u32, Vec<u8>) {
        bpf::test_run(&self.program, frame).unwrap()
    }

    fn passes(&self, frame: &[u8], why: &str) {
        let (verdict, after) = self.of(frame);
        assert_eq!(verdict, Action::Pass as u32, "{why}");
        assert_eq!(after, frame, "{why}: changed");
    }
}

fn both() -> Vec<SocketAddr> {
    vec![ends(0).1, ends(1).1]
}

#[test]
fn a_probe_comes_back_stamped_as_long_as_it_was_and_with_a_right_checksum() {
    if !root() {
        return;
    }
    let run = Run::new(&both(), &[]);
    let mut answered = 0;
    for i in 0..2 {
        let (near, far) = ends(i);
        for len in [48, 49, 64, 100, 1400] {
            let sent = message(len);
            let before = lowlat_transport::clock::kernel();
            let (verdict, back) = run.of(&frame(near, far, &sent));
            let after = lowlat_transport::clock::kernel();
            assert_eq!(verdict, Action::Tx as u32);
            answered += 1;
            assert_eq!(run.counter.read(), answered);
            assert_eq!((&back[..6], &back[6..12]), (&NEAR[..], &FAR[..]));
            let got = Flow::new(near, far, NEAR, FAR, 0).unwrap().payload(&back).unwrap().to_vec();
            assert_eq!(got.len(), len);
            let stamp = |at: usize| u64::from_le_bytes(got[at..at + 8].try_into().unwrap());
            assert!([before, stamp(32), stamp(40), after].is_sorted(), "{before} {} {} {after}", stamp(32), stamp(40));
            let mut want = sent;
            want[5] = 1;
            want[32..48].copy_from_slice(&got[32..48]);
            assert_eq!(got, want);
            run.passes(&back, "an answer is not a probe, whoever gets it");
        }
        // IPv4 may go without a checksum, and then the answer does too.
        if i == 0 {
            let mut bare = frame(near, far, &message(64));
            bare[40..42].fill(0);
            let (verdict, back) = run.of(&bare);
            assert_eq!((verdict, &back[40..42]), (Action::Tx as u32, &[0u8, 0][..]));
            answered += 1;
        }
        // What was damaged on the way stays so.
        let mut damaged = frame(near, far, &message(64));
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        let (_, back) = run.of(&damaged);
        answered += 1;
        assert!(Flow::new(near, far, NEAR, FAR, 0).unwrap().payload(&back).is_err());
    }
}

#[test]
fn whatever_is_not_a_clean_probe_to_us_passes_untouched() {
    if !root() {
        return;
    }
    let run = Run::new(&both(), &[]);
    for i in 0..2 {
        let (near, far) = ends(i);
        let good = frame(near, far, &message(64));
        let payload = good.len() - 64;
        // Each bit of: destination MAC, the multicast bit of the source's, type to ports but for what a sender may
        // choose, UDP length, the message's first twelve bytes.
        let free: &[std::ops::Range<usize>] =
            if i == 0 { &[15..16, 18..20, 22..23, 24..30] } else { &[14..18, 21..38] };
        let ports = payload - 8;
        for at in (0..6).chain(12..ports).chain(ports + 2..ports + 6).chain(payload..payload + 12) {
            if free.iter().any(|f| f.contains(&at)) {
                continue;
            }
            for bit in 0..8 {
                let mut changed = good.clone();
                changed[at] ^= 1 << bit;
                if i == 0 && at == 20 && bit >= 6 {
                    continue; // don't-fragment and the reserved flag
                }
                run.passes(&changed, &format!("family {i}, byte {at}, bit {bit}"));
            }
        }
        let changed = |at: usize, to: &[u8], why: &str| {
            let mut f = good.clone();
            f[at..at + to.len()].copy_from_slice(to);
            run.passes(&f, why);
        };
        changed(6, &[3], "from a multicast MAC address");
        changed(ports, &[0, 0], "from port 0");
        changed(ports, &8620u16.to_be_bytes(), "from our own port");
        let sources: &[&[u8]] = if i == 0 {
            &[&[0], &[127], &[224], &[255, 255, 255, 255]]
        } else {
            &[&[0xff], &[0; 16], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3]]
        };
        for source in sources {
            changed(if i == 0 { 26 } else { 22 }, source, "from nobody that can be answered");
        }
        if i == 1 {
            changed(ports + 6, &[0, 0], "IPv6 without a checksum");
        }
        for cut in [0, 14, 34, 42, payload, payload + 47, good.len() - 1] {
            if cut >= 14 {
                run.passes(&good[..cut], "cut short");
            }
        }
        let mut padded = good.clone();
        padded.push(0);
        run.passes(&padded, "bytes behind the packet");
        let mut short = message(64);
        short[8] = 63;
        run.passes(&frame(near, far, &short), "a message shorter than the datagram");
        let mut other = far;
        other.set_port(8621);
        run.passes(&frame(near, other, &message(64)), "another port");
    }
    assert_eq!(run.counter.read(), 0);
}

#[test]
fn only_allowed_sources_are_answered() {
    if !root() {
        return;
    }
    let range = |ip: &str, prefix| Range { ip: ip.parse().unwrap(), prefix };
    let all = [range("10.9.0.0", 16), range("10.1.2.3", 32), range("fd00::", 60), range("fd01:2:3:4:5::", 80)];
    let run = Run::new(&both(), &all);
    let verdict = |from: &str| {
        let from: SocketAddr = from.parse().unwrap();
        run.of(&frame(from, if from.is_ipv4() { ends(0).1 } else { ends(1).1 }, &message(64))).0
    };
    for yes in ["10.9.255.1:9", "10.1.2.3:9", "[fd00:0:0:f::1]:9", "[fd01:2:3:4:5:6::]:9"] {
        assert_eq!(verdict(yes), Action::Tx as u32, "{yes}");
    }
    for no in ["10.8.0.1:9", "10.1.2.4:9", "[fd00:0:0:10::1]:9", "[fd01:2:3:4:6::]:9"] {
        assert_eq!(verdict(no), Action::Pass as u32, "{no}");
    }
    // A family that nobody is allowed from is left out, and a range of all takes all.
    let run = Run::new(&both(), &[range("0.0.0.0", 0)]);
    assert_eq!(run.of(&frame(ends(0).0, ends(0).1, &message(64))).0, Action::Tx as u32);
    run.passes(&frame(ends(1).0, ends(1).1, &message(64)), "no IPv6 source is allowed");
    assert!(program(&Answers { to: vec![ends(0).1; MOST + 1], from: vec![], wire: WIRE }, FAR, 0).is_err());
    let full = vec![ends(1).1; MOST];
    let _ = Run::new(&full, &vec![range("fd00::", 60); MOST]);
}
