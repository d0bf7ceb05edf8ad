//! Records to events: which trace points are used, and what is taken from each.

use std::collections::{BTreeMap, BTreeSet};

use crate::layout::{EventForm, Field};

/// Of which records of a trace point the kernel is asked to keep: the others would fill the ring and cost their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// All.
    All,
    /// Those of the threads that send and read the probes.
    Own,
    /// Those of the same threads with something received: a spinning reader makes a million empty calls a second.
    OwnReceived,
    /// Those about the same threads, whoever causes them.
    About,
}

/// A trace point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TracePoint {
    /// Its folder below `events/`.
    pub group: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Which of its records.
    pub keep: Keep,
    /// What cannot be separated without it, as text; `None` where others do as well.
    pub shows: Option<&'static str>,
}

const fn point(group: &'static str, name: &'static str, keep: Keep, shows: Option<&'static str>) -> TracePoint {
    TracePoint { group, name, keep, shows }
}

/// All that are used. A kernel may lack some: 5.10 has no `sk_data_ready` and no `sock_recv_length`.
pub const TRACE_POINTS: &[TracePoint] = &[
    point("net", "net_dev_queue", Keep::All, Some("where the system call ends and the queue discipline begins")),
    point("net", "net_dev_start_xmit", Keep::All, Some("the queue discipline from the driver")),
    point("net", "net_dev_xmit", Keep::All, Some("the driver from the wire")),
    point("net", "netif_rx", Keep::All, None),
    point("net", "napi_gro_receive_entry", Keep::All, Some("GRO from the softirq before it")),
    point("net", "napi_gro_frags_entry", Keep::All, None),
    point("net", "netif_receive_skb", Keep::All, Some("what comes before IP from IP")),
    point("irq", "irq_handler_entry", Keep::All, Some("the wire from the interrupt")),
    point("irq", "irq_handler_exit", Keep::All, None),
    point("irq", "softirq_raise", Keep::All, Some("the interrupt from the softirq")),
    point("irq", "softirq_entry", Keep::All, None),
    point("irq", "softirq_exit", Keep::All, None),
    point("sched", "sched_waking", Keep::About, Some("the socket from the wake-up")),
    point("sched", "sched_wakeup", Keep::About, Some("the wake-up from scheduling")),
    point("sched", "sched_switch", Keep::All, Some("scheduling from the return to the program")),
    point("sock", "sk_data_ready", Keep::All, Some("IP from the socket")),
    point("sock", "sock_recv_length", Keep::OwnReceived, None),
    point("syscalls", "sys_enter_sendto", Keep::Own, None),
    point("syscalls", "sys_enter_sendmsg", Keep::Own, None),
    point("syscalls", "sys_enter_write", Keep::Own, None),
    point("syscalls", "sys_exit_recvfrom", Keep::OwnReceived, None),
    point("syscalls", "sys_exit_recvmsg", Keep::OwnReceived, None),
    point("syscalls", "sys_exit_read", Keep::OwnReceived, None),
];

/// NET_RX's number among the softirqs (include/linux/interrupt.h; part of the ABI of `/proc/softirqs`).
pub const NET_RX: u32 = 3;
/// Their names by number, same source.
pub const SOFTIRQS: [&str; 10] =
    ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];

/// `TRACE_FLAG_HARDIRQ`, `TRACE_FLAG_SOFTIRQ`, `TRACE_FLAG_NMI` (include/linux/trace_events.h): the record was made
/// while the thread was interrupted, not by it.
const INTERRUPTED: u64 = 0x08 | 0x10 | 0x40;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A thread entered a system call that sends.
    Send,
    /// A thread's receiving call got something; the socket where the kernel says which.
    Read(Option<u64>),
    /// A packet went to a device: its buffer and length.
    Queue(u64, u64),
    /// The driver was called with it.
    Start(u64),
    /// The driver returned.
    Driven(u64),
    /// A packet was handed to a CPU's backlog, as veth and loopback do.
    Backlog(u64),
    /// A packet was handed to GRO.
    Gro(u64),
    /// A packet left the device layer for its protocol: its buffer and length.
    Receive(u64, u64),
    /// A socket reports data; the socket where the kernel says which.
    Ready(Option<u64>),
    /// A thread is about to be woken.
    Waking(u32),
    /// It can run.
    Wakeup(u32),
    /// A CPU changed from one thread to another.
    Switch(u32, u32),
    /// An interrupt's handler begins.
    Irq(u32),
    /// It ends.
    IrqEnd(u32),
    /// A softirq is asked for.
    Raise(u32),
    /// It begins.
    Softirq(u32),
    /// It ends.
    SoftirqEnd(u32),
}

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceEvent {
    /// When, ns on the trace's clock.
    pub at: u64,
    /// On which CPU.
    pub cpu: u32,
    /// The thread that ran there, by the number of the initial PID namespace.
    pub thread: u32,
    /// Made by the thread itself, not in an interrupt that it suffered.
    pub own: bool,
    /// What happened.
    pub what: What,
}

