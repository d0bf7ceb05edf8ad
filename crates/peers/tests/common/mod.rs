//! What the privileged tests share: private namespaces, stock programs, probing by hand.
#![allow(clippy::print_stderr)] // the only way for a test to say that it was left out
#![allow(dead_code)] // each test file uses a part

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lowlat_peers::serve::{self, ServeConfig, ServeStats};
use lowlat_peers::{Decoded, PeerOptions, find};
use lowlat_transport::{Endpoint, Engine, EngineError, clock};

pub(crate) const SECOND: u64 = 1_000_000_000;

/// Where a program is: on the path, or among those that `scripts/packages` builds for itself.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = set("LOWLAT_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|d| d.join("lowlat")))
        .or_else(|| set("HOME").map(|d| d.join(".cache/lowlat")));
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths)
        .chain(cache.map(|c| c.join("stock/bin")))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Runs `test` on a thread in a network namespace of its own, whose loopback is up.
pub(crate) fn in_namespace(needs: &[&str], test: impl FnOnce() + Send) {
    std::thread::scope(|s| {
        s.spawn(|| {
            let own = lowlat_os::namespace::own_network().is_ok();
            let missing = needs.iter().find(|p| program(p).is_none());
            if !own || missing.is_some() {
                let why =
                    missing.map_or_else(|| "no right to make a network namespace".to_owned(), |p| format!("no {p}"));
                assert!(std::env::var_os("LOWLAT_REQUIRE_ROOT").is_none_or(|v| v != "1"), "must run: {why}");
                eprintln!("left out: {why}");
                return;
            }
            run("ip", &["link", "set", "lo", "up"]);
            test();
        })
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Output and errors of a program that ends well.
pub(crate) fn run(name: &str, args: &[&str]) -> String {
    let (good, text) = attempt(name, args);
    assert!(good, "{name} {args:?}: {text}");
    text
}

/// Whether a program ended well, and its output and errors.
pub(crate) fn attempt(name: &str, args: &[&str]) -> (bool, String) {
    let file = program(name).unwrap_or_else(|| name.into());
    let out = Command::new(&file).args(args).output().unwrap_or_else(|e| panic!("{name}: {e}"));
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.success(), text)
}

/// A program that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(name: &str, args: &[&str]) -> Self {
        let file = program(name).unwrap_or_else(|| name.into());
        Self(Command::new(file).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `count` round trips with the blocking engine, all answered; how many carried the far end's stamps.
pub(crate) fn ping_pong(
    peer: &str,
    endpoint: &Endpoint,
    options: &PeerOptions,
    count: u64,
) -> Result<u64, EngineError> {
    round_trips(lowlat_transport::open("block", endpoint)?.as_mut(), peer, options, count)
}

/// `count` round trips, all answered; how many carried the far end's stamps.
pub(crate) fn round_trips(
    engine: &mut dyn Engine,
    peer: &str,
    options: &PeerOptions,
    count: u64,
) -> Result<u64, EngineError> {
    let mut peer = (find(peer).unwrap().make)(options);
    engine.set_framing(peer.framing());
    peer.open(engine, clock::now() + 2 * SECOND, &AtomicBool::new(false))?;
    let mut message = vec![0u8; options.message_len];
    let mut buf = vec![0u8; options.message_len];
    let mut stamped = 0;
    for seq in 0..count {
        let asked = clock::now();
        peer.encode(seq, asked, &mut message);
        engine.send(&message)?;
        loop {
            let got = engine.recv(&mut buf, clock::now() + 2 * SECOND)?.expect("an answer within two seconds");
            if let Decoded::Reply { seq: answered, far } = peer.decode(&buf[..got.len]) {
                assert_eq!(answered, seq);
                if let Some(far) = far {
                    // Part of the round trip, to what two clocks of one host differ by in it.
                    let most = clock::now() - asked + SECOND / 1_000;
                    let residence = far.sent_ns.checked_sub(far.received_ns);
                    assert!(residence.is_some_and(|ns| ns <= most), "{far:?} in {most} ns");
                    stamped += 1;
                }
                break;
            }
        }
    }
    peer.close(engine);
    Ok(stamped)
}

/// Again until the program has bound its port.
pub(crate) fn until_there<T>(mut attempt: impl FnMut() -> Result<T, EngineError>) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(e) => assert!(start.elapsed() < Duration::from_secs(10), "{e}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn options(message_len: usize) -> PeerOptions {
    PeerOptions { message_len, ..PeerOptions::default() }
}

pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port)
}

/// Our far end beside `near`, in the namespace of the calling thread.
pub(crate) fn beside(config: ServeConfig, near: impl FnOnce()) -> ServeStats {
    let stop = AtomicBool::new(false);
    let (tell, reported) = mpsc::channel();
    std::thread::scope(|s| {
        let far = s.spawn(|| {
            let config = config;
            serve::run(&config, &stop, move |_| tell.send(()).unwrap())
        });
        reported.recv().expect("the far end did not start");
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(near));
        stop.store(true, Ordering::Relaxed);
        let stats = far.join().unwrap().unwrap();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        stats
    })
}

