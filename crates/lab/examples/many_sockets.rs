//! `many_sockets ADDRESS PAIRS`: that many TCP connections of this host to itself, held until standard input ends.
//!
//! For `bench/big-host`. One process may hold as many descriptors as its limit allows, so a bench starts several, each with
//! an address of its own.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // an example

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

fn main() {
    let mut words = std::env::args().skip(1);
    let address: Ipv4Addr = words.next().unwrap().parse().unwrap();
    let pairs: usize = words.next().unwrap().parse().unwrap();
    let listener = TcpListener::bind((address, 0)).unwrap();
    let to = listener.local_addr().unwrap();
    let held: Vec<(TcpStream, TcpStream)> =
        (0..pairs).map(|_| (TcpStream::connect(to).unwrap(), listener.accept().unwrap().0)).collect();
    println!("up {}", held.len() * 2);
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
