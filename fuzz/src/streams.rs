//! One TCP connection to the far end's real handler, its bytes in pieces. See [`lowlat_peers::serve::testing::stream`].

/// `protocol u8 | piece u8 | bytes`.
pub fn run(data: &[u8]) {
    lowlat_peers::serve::testing::stream(data);
}
