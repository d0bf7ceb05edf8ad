//! What the fuzz targets reach of the far end: its real handlers on real loopback sockets, driven by hand.
//!
//! Each call checks what must always hold: never more bytes out than in, and the handler lives on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)] // a harness: what fails here is a finding

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use lowlat_transport::{Proto, os};

use super::datagram::Datagrams;
use super::limit::Gate;
use super::ports::bind_one;
use super::sink::Sinks;
use super::stream::Streams;
use super::{Desk, Reflector, ServeConfig};
use crate::Key;
use crate::lowlat::LowlatReflector;
use crate::sockperf::SockperfReflector;
use crate::stamp::StampReflector;

/// Without and with a key: lowlat, STAMP, and sockperf, which has none.
fn reflectors() -> Vec<Box<dyn Reflector>> {
    let key = || Key::new(b"a key of the fuzz targets");
    vec![
        Box::new(LowlatReflector::new(None)),
        Box::new(SockperfReflector),
        Box::new(StampReflector::new(None)),
        Box::new(LowlatReflector::new(key())),
        Box::new(StampReflector::new(key())),
    ]
}

/// Places nobody: the harness's own thread is not to be moved.
fn no_desk() -> Arc<Desk> {
    Arc::new(Desk::new(None, None))
}

fn bind(proto: Proto) -> (OwnedFd, SocketAddr) {
    bind_one(proto, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).map_err(|e| e.2).expect("a loopback port")
}

struct DatagramEnd {
    far: Datagrams,
    near: UdpSocket,
}

/// One message to the far end of a protocol, chosen by the first byte.
pub fn datagram(data: &[u8]) {
    thread_local! {
        static ENDS: RefCell<Vec<DatagramEnd>> = RefCell::new(
            reflectors()
                .into_iter()
                .map(|reflector| {
                    let (fd, at) = bind(Proto::Udp);
                    let gate = Gate::new(&ServeConfig::default());
                    let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                    near.connect(at).unwrap();
                    near.set_nonblocking(true).unwrap();
                    DatagramEnd { far: Datagrams::open(fd, at, reflector, (gate, &no_desk()), true, Vec::new()).unwrap(), near }
                })
                .collect(),
        );
    }
    let Some((which, message)) = data.split_first() else { return };
    ENDS.with_borrow_mut(|ends| {
        let count = ends.len();
        let end = &mut ends[usize::from(*which) % count];
        if end.near.send(message).is_err() {
            return; // longer than a datagram
        }
        let before = end.far.stats.received;
        // On loopback a datagram is there when its send returns.
        end.far.turn(libc::MSG_DONTWAIT);
        assert_eq!(end.far.stats.received, before + 1, "a message was neither answered nor counted");
        let mut answer = vec![0; 65536];
        match end.near.recv(&mut answer) {
            Ok(len) => assert!(len <= message.len(), "{len} bytes for {}", message.len()),
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock, "{e}"),
        }
    });
}

/// One connection to the far end of a protocol: the first byte chooses it, the second the length of the pieces in which
/// the rest is sent.
pub fn stream(data: &[u8]) {
    thread_local! {
        static END: RefCell<(Streams<'static>, Vec<SocketAddr>)> = RefCell::new({
            let config = ServeConfig::default();
            let gate = Gate::new(&config);
            // Leaked, once per thread: the handler borrows it for as long as it lives.
            let sinks: &'static Sinks = Box::leak(Box::new(Sinks::new().unwrap()));
            let mut streams = Streams::new(&config, &gate, sinks, &no_desk()).unwrap();
            let mut at = Vec::new();
            for reflector in reflectors() {
                let (fd, address) = bind(Proto::Tcp);
                streams.listen(fd, reflector).unwrap();
                at.push(address);
            }
            (streams, at)
        });
    }
    let [which, piece, rest @ ..] = data else { return };
    END.with_borrow_mut(|(streams, at)| {
        let mut near = TcpStream::connect(at[usize::from(*which) % at.len()]).unwrap();
        // Closed by a reset: a connection that waited out its time would use up the ports.
        os::set_bytes(near.as_fd(), libc::SOL_SOCKET, libc::SO_LINGER, &[1i32.to_ne_bytes(), [0; 4]].concat()).unwrap();
        near.set_nonblocking(true).unwrap();
        let (mut sent, mut got) = (0, 0);
        let mut room = vec![0; 65536];
        let mut listen = |near: &mut TcpStream, sent: usize| loop {
            match near.read(&mut room) {
                Ok(0) | Err(_) => break,
                Ok(n) => {
                    got += n;
                    assert!(got <= sent, "{got} bytes for {sent}");
                }
            }
        };
        streams.turn(0);
        for piece in rest.chunks(usize::from(*piece).max(1) * 4) {
            // Closed by the far end, or full: there is no more to send.
            let Ok(n) = near.write(piece) else { break };
            sent += n;
            streams.turn(0);
            listen(&mut near, sent);
        }
        drop(near);
        // Every end is seen: what were left would be a connection that holds its place.
        while streams.turn(0) {}
    });
}
