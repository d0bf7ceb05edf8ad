//! One datagram to the far end's real handler, over a real socket. See [`lowlat_peers::serve::testing::datagram`].

/// `protocol u8 | message`.
pub fn run(data: &[u8]) {
    lowlat_peers::serve::testing::datagram(data);
}
