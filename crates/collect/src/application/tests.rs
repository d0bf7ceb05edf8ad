use lowlat_model::application::{Connection, Queues};
use lowlat_sys::query::Uname;
use lowlat_testkit::FakeSys;

use super::*;

/// A thread's `stat`: state, faults, ticks, CPU.
fn stat(tid: u32, state: &str, minor: u32, ticks: u32, cpu: u32) -> String {
    let mut fields: Vec<String> = vec!["0".into(); 50];
    fields[0] = state.into();
    fields[7] = minor.to_string();
    fields[11] = ticks.to_string();
    fields[19] = "77".into();
    fields[36] = cpu.to_string();
    format!("{tid} (feed) {}\n", fields.join(" "))
}

fn status(pid: u32, sleeps: u32) -> String {
    format!(
        "Name:\tfeed\nTgid:\t{pid}\nVmLck:\t       0 kB\nVmRSS:\t    900 kB\nVmSwap:\t       0 kB\n\
         Cpus_allowed_list:\t0-3\nvoluntary_ctxt_switches:\t{sleeps}\nnonvoluntary_ctxt_switches:\t1\n"
    )
}

fn socket(drops: u64, waiting: u64) -> InetSocket {
    InetSocket {
        inode: 4711,
        socket: OpenSocket {
            protocol: "tcp".into(),
            local: "192.0.2.1:5000".into(),
            remote: "192.0.2.2:40000".into(),
            state: "established".into(),
            owners: vec![],
            queues: vec![Queues { receive: waiting, send: 0 }],
            receive_buffer: Reading::Value(131_072),
            send_buffer: Reading::Value(87_040),
            drops: Reading::Value(drops),
            drops_grown: None,
            multicast_all: Reading::Value(true),
            v6_only: None,
            arrivals: vec![],
            tcp: Some(Connection { segment_bytes: 1448, ..Connection::default() }),
            options: Reading::Absent("no process".into()),
        },
    }
}

fn host() -> FakeSys {
    let query = |port| NetQuery::InetSockets {
        udp: false,
        of: if port { None } else { Some(812) },
        port: port.then_some(5000),
        inodes: vec![],
    };
    let mut sys = FakeSys::new()
        .net(&NetQuery::Uname, Uname { release: "6.12.0".into(), version: "#1".into(), machine: "x86_64".into() })
        .link("/proc/812/fd/7", "socket:[4711]")
        .file("/proc/812/fd/7", "")
        .link("/proc/812/fd/1", "/dev/null")
        .file("/proc/812/comm", "feed\n")
        .file("/proc/812/timerslack_ns", "50000\n")
        .file("/proc/812/net/igmp", "Idx\tDevice\n");
    for (port, udp) in [(true, true), (false, true)] {
        let NetQuery::InetSockets { of, port, .. } = query(port) else { panic!() };
        sys = sys.net(&NetQuery::InetSockets { udp, of, port, inodes: vec![] }, Vec::<InetSocket>::new());
    }
    for port in [true, false] {
        sys = sys.net(&query(port), vec![socket(3, 100)]).later_net(&query(port), vec![socket(10, 200)]);
    }
    let options = |napi: i64, cpu: i64| {
        let all = [("TCP_NODELAY", 0), ("SO_INCOMING_NAPI_ID", napi), ("SO_INCOMING_CPU", cpu)];
        all.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>()
    };
    let asked = NetQuery::SocketOptions { pid: 812, fd: 7, inode: 4711 };
    sys = sys.net(&asked, options(8193, 1)).later_net(&asked, options(8195, -1));
    for path in ["/proc/812", "/proc/812/task/812"] {
        sys = sys
            .file(&format!("{path}/stat"), &stat(812, "S", 5, 10, 1))
            .later(&format!("{path}/stat"), &stat(812, "S", 45, 12, 2))
            .file(&format!("{path}/status"), &status(812, 100))
            .later(&format!("{path}/status"), &status(812, 150));
    }
    sys.file("/proc/812/task/812/sched", "se.nr_migrations : 4\n")
        .later("/proc/812/task/812/sched", "se.nr_migrations : 9\n")
        .file("/proc/812/task/812/syscall", "45 0x7 0x7f 0x800 0x0 0x0 0x0 0x1 0x2\n")
}

