//! What the fuzz targets reach of the parsers inside: bytes in, nothing out, never a panic.

use std::net::SocketAddr;

use crate::frame::Flow;

/// A frame as it came from the ring, for one flow. A payload must lie inside the frame, and a frame that the flow
/// itself wrote is not an answer of its far end.
pub fn frame(local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
    let Some(flow) = Flow::new(local, remote, [2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], 46) else { return };
    if let Ok(payload) = flow.payload(bytes) {
        assert!(bytes.as_ptr_range().contains(&payload.as_ptr()) || payload.is_empty());
        assert!(payload.len() + flow.header_len() <= bytes.len());
    }
    let mut room = vec![0; bytes.len() + flow.header_len()];
    if let Some(len) = flow.write(bytes, &mut room) {
        assert!(local == remote || flow.payload(&room[..len]).is_err());
        // Turned round, as the far end would answer.
        if let Some(back) = Flow::new(remote, local, [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1], 0)
            && let Some(len) = back.write(bytes, &mut room)
        {
            assert_eq!(flow.payload(&room[..len]).ok(), Some(bytes));
        }
    }
}
