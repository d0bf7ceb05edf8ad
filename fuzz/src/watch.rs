//! What `lowlat watch` reads: triggers, the heads of datagrams, the kernel's trace of drops and of packets of connections,
//! its list of functions, and stored documents.

use std::collections::BTreeSet;

use lowlat_model::stored::StoredRun;
use lowlat_sys::{Tapped, TappedDatagram};
use lowlat_trace::{AckDecoder, DROP_POINTS, DropDecoder, PageForm, functions};
use lowlat_watch::{Crossing, CrossingKind, Trigger, stalls};

use crate::byte;

/// The page of a real kernel.
const PAGE: (&str, &str) = (
    include_str!("../../fixtures/trace/veth-6.18/header_page"),
    include_str!("../../fixtures/trace/veth-6.18/header_event"),
);
/// The fields that are read of each trace point, as Linux 6.12 places them (include/trace/events/skb.h, udp.h, tcp.h).
const FREED: &str = "name: kfree_skb\nID: 1\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
    \tfield:void * location;\toffset:16;\tsize:8;\tsigned:0;\n\
    \tfield:enum skb_drop_reason reason;\toffset:28;\tsize:4;\tsigned:0;\n\
    print fmt: \"\", __print_symbolic(REC->reason, { 2, \"NOT_SPECIFIED\" })\n";
const REFUSED: &str = "name: udp_fail_queue_rcv_skb\nID: 2\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\t\
    signed:0;\n\tfield:__u16 dport;\toffset:14;\tsize:2;\tsigned:0;\n";
const ACKED: &str = "name: tcp_probe\nID: 3\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
    \tfield:__u16 sport;\toffset:8;\tsize:2;\tsigned:0;\n\tfield:__u16 dport;\toffset:10;\tsize:2;\tsigned:0;\n\
    \tfield:__u32 srtt;\toffset:12;\tsize:4;\tsigned:0;\n\tfield:__u64 sock_cookie;\toffset:16;\tsize:8;\tsigned:0;\n";

/// `what u8 | bytes`.
pub fn run(mut data: &[u8]) {
    match byte(&mut data) % 6 {
        0 => trigger(&String::from_utf8_lossy(data)),
        1 => pages(data),
        2 => formats(&String::from_utf8_lossy(data)),
        3 => heads(data),
        4 => crossings(data),
        _ => stored(data),
    }
}

/// What is read is printed, and read again as the same.
fn trigger(text: &str) {
    match text.parse::<Trigger>() {
        Ok(read) => {
            let printed = read.to_string();
            let again: Trigger = printed.parse().expect("its own text");
            assert_eq!(again.to_string(), printed);
        }
        Err(why) => assert!(!why.contains('\n'), "more than one line: {why:?}"),
    }
}

fn pages(data: &[u8]) {
    let form = PageForm::parse(PAGE.0, PAGE.1).expect("a real kernel's");
    let mut drops = DropDecoder::default();
    drops.learn(DROP_POINTS[0].1, FREED).expect("a known form");
    drops.learn(DROP_POINTS[1].1, REFUSED).expect("a known form");
    let mut found = Vec::new();
    drops.take(&form, 3, data, &mut found);
    // A drop has a port only where a refusal came before it, and each record takes four bytes at least.
    assert!(found.len() <= data.len() / 4 && found.iter().all(|d| d.cpu == 3));
    found.iter().for_each(|d| assert!(!drops.reason(d.reason).is_empty()));
    let mut acks = 0;
    AckDecoder::learn(ACKED).expect("a known form").take(&form, data, &mut |_| acks += 1);
    assert!(acks <= data.len() / 4);
}

/// The kernel's descriptions, and its list of functions.
fn formats(text: &str) {
    for point in DROP_POINTS {
        let _ = DropDecoder::default().learn(point.1, text);
    }
    let _ = AckDecoder::learn(text);
    let wanted = BTreeSet::from([1, 0x1023, 0xffff_ffff_8100_0123, u64::MAX]);
    let named = functions(text, &wanted);
    assert!(named.keys().all(|address| wanted.contains(address)));
}

/// `length of the control messages u8 | control messages | head of a packet`.
fn heads(mut data: &[u8]) {
    let length = usize::from(byte(&mut data)).min(data.len());
    let (control, head) = data.split_at(length);
    for six in [false, true] {
        for tapped in [Tapped::Udp, Tapped::Tcp] {
            let Some(found) = TappedDatagram::read(tapped, six, control, head) else { continue };
            assert!(found.from.is_ipv6() == six && found.bytes <= u32::from(u16::MAX));
        }
    }
}

/// Crossings of two bytes each: where it begins after the one before, and how long it is.
fn crossings(data: &[u8]) {
    let mut from = 0;
    let one = |pair: &[u8]| {
        from += u64::from(pair[0]);
        Crossing { from, to: from + u64::from(pair[1]), kind: CrossingKind::Gap, port: None }
    };
    let all: Vec<Crossing> = data.chunks_exact(2).map(one).collect();
    let (last, stalls) = (all.iter().map(|c| c.to).max(), stalls(all));
    assert!(stalls.windows(2).all(|w| w[0].to < w[1].from), "they overlap");
    assert_eq!(stalls.iter().map(|c| c.to).max(), last);
}

/// A stored document, with what follows from it.
fn stored(data: &[u8]) {
    if let Ok(StoredRun::Watch(mut document)) = StoredRun::parse(data) {
        lowlat_watch::conclude(&mut document);
        let mut again = document.clone();
        lowlat_watch::conclude(&mut again);
        assert!(again == document, "what follows from a document follows from it again");
    }
}