/// TraceNames that events carry along.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceNames {
    /// Threads.
    pub threads: BTreeMap<u32, String>,
    /// Interrupts.
    pub irqs: BTreeMap<u32, String>,
    /// Sockets of TCP, whose reader gets all that came at once.
    pub streams: BTreeSet<u64>,
    /// When each thread's name was seen last: it has another once it has started a program or named itself.
    named_at: BTreeMap<u32, u64>,
}

/// include/uapi/linux/in.h.
const IPPROTO_TCP: u64 = 6;
/// No host has as many threads and interrupts in one trace; a garbled page must not fill memory.
const MOST_NAMES: usize = 65_536;

/// How one trace point's record is read.
#[derive(Debug, Clone)]
enum Shape {
    Send,
    Read { result: Field, socket: Option<Field>, protocol: Option<Field> },
    Packet { skb: Field, length: Option<Field>, what: fn(u64, u64) -> What },
    Ready { socket: Option<Field>, protocol: Option<Field> },
    Thread { thread: Field, what: fn(u32) -> What },
    Switch { from: Field, to: Field, name: Option<Field> },
    Number { number: Field, name: Option<Field>, what: fn(u32) -> What },
}

impl Shape {
    fn of(name: &str, form: &EventForm) -> Option<Self> {
        let field = |name: &str| form.field(name);
        let packet =
            |what: fn(u64, u64) -> What| Some(Self::Packet { skb: field("skbaddr")?, length: field("len"), what });
        let number =
            |key: &str, what: fn(u32) -> What| Some(Self::Number { number: field(key)?, name: field("name"), what });
        match name {
            "net_dev_queue" => packet(What::Queue),
            "net_dev_start_xmit" => packet(|skb, _| What::Start(skb)),
            "net_dev_xmit" => packet(|skb, _| What::Driven(skb)),
            "netif_rx" => packet(|skb, _| What::Backlog(skb)),
            "napi_gro_receive_entry" | "napi_gro_frags_entry" => packet(|skb, _| What::Gro(skb)),
            "netif_receive_skb" => packet(What::Receive),
            "irq_handler_entry" => number("irq", What::Irq),
            "irq_handler_exit" => number("irq", What::IrqEnd),
            "softirq_raise" => number("vec", What::Raise),
            "softirq_entry" => number("vec", What::Softirq),
            "softirq_exit" => number("vec", What::SoftirqEnd),
            "sched_waking" => Some(Self::Thread { thread: field("pid")?, what: What::Waking }),
            "sched_wakeup" => Some(Self::Thread { thread: field("pid")?, what: What::Wakeup }),
            "sched_switch" => {
                Some(Self::Switch { from: field("prev_pid")?, to: field("next_pid")?, name: field("next_comm") })
            }
            "sk_data_ready" => Some(Self::Ready { socket: field("skaddr"), protocol: field("protocol") }),
            "sock_recv_length" => {
                Some(Self::Read { result: field("ret")?, socket: field("sk"), protocol: field("protocol") })
            }
            name if name.starts_with("sys_enter_") => Some(Self::Send),
            name if name.starts_with("sys_exit_") => {
                Some(Self::Read { result: field("ret")?, socket: None, protocol: None })
            }
            _ => None,
        }
    }

