//! One running application, as its owner would wish it.

use std::collections::BTreeMap;

use lowlat_model::Facts;
use lowlat_model::Reading::{self, Value};
use lowlat_model::application::{
    Application, Connection, Doing, FlowArrival, Grown, OpenSocket, Owner, Process, Queues, Thread,
};

/// Number of the process of [`quiet`].
pub const PID: u32 = 812;

/// A process that spins on CPU 1, its memory locked, with a connection that sends at once and a datagram socket of one
/// group; nothing waits in them and nothing was lost within one second.
pub fn quiet() -> Application {
    Application {
        asked_pid: Some(PID),
        asked_port: None,
        window_ns: Some(1_000_000_000),
        processes: vec![Process {
            pid: PID,
            command: "feed".into(),
            locked_kb: Value(40_000),
            resident_kb: Value(30_000),
            swapped_kb: Value(0),
            groups: Value(BTreeMap::from([("eth0".into(), vec!["239.1.1.10".into()])])),
            threads: vec![thread()],
        }],
        sockets: vec![tcp(), udp()],
        not_seen: vec![],
    }
}

fn thread() -> Thread {
    let running = || Value(Doing { call: "running".into(), timed: false });
    Thread {
        tid: PID,
        name: "feed".into(),
        policy: "other".into(),
        priority: 0,
        nice: 0,
        last_cpu: 1,
        allowed: Value(vec![1]),
        timer_slack_ns: Value(1),
        doing: vec![running(), running()],
        grown: Some(Grown {
            cpu_ns: 1_000_000_000,
            sleeps: Value(0),
            preemptions: Value(1),
            migrations: Value(0),
            waited_ns: Value(10_000),
            minor_faults: 0,
            major_faults: 0,
        }),
    }
}

fn tcp() -> OpenSocket {
    OpenSocket {
        protocol: "tcp".into(),
        local: "192.0.2.1:5000".into(),
        remote: "192.0.2.2:40000".into(),
        state: "established".into(),
        owners: vec![Owner { pid: PID, fd: 7, command: "feed".into() }],
        queues: vec![Queues { receive: 0, send: 0 }; 2],
        receive_buffer: Value(131_072),
        send_buffer: Value(87_040),
        drops: Value(0),
        drops_grown: Some(0),
        multicast_all: Value(true),
        v6_only: None,
        arrivals: vec![FlowArrival { napi: 8193, cpu: Some(0) }; 2],
        tcp: Some(Connection {
            segment_bytes: 1448,
            sent_bytes: Some(64_000),
            sent_segments: 1_000,
            resent_segments: 0,
            unsent_bytes: 0,
            algorithm: "cubic".into(),
            bbr_rate: None,
        }),
        options: options(&[
            ("TCP_NODELAY", 1),
            ("TCP_CORK", 0),
            ("TCP_QUICKACK", 1),
            ("TCP_NOTSENT_LOWAT", 4_294_967_295),
            ("O_NONBLOCK", 1),
        ]),
    }
}

fn udp() -> OpenSocket {
    OpenSocket {
        protocol: "udp".into(),
        local: "0.0.0.0:6000".into(),
        remote: "0.0.0.0:0".into(),
        state: "close".into(),
        owners: vec![Owner { pid: PID, fd: 8, command: "feed".into() }],
        receive_buffer: Value(212_992),
        send_buffer: Value(212_992),
        arrivals: vec![],
        tcp: None,
        options: options(&[("O_NONBLOCK", 1)]),
        ..tcp()
    }
}

fn options(all: &[(&str, i64)]) -> Reading<BTreeMap<String, i64>> {
    Value(all.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect())
}

/// The application of [`healthy`](crate::facts::healthy), to plant a fault in.
///
/// # Panics
/// If `facts` has none, which is a fault of the test.
pub fn of(facts: &mut Facts) -> &mut Application {
    match facts.application.as_mut() {
        Some(application) => application,
        None => panic!("the facts have no application"),
    }
}

/// Its thread.
///
/// # Panics
/// As [`of`].
pub fn only_thread(facts: &mut Facts) -> &mut Thread {
    &mut of(facts).processes[0].threads[0]
}

/// What its thread did in the window.
///
/// # Panics
/// As [`of`].
pub fn grown(facts: &mut Facts) -> &mut Grown {
    match only_thread(facts).grown.as_mut() {
        Some(grown) => grown,
        None => panic!("the application was not watched"),
    }
}

/// Sets an option of one of its sockets.
///
/// # Panics
/// As [`of`].
pub fn set_option(facts: &mut Facts, socket: usize, name: &str, value: i64) {
    if let Value(options) = &mut of(facts).sockets[socket].options {
        options.insert(name.to_owned(), value);
    }
}
