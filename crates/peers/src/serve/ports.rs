//! What is served, and the ports that it is bound to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use lowlat_transport::{Proto, os};

use super::{Bound, Desk, ServeConfig, ServeError};
use crate::Key;
use crate::lowlat::LowlatReflector;
use crate::reflector::Reflector;
use crate::sockperf::SockperfReflector;
use crate::stamp::StampReflector;

/// A protocol to serve.
pub(super) struct Service {
    pub(super) name: &'static str,
    port: u16,
    udp: bool,
    tcp: bool,
    pub(super) make: fn(Option<Key>, &Arc<Desk>) -> Box<dyn Reflector>,
}

pub(super) fn services(config: &ServeConfig) -> Result<Vec<Service>, ServeError> {
    let mut list = Vec::new();
    if let Some(port) = config.port {
        let make =
            |key, desk: &Arc<Desk>| -> Box<dyn Reflector> { Box::new(LowlatReflector::with_desk(key, desk.clone())) };
        list.push(Service { name: "lowlat", port, udp: true, tcp: true, make });
    }
    if let Some(port) = config.sockperf {
        if config.key.is_some() {
            return Err(ServeError::Config(
                "sockperf clients cannot carry a key's tag; leave out either the key or sockperf".to_owned(),
            ));
        }
        list.push(Service { name: "sockperf", port, udp: true, tcp: true, make: |_, _| Box::new(SockperfReflector) });
    }
    if let Some(port) = config.stamp {
        let make = |key, _: &Arc<Desk>| -> Box<dyn Reflector> { Box::new(StampReflector::new(key)) };
        list.push(Service { name: "stamp", port, udp: true, tcp: false, make });
    }
    Ok(list)
}

/// The addresses to bind, and whether each stands for its whole family.
pub(super) fn addresses(config: &ServeConfig) -> Vec<(IpAddr, bool)> {
    if config.bind.is_empty() {
        return vec![(IpAddr::V4(Ipv4Addr::UNSPECIFIED), true), (IpAddr::V6(Ipv6Addr::UNSPECIFIED), true)];
    }
    config.bind.iter().map(|ip| (*ip, false)).collect()
}

/// A service's sockets on one address.
pub(super) struct Pair {
    pub(super) udp: Option<(OwnedFd, SocketAddr)>,
    pub(super) tcp: Option<(OwnedFd, SocketAddr)>,
}

/// Binds a service's UDP and TCP sockets to one port. Port 0 takes the port that the service already has on another
/// address, or one that is free for both. `None` where the host has no such address family and was not asked for it.
pub(super) fn bind_both(
    service: &Service,
    ip: IpAddr,
    family_is_all: bool,
    bound: &[Bound],
) -> Result<Option<Pair>, ServeError> {
    let known = bound.iter().find(|b| b.protocol == service.name).map(|b| b.at.port());
    let mut tries = 16;
    loop {
        tries -= 1;
        let mut port = if service.port == 0 { known.unwrap_or(0) } else { service.port };
        let mut pair = Pair { udp: None, tcp: None };
        let mut attempt = || {
            if service.udp {
                let got = bind_one(Proto::Udp, SocketAddr::new(ip, port))?;
                port = got.1.port();
                pair.udp = Some(got);
            }
            if service.tcp {
                pair.tcp = Some(bind_one(Proto::Tcp, SocketAddr::new(ip, port))?);
            }
            Ok(())
        };
        match attempt() {
            Ok(()) => return Ok(Some(pair)),
            Err((_, _, e)) if family_is_all && ip.is_ipv6() && is_missing(&e) => return Ok(None),
            // The free UDP port was not free for TCP: take another.
            Err((_, _, e))
                if e.raw_os_error() == Some(libc::EADDRINUSE) && service.port == 0 && known.is_none() && tries > 0 => {}
            Err((proto, at, e)) => return Err(bind_error(proto, at, &e)),
        }
    }
}

fn is_missing(e: &std::io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::EPROTONOSUPPORT))
}

/// What to do where the kernel gives no more of what every far end needs.
pub(super) fn next(e: &std::io::Error) -> &'static str {
    match e.raw_os_error() {
        Some(libc::EMFILE) => "raise this process's limit on open files (`ulimit -n`), and start it again",
        Some(libc::ENFILE) => "raise the host's limit on open files (fs.file-max), and start it again",
        Some(libc::ENOMEM | libc::ENOBUFS) => "free some memory, and start it again",
        _ => "see what the kernel log says (`dmesg`)",
    }
}

fn bind_error(proto: Proto, at: SocketAddr, e: &std::io::Error) -> ServeError {
    let next = match e.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS) => next(e),
        Some(libc::EADDRINUSE) => "stop what listens there (`ss -lnp` names it), or give another port",
        Some(libc::EACCES | libc::EPERM) => {
            "ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE; give a higher one"
        }
        Some(libc::EADDRNOTAVAIL) => "give an address that an interface of this network namespace has",
        _ => "give another address or port",
    };
    ServeError::Bind { proto: if proto == Proto::Udp { "UDP" } else { "TCP" }, at, why: e.to_string(), next }
}

pub(super) type BindFailure = (Proto, SocketAddr, std::io::Error);

pub(super) fn bind_one(proto: Proto, at: SocketAddr) -> Result<(OwnedFd, SocketAddr), BindFailure> {
    let attempt = || {
        let domain = if at.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
        let kind = if proto == Proto::Udp { libc::SOCK_DGRAM } else { libc::SOCK_STREAM | libc::SOCK_NONBLOCK };
        let fd = os::socket(domain, kind, 0)?;
        if at.is_ipv6() {
            // IPv4 has a socket of its own: mapped addresses would cost each answer a detour through the IPv6 code.
            os::set_int(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        }
        if proto == Proto::Tcp {
            // Connections in TIME_WAIT from a run before must not keep the port. (On UDP the option would let two far
            // ends share it.)
            os::set_int(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        }
        os::bind(fd.as_fd(), at)?;
        if proto == Proto::Tcp {
            // Handed down to the connections.
            os::plain_congestion_control(fd.as_fd());
            os::listen(fd.as_fd(), 128)?;
        }
        let local = os::local_address(fd.as_fd())?.unwrap_or(at);
        Ok((fd, local))
    };
    attempt().map_err(|e| (proto, at, e))
}
