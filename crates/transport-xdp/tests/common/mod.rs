//! Two private network namespaces joined by a veth pair: `near` (this thread) and `far` (a thread of its own).
#![allow(dead_code)] // each test file uses a part

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{OwnedFd, RawFd};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use lowlat_os::namespace::own_network;
use lowlat_transport::{Endpoint, Proto};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

pub(crate) const NEAR4: &str = "10.231.0.1";
pub(crate) const FAR4: &str = "10.231.0.2";
pub(crate) const NEAR6: &str = "fd00:231::1";
pub(crate) const FAR6: &str = "fd00:231::2";

/// Whether kernel tests can run here; with LOWLAT_REQUIRE_ROOT they must.
pub(crate) fn privileged() -> bool {
    let root = rustix::process::geteuid().is_root();
    let required = std::env::var_os("LOWLAT_REQUIRE_ROOT").is_some_and(|v| v == "1");
    assert!(root || !required, "LOWLAT_REQUIRE_ROOT=1, and this user is not root");
    if !root {
        eprintln!("not run: needs root");
    }
    root
}

/// Copies of this process's BPF links, as a process that is just forked from it has them.
pub(crate) fn copies_of_links() -> Vec<OwnedFd> {
    let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        let is_link = std::fs::read_link(entry.path()).ok()?.to_str()?.contains("bpf_link");
        is_link.then_some(())?;
        entry.file_name().to_str()?.parse::<RawFd>().ok()
    });
    // Of a number closed meanwhile it gives none.
    open.filter_map(|fd| pidfd_getfd(&this, fd, PidfdGetfdFlags::empty()).ok()).collect()
}

/// Runs a command in the calling thread's namespace.
pub(crate) fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let out = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Lab {
    jobs: Option<mpsc::Sender<Job>>,
    far: Option<JoinHandle<()>>,
}

impl Lab {
    /// The calling thread enters `near`, and stays there.
    pub(crate) fn new(queues: u32) -> Self {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (say, hear) = mpsc::channel();
        let far = std::thread::spawn(move || {
            own_network().unwrap();
            say.send(rustix::thread::gettid().as_raw_pid()).unwrap();
            for job in inbox {
                job();
            }
        });
        own_network().unwrap();
        let far_tid = hear.recv().unwrap();
        run(&format!(
            "ip link add va numrxqueues {queues} numtxqueues {queues} type veth peer name vb numrxqueues {queues} \
             numtxqueues {queues} netns {far_tid}"
        ));
        let lab = Self { jobs: Some(jobs), far: Some(far) };
        lab.far(|| {
            run(&format!("ip addr add {FAR4}/24 dev vb"));
            run(&format!("ip addr add {FAR6}/64 dev vb nodad"));
            run("ip link set vb up");
            run("ip link set lo up");
        });
        run(&format!("ip addr add {NEAR4}/24 dev va"));
        run(&format!("ip addr add {NEAR6}/64 dev va nodad"));
        run("ip link set va up");
        run("ip link set lo up");
        lab
    }

    /// Runs `job` in `far` and waits for it.
    pub(crate) fn far<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> R {
        let (say, hear) = mpsc::channel();
        self.jobs.as_ref().unwrap().send(Box::new(move || say.send(job()).unwrap())).unwrap();
        hear.recv().expect("the far end's job panicked")
    }

    /// An ordinary kernel UDP socket in `far` that sends everything back.
    pub(crate) fn echo(&self, ip: &str) -> Echo {
        let ip: IpAddr = ip.parse().unwrap();
        self.far(move || Echo::start(SocketAddr::new(ip, 0)))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let _ = self.far.take().unwrap().join();
    }
}

pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    pub(crate) served: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (stop.clone(), served.clone());
        let thread = std::thread::spawn(move || {
            let mut buf = vec![0; 65536];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buf) {
                    count.fetch_add(1, Ordering::Relaxed);
                    socket.send_to(&buf[..len], from).unwrap();
                }
            }
        });
        Self { address, stop, served, thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

pub(crate) fn endpoint(remote: SocketAddr) -> Endpoint {
    Endpoint { iface: Some("va".to_owned()), ..Endpoint::new(Proto::Udp, remote, 1400) }
}

/// XDP programs on an interface, as `ip` shows them.
pub(crate) fn has_program(iface: &str) -> bool {
    run(&format!("ip link show {iface}")).contains("prog/xdp")
}
