//! Our far end where it is attacked: forged sources, nonsense, oversized messages, connections that hold their place.
//! Honest clients must stay served and memory bounded. Counts, never times.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::*;
use lowlat_peers::lowlat::place::{Answer, PlacementRequest, ask, message_len};
use lowlat_peers::serve::{self, Bound, Confinement, Places, ServeConfig, ServeStats, Wait, Watcher};
use lowlat_transport::{Endpoint, Proto, clock, os};

fn far4(port: u16) -> SocketAddr {
    SocketAddr::new(FAR4.parse().unwrap(), port)
}

/// IPv4 and UDP headers in front of `payload`; the kernel fills in the IP checksum, and none is needed for UDP.
fn forged(source: Ipv4Addr, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0u8; 28];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&u16::try_from(28 + payload.len()).unwrap().to_be_bytes());
    packet[8] = 64;
    packet[9] = 17;
    packet[12..16].copy_from_slice(&source.octets());
    packet[16..20].copy_from_slice(&FAR4.parse::<Ipv4Addr>().unwrap().octets());
    packet[20..22].copy_from_slice(&from.to_be_bytes());
    packet[22..24].copy_from_slice(&to.to_be_bytes());
    packet[24..26].copy_from_slice(&u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
    packet.extend(payload);
    packet
}

/// Sends whole packets, whatever their source.
struct Forger(OwnedFd);

impl Forger {
    fn new() -> Self {
        let fd = os::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW).unwrap();
        os::set_int(fd.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, 1 << 20).unwrap();
        Self(fd)
    }

    fn send(&self, packet: &[u8]) {
        os::send_to(self.0.as_fd(), packet, 0, &os::RawAddress::from(far4(0))).unwrap();
    }
}

/// A sound lowlat probe.
fn probe(len: usize) -> Vec<u8> {
    let mut peer = (lowlat_peers::find("lowlat").unwrap().make)(&options(len));
    let mut message = vec![0; len];
    peer.encode(0, 0, &mut message);
    message
}

/// Resident memory of this process, KiB.
fn memory() -> u64 {
    let all = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = all.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn honest(count: u64) {
    for proto in [Proto::Udp, Proto::Tcp] {
        ping_pong("lowlat", &Endpoint::new(proto, far4(8620), 64), &options(64), count).unwrap();
    }
}

#[test]
fn many_forged_sources_cost_no_memory_and_no_honest_client() {
    in_namespace(&[], || {
        let far = Far::new();
        // Their answers go somewhere: to the near end, which knows no such address and drops them.
        far.run(|| run("ip", &["route", "add", "default", "via", NEAR4]));
        let config = ServeConfig { source_limit: Some(50_000), total_limit: Some(200_000), ..ServeConfig::default() };
        let served = far.serve(config);
        let forger = Forger::new();
        let message = probe(64);
        honest(50);
        let before = memory();
        // 100000 sources: 25 times what the table of sources holds.
        let over = AtomicBool::new(false);
        let (sent, answered) = std::thread::scope(|s| {
            // A new thread is in the namespace of the one that starts it.
            let beside = s.spawn(|| {
                let mut engine = lowlat_transport::open("block", &Endpoint::new(Proto::Udp, far4(8620), 64)).unwrap();
                let (mut sent, mut answered) = (0, 0);
                while !over.load(Ordering::Relaxed) {
                    sent += 1;
                    engine.send(&message).unwrap();
                    let until = clock::now() + SECOND / 20;
                    answered += u64::from(engine.recv(&mut [0; 64], until).unwrap().is_some());
                }
                (sent, answered)
            });
            // An answer shows that the far end has come so far; without it most would be lost before it sees their source.
            let mut pace = lowlat_transport::open("block", &Endpoint::new(Proto::Udp, far4(8620), 64)).unwrap();
            for n in 0..100_000u32 {
                let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(11, 0, 0, 1)) + n);
                forger.send(&forged(source, 40_000, 8620, &message));
                if n % 200 == 0 {
                    pace.send(&message).unwrap();
                    let _ = pace.recv(&mut [0; 64], clock::now() + SECOND / 10).unwrap();
                }
            }
            over.store(true, Ordering::Relaxed);
            beside.join().unwrap()
        });
        // The total limit may take an honest probe too; most must come through.
        assert!(answered * 2 > sent, "{answered} of {sent} honest probes were answered next to the flood");
        std::thread::sleep(Duration::from_millis(300));
        honest(50);
        let grown = memory().saturating_sub(before);
        let stats = served.end();
        let seen = stats.received + stats.kernel_dropped;
        assert!(seen >= 100_000 + sent + 200, "all were there: {stats:?}");
        assert!(stats.received > 50_000, "more sources were seen than any table holds: {stats:?}");
        // The table is 4096 sources of 24 bytes; one that kept every source would need some 4 MB.
        assert!(grown < 1024, "{grown} KiB more after {} sources", 100_000);
    });
}

