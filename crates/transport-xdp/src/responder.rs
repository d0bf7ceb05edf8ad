//! A far end inside the kernel that speaks a protocol: an XDP program in front of the far end's sockets.
//!
//! It takes socket, wake-up and program of the far end out of the round trip, which is what the far end of a bypass
//! would be like: whoever reports a figure against it says so. What it does not answer, the sockets behind it do.

use lowlat_netlink::route::departure::Departure;
use lowlat_netlink::route::link;

use crate::EngineError;
use crate::answer::{self, Answers};
use crate::attach::Attachment;
use crate::bpf::Counter;
use crate::device;
use crate::mode::XdpMode;
use crate::path::unavailable;
use crate::reflector::{attach_free, is_denied, lacks};

/// A running one; dropping it (or the end of the process, however it ends) takes the program off.
#[derive(Debug)]
pub struct Responder {
    // First: the program stops before its counter goes.
    _attachment: Attachment,
    counter: Counter,
    departure: Departure,
    words: String,
}

impl Responder {
    /// Answers on `iface` what `answers` says.
    ///
    /// # Errors
    /// The interface is not there, is not an Ethernet, or has a program; the kernel takes none; nothing is to be
    /// answered.
    pub fn open(iface: &str, answers: &Answers, only: Option<XdpMode>) -> Result<Self, EngineError> {
        let list: Vec<String> = answers.to.iter().map(ToString::to_string).collect();
        let what =
            format!("answer {} on {iface} by XDP", if list.is_empty() { "nothing".into() } else { list.join(", ") });
        if answers.to.is_empty() {
            return Err(unavailable(
                &what,
                format!("{iface} has none of the addresses to serve"),
                "give it one, or --bind",
            ));
        }
        let counter = Counter::new().map_err(|source| {
            let part = "make the XDP program's counter".to_owned();
            if is_denied(&source) {
                return unavailable(&what, format!("{part}: {source}"), lacks());
            }
            EngineError::Os { what: part, source }
        })?;
        // From before the program is on it, so that no end of the interface is missed.
        let departure = link::named(iface)
            .map_err(device::plain)
            .and_then(|link| Departure::of(link.map_or(0, |link| link.index)))
            .map_err(|source| EngineError::Os { what: format!("watch interface {iface}"), source })?;
        let (attachment, hook) = attach_free(iface, &what, only, "lowlat_answer", |mac| {
            answer::program(answers, mac, counter.fd())
                .map_err(|e| unavailable(&what, e.to_string(), "use lowlat serve without it"))
        })?;
        let program = attachment.program_id.map_or_else(String::new, |id| format!(" (program {id})"));
        let words = format!("{hook} XDP{program} for {} on {iface}", list.join(", "));
        Ok(Self { _attachment: attachment, counter, departure, words })
    }

    /// What it is on this host.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Whether the interface was deleted or left this network namespace: then the program answers nothing any more. Asked
    /// without waiting and by `recvfrom` alone, so also by a process that gave up other system calls.
    pub fn is_gone(&mut self) -> bool {
        self.departure.is_gone()
    }

    /// Probes answered so far; read without a system call.
    pub fn answered(&self) -> u64 {
        self.counter.read()
    }
}
