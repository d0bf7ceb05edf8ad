//! A flow that passes the kernel's stack: what the kernel gave for it, and which way its packets took.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What AF_XDP got for a flow, read back from the kernel after it was asked, and where the flow's packets went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bypass {
    /// Interface that has the program and the sockets: the device under a VLAN interface.
    pub iface: String,
    /// VLAN identifier of the flow's frames; `null` where they have no tag.
    pub vlan: Option<u16>,
    /// `native` or `generic`: where the kernel reports the program (`IFLA_XDP_ATTACHED`).
    pub hook: String,
    /// The driver moves packets straight into the program's memory (`XDP_OPTIONS_ZEROCOPY`).
    pub zero_copy: bool,
    /// The kernel says when a system call is needed (`XDP_RING_NEED_WAKEUP`).
    pub need_wakeup: bool,
    /// Time of preferred busy polling as the socket has it, µs; `null` where it does not poll.
    pub prefer_busy_poll_us: Option<u32>,
    /// The kernel's number of the program; `null` where it does not report.
    pub program: Option<u32>,
    /// RX queues with a socket, from queue 0.
    pub queues: u32,
    /// Packets of the flow that came through its AF_XDP sockets.
    pub by_socket: u64,
    /// Packets of the flow that came through the kernel's stack: the program let them pass, or was not there.
    pub by_kernel: u64,
    /// Packets that the kernel dropped at the AF_XDP sockets (`XDP_STATISTICS`: no free frame, or a full ring).
    pub dropped: u64,
}

impl Bypass {
    /// What was got, as text: `native XDP with zero-copy, need-wakeup and no preferred busy polling on eth0, queues 0–1`.
    pub fn got(&self) -> String {
        let copy = if self.zero_copy { "zero-copy" } else { "copy" };
        let wakeup = if self.need_wakeup { "need-wakeup" } else { "no need-wakeup" };
        let poll = self
            .prefer_busy_poll_us
            .map_or_else(|| "no preferred busy polling".to_owned(), |us| format!("preferred busy polling of {us} µs"));
        let tag = self.vlan.map_or_else(String::new, |id| format!(", VLAN {id} in the frame"));
        format!("{} XDP with {copy}, {wakeup} and {poll} on {}, {}{tag}", self.hook, self.iface, self.queue_words())
    }

    fn queue_words(&self) -> String {
        if self.queues == 1 { "queue 0".to_owned() } else { format!("queues 0–{}", self.queues.max(1) - 1) }
    }

    /// Which way the packets took, as text.
    pub fn ways(&self) -> String {
        let dropped = if self.dropped > 0 { format!(", {} dropped at them", self.dropped) } else { String::new() };
        format!(
            "{} packets came through the AF_XDP sockets{dropped}, {} through the kernel's stack",
            self.by_socket, self.by_kernel
        )
    }

    /// That the figures are not those of AF_XDP alone, as text; `None` where every packet came through its sockets.
    pub fn fallback(&self) -> Option<String> {
        let all = self.by_socket + self.by_kernel;
        (self.by_kernel > 0).then(|| {
            format!(
                "{} of {all} packets came through the kernel's stack and not through AF_XDP: fragmented, in another VLAN, \
                 on an RX queue without a socket, or the program is off {}; these figures are not those of AF_XDP",
                self.by_kernel, self.iface
            )
        })
    }

    /// The counts of several rounds together; what was got is that of the last.
    #[must_use]
    pub fn and(self, earlier: &Self) -> Self {
        Self {
            by_socket: self.by_socket + earlier.by_socket,
            by_kernel: self.by_kernel + earlier.by_kernel,
            dropped: self.dropped + earlier.dropped,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn got() -> Bypass {
        Bypass { iface: "eth0".into(), hook: "native".into(), queues: 2, by_socket: 10, ..Bypass::default() }
    }

    #[test]
    fn what_was_got_and_which_way_is_said() {
        let copy = got();
        assert_eq!(
            copy.got(),
            "native XDP with copy, no need-wakeup and no preferred busy polling on eth0, queues 0–1"
        );
        let all = Bypass {
            zero_copy: true,
            need_wakeup: true,
            prefer_busy_poll_us: Some(20),
            vlan: Some(7),
            queues: 1,
            ..got()
        };
        assert_eq!(
            all.got(),
            "native XDP with zero-copy, need-wakeup and preferred busy polling of 20 µs on eth0, queue 0, VLAN 7 in the frame"
        );
        assert_eq!(copy.ways(), "10 packets came through the AF_XDP sockets, 0 through the kernel's stack");
        assert_eq!(copy.fallback(), None);
    }

    #[test]
    fn a_fallback_is_said_and_rounds_are_added_up() {
        let some = Bypass { by_kernel: 3, dropped: 1, ..got() };
        assert!(some.fallback().unwrap().starts_with("3 of 13 packets came through the kernel's stack"));
        let both = got().and(&some);
        assert_eq!((both.by_socket, both.by_kernel, both.dropped), (20, 3, 1));
        assert!(both.ways().contains("1 dropped"));
    }
}
