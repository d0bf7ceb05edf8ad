//! The far-end protocols, near and far side: raw bytes, and sound messages with some bytes changed on each way.

use lowlat_peers::lowlat::LowlatReflector;
use lowlat_peers::serve::{Arrival, Reflection, Reflector};
use lowlat_peers::sockperf::SockperfReflector;
use lowlat_peers::stamp::StampReflector;
use lowlat_peers::{Decoded, Key, PEERS, PeerOptions};

use crate::byte;

/// `peer and key u8 | length u8 | bytes`: the bytes unchanged, then laid over a probe, then over its answer.
pub fn run(mut data: &[u8]) {
    let which = byte(&mut data);
    let extra = usize::from(byte(&mut data));
    let key = if which & 0x80 == 0 { None } else { Key::new(b"a key of the fuzz targets") };
    let entry = &PEERS[usize::from(which & 0x7f) % PEERS.len()];
    let mut peer = (entry.make)(&PeerOptions { key: key.clone(), message_len: 1500, ..PeerOptions::default() });
    let framing = peer.framing();
    let (least, most) = peer.message_sizes();
    let mut reflector: Box<dyn Reflector> = match entry.name {
        "lowlat" => Box::new(LowlatReflector::new(key.clone())),
        "stamp" => Box::new(StampReflector::new(key.clone())),
        "sockperf" => Box::new(SockperfReflector),
        // Answered by the kernel and by stock servers: there is the near side alone.
        _ => {
            let _ = (framing(data), peer.decode(data));
            return;
        }
    };

    let _ = framing(data);
    let raw = peer.decode(data);
    // A session number or a tag that was guessed would be luck beyond any run; sockperf has neither.
    assert!(entry.name == "sockperf" || matches!(raw, Decoded::Foreign(_)), "{}: {raw:?}", entry.name);
    reflect(reflector.as_mut(), &mut data.to_vec());

    let mut probe = vec![0; least.saturating_add(extra).min(most)];
    peer.encode(7, 1, &mut probe);
    let mut sound = probe.clone();
    let answered = reflect(reflector.as_mut(), &mut sound);
    assert_eq!(answered, Some(probe.len()), "{}: a sound probe was not answered", entry.name);
    assert!(matches!(peer.decode(&sound), Decoded::Reply { seq: 7, .. }), "{}", entry.name);

    let changed = lay_over(&mut probe, data);
    let length = reflect(reflector.as_mut(), &mut probe);
    let sealed = match entry.name {
        "lowlat" => probe.len(),
        "stamp" => 112, // what is behind the base packet has no tag (RFC 8762 §4.4)
        _ => 0,
    };
    if key.is_some() && changed.is_some_and(|at| at < sealed) {
        assert_eq!(length, None, "{}: a changed probe passed its key", entry.name);
    }
    let _ = peer.decode(&probe);

    let changed = lay_over(&mut sound, data);
    let decoded = peer.decode(&sound);
    if key.is_some() && changed.is_some_and(|at| at < sealed) {
        assert!(matches!(decoded, Decoded::Foreign(_)), "{}: a changed answer passed its key", entry.name);
    }
}

/// Length of the answer, which lies in `message` then.
fn reflect(reflector: &mut dyn Reflector, message: &mut [u8]) -> Option<usize> {
    let _ = reflector.framing()(message);
    let arrival = Arrival { at: lowlat_transport::clock::now(), ttl: Some(64), kernel: None };
    match reflector.reflect(message, &arrival) {
        Reflection::Reply(n) => {
            assert!(n <= message.len(), "an answer longer than its question");
            // What it sent is no question: two far ends must not answer each other.
            if reflector.name() != "stamp" {
                let again = reflector.reflect(&mut message[..n].to_vec(), &arrival);
                assert!(!matches!(again, Reflection::Reply(_)), "{}: an answer was answered", reflector.name());
            }
            Some(n)
        }
        Reflection::Ignore(_) | Reflection::Sink => None,
    }
}

/// Where the first byte changed.
fn lay_over(message: &mut [u8], by: &[u8]) -> Option<usize> {
    for (to, by) in message.iter_mut().zip(by) {
        *to ^= by;
    }
    by.iter().take(message.len()).position(|b| *b != 0)
}