/// Every answer is to be no longer than what it answers; the kernel's own counters of the link say so of all at once.
#[test]
fn never_more_bytes_leave_than_came() {
    in_namespace(&[], || {
        let far = Far::new();
        let served = far.serve(ServeConfig { sockperf: Some(11111), stamp: Some(862), ..ServeConfig::default() });
        honest(5);
        // proc_pid_net(5): of `dev`, received bytes are the first number and sent bytes the ninth.
        let bytes = |column: usize| {
            far.run(move || {
                let table = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
                let row = table.lines().find_map(|l| l.trim_start().strip_prefix("lan1:")).unwrap();
                row.split_whitespace().nth(column).unwrap().parse::<u64>().unwrap()
            })
        };
        let (in_before, out_before) = (bytes(0), bytes(8));
        let socket = UdpSocket::bind((NEAR4, 0)).unwrap();
        let mut seed = 1u64;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        // Sound messages of each protocol, each with some bytes changed and cut anywhere: lengths that lie among them.
        for port in [8620u16, 11111, 862] {
            for _ in 0..5000 {
                let mut message = probe(64 + usize::try_from(random() % 400).unwrap());
                if port != 8620 {
                    message[..14].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 64]);
                }
                for _ in 0..random() % 4 {
                    let at = usize::try_from(random()).unwrap_or(0) % message.len();
                    message[at] = random().to_le_bytes()[0];
                }
                let len = if random() % 2 == 0 { message.len() } else { usize::try_from(random() % 64).unwrap() };
                socket.send_to(&message[..len], far4(port)).unwrap();
            }
        }
        std::thread::sleep(Duration::from_millis(300));
        let (came, left) = (bytes(0) - in_before, bytes(8) - out_before);
        let stats = served.end();
        assert!(stats.answered > 4000 && stats.malformed > 3000, "{stats:?}");
        assert!(left <= came, "{left} bytes left, {came} came");
    });
}

#[test]
fn nonsense_and_oversized_messages_are_survived() {
    in_namespace(&[], || {
        let far = Far::new();
        let served = far.serve(ServeConfig { sockperf: Some(11111), stamp: Some(862), ..ServeConfig::default() });
        let socket = UdpSocket::bind((NEAR4, 0)).unwrap();
        let forger = Forger::new();
        for port in [8620, 11111, 862] {
            for len in [0, 1, 13, 40, 47, 1500, 9000, 65_507] {
                socket.send_to(&vec![0xff; len], far4(port)).unwrap();
            }
            // From port 0, from the far end's own port, and from its own address: none may start a loop.
            for (source, from) in [(NEAR4, 0), (NEAR4, port), (FAR4, port), ("127.0.0.1", port), ("255.255.255.255", 9)]
            {
                forger.send(&forged(source.parse().unwrap(), from, port, &probe(64)));
            }
            let mut stream = TcpStream::connect(far4(port));
            if let Ok(stream) = &mut stream {
                // May be reset while it writes.
                let _ = stream.write_all(&vec![0xff; 1 << 20]);
            }
        }
        honest(50);
        let stats = served.end();
        // STAMP has no mark that marks its packets: what is as long as one is one, and four were.
        assert!(stats.malformed >= 20 && stats.answered == 104, "{stats:?}");
    });
}