    fn read(&self, at: u64, payload: &[u8], names: &mut TraceNames) -> Option<What> {
        let id = |field: Field| field.number(payload).and_then(|n| u32::try_from(n).ok());
        let socket_of = |socket: &Option<Field>, protocol: &Option<Field>, streams: &mut BTreeSet<u64>| {
            let socket = socket.and_then(|s| s.number(payload))?;
            let is_stream = protocol.and_then(|p| p.number(payload)) == Some(IPPROTO_TCP);
            if is_stream && streams.len() < MOST_NAMES {
                streams.insert(socket);
            }
            Some(socket)
        };
        Some(match self {
            Self::Send => What::Send,
            Self::Read { result, socket, protocol } => {
                let negative = 1u64 << (8 * result.size.clamp(1, 8) - 1);
                let got = result.number(payload)?;
                if got == 0 || got & negative > 0 {
                    return None;
                }
                What::Read(socket_of(socket, protocol, &mut names.streams))
            }
            Self::Packet { skb, length, what } => {
                what(skb.number(payload)?, length.and_then(|l| l.number(payload)).unwrap_or(0))
            }
            Self::Ready { socket, protocol } => What::Ready(socket_of(socket, protocol, &mut names.streams)),
            Self::Thread { thread, what } => what(id(*thread)?),
            Self::Switch { from, to, name } => {
                let (from, to) = (id(*from)?, id(*to)?);
                if let Some(name) = name {
                    names.newest(to, at, *name, payload);
                }
                What::Switch(from, to)
            }
            Self::Number { number, name, what } => {
                let number = id(*number)?;
                keep(&mut names.irqs, number, || name.and_then(|n| n.text_at(payload)));
                what(number)
            }
        })
    }
}

impl TraceNames {
    /// Takes the name of a thread at a time; pages of several CPUs come one after the other.
    fn newest(&mut self, thread: u32, at: u64, name: Field, payload: &[u8]) {
        let room = self.threads.len() < MOST_NAMES || self.threads.contains_key(&thread);
        if !room || self.named_at.get(&thread).is_some_and(|seen| *seen > at) {
            return;
        }
        self.named_at.insert(thread, at);
        // Most switches name a thread that has the same name as before.
        if self.threads.get(&thread).is_some_and(|known| name.holds(payload, known)) {
            return;
        }
        if let Some(name) = name.text(payload).filter(|n| !n.is_empty()) {
            self.threads.insert(thread, name);
        }
    }
}

fn keep(names: &mut BTreeMap<u32, String>, key: u32, name: impl FnOnce() -> Option<String>) {
    if names.len() < MOST_NAMES
        && !names.contains_key(&key)
        && let Some(name) = name().filter(|n| !n.is_empty())
    {
        names.insert(key, name);
    }
}

/// One trace point of this kernel.
#[derive(Debug, Clone)]
struct Known {
    shape: Shape,
    flags: Option<Field>,
    thread: Option<Field>,
}

/// Reads records by the kernel's own forms.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    /// `common_type` is at one place in every event (include/trace/trace_events.h, `struct trace_entry`).
    kind: Option<Field>,
    known: BTreeMap<u64, Known>,
}

impl Decoder {
    /// Takes the `format` file of a trace point; the error says what is wrong with it.
    pub fn learn(&mut self, name: &str, format: &str) -> Result<(), String> {
        let form = EventForm::parse(format)?;
        let shape = Shape::of(name, &form).ok_or("a field that is needed is not there")?;
        let kind = form.field("common_type").ok_or("it names no common_type")?;
        self.kind = Some(kind);
        let known = Known { shape, flags: form.field("common_flags"), thread: form.field("common_pid") };
        self.known.insert(u64::from(form.id), known);
        Ok(())
    }

    /// One record; `None` for those of other trace points, and for calls that received nothing.
    pub fn event(&self, at: u64, cpu: u32, payload: &[u8], names: &mut TraceNames) -> Option<TraceEvent> {
        let known = self.known.get(&self.kind?.number(payload)?)?;
        let number = |field: Option<Field>| field.and_then(|f| f.number(payload));
        let thread = u32::try_from(number(known.thread)?).ok()?;
        let own = number(known.flags).unwrap_or(0) & INTERRUPTED == 0;
        Some(TraceEvent { at, cpu, thread, own, what: known.shape.read(at, payload, names)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_the_name_that_was_seen_last_whichever_page_comes_first() {
        let mut names = TraceNames::default();
        let name = Field { offset: 0, size: 16 };
        let comm = |text: &str| [text.as_bytes(), &[0; 16]].concat();
        names.newest(7, 200, name, &comm("planted-hog"));
        // The page of another CPU, from before it named itself.
        names.newest(7, 100, name, &comm("python3"));
        assert_eq!(names.threads[&7], "planted-hog");
        names.newest(7, 300, name, &comm("renamed"));
        names.newest(7, 400, name, &[]);
        assert_eq!(names.threads[&7], "renamed");
    }
}
