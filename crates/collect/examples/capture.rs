//! Stores this host as a tree that `lowlat facts --root DIR` and the tests read:
//! `cargo run -p lowlat-collect --example capture -- DIR IFACE`.
//!
//! MAC and IP addresses and the host's name are masked. Look the tree over before you give it away: boot parameters
//! and the names of running programs are in it as they were.

use std::process::ExitCode;

use lowlat_sys::{Live, Recorder};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(dir), Some(iface)) = (args.next(), args.next()) else {
        eprintln!("capture: say where to and which interface: capture DIR IFACE");
        return ExitCode::from(2);
    };
    let recorder = Recorder::new(Live::new());
    let facts = lowlat_collect::gather(&recorder, Some(&iface), Some(1_000_000_000));
    if let Err(e) = recorder.write(&dir, true) {
        eprintln!("capture: write {dir}: {e}");
        return ExitCode::from(2);
    }
    eprintln!("{} interfaces, {} counter groups stored in {dir}", facts.interfaces.len(), facts.counters.groups.len());
    ExitCode::SUCCESS
}
