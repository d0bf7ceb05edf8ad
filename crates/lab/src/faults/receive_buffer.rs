//! The default receive buffer is too small for the bursts that a feed sends.

use super::{Fault, Planted, Site, write};
use crate::netns::LabError;
use crate::traffic::{Running, Traffic};

/// 64 byte datagrams take 768 bytes of buffer each (`skb->truesize`): 4,096 bytes hold a handful of them.
const BUFFER: u32 = 4_096;
const PORT: u16 = 9_010;
const TCP_PORT: u16 = 9_011;
const BURST: u32 = 64;
const EVERY_MS: u64 = 20;
/// Seen inside a namespace on 6.18; where it is missing there, it belongs to the whole host, and is left alone.
const PATH: &str = "/proc/sys/net/core/rmem_default";

pub(super) struct ReceiveBuffer;

impl Fault for ReceiveBuffer {
    fn rule(&self) -> &'static str {
        "receive-buffer-errors"
    }

    fn plant(&self, site: &mut Site<'_>) -> Result<Planted, LabError> {
        if write(PATH, &BUFFER.to_string()).is_err() {
            return plant_tcp(site);
        }
        let reader = Running::sleepy_reader(PORT)
            .map_err(|e| LabError::new("start the feed's reader", e, "run the demo again"))?;
        site.far.ask(&Traffic::Bursts { port: PORT, count: BURST, every_ms: EVERY_MS }.line())?;
        Ok(Planted {
            words: format!(
                "rmem_default = {BUFFER}, while a feed sends bursts of {BURST} datagrams to a reader that looks every 10 ms"
            ),
            rule: self.rule(),
            traffic: vec![reader],
        })
    }
}

/// Where the default is the host's (it can be read, not written, inside a namespace): the same fault for TCP, whose
/// buffer sizes every namespace has of its own.
fn plant_tcp(site: &mut Site<'_>) -> Result<Planted, LabError> {
    write("/proc/sys/net/ipv4/tcp_rmem", &format!("{BUFFER} {BUFFER} {BUFFER}"))?;
    let reader = Running::sleepy_stream_reader(TCP_PORT)
        .map_err(|e| LabError::new("start the feed's reader", e, "run the demo again"))?;
    site.far.ask(&Traffic::StreamBursts { port: TCP_PORT, count: BURST, every_ms: EVERY_MS }.line())?;
    Ok(Planted {
        words: format!(
            "tcp_rmem = {BUFFER} {BUFFER} {BUFFER}, while a feed sends bursts of {BURST} messages over TCP to a reader that looks every 10 ms"
        ),
        rule: "tcp-receive-pruned",
        traffic: vec![reader],
    })
}
