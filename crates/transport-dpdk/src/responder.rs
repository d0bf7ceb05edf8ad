//! A far end behind a port of DPDK: the child answers probes itself; here it is started, asked and ended.

use std::net::{IpAddr, SocketAddr, SocketAddrV4, UdpSocket};

use lowlat_netlink::route::link;
use lowlat_transport::EngineError;
use lowlat_transport_xdp::Wire;

use crate::child::{self, Mover};
use crate::engine::{may_take_all, unavailable};
use crate::port::{Port, PortKind};
use crate::wire::Request;

/// A running one. Dropping it, or the end of this process, ends the child and takes its port.
#[derive(Debug)]
pub struct DpdkResponder {
    mover: Mover,
    /// Where the child has attached an XDP program, and the kernel's number of it.
    xdp: Option<(String, u32)>,
    words: String,
}

impl DpdkResponder {
    /// Answers at `to` the probes that `wire` describes, through a port; one on an interface of the kernel is on `iface`, where its
    /// own name has none. `reached_by`: why all packets of an interface may not be taken from the kernel.
    ///
    /// # Errors
    /// There is no program or no such port, the interface is needed or taken, or the kernel has the address too.
    pub fn open(
        port: Port,
        iface: Option<&str>,
        to: SocketAddrV4,
        wire: &Wire,
        reached_by: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, EngineError> {
        let what = format!("answer {to} by port {}", port.name);
        child::program(&what)?;
        let described = described(to, wire)
            .ok_or_else(|| unavailable(&what, "its messages hold their fields elsewhere", "report this as a bug"))?;
        let port = match (port.on_interface(), iface) {
            (true, Some(iface)) => port.on(iface),
            (true, None) if port.iface().is_none() => {
                return Err(unavailable(&what, "the interface of the port is missing", "give --iface IF"));
            }
            _ => port,
        };
        let on = port.iface().map(str::to_owned);
        let found = on.as_deref().map(|name| link::named(name).ok().flatten().ok_or(name));
        let link = match found.transpose() {
            Ok(link) => link,
            Err(name) => return Err(unavailable(&what, format!("there is no interface {name}"), "see `ip link`")),
        };
        if port.kind == PortKind::AfPacket && UdpSocket::bind(SocketAddr::new(IpAddr::V4(*to.ip()), 0)).is_ok() {
            let why = format!("the kernel has {} too and would refuse each probe", to.ip());
            return Err(unavailable(&what, why, "give an address of the subnet that no host has with --dpdk-address"));
        }
        let takes_all = port.kind == PortKind::AfXdp;
        if let Some(link) = link.as_ref().filter(|_| takes_all) {
            may_take_all(&what, link, reached_by)?;
        }
        let mut mover = Mover::start(&port, &what)?;
        let program = |name: &String| Some((name.clone(), link::named(name).ok().flatten()?.xdp_program?));
        let xdp = on.as_ref().filter(|_| takes_all).and_then(program);
        let words = format!("DPDK {} on {}", mover.driver, port.name);
        // Dropped with its program, whatever fails now.
        let refused = |why: String| unavailable(&what, why, "build lowlat-dpdk again with scripts/dpdk");
        let asked = mover
            .ask(Request::Arp, &to.ip().octets(), 0)
            .map(drop)
            .and_then(|()| mover.ask(Request::Answer, &described, 0).map(drop));
        let out = Self { mover, xdp, words };
        asked.map(|()| out).map_err(refused)
    }

    /// What it is on this host.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Probes answered so far.
    ///
    /// # Errors
    /// The child has ended.
    pub fn answered(&mut self) -> Result<u64, EngineError> {
        let asked = self.mover.ask(Request::Count, &[], 0).map(|(count, _)| count);
        asked.map_err(|why| EngineError::Unreachable {
            what: format!("answer by {}", self.words),
            why,
            next: "start lowlat serve again".to_owned(),
        })
    }
}

impl Drop for DpdkResponder {
    fn drop(&mut self) {
        // A child that was killed could not take its program off.
        if self.mover.end().is_none()
            && let Some((iface, program)) = &self.xdp
        {
            let _ = link::detach_xdp(iface, *program);
        }
    }
}

/// `struct far_end` of dpdk/lowlat-dpdk.c; `None` where an offset does not fit in.
fn described(to: SocketAddrV4, wire: &Wire) -> Option<Vec<u8>> {
    let mut out = to.ip().octets().to_vec();
    out.extend(to.port().to_be_bytes());
    for offset in [wire.length_at, wire.stamps_at, wire.shortest] {
        out.push(u8::try_from(offset).ok()?);
    }
    out.push(0);
    out.extend([wire.magic, wire.probe, wire.answer].concat());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_end_is_described_as_the_c_program_reads_it() {
        let wire = Wire {
            magic: *b"MAGI",
            probe: [1, 0, 0, 0],
            answer: [1, 2, 0, 0],
            length_at: 8,
            stamps_at: 32,
            shortest: 48,
        };
        let bytes = described("192.0.2.7:8620".parse().unwrap(), &wire).unwrap();
        assert_eq!(bytes[..10], [192, 0, 2, 7, 0x21, 0xac, 8, 32, 48, 0]);
        assert_eq!(bytes[10..], *b"MAGI\x01\0\0\0\x01\x02\0\0");
        assert_eq!(described("192.0.2.7:1".parse().unwrap(), &Wire { stamps_at: 300, ..wire }), None);
    }
}
