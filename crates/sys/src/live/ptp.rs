//! Clock synchronization by PTP, as the host has it now: hardware clocks against the system's, and what ptp4l says.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use lowlat_model::conditions::{HardwareClock, Ptp, Ptp4l};

use super::{Live, os};
use crate::Sys as _;

/// ptp4l's sockets for questions: the read-only one (linuxptp 4.0) and the other (ptp4l(8), uds_ro_address and
/// uds_address).
const SOCKETS: [&str; 2] = ["/var/run/ptp4lro", "/var/run/ptp4l"];
/// It answers from its own loop, within a packet's time.
const PATIENCE: Duration = Duration::from_millis(200);

/// IEEE 1588-2019 table 59 and linuxptp's own (tlv.h): what is asked for.
const PORT_DATA_SET: u16 = 0x2004;
const TIME_STATUS_NP: u16 = 0xc000;

/// All of it.
pub(super) fn state() -> Ptp {
    let names = Live::new().list("/dev").into_value().unwrap_or_default();
    let clocks = names.into_iter().filter_map(|name| {
        let is_clock = name.strip_prefix("ptp").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        is_clock.then(|| match os::phc_offset(&format!("/dev/{name}")) {
            Ok((offset_ns, error_ns)) => {
                HardwareClock { name, offset_ns: Some(offset_ns), error_ns: Some(error_ns), why_not: None }
            }
            Err(e) => HardwareClock { name, offset_ns: None, error_ns: None, why_not: Some(e.to_string()) },
        })
    });
    let (ptp4l, ptp4l_why_not) = match ask_ptp4l() {
        Ok(found) => (Some(found), None),
        Err(why) => (None, Some(why)),
    };
    Ptp { clocks: clocks.collect(), ptp4l, ptp4l_why_not }
}

fn ask_ptp4l() -> Result<Ptp4l, String> {
    let Some(path) = SOCKETS.iter().find(|p| Path::new(p).exists()) else {
        return Err(format!("absent: no {}: ptp4l does not run here", SOCKETS[1]));
    };
    let asking = |e: std::io::Error| format!("ask ptp4l at {path}: {e}");
    // An abstract name, so that nothing is left in the file system; it ends with the socket.
    let name = SocketAddr::from_abstract_name(format!("lowlat-ptp-{}", std::process::id())).map_err(asking)?;
    let socket = UnixDatagram::bind_addr(&name).map_err(asking)?;
    socket.connect(path).map_err(asking)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(asking)?;
    let ask = |id: u16| -> Result<Vec<u8>, String> {
        socket.send(&get(id)).map_err(asking)?;
        let mut room = [0u8; 1500];
        // Other answers may stand in front of ours.
        for _ in 0..8 {
            let len = socket.recv(&mut room).map_err(asking)?;
            if let Some(data) = answer(&room[..len], id) {
                return Ok(data.to_vec());
            }
        }
        Err(format!("garbled: ptp4l at {path} gives no answer to {id:#x}"))
    };
    let garbled = || format!("garbled: ptp4l's answer at {path} is too short");
    let state = port_state(&ask(PORT_DATA_SET)?).ok_or_else(garbled)?;
    let (offset_from_master_ns, master) = time_status(&ask(TIME_STATUS_NP)?).ok_or_else(garbled)?;
    Ok(Ptp4l { state: state.to_owned(), offset_from_master_ns, master })
}

/// A GET of one data set from every port of domain 0 (IEEE 1588-2019 §13.3, §15.4): header, target, action, empty TLV.
fn get(id: u16) -> [u8; 54] {
    let mut m = [0u8; 54];
    m[0] = 0x0d; // management
    m[1] = 0x02; // version 2
    m[3] = 54;
    // The asker's port number tells askers apart; pmc uses its process id too.
    let [a, b, ..] = std::process::id().to_le_bytes();
    m[28..30].copy_from_slice(&[a, b]);
    m[32] = 4; // control field of management
    m[33] = 0x7f;
    m[34..44].fill(0xff); // every clock, every port
    m[49] = 1; // TLV MANAGEMENT
    m[51] = 2; // its length: the id alone
    m[52..54].copy_from_slice(&id.to_be_bytes());
    m
}

/// The data of a RESPONSE to a GET of `id`.
fn answer(m: &[u8], id: u16) -> Option<&[u8]> {
    let be16 = |at: usize| Some(u16::from_be_bytes(m.get(at..at + 2)?.try_into().ok()?));
    let ours = m.first()? & 0x0f == 0x0d && m.get(46)? & 0x0f == 2 && be16(48)? == 1 && be16(52)? == id;
    let len = usize::from(be16(50)?).checked_sub(2)?;
    ours.then(|| m.get(54..54 + len)).flatten()
}

/// IEEE 1588-2019 table 20.
fn port_state(data: &[u8]) -> Option<&'static str> {
    Some(match data.get(10)? {
        1 => "INITIALIZING",
        2 => "FAULTY",
        3 => "DISABLED",
        4 => "LISTENING",
        5 => "PRE_MASTER",
        6 => "MASTER",
        7 => "PASSIVE",
        8 => "UNCALIBRATED",
        9 => "SLAVE",
        _ => "unknown",
    })
}

/// linuxptp's `struct time_status_np` (tlv.h): offset from the master, and the master if there is one.
fn time_status(data: &[u8]) -> Option<(i64, Option<String>)> {
    let offset = i64::from_be_bytes(data.get(..8)?.try_into().ok()?);
    let present = i32::from_be_bytes(data.get(38..42)?.try_into().ok()?) != 0;
    let id: String = data.get(42..50)?.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":");
    Some((offset, present.then_some(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_others_are_not() {
        let mut m = get(TIME_STATUS_NP).to_vec();
        assert_eq!(answer(&m, TIME_STATUS_NP), None, "a question");
        m[46] = 2;
        m[51] = 52;
        m.extend((-12i64).to_be_bytes());
        m.extend([0; 30]);
        m.extend(1i32.to_be_bytes());
        m.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        let data = answer(&m, TIME_STATUS_NP).unwrap();
        assert_eq!(time_status(data), Some((-12, Some("01:02:03:04:05:06:07:08".to_owned()))));
        assert_eq!(answer(&m, PORT_DATA_SET), None);
        assert_eq!(answer(&m[..80], TIME_STATUS_NP), None, "cut short");
        assert_eq!(port_state(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9]), Some("SLAVE"));
        assert_eq!((port_state(&[]), time_status(&[0; 20])), (None, None));
        for len in 0..m.len() {
            let _ = answer(&m[..len], TIME_STATUS_NP);
        }
    }
}
