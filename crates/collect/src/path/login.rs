//! By which interfaces the packets of login sessions leave.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use lowlat_model::Reading;
use lowlat_model::facts::TcpSocket;
use lowlat_sys::Sys;
use lowlat_sys::query;

use super::below::Below;
use super::reach::{self, RouteTo};

/// sshd's port (/etc/services).
const SSH: u16 = 22;
/// Sessions looked up, at most: each costs a question, and more of them come by the same few ways.
const MOST: usize = 16;

/// The interfaces of the routes to the peers of login sessions of this network namespace: the one that
/// `SSH_CONNECTION` names, and every established connection to port 22. A session by another port is not known as one.
pub(crate) fn login_ifaces(sys: &dyn Sys, sockets: &Reading<Vec<TcpSocket>>) -> Vec<String> {
    let addresses = query::addresses(sys).into_value().unwrap_or_default();
    let own =
        |ip: IpAddr| addresses.iter().any(|a| a.address.split('/').next().and_then(|t| t.parse().ok()) == Some(ip));
    // A variable of the environment goes with a process into a namespace that the session never saw.
    let session = query::login(sys).into_value().filter(|l| own(l.local)).map(|l| l.peer);
    let end = |text: &str| text.parse::<SocketAddr>().ok();
    let mut peers: BTreeSet<IpAddr> = sockets
        .value()
        .into_iter()
        .flatten()
        .filter(|s| s.state == "established" && end(&s.local).is_some_and(|l| l.port() == SSH))
        .filter_map(|s| end(&s.remote).map(|r| r.ip().to_canonical()))
        .take(MOST)
        .collect();
    peers.extend(session);
    if peers.is_empty() {
        return Vec::new();
    }
    let below = Below::read(sys);
    let mut ifaces = BTreeSet::new();
    for peer in peers {
        if let (RouteTo::Out(hops), _) = reach::ask(sys, &below, peer.into(), None) {
            ifaces.extend(hops.into_iter().map(|h| h.iface));
        }
    }
    ifaces.into_iter().collect()
}
