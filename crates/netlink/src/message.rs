//! Messages: writing a request, reading a stream of replies.

use crate::Malformed;
use crate::attr::{Attrs, align, tail, u16_at, u32_at};

/// Length of `struct nlmsghdr`.
pub const HEADER: usize = 16;

/// `NLM_F_REQUEST`.
pub const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`.
pub const ACK: u16 = 0x4;
/// `NLM_F_DUMP`.
pub const DUMP: u16 = 0x300;
/// `NLM_F_REPLACE`.
pub const REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`.
pub const EXCL: u16 = 0x200;
/// `NLM_F_CREATE`.
pub const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`.
pub const APPEND: u16 = 0x800;

/// A request being written: netlink header, the protocol's fixed header, attributes.
///
/// An attribute that does not fit its 16-bit length marks the message; [`crate::socket::NetlinkSocket`] refuses to send it.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Message {
    /// A request of a type, with its fixed header.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(fixed);
        let mut m = Self { bytes, too_long: false };
        m.pad();
        m
    }

    fn pad(&mut self) {
        self.bytes.resize(align(self.bytes.len()), 0);
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attr(mut self, kind: u16, data: &[u8]) -> Self {
        let Ok(len) = u16::try_from(data.len() + 4) else {
            self.too_long = true;
            return self;
        };
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(data);
        self.pad();
        self
    }

    /// Adds a `u8`.
    #[must_use]
    pub fn u8(self, kind: u16, v: u8) -> Self {
        self.attr(kind, &[v])
    }

    /// Adds a native-endian `u32`.
    #[must_use]
    pub fn u32(self, kind: u16, v: u32) -> Self {
        self.attr(kind, &v.to_ne_bytes())
    }

    /// Adds a big-endian `u32`.
    #[must_use]
    pub fn be32(self, kind: u16, v: u32) -> Self {
        self.attr(kind, &v.to_be_bytes())
    }

    /// Adds text with its zero byte.
    #[must_use]
    pub fn text(self, kind: u16, v: &str) -> Self {
        let mut bytes = v.as_bytes().to_vec();
        bytes.push(0);
        self.attr(kind, &bytes)
    }

    /// Adds an attribute that holds the attributes `inside` writes, marked `NLA_F_NESTED`.
    #[must_use]
    pub fn nest(self, kind: u16, inside: impl FnOnce(Self) -> Self) -> Self {
        self.nest_after(kind, &[], inside)
    }

    /// As [`Message::nest`], with a fixed structure before the inner attributes.
    #[must_use]
    pub fn nest_after(mut self, kind: u16, fixed: &[u8], inside: impl FnOnce(Self) -> Self) -> Self {
        const NESTED: u16 = 0x8000;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(fixed);
        self.pad();
        let mut m = inside(self);
        let Ok(len) = u16::try_from(m.bytes.len() - start) else {
            m.too_long = true;
            return m;
        };
        if let Some(header) = m.bytes.get_mut(start..start + 4) {
            header[..2].copy_from_slice(&len.to_ne_bytes());
            header[2..].copy_from_slice(&(kind | NESTED).to_ne_bytes());
        }
        m
    }

    /// The bytes to send with a sequence number; `None` if an attribute did not fit.
    pub fn finish(mut self, seq: u32, extra_flags: u16) -> Option<Vec<u8>> {
        if self.too_long {
            return None;
        }
        let len = u32::try_from(self.bytes.len()).ok()?;
        self.bytes[..4].copy_from_slice(&len.to_ne_bytes());
        let flags = u16_at(&self.bytes, 6)? | extra_flags;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&seq.to_ne_bytes());
        Some(self.bytes)
    }

    /// The attributes written so far after a fixed header of `fixed` bytes, as bytes: for option encoders and tests.
    pub fn attr_bytes(&self, fixed: usize) -> &[u8] {
        tail(&self.bytes, HEADER + align(fixed))
    }
}

/// Writes a row of attributes alone, without a message around it.
pub fn attrs(write: impl FnOnce(Message) -> Message) -> Vec<u8> {
    write(Message::new(0, 0, &[])).attr_bytes(0).to_vec()
}

/// One received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedMessages<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`.
    pub seq: u32,
    /// After the header.
    pub payload: &'a [u8],
}

