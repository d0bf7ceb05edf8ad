//! The points of a round trip, in the order of its way, and the stage that ends at each.

use lowlat_model::trace::{Side, StageKey, TraceDirection};

/// A moment of a round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the table below says of each what lies before it
pub enum Point {
    Sent,
    NearQueued,
    NearStarted,
    NearDriven,
    FarArrived,
    FarRaised,
    FarPolled,
    FarSteered,
    FarReceived,
    FarRedirected,
    FarReady,
    FarWaking,
    FarWakeup,
    FarRunning,
    FarRead,
    FarCalled,
    FarQueued,
    FarStarted,
    FarDriven,
    NearArrived,
    NearRaised,
    NearPolled,
    NearSteered,
    NearReceived,
    NearRedirected,
    NearReady,
    NearWaking,
    NearWakeup,
    NearRunning,
    Returned,
}

use Point::{
    FarArrived, FarCalled, FarDriven, FarPolled, FarQueued, FarRaised, FarRead, FarReady, FarReceived, FarRedirected,
    FarRunning, FarStarted, FarSteered, FarWakeup, FarWaking, NearArrived, NearDriven, NearPolled, NearQueued,
    NearRaised, NearReady, NearReceived, NearRedirected, NearRunning, NearStarted, NearSteered, NearWakeup, NearWaking,
    Returned, Sent,
};

/// How many there are.
pub const POINTS: usize = 30;

/// All of them, in order.
pub(crate) const ALL: [Point; POINTS] = [
    Sent,
    NearQueued,
    NearStarted,
    NearDriven,
    FarArrived,
    FarRaised,
    FarPolled,
    FarSteered,
    FarReceived,
    FarRedirected,
    FarReady,
    FarWaking,
    FarWakeup,
    FarRunning,
    FarRead,
    FarCalled,
    FarQueued,
    FarStarted,
    FarDriven,
    NearArrived,
    NearRaised,
    NearPolled,
    NearSteered,
    NearReceived,
    NearRedirected,
    NearReady,
    NearWaking,
    NearWakeup,
    NearRunning,
    Returned,
];

/// The stage that stands for everything that was not seen of the far end.
pub(crate) const WIRE_AND_FAR: &str = "wire and far end";
/// The stage of a far end without a program.
pub(crate) const ANSWER: &str = "answer";

/// What a stage is, whichever side and direction.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// From where to where.
    pub(crate) what: &'static str,
    /// What is usually behind it when it is long.
    pub(crate) why: &'static str,
    /// The trace points without which it is one with the stage after it.
    pub(crate) needs: &'static [&'static str],
}

const CALL: Kind = Kind {
    name: "system call",
    what: "the sending call and the stack, to the queue discipline",
    why: "a long chain of packet filter rules or of policies on the way out, a neighbour entry that had to be resolved, \
          or a CPU that was interrupted",
    needs: &["net_dev_queue"],
};
const QUEUE: Kind = Kind {
    name: "queue discipline",
    what: "the queue discipline, to the driver",
    why: "a shaper, or packets of others in the same queue",
    needs: &["net_dev_start_xmit"],
};
const DRIVER: Kind = Kind {
    name: "driver",
    what: "the driver's transmit function, to the device",
    why: "a device that is slow to be reached",
    needs: &["net_dev_xmit"],
};
const WIRE: Kind = Kind {
    name: "wire",
    what: "the device, the wire and the receiving device, to its interrupt",
    why: "interrupt coalescing on the receiving device, or the network in between",
    needs: &["irq_handler_entry"],
};
const INTERRUPT: Kind = Kind {
    name: "interrupt",
    what: "the interrupt's handler, to the softirq that it asks for",
    why: "an interrupt that had to wait for another one",
    needs: &["softirq_raise"],
};
const SOFTIRQ: Kind = Kind {
    name: "softirq",
    what: "the softirq's start and the driver's poll, to the packet",
    why: "softirqs that were busy with other packets or ran in ksoftirqd behind other threads",
    needs: &[],
};
const STEERING: Kind = Kind {
    name: "steering",
    what: "to another CPU, which receive packet steering or flow steering chose",
    why: "receive packet steering (rps_cpus, rps_flow_entries): each packet wakes another CPU first",
    needs: &[],
};
const GRO: Kind = Kind {
    name: "GRO",
    what: "generic receive offload, to the protocol",
    why: "packets that are held back to be joined (gro_flush_timeout)",
    needs: &["napi_gro_receive_entry"],
};
const REDIRECTION: Kind = Kind {
    name: "redirection",
    what: "another device that the packet was redirected to after it came (an ifb, a bridge's port), to the protocol",
    why: "a shaper or an emulated delay left on an ifb, through which everything that comes in has to pass",
    needs: &[],
};
const IP: Kind = Kind {
    name: "IP",
    what: "IP and the transport protocol, to the socket",
    why: "a long chain of packet filter rules on the way in, or traffic control on ingress",
    needs: &["sk_data_ready"],
};
const SOCKET: Kind = Kind {
    name: "socket",
    what: "the socket that has data, to the wake-up of its reader",
    why: "many readers or pollers of one socket",
    needs: &["sched_waking"],
};
const WAKE: Kind = Kind {
    name: "wake-up",
    what: "the wake-up of the reader, to its place in a run queue",
    why: "another CPU that had to be reached by an interrupt, or woken from an idle state",
    needs: &["sched_wakeup"],
};
const SCHEDULING: Kind = Kind {
    name: "scheduling",
    what: "the reader can run, to the reader runs",
    why: "other threads on the reader's CPU, or an idle state that takes long to leave",
    needs: &["sched_switch"],
};
const RETURN: Kind = Kind {
    name: "return",
    what: "the reader, to the end of its receiving call",
    why: "a reader that was busy with something else when the packet came",
    needs: &[],
};
const PROGRAM: Kind = Kind {
    name: "program",
    what: "the far program, from its receiving call to its sending one",
    why: "the far program itself",
    needs: &["sys_enter_sendto"],
};

/// The stage that ends at a point; the first point ends none.
pub(crate) fn kind(end: Point) -> &'static Kind {
    match end {
        Sent | NearQueued | FarQueued => &CALL,
        NearStarted | FarStarted => &QUEUE,
        NearDriven | FarDriven => &DRIVER,
        FarArrived | NearArrived => &WIRE,
        FarRaised | NearRaised => &INTERRUPT,
        FarPolled | NearPolled => &SOFTIRQ,
        FarSteered | NearSteered => &STEERING,
        FarReceived | NearReceived => &GRO,
        FarRedirected | NearRedirected => &REDIRECTION,
        FarReady | NearReady => &IP,
        FarWaking | NearWaking => &SOCKET,
        FarWakeup | NearWakeup => &WAKE,
        FarRunning | NearRunning => &SCHEDULING,
        FarRead | Returned => &RETURN,
        FarCalled => &PROGRAM,
    }
}

/// The place of the stage that ends at a point.
pub fn key(end: Point) -> StageKey {
    let direction = if end < FarCalled { TraceDirection::Out } else { TraceDirection::Back };
    let side = if end <= NearDriven || end > NearArrived { Side::Near } else { Side::Far };
    StageKey { name: kind(end).name.to_owned(), side, direction }
}