#[test]
fn connections_that_hold_their_place_lose_it_to_honest_ones() {
    in_namespace(&[], || {
        let far = Far::new();
        for n in 0..8 {
            run("ip", &["addr", "add", &format!("198.18.7.{}/24", 10 + n), "dev", "lan0"]);
        }
        let served = far.serve(ServeConfig { max_connections: 16, ..ServeConfig::default() });
        // One that probes all the while: its turns must not keep the silent ones from being closed.
        let stop = AtomicBool::new(false);
        let (tell, reported) = mpsc::channel();
        std::thread::scope(|s| {
            let busy = s.spawn(|| {
                let tell = tell;
                let endpoint = Endpoint::new(Proto::Tcp, far4(8620), 64);
                let mut engine = lowlat_transport::open("block", &endpoint).unwrap();
                let mut rounds = 0;
                // Bounded, so that a failure next to it ends the test.
                let start = Instant::now();
                while !stop.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(30) {
                    round_trips(engine.as_mut(), "lowlat", &options(64), 10).expect("the busy one is served");
                    rounds += 1;
                    let _ = tell.send(());
                }
                rounds
            });
            reported.recv().unwrap();
            // Four from each of eight sources, twice as many as there are places; each sends a sound probe, a byte now
            // and then.
            let mut held: Vec<TcpStream> = (0..8u8)
                .flat_map(|n| (0..4).map(move |_| [198, 18, 7, 10 + n]))
                .map(|from| connect_from(IpAddr::from(from)))
                .collect();
            let start = Instant::now();
            let mut slowly = probe(64).into_iter();
            let mut served_among = 0;
            while start.elapsed() < Duration::from_secs(7) {
                let byte = slowly.next().unwrap();
                for stream in &mut held {
                    let _ = stream.write_all(&[byte]);
                }
                std::thread::sleep(Duration::from_millis(250));
                // After a second, every new client finds a place.
                if start.elapsed() > Duration::from_millis(1500) {
                    let endpoint = Endpoint::new(Proto::Tcp, far4(8620), 64);
                    ping_pong("lowlat", &endpoint, &options(64), 5).expect("an honest new client is served");
                    served_among += 1;
                }
            }
            stop.store(true, Ordering::Relaxed);
            assert!(busy.join().unwrap() > 0 && served_among > 0, "{served_among}");
            // By now each is closed, whatever it sent: none had a whole message within five seconds.
            let open = held.iter().filter(|s| is_open(s)).count();
            assert_eq!(open, 0, "slow ones were kept");
        });
        let stats = served.end();
        assert!(stats.connections_idle >= 12, "{stats:?}");
    });
}

