//! Control messages next to a datagram or a transmit stamp.

use lowlat_transport::cmsg;

/// The control buffer.
pub fn run(data: &[u8]) {
    let count = cmsg::items(data).count();
    assert!(count <= data.len() / 16 + 1);
    for item in cmsg::items(data) {
        assert!(item.data.len() <= data.len());
    }
    let (kernel, hardware) = cmsg::receive_stamps(data);
    assert!(kernel != Some(0) && hardware != Some(0), "a stamp of zero is none");
    if let Some(error) = cmsg::path_error(data) {
        assert!(cmsg::transmit_stamp(data).is_none() || cmsg::items(data).count() > 1, "{error:?} is a stamp too");
    }
    let _ = (cmsg::transmit_stamp(data), cmsg::destination(data), cmsg::time_to_live(data));
}
