//! What raw and ping sockets deliver: echo replies, and whatever else looks like one.

use lowlat_transport::icmp::{checksum, reply_payload};

use crate::byte;

/// `kind u8 | packet`.
pub fn run(mut data: &[u8]) {
    let kind = byte(&mut data);
    let (v6, with_ip, checked) = (kind & 1 != 0, kind & 2 != 0, kind & 4 != 0);
    let id = checked.then_some(0x1234);
    if let Some(range) = reply_payload(data, v6, with_ip, id) {
        let payload = data.get(range.clone());
        assert!(payload.is_some(), "{range:?} of {}", data.len());
        let header = range.start - 8;
        assert!(data[header] == if v6 { 129 } else { 0 });
    }
    // A packet that carries its own sum sums to nothing (RFC 1071 §1).
    let mut even = data[..data.len() & !1].to_vec();
    even.extend(checksum(&even).to_be_bytes());
    assert_eq!(checksum(&even), 0);
}