fn read(sys: &FakeSys, whose: Whose) -> Result<Application, ApplicationProblem> {
    let first = first(sys, whose)?;
    sys.wait(1_000_000_000);
    first.finish(sys, true)
}

#[test]
fn a_process_is_followed_through_the_window() {
    for whose in [Whose::Pid(812), Whose::Port(5000), Whose::Both(812, 5000)] {
        let app = read(&host(), whose).unwrap();
        assert_eq!((app.window_ns, app.not_seen.len()), (Some(1_000_000_000), 0), "{app:#?}");
        let [process] = app.processes.as_slice() else { panic!("{app:#?}") };
        let [thread] = process.threads.as_slice() else { panic!("{app:#?}") };
        assert_eq!((thread.last_cpu, thread.doing.len()), (2, 2));
        assert_eq!(thread.doing[0].value().unwrap().call, "recvfrom");
        let grown = thread.grown.as_ref().unwrap();
        assert_eq!((grown.cpu_ns, grown.minor_faults), (20_000_000, 40));
        assert_eq!((&grown.sleeps, &grown.migrations), (&Reading::Value(50), &Reading::Value(5)));
        assert!(matches!(grown.waited_ns, Reading::Absent(_)), "no schedstat is not zero");
        let [socket] = app.sockets.as_slice() else { panic!("{app:#?}") };
        assert_eq!((socket.drops_grown, socket.queues.len()), (Some(7), 2));
        let by = |napi, cpu| lowlat_model::application::FlowArrival { napi, cpu };
        assert_eq!(socket.arrivals, [by(8193, Some(1)), by(8195, None)]);
        assert_eq!(socket.owners, [Owner { pid: 812, fd: 7, command: "feed".into() }]);
        assert_eq!(socket.options.value().unwrap()["TCP_NODELAY"], 0);
    }
}

#[test]
fn without_a_window_nothing_grew() {
    let app = first(&host(), Whose::Pid(812)).and_then(|f| f.finish(&host(), false)).unwrap();
    assert_eq!((app.window_ns, app.sockets[0].drops_grown, app.sockets[0].queues.len()), (None, None, 1));
    assert!(app.processes[0].threads[0].grown.is_none());
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let of = |sys: &FakeSys, whose| read(sys, whose).unwrap_err();
    assert_eq!(of(&host(), Whose::Pid(9)), ApplicationProblem::NoProcess(9));
    let listed = of(&host(), Whose::Port(9));
    assert!(matches!(&listed, ApplicationProblem::NotListed(w) if w.starts_with("TCP sockets: absent")), "{listed}");
    assert_eq!(of(&host(), Whose::Both(812, 9)), ApplicationProblem::NoPort(9, Some(812)));
    let zombie = host().file("/proc/812/stat", &stat(812, "Z", 0, 0, 0));
    assert_eq!(of(&zombie, Whose::Pid(812)), ApplicationProblem::NoProcess(812));
    let thread = host().file("/proc/812/status", &status(800, 0));
    assert_eq!(of(&thread, Whose::Pid(812)), ApplicationProblem::Thread(812, 800));
    let ended = host().later("/proc/812/stat", "");
    assert_eq!(of(&ended, Whose::Pid(812)), ApplicationProblem::Ended(812));
    let kernel = stat(812, "S", 0, 0, 0).replacen("S 0 0 0 0 0 0", "S 0 0 0 0 0 2129984", 1);
    assert_eq!(of(&host().file("/proc/812/stat", &kernel), Whose::Pid(812)), ApplicationProblem::Kernel(812));
}

#[test]
fn what_may_not_be_seen_is_said_and_the_rest_is_read() {
    let sys = host().denied("/proc/812/task/812/syscall").denied("/proc/812/timerslack_ns");
    let app = read(&sys, Whose::Pid(812)).unwrap();
    let thread = &app.processes[0].threads[0];
    assert!(matches!(thread.doing[0], Reading::Denied(_)) && matches!(thread.timer_slack_ns, Reading::Denied(_)));
    assert!(thread.grown.is_some());
}