/// One host with many addresses opens connections without a pause and sends nothing.
#[test]
fn a_flood_of_connections_keeps_no_new_client_out() {
    in_namespace(&[], || {
        let far = Far::new();
        for n in 0..8 {
            run("ip", &["addr", "add", &format!("198.18.7.{}/24", 10 + n), "dev", "lan0"]);
        }
        let served = far.serve(ServeConfig { max_connections: 16, ..ServeConfig::default() });
        let (stop, opened) = (AtomicBool::new(false), std::sync::atomic::AtomicU32::new(0));
        std::thread::scope(|s| {
            s.spawn(|| {
                let mut held = std::collections::VecDeque::new();
                for n in (0..8u8).cycle() {
                    held.push_back(connect_from(IpAddr::from([198, 18, 7, 10 + n])));
                    opened.fetch_add(1, Ordering::Relaxed);
                    // More than there are places for; the oldest are closed at the far end by then.
                    if held.len() > 100 {
                        held.pop_front();
                    }
                    std::thread::sleep(Duration::from_millis(1));
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
            while opened.load(Ordering::Relaxed) < 50 {
                std::thread::sleep(Duration::from_millis(5));
            }
            let served = (0..30)
                .filter(|_| ping_pong("lowlat", &Endpoint::new(Proto::Tcp, far4(8620), 64), &options(64), 5).is_ok())
                .count();
            stop.store(true, Ordering::Relaxed);
            assert_eq!(served, 30, "new clients next to {opened:?} connections");
        });
        let stats = served.end();
        assert!(stats.connections_idle >= 30, "{stats:?}");
    });
}

fn connect_from(source: IpAddr) -> TcpStream {
    let domain = libc::AF_INET;
    let fd = os::socket(domain, libc::SOCK_STREAM, 0).unwrap();
    os::bind(fd.as_fd(), SocketAddr::new(source, 0)).unwrap();
    os::connect(fd.as_fd(), far4(8620)).unwrap();
    TcpStream::from(fd)
}

fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    match stream.read(&mut [0; 16]) {
        Ok(0) => false,
        Ok(_) => true,
        Err(e) => matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

#[test]
fn many_clients_at_once_are_all_served() {
    in_namespace(&[], || {
        let far = Far::new();
        let served = far.serve(ServeConfig::default());
        let mut clients: Vec<_> = (0..200u32)
            .map(|n| {
                // A source may hold a quarter of the 256 places for connections.
                let proto = if n % 4 == 0 { Proto::Tcp } else { Proto::Udp };
                lowlat_transport::open("block", &Endpoint::new(proto, far4(8620), 64)).unwrap()
            })
            .collect();
        for _ in 0..5 {
            for client in &mut clients {
                round_trips(client.as_mut(), "lowlat", &options(64), 5).unwrap();
            }
        }
        let stats = served.end();
        assert_eq!((stats.answered, stats.malformed, stats.connections), (200 * 25, 0, 50), "{stats:?}");
        assert!(stats.residence.quantile(0.9).is_some_and(|ns| ns > 0), "{:?}", stats.residence);
    });
}

#[test]
fn what_the_kernel_drops_is_counted() {
    in_namespace(&[], || {
        let far = Far::new();
        let served = far.serve(ServeConfig::default());
        let socket = UdpSocket::bind((NEAR4, 0)).unwrap();
        let message = probe(1400);
        let mut sent = 0u64;
        // More than the receive buffer of 4 MiB holds, and faster than it is read, until some are lost.
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            for _ in 0..1000 {
                sent += u64::from(socket.send_to(&message, far4(8620)).is_ok());
            }
        }
        std::thread::sleep(Duration::from_millis(500));
        let stats = served.end();
        assert_eq!(stats.received + stats.kernel_dropped, sent, "each is either read or counted as dropped: {stats:?}");
    });
}

/// The answer of the far end at `to` to a placement request.
fn ask_place(to: SocketAddr, request: PlacementRequest) -> Option<Answer> {
    let endpoint = Endpoint::new(Proto::Udp, to, message_len(None));
    let mut engine = lowlat_transport::open("block", &endpoint).unwrap();
    ask(engine.as_mut(), None, &request, clock::now() + 2 * SECOND).unwrap()
}

/// A placement is one client's at a time, and whoever the far end does not answer places nothing. Requests of any
/// length get no more bytes than they have.
#[test]
fn a_placement_is_one_client_s_and_its_requests_amplify_nothing() {
    in_namespace(&[], || {
        let far = Far::new();
        let config = ServeConfig {
            places: Some(Places { alone: Some(0), before: vec![0], ..Places::default() }),
            allow: vec!["198.18.7.1/32".parse().unwrap()],
            ..ServeConfig::default()
        };
        let served = far.serve(config);
        let request = |client, seconds| PlacementRequest { client, host: 0, cpu: Some(1), seconds };
        let ask = |client, seconds| ask_place(far4(8620), request(client, seconds));
        assert_eq!(ask(1, 60), Some(Answer::ByRule(0)));
        assert_eq!(ask(2, 60), Some(Answer::Busy));
        assert_eq!(ask(1, 0), Some(Answer::Released));
        assert_eq!(ask(2, 60), Some(Answer::ByRule(0)));
        // From a source that is not allowed: silence, and the lease stays.
        let mut sound = probe(80);
        sound[5] |= 16;
        Forger::new().send(&forged("198.18.9.9".parse().unwrap(), 4_000, 8620, &sound));
        assert_eq!(ask(1, 60), Some(Answer::Busy));
        // Long ones: as many bytes come back, and none to one too short to be a request.
        let near = UdpSocket::bind((NEAR4, 0)).unwrap();
        near.connect(far4(8620)).unwrap();
        near.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut room = vec![0; 65_536];
        for (len, back) in [(48, None), (79, None), (80, Some(80)), (1_400, Some(1_400))] {
            let mut message = probe(len);
            message[5] |= 16;
            near.send(&message).unwrap();
            assert_eq!(near.recv(&mut room).ok(), back, "{len} bytes");
        }
        let stats = served.end();
        assert!(stats.not_allowed >= 1 && stats.malformed >= 2, "{stats:?}");
    });
}

/// Reports what the far end looked like from inside when it was ready.
struct Inside {
    tell: mpsc::Sender<()>,
    reports: usize,
}

fn status(key: &str) -> String {
    let all = std::fs::read_to_string("/proc/thread-self/status");
    // Once confined by Landlock, not even this may be read.
    let Ok(all) = all else { return "no file may be read".to_owned() };
    all.lines().find_map(|l| l.strip_prefix(key)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Watcher for Inside {
    fn ready(&mut self, bound: &[Bound], confinement: &[Confinement]) {
        assert!(bound.iter().any(|b| b.at.port() == 862), "a port that only root may bind: bind, then drop");
        let by: BTreeMap<_, _> = confinement.iter().map(|c| (c.by, c)).collect();
        assert_eq!(by.keys().copied().collect::<Vec<_>>(), ["landlock", "privileges", "seccomp"]);
        assert!(by["privileges"].whole && by["seccomp"].whole, "{confinement:?}");
        let file = std::fs::File::open("/proc/self/status").map(|_| ());
        let connection = TcpStream::connect(("127.0.0.1", 9)).map(|_| ()).unwrap_err().raw_os_error();
        if by["landlock"].whole {
            assert_eq!(file.unwrap_err().raw_os_error(), Some(libc::EACCES));
            assert_eq!(connection, Some(libc::EACCES));
        } else {
            // A kernel without it: then at least it is said.
            assert!(by["landlock"].words.contains("kernel"), "{confinement:?}");
            assert_eq!(status("CapEff:"), "0000000000000000");
        }
        self.tell.send(()).unwrap();
    }

    fn report(&mut self, stats: &ServeStats) {
        assert!(stats.received >= stats.answered);
        self.reports += 1;
    }

    fn every_ns(&self) -> Option<u64> {
        Some(SECOND / 5)
    }
}

/// Confinement changes a whole process, so it happens in one of its own: this binary again, with only this.
#[test]
#[ignore = "run by the_far_end_confines_itself_and_serves_on"]
fn child_confined() {
    in_namespace(&[], || {
        // Opened before: afterwards nobody in this process can.
        let tasks = || -> Vec<BTreeMap<String, String>> {
            std::fs::read_dir("/proc/self/task")
                .unwrap()
                .filter_map(|t| std::fs::read_to_string(t.unwrap().path().join("status")).ok())
                .map(|text| {
                    let pairs = text.lines().filter_map(|l| l.split_once(':'));
                    pairs.map(|(k, v)| (k.to_owned(), v.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
                })
                .collect()
        };
        let wait = match std::env::var("LOWLAT_TEST_WAIT").as_deref() {
            Err(_) => Wait::Sleep,
            Ok("spin") => Wait::Spin,
            Ok("epoll") => Wait::Epoll(50),
            Ok("io-uring") => Wait::Uring { spin: false },
            Ok("io-uring:spin") => Wait::Uring { spin: true },
            Ok(other) => panic!("no way to wait: {other}"),
        };
        // One thread for each datagram socket, or for all of them together.
        let shared = wait != Wait::Sleep;
        let placed = std::env::var_os("LOWLAT_TEST_PLACE").is_some();
        let cpus = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap());
        let before: Vec<u32> = (0..cpus).collect();
        let last = before[before.len() - 1];
        {
            let config = ServeConfig {
                sockperf: Some(11111),
                stamp: Some(862),
                confine: true,
                wait,
                cpu: (!placed).then_some(0),
                places: Some(Places { alone: Some(last), before, ..Places::default() }),
                ..ServeConfig::default()
            };
            let stop = AtomicBool::new(false);
            let (tell, reported) = mpsc::channel();
            std::thread::scope(|s| {
                let far = s.spawn(|| {
                    let mut inside = Inside { tell, reports: 0 };
                    let stats = serve::watched(&config, &stop, &mut inside).unwrap();
                    (stats, inside.reports)
                });
                reported.recv().expect("the far end did not start");
                let done = std::panic::catch_unwind(|| {
                    let answer =
                        ask_place(local(8620), PlacementRequest { client: 1, host: 0, cpu: None, seconds: 60 });
                    assert_eq!(answer, Some(if placed { Answer::ByRule(last) } else { Answer::Fixed(0) }));
                    for (peer, proto, port) in [
                        ("lowlat", Proto::Udp, 8620),
                        ("lowlat", Proto::Tcp, 8620),
                        ("sockperf", Proto::Udp, 11111),
                        ("sockperf", Proto::Tcp, 11111),
                        ("stamp", Proto::Udp, 862),
                    ] {
                        ping_pong(peer, &Endpoint::new(proto, local(port), 64), &options(64), 200).unwrap();
                    }
                    // A new client while another has the thread to itself: the call to it passes the filter too.
                    let tcp =
                        |count| ping_pong("lowlat", &Endpoint::new(Proto::Tcp, local(8620), 64), &options(64), count);
                    std::thread::scope(|s| {
                        let first = s.spawn(|| tcp(4000).unwrap());
                        tcp(200).unwrap();
                        first.join().unwrap();
                    });
                    let mut sink = TcpStream::connect(local(8620)).unwrap();
                    sink.write_all(&lowlat_peers::lowlat::sink_request(None)).unwrap();
                    sink.write_all(&vec![0; 100_000]).unwrap();
                    drop(sink);
                    std::thread::sleep(Duration::from_millis(500));
                    // The threads that serve, and the one that waits for them: filtered, and nobody without
                    // capabilities.
                    let filtered: Vec<_> = tasks().into_iter().filter(|t| t["Seccomp"] == "2").collect();
                    assert!(filtered.len() >= if shared { 3 } else { 5 }, "{}", filtered.len());
                    // Those that had messages: the open socket's thread, its connected socket's, and the streams'.
                    let there = if placed { last } else { 0 }.to_string();
                    let pinned = filtered.iter().filter(|t| t["Cpus_allowed_list"] == there).count();
                    assert!(pinned >= if shared { 1 } else { 3 }, "{pinned} threads are on CPU {there}");
                    for task in filtered {
                        assert_eq!(task["Uid"], "65534 65534 65534 65534");
                        assert_eq!(task["Gid"], "65534 65534 65534 65534");
                        assert_eq!(task["Groups"], "");
                        assert_eq!(task["NoNewPrivs"], "1");
                        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                            assert_eq!(task[set], "0000000000000000", "{set}");
                        }
                    }
                });
                stop.store(true, Ordering::Relaxed);
                let (stats, reports) = far.join().unwrap();
                // Also of a ring, whose own end comes later. The kernel may still have a request of it in another context, which on a
                // busy machine puts the socket a moment after the ring gave it up.
                let is_free = || UdpSocket::bind(local(8620)).is_ok();
                let free = (0..100).any(|_| {
                    is_free() || {
                        std::thread::sleep(Duration::from_millis(10));
                        false
                    }
                });
                assert!(free, "the port is free when the far end has ended");
                done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                assert_eq!((stats.answered, stats.send_failed, stats.receive_failed), (5201, 0, 0), "{stats:?}");
                assert_eq!(stats.sink_bytes, 100_000);
                assert!(reports >= 1);
            });
        }
    });
}

#[test]
fn the_far_end_confines_itself_and_serves_on() {
    in_namespace(&[], || {
        let me = std::env::current_exe().unwrap();
        let me = me.to_str().unwrap();
        run(me, &["--exact", "child_confined", "--include-ignored"]);
        run("env", &["LOWLAT_TEST_PLACE=1", me, "--exact", "child_confined", "--include-ignored"]);
        for wait in ["spin", "epoll", "io-uring", "io-uring:spin"] {
            let wait = format!("LOWLAT_TEST_WAIT={wait}");
            run("env", &[&wait, me, "--exact", "child_confined", "--include-ignored"]);
        }
    });
}
