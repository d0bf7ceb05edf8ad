//! The messages between lowlat and `lowlat-dpdk`; `dpdk/lowlat-dpdk.c` has the other side. Pure.

use lowlat_transport::Ns;

/// Longest frame, bytes: a buffer of DPDK without its headroom.
pub(crate) const FRAME: usize = 1920;
/// Before the bytes of a request.
const REQUEST_HEAD: usize = 16;
/// Before the bytes of an answer.
const ANSWER_HEAD: usize = 24;
/// Longest message.
pub(crate) const LONGEST: usize = ANSWER_HEAD + FRAME;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// Send the frame, and wait so many ns for one that fits.
    Exchange(u64),
    /// Send the frame.
    Send,
    /// Wait for a frame until then.
    Receive(Ns),
    /// Wait for frames that fit: a pattern and a mask of the same length.
    Pattern,
    /// Answer ARP for an IPv4 address.
    Arp,
    /// From now on answer probes, as these bytes describe them.
    Answer,
    /// How many were answered.
    Count,
}

/// A request with its bytes.
pub(crate) fn write(request: Request, bytes: &[u8], out: &mut Vec<u8>) {
    let (op, ns) = match request {
        Request::Exchange(wait) => (b'X', wait),
        Request::Send => (b'S', 0),
        Request::Receive(until) => (b'R', until),
        Request::Pattern => (b'P', 0),
        Request::Arp => (b'A', 0),
        Request::Answer => (b'E', 0),
        Request::Count => (b'C', 0),
    };
    out.clear();
    out.extend([op, 0, 0, 0]);
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(ns.to_le_bytes());
    out.extend(bytes);
    debug_assert_eq!(out.len(), REQUEST_HEAD + bytes.len());
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Moved<'a> {
    /// The port is open.
    Ready {
        /// Its address.
        mac: [u8; 6],
        /// Its driver.
        driver: String,
    },
    /// A request was done.
    Frame {
        /// When the frame was sent, `CLOCK_MONOTONIC`; 0 where none was to be.
        sent: Ns,
        /// When one came, and its bytes.
        got: Option<(Ns, &'a [u8])>,
    },
    /// A request was not done.
    Failed(String),
}

/// Reads an answer; as text, why it is none. Looks at nothing outside `bytes`.
pub fn read(bytes: &[u8]) -> Result<Moved<'_>, String> {
    let garbled = || format!("a message of {} bytes that was never an answer", bytes.len());
    let Some((head, rest)) = bytes.split_first_chunk::<ANSWER_HEAD>() else { return Err(garbled()) };
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
    let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if usize::try_from(len) != Ok(rest.len()) || rest.len() > FRAME {
        return Err(garbled());
    }
    // Text of another program goes to a terminal.
    let text =
        |b: &[u8]| b.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '?' }).collect();
    match (head[0], head[1]) {
        (b'H', 1) => {
            let (mac, driver) = rest.split_first_chunk::<6>().ok_or_else(garbled)?;
            Ok(Moved::Ready { mac: *mac, driver: text(driver) })
        }
        (b'F', got @ (0 | 1)) => Ok(Moved::Frame { sent: number(8), got: (got == 1).then(|| (number(16), rest)) }),
        (b'E', _) => Ok(Moved::Failed(text(rest))),
        _ => Err(garbled()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(kind: u8, got: u8, bytes: &[u8]) -> Vec<u8> {
        let mut m = vec![kind, got, 0, 0];
        m.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        m.extend(7u64.to_le_bytes());
        m.extend(9u64.to_le_bytes());
        m.extend(bytes);
        m
    }

    #[test]
    fn answers_are_read_unchanged() {
        assert_eq!(
            read(&answer(b'H', 1, b"\x01\x02\x03\x04\x05\x06net_tap")),
            Ok(Moved::Ready { mac: [1, 2, 3, 4, 5, 6], driver: "net_tap".into() })
        );
        assert_eq!(read(&answer(b'F', 1, b"abc")), Ok(Moved::Frame { sent: 7, got: Some((9, b"abc")) }));
        assert_eq!(read(&answer(b'F', 0, b"")), Ok(Moved::Frame { sent: 7, got: None }));
        assert_eq!(read(&answer(b'E', 0, b"no\x1b[2J")), Ok(Moved::Failed("no?[2J".into())));
        let mut long = answer(b'F', 1, b"abc");
        long.push(0);
        for bad in [&long[..], &answer(b'F', 2, b""), &answer(b'H', 1, b"short"), b"", &answer(b'?', 0, b"")] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..2100)) {
            if let Ok(Moved::Frame { got: Some((_, frame)), .. }) = read(&bytes) {
                prop_assert!(frame.len() <= FRAME);
            }
        }

        #[test]
        fn any_head_with_the_right_length_too(kind in any::<u8>(), got in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&answer(kind, got, &body));
        }
    }
}
