//! The default receive buffer is too small for the bursts that a feed sends.

use super::{Bed, Fault, FaultSite, PlantedFault, write};
use crate::netns::LabError;
use crate::traffic::{RunningTraffic, Traffic};

/// 64 byte datagrams take 768 bytes of buffer each (`skb->truesize`): 4,096 bytes hold a handful of them.
const BUFFER: u32 = 4_096;
const PORT: u16 = 9_010;
const BURST: u32 = 64;
const EVERY_MS: u64 = 20;
/// The host's own: inside a namespace 6.18 shows it and lets nobody write it, older kernels do not show it.
const PATH: &str = "/proc/sys/net/core/rmem_default";

pub(super) struct ReceiveBuffer;

impl Fault for ReceiveBuffer {
    fn rule(&self) -> &'static str {
        "receive-buffer-errors"
    }

    fn beds(&self) -> &'static [Bed] {
        &[Bed::Veth]
    }

    fn plant(&self, site: &mut FaultSite<'_>) -> Result<PlantedFault, LabError> {
        // Where a namespace may not write it, the program itself asks for the small buffer, as many do.
        let own = write(PATH, &BUFFER.to_string()).is_err().then_some(BUFFER.cast_signed());
        let reader = RunningTraffic::sleepy_reader(PORT, own)
            .map_err(|e| LabError::new("start the feed's reader", e, "run the demo again"))?;
        site.far.ask(&Traffic::Bursts { port: PORT, count: BURST, every_ms: EVERY_MS }.line())?;
        let what = if own.is_some() { "a feed's reader sets SO_RCVBUF" } else { "rmem_default" };
        Ok(PlantedFault {
            words: format!(
                "{what} = {BUFFER}, while the feed sends bursts of {BURST} datagrams and its reader looks every 10 ms"
            ),
            rule: self.rule(),
            traffic: vec![reader],
        })
    }
}
