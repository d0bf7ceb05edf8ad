//! AF_XDP against a spinning UDP socket on one veth pair, in alternated rounds: `cargo run --release --example
//! veth_ratio
//! [rounds] [probes per round]`. Needs root and two CPUs; touches nothing outside two private namespaces.
//!
//! Rows: each engine against a spinning kernel socket as far end, and against an XDP reflector as far end. Both ends
//! are pinned, to CPU 0 and 1.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)] // an example that prints and may stop

#[path = "../tests/common/mod.rs"]
mod common;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{FAR4, Lab, NEAR4, endpoint, privileged};
use lowlat_os::cpu::pin;
use lowlat_transport::{Engine, clock::now};
use lowlat_transport_xdp::{XdpMode, XdpOptions, XdpReflector, open_with};

/// One round of ping-pong; its p50 and p99, ns.
fn round(engine: &mut dyn Engine, probes: usize) -> (u64, u64) {
    let (message, mut buf) = ([0x5a; 64], [0; 128]);
    let mut rtt = Vec::with_capacity(probes);
    for i in 0..probes + probes / 10 {
        let sent = engine.send(&message).unwrap();
        let got = engine.recv(&mut buf, now() + 1_000_000_000).unwrap().expect("an answer");
        if i >= probes / 10 {
            rtt.push(got.at - sent);
        }
    }
    rtt.sort_unstable();
    (rtt[probes / 2], rtt[probes * 99 / 100])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(default, |a| a.parse().expect("a number"));
    let (rounds, probes): (usize, usize) = (number(15), number(20_000));
    assert!(privileged(), "needs root");
    let lab = Lab::new(1);
    let stop = Arc::new(AtomicBool::new(false));
    let address: SocketAddr = format!("{FAR4}:7007").parse().unwrap();
    let stopped = stop.clone();
    let far = lab.far(move || {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            pin(1).unwrap();
            let mut buf = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buf) {
                    let _ = socket.send_to(&buf[..len], from);
                }
            }
        })
    });
    pin(0).unwrap();
    let xdp = |mode| XdpOptions { mode: Some(mode), ..XdpOptions::default() };
    let open_xdp = |mode| open_with(&endpoint(address), &xdp(mode)).unwrap();
    let spin = || lowlat_transport::open("spin", &endpoint(address)).unwrap();
    let names = ["spin", "af-xdp generic", "af-xdp native", "spin/reflector", "af-xdp generic/reflector"];
    let mut results: Vec<Vec<(u64, u64)>> = vec![Vec::new(); names.len()];
    for _ in 0..rounds {
        results[0].push(round(spin().as_mut(), probes));
        results[1].push(round(open_xdp(XdpMode::Generic).as_mut(), probes));
        results[2].push(round(open_xdp(XdpMode::NativeCopy).as_mut(), probes));
        let reflector = lab.far(move || XdpReflector::open("vb", address, None).unwrap());
        results[3].push(round(spin().as_mut(), probes));
        results[4].push(round(open_xdp(XdpMode::Generic).as_mut(), probes));
        drop(reflector);
    }
    println!("{rounds} alternated rounds of {probes} probes, 64 B, {NEAR4} → {address}; ns");
    for (name, rows) in names.iter().zip(&results) {
        let p50 = median(rows.iter().map(|r| r.0 as f64).collect());
        let p99 = median(rows.iter().map(|r| r.1 as f64).collect());
        let ratio = median(rows.iter().zip(&results[0]).map(|(r, s)| r.0 as f64 / s.0 as f64).collect());
        let (low, high) = (rows.iter().map(|r| r.0).min().unwrap(), rows.iter().map(|r| r.0).max().unwrap());
        println!("{name:26} p50 {p50:6.0} [{low}..{high}]  p99 {p99:6.0}  paired p50 ratio to spin {ratio:.3}");
    }
    stop.store(true, Ordering::Relaxed);
    far.join().unwrap();
}
