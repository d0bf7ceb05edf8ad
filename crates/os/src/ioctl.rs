//! The ioctls of network interfaces and of PTP clocks that no netlink message and no file replaces.
#![allow(unsafe_code)] // ioctl, with structures of <linux/ethtool.h>, <linux/net_tstamp.h> and <linux/ptp_clock.h>

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use crate::check_int;

/// Which request to an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoctlRequest {
    /// `SIOCETHTOOL`: its command is the first number of the data.
    Ethtool,
    /// `SIOCGHWTSTAMP`.
    Timestamping,
    /// `SIOCSHWTSTAMP`.
    SetTimestamping,
}

/// `struct ifreq` with a pointer in its union.
#[repr(C)]
struct IfReq {
    name: [u8; 16],
    data: *mut u8,
    rest: [u8; 16],
}

/// Room for the most that a request writes, whatever the driver: 65 536 names of 32 bytes and a header. Some commands
/// write as much as the driver has and not as much as was asked for (net/ethtool/ioctl.c, `ethtool_get_strings`).
/// Untouched memory of this size costs nothing.
const ROOM: usize = (2 << 20) + 4096;

/// Asks interface `name` of the calling thread's network namespace; `data` goes there and what comes back stands in it.
/// `EINVAL` for a name longer than 15 bytes, and for data longer than any request's.
pub fn interface(name: &str, request: IoctlRequest, data: &mut [u8]) -> io::Result<()> {
    let number: libc::c_ulong = match request {
        IoctlRequest::Ethtool => 0x8946,
        IoctlRequest::SetTimestamping => 0x89b0,
        IoctlRequest::Timestamping => 0x89b1,
    };
    let mut room = vec![0u8; ROOM];
    let mut block = IfReq { name: [0; 16], data: room.as_mut_ptr(), rest: [0; 16] };
    // 15 bytes and a zero (IFNAMSIZ).
    if name.len() >= block.name.len() || data.len() > ROOM {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    block.name[..name.len()].copy_from_slice(name.as_bytes());
    room[..data.len()].copy_from_slice(data);
    // Any socket of the namespace will do.
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    // SAFETY: `block` has the layout of struct ifreq on 64-bit Linux and points to `room`, which outlives the call and
    // is longer than the kernel reads or writes for any of these requests.
    check_int(unsafe { libc::ioctl(socket.as_raw_fd(), number as _, &raw mut block) })?;
    data.copy_from_slice(&room[..data.len()]);
    Ok(())
}

/// Ten readings of a PTP clock, each between two of `CLOCK_REALTIME`: ns of the system's clock before, of the PTP
/// clock, of the system's clock after (`PTP_SYS_OFFSET_EXTENDED`, Linux 5.0; its driver reads them as close as it can).
pub fn ptp_readings(device: BorrowedFd<'_>) -> io::Result<Vec<[i128; 3]>> {
    const READINGS: u32 = 10;
    // SAFETY: plain data for which all zeroes is a value; it is of the type that this request is defined with, which
    // only reads clocks, and outlives the call.
    let (reported, request) = unsafe {
        let mut request: libc::ptp_sys_offset_extended = std::mem::zeroed();
        request.n_samples = READINGS;
        (libc::ioctl(device.as_raw_fd(), libc::PTP_SYS_OFFSET_EXTENDED, &raw mut request), request)
    };
    check_int(reported)?;
    let ns = |t: &libc::ptp_clock_time| i128::from(t.sec) * 1_000_000_000 + i128::from(t.nsec);
    Ok(request.ts.iter().take(READINGS as usize).map(|[before, phc, after]| [ns(before), ns(phc), ns(after)]).collect())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn what_is_asked_comes_back_or_is_refused() {
        // ETHTOOL_GLINK: command, answer.
        let mut data = [0; 8];
        data[0] = 0x0a;
        interface("lo", IoctlRequest::Ethtool, &mut data).unwrap();
        assert_eq!(data[4], 1, "loopback always has a link");
        let errno =
            |name: &str, data: &mut [u8]| interface(name, IoctlRequest::Ethtool, data).unwrap_err().raw_os_error();
        assert_eq!(errno("no-such-if", &mut data), Some(libc::ENODEV));
        assert_eq!(errno("a-name-of-16-byt", &mut data), Some(libc::EINVAL));
        assert_eq!(errno("lo", &mut vec![0; ROOM + 1]), Some(libc::EINVAL));
        let plain = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(ptp_readings(plain.as_fd()).unwrap_err().raw_os_error(), Some(libc::ENOTTY));
    }
}