/// Splits one datagram into its messages.
pub fn split(mut bytes: &[u8]) -> Result<Vec<ReceivedMessages<'_>>, Malformed> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let (Some(len), Some(kind), Some(flags), Some(seq)) =
            (u32_at(bytes, 0), u16_at(bytes, 4), u16_at(bytes, 6), u32_at(bytes, 8))
        else {
            return Err(Malformed::new(format!("{} stray bytes where a message should begin", bytes.len())));
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let Some(payload) = bytes.get(HEADER..len) else {
            return Err(Malformed::new(format!("a message claims {len} of {} bytes", bytes.len())));
        };
        out.push(ReceivedMessages { kind, flags, seq, payload });
        bytes = tail(bytes, align(len));
    }
    Ok(out)
}

/// An acknowledgement: `NLMSG_ERROR`, or the status inside `NLMSG_DONE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Positive errno, 0 for success.
    pub errno: i32,
    /// `NLMSGERR_ATTR_MSG`; empty where the kernel gave none.
    pub extack: String,
}

/// Reads an acknowledgement's status. `done` reports `NLMSG_DONE`, which does not echo the request.
pub fn status(message: &ReceivedMessages<'_>, done: bool) -> Result<Status, Malformed> {
    const CAPPED: u16 = 0x100;
    const ACK_TLVS: u16 = 0x200;
    const ATTR_MSG: u16 = 1;
    // An NLMSG_DONE of an old kernel carries no status.
    if done && message.payload.is_empty() {
        return Ok(Status { errno: 0, extack: String::new() });
    }
    let Some(code) = u32_at(message.payload, 0) else {
        return Err(Malformed::new("an acknowledgement without its status"));
    };
    let errno = i32::from_ne_bytes(code.to_ne_bytes()).checked_neg().unwrap_or(i32::MAX);
    let mut extack = String::new();
    if message.flags & ACK_TLVS != 0 {
        let mut at = 4;
        if !done {
            // The request's header comes back, and unless capped the whole request.
            let request = u32_at(message.payload, 4).map_or(HEADER, |l| usize::try_from(l).unwrap_or(usize::MAX));
            at += if message.flags & CAPPED == 0 { align(request.min(message.payload.len())) } else { HEADER };
        }
        // The words only explain; garbled ones are not reason to lose the status.
        if let Ok(attrs) = Attrs::parse(tail(message.payload, at)) {
            extack = attrs.text(ATTR_MSG).unwrap_or_default();
        }
    }
    Ok(Status { errno, extack })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_datagram_is_refused_or_split(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(messages) = split(&bytes) {
                for m in messages {
                    let _ = (status(&m, false), status(&m, true));
                }
            }
        }

        #[test]
        fn what_is_written_is_read_back(kind in 1u16..100, data in proptest::collection::vec(any::<u8>(), 0..50)) {
            let bytes = Message::new(7, DUMP, &[1, 2, 3, 4])
                .attr(kind, &data)
                .nest(kind, |m| m.u32(1, 42).text(2, "eth0"))
                .finish(9, ACK)
                .unwrap();
            let messages = split(&bytes).unwrap();
            prop_assert_eq!(messages.len(), 1);
            prop_assert_eq!((messages[0].kind, messages[0].seq, messages[0].flags), (7, 9, DUMP | ACK | REQUEST));
            let attrs = Attrs::parse(&messages[0].payload[4..]).unwrap();
            let all: Vec<_> = attrs.iter().collect();
            prop_assert_eq!(all[0].data, &data[..]);
            prop_assert_eq!(all[1].nested().unwrap().u32(1), Some(42));
            prop_assert_eq!(all[1].nested().unwrap().text(2), Some("eth0".to_owned()));
        }
    }

    #[test]
    fn an_attribute_longer_than_its_length_field_is_not_sent() {
        assert!(Message::new(1, 0, &[]).attr(1, &vec![0; 70_000]).finish(1, 0).is_none());
    }
}
