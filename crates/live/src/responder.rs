//! `lowlat serve --xdp`: the far end's answers from the interface itself.

use std::net::SocketAddr;

use lowlat_peers::lowlat::{DEFAULT_PORT, LAYOUT};
use lowlat_peers::serve::ServeConfig;
use lowlat_sys::{Sys, query};
use lowlat_transport_xdp::{Answers, Range, Responder, Wire};

use crate::Failure;

/// Puts the XDP program in front of the sockets that `config` will bind; before privileges go.
pub fn open(iface: &str, config: &ServeConfig, sys: &dyn Sys) -> Result<Responder, Failure> {
    let refused = |what: &str, next: &str| Err(Failure::new(format!("serve with --xdp {iface}: {what}; {next}")));
    if config.key.is_some() {
        return refused("the XDP program cannot check a key's tag", "leave out --xdp or --key-file");
    }
    if config.source_limit.is_some() || config.total_limit.is_some() {
        return refused(
            "the XDP program keeps no rates",
            "leave out --xdp, or --source-limit and --total-limit (--allow works with it)",
        );
    }
    let port = match config.port {
        Some(0) => return refused("the XDP program needs to know the port", "give one with --port"),
        Some(port) => port,
        None => DEFAULT_PORT,
    };
    crate::optimize::interface(iface, sys)?;
    let links = query::links(sys).into_value().unwrap_or_default();
    let index = links.iter().find(|l| l.name == iface).map(|l| l.index);
    let has = query::addresses(sys).into_value().unwrap_or_default();
    let to = has
        .iter()
        .filter(|a| Some(a.index) == index)
        .filter_map(|a| a.address.split('/').next()?.parse().ok())
        .filter(|ip| config.bind.is_empty() || config.bind.contains(ip))
        .map(|ip| SocketAddr::new(ip, port))
        .collect();
    let from = config.allow.iter().map(|range| Range { ip: range.ip(), prefix: range.prefix() }).collect();
    let wire = Wire {
        magic: LAYOUT.magic,
        probe: LAYOUT.probe,
        answer: LAYOUT.answer,
        length_at: LAYOUT.length_at,
        stamps_at: LAYOUT.stamps_at,
        shortest: LAYOUT.shortest,
    };
    Ok(Responder::open(iface, &Answers { to, from, wire }, None)?)
}
