//! Bulk TCP streams along with the probe: what latency is when the path has work to do.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::MeasureError;

/// One write; large enough to keep the segmentation offload busy, small enough that a stop is seen soon.
const CHUNK: usize = 64 * 1024;
/// A write that stays stuck so long looks at the stop flag.
const STUCK: Duration = Duration::from_millis(100);
/// A sink that takes longer to connect to is none.
const PATIENCE: Duration = Duration::from_secs(3);

/// What load to put on the path.
#[derive(Debug, Clone)]
pub struct Load {
    /// A sink of the far end: it reads and drops.
    pub sink: SocketAddr,
    /// Parallel streams.
    pub streams: u32,
    /// Bytes a second over all streams; `None` for as much as the path takes.
    pub bytes_per_second: Option<u64>,
    /// Sent first on every stream: what the far end wants before it sinks.
    pub preamble: Vec<u8>,
}

/// Streams that run until dropped or [`RunningLoad::stop`]ped.
#[derive(Debug)]
pub struct RunningLoad {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
    since: Instant,
}

/// What the load came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Carried {
    /// Bytes handed to the kernel.
    pub bytes: u64,
    /// For how long.
    pub seconds: f64,
    /// Streams that broke before the end.
    pub broken_streams: u64,
}

impl Load {
    /// Whether the sink takes the streams: connects them, sends nothing but the preamble, and lets them go. Ends within
    /// a tenth of a second after `stop` is set.
    pub fn reach_unless(&self, stop: &AtomicBool) -> Result<(), MeasureError> {
        self.connect(stop).map(drop)
    }

    fn connect(&self, stop: &AtomicBool) -> Result<Vec<TcpStream>, MeasureError> {
        let mut streams = Vec::new();
        for _ in 0..self.streams.max(1) {
            let error = |source| MeasureError::Io {
                what: format!("load: connect to the sink at {} (the far end must run `lowlat serve`)", self.sink),
                source,
            };
            let mut stream = connect(self.sink, stop).map_err(error)?;
            stream.set_write_timeout(Some(STUCK)).map_err(error)?;
            stream.write_all(&self.preamble).map_err(error)?;
            streams.push(stream);
        }
        Ok(streams)
    }

    /// Connects every stream, then starts them together.
    pub fn start(&self) -> Result<RunningLoad, MeasureError> {
        self.start_unless(&AtomicBool::new(false))
    }

    /// As [`Load::start`]; ends within a tenth of a second after `stop` is set.
    pub fn start_unless(&self, stop: &AtomicBool) -> Result<RunningLoad, MeasureError> {
        let streams = self.connect(stop)?;
        let running = RunningLoad {
            stop: Arc::default(),
            sent: Arc::default(),
            failed: Arc::default(),
            threads: Vec::new(),
            since: Instant::now(),
        };
        let per_stream = self.bytes_per_second.map(|b| (b / streams.len() as u64).max(1));
        let mut running = running;
        for stream in streams {
            let (stop, sent, failed) = (running.stop.clone(), running.sent.clone(), running.failed.clone());
            running.threads.push(std::thread::spawn(move || {
                if push(stream, per_stream, &stop, &sent).is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        Ok(running)
    }
}

/// Connects in a thread of its own, which is left to itself when `stop` is set: no call of std both waits for a
/// connection and looks at a flag.
fn connect(sink: SocketAddr, stop: &AtomicBool) -> std::io::Result<TcpStream> {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(TcpStream::connect_timeout(&sink, PATIENCE)));
    loop {
        match receive.recv_timeout(STUCK) {
            Ok(connected) => return connected,
            Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => {
                return Err(std::io::Error::new(std::io::ErrorKind::Interrupted, "interrupted by a signal"));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(std::io::Error::other("the connecting thread ended")),
        }
    }
}

fn push(mut stream: TcpStream, per_second: Option<u64>, stop: &AtomicBool, sent: &AtomicU64) -> std::io::Result<()> {
    let chunk = vec![0xa5u8; CHUNK];
    let start = Instant::now();
    let mut mine = 0u64;
    while !stop.load(Ordering::Relaxed) {
        if let Some(rate) = per_second {
            let due = Duration::from_secs_f64(mine as f64 / rate as f64);
            if let Some(early) = due.checked_sub(start.elapsed()) {
                std::thread::sleep(early.min(STUCK));
                continue;
            }
        }
        match stream.write(&chunk) {
            Ok(n) => {
                mine += n as u64;
                sent.fetch_add(n as u64, Ordering::Relaxed);
            }
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut | std::io::ErrorKind::Interrupted
                ) => {}
            Err(e) => return Err(e),
        }
    }
    // What is still queued would load the path after the load is said to be over.
    let _ = stream.shutdown(std::net::Shutdown::Both);
    Ok(())
}

impl RunningLoad {
    /// So far.
    pub fn carried(&self) -> Carried {
        Carried {
            bytes: self.sent.load(Ordering::Relaxed),
            seconds: self.since.elapsed().as_secs_f64(),
            broken_streams: self.failed.load(Ordering::Relaxed),
        }
    }

    /// Ends all streams and reports what they carried.
    pub fn stop(mut self) -> Carried {
        let carried = self.carried();
        self.end();
        carried
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for RunningLoad {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn streams_carry_bytes_and_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sink = listener.local_addr().unwrap();
        let reader = std::thread::spawn(move || {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let mut s = listener.accept().unwrap().0;
                    std::thread::spawn(move || {
                        let mut head = [0; 4];
                        s.read_exact(&mut head).unwrap();
                        let mut all = 0;
                        let mut buf = vec![0; 1 << 16];
                        while let Ok(n @ 1..) = s.read(&mut buf) {
                            all += n as u64;
                        }
                        (head, all)
                    })
                })
                .collect();
            readers.into_iter().map(|r| r.join().unwrap()).collect::<Vec<_>>()
        });
        let load = Load { sink, streams: 2, bytes_per_second: None, preamble: b"sink".to_vec() };
        let running = load.start().unwrap();
        while running.carried().bytes < 1_000_000 {
            std::thread::yield_now();
        }
        let carried = running.stop();
        let got = reader.join().unwrap();
        assert!(got.iter().all(|(head, _)| head == b"sink"));
        assert!(got.iter().map(|g| g.1).sum::<u64>() >= 1_000_000 - 2 * CHUNK as u64);
        assert_eq!(carried.broken_streams, 0);
    }

    #[test]
    fn no_sink_is_one_line() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sink = listener.local_addr().unwrap();
        drop(listener);
        let error =
            Load { sink, streams: 1, bytes_per_second: None, preamble: vec![] }.start().unwrap_err().to_string();
        assert!(error.contains("sink") && !error.contains('\n'), "{error}");
    }
}
