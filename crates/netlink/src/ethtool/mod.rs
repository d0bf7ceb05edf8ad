//! ethtool: over generic netlink (Linux 5.6 to 5.8, complete by 5.10), and by ioctl what netlink lacks.
//!
//! Parameters are named as `ethtool` names them on its command line: `rx-usecs`, `adaptive-rx`, `rx-mini`, `combined`.
//! The tables [`coalesce::PARAMS`], [`sizes::RINGS`] and [`sizes::CHANNELS`] are the only place where a name meets its
//! attribute number.

pub mod bitset;
pub mod coalesce;
pub mod features;
pub mod flags;
pub mod ioctl;
pub mod linkmodes;
pub mod sizes;
pub mod stats;
pub mod tsinfo;

use crate::attr::Attrs;
use crate::genl::GenericFamily;
use crate::message::Message;
use crate::{Error, Malformed};

/// A setting and its highest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountLimit {
    /// Now.
    pub current: u32,
    /// Highest the device takes.
    pub max: u32,
}

const HEADER_DEV_NAME: u16 = 2;

/// One GET: the attributes of the reply.
fn get<T>(
    iface: &str,
    topic: &str,
    command: u8,
    parse: impl FnOnce(Attrs<'_>) -> Result<T, Malformed>,
) -> Result<T, Error> {
    let what = format!("ask the {topic} of {iface}");
    let replies = GenericFamily::open("ethtool", 1)?.ask(&what, command, |m| header(m, iface))?;
    let first = replies.first().ok_or_else(|| Error::malformed(&what, Malformed::new("no reply")))?;
    Attrs::parse(first).and_then(parse).map_err(|e| Error::malformed(&what, e))
}

/// One SET.
fn set(iface: &str, what: &str, command: u8, write: impl FnOnce(Message) -> Message) -> Result<(), Error> {
    let what = format!("set {what} of {iface}");
    GenericFamily::open("ethtool", 1)?.ask(&what, command, |m| write(header(m, iface))).map(drop)
}

/// Every request's first attribute (type 1 in all of them but the statistics): which device.
fn header(m: Message, iface: &str) -> Message {
    m.nest(1, |m| m.text(HEADER_DEV_NAME, iface))
}

fn unknown(iface: &str, topic: &str, param: &str, known: impl Iterator<Item = &'static str>) -> Error {
    Error::request(
        &format!("set {topic} of {iface}"),
        format!("there is no parameter {param:?}; use one of {}", known.collect::<Vec<_>>().join(", ")),
    )
}