pub(crate) const NEAR4: &str = "198.18.7.1";
pub(crate) const FAR4: &str = "198.18.7.2";
pub(crate) const NEAR6: &str = "fd00:7::1";
pub(crate) const FAR6: &str = "fd00:7::2";
/// Link-local, on both ends' `lan0` and `lan1`.
pub(crate) const FAR_LINK: &str = "fe80::7:2";

type Job = Box<dyn FnOnce() + Send>;

/// A second namespace behind a veth pair: `lan0` in the calling thread's, `lan1` there. It ends with the value.
pub(crate) struct Far {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Far {
    pub(crate) fn new() -> Self {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (say, hear) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            lowlat_os::namespace::own_network().unwrap();
            say.send(rustix::thread::gettid().as_raw_pid()).unwrap();
            for job in inbox {
                job();
            }
        });
        let tid = hear.recv().unwrap().to_string();
        let link = ["link", "add", "lan0", "type", "veth", "peer", "name", "lan1", "netns", &tid];
        run("ip", &link);
        let far = Self { jobs: Some(jobs), thread: Some(thread) };
        let configure = |dev: &str, v4: &str, v6: &str, link: &str| {
            run("ip", &["addr", "add", &format!("{v4}/24"), "dev", dev]);
            run("ip", &["link", "set", "lo", "up"]);
            run("ip", &["link", "set", dev, "addrgenmode", "none"]);
            run("ip", &["link", "set", dev, "up"]);
            for v6 in [format!("{v6}/64"), format!("{link}/64")] {
                run("ip", &["addr", "add", &v6, "dev", dev, "nodad"]);
            }
        };
        far.run(move || configure("lan1", FAR4, FAR6, FAR_LINK));
        configure("lan0", NEAR4, NEAR6, "fe80::7:1");
        far
    }

    /// Runs `job` there and waits for it.
    pub(crate) fn run<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> R {
        let (say, hear) = mpsc::channel();
        self.jobs.as_ref().unwrap().send(Box::new(move || say.send(job()).unwrap())).unwrap();
        hear.recv().expect("the far end's job panicked")
    }

    /// Our far end there, until the answer is dropped.
    pub(crate) fn serve(&self, config: ServeConfig) -> Served {
        self.run(move || Served::start(config))
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let _ = self.thread.take().unwrap().join();
    }
}

/// Our far end on threads of its own.
pub(crate) struct Served {
    stop: std::sync::Arc<AtomicBool>,
    thread: Option<JoinHandle<ServeStats>>,
}

impl Served {
    pub(crate) fn start(config: ServeConfig) -> Self {
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let (tell, reported) = mpsc::channel();
        let stopped = stop.clone();
        let thread =
            std::thread::spawn(move || serve::run(&config, &stopped, move |_| tell.send(()).unwrap()).unwrap());
        reported.recv().expect("the far end did not start");
        Self { stop, thread: Some(thread) }
    }

    /// Ends it and reports what it counted.
    pub(crate) fn end(mut self) -> ServeStats {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
