//! What the suites that start the built program share: its answer, a state directory of its own, the form of a refusal.
#![allow(dead_code, unreachable_pub)] // each suite is a crate of its own and uses a part

pub mod document;
pub mod guest;
pub mod holds;
pub mod lab;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The program under test.
pub const LOWLAT: &str = env!("CARGO_BIN_EXE_lowlat");

/// The program under test as a word of a shell script, whatever is in its path.
pub fn word() -> String {
    lowlat_lab::vm::quoted(LOWLAT)
}

/// A directory of one test, removed at its end.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("lowlat-test-{}-{n}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The state directory of the program under test. Not made here: who makes it when is part of what is tested.
    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    /// Writes a file and names it.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// As [`Scratch::file`], its owner's alone, as a key has to be.
    pub fn secret(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.file(name, bytes);
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    /// A name in it, as text.
    pub fn name(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// The program under test, with this state directory.
    pub fn lowlat(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LOWLAT);
        command.args(args).env("LOWLAT_STATE", self.state()).stdin(Stdio::null());
        command
    }

    /// Every journal of the state directory, by name, with its bytes.
    pub fn journals(&self) -> Vec<(String, Vec<u8>)> {
        let Ok(entries) = fs::read_dir(self.state().join("journal")) else { return Vec::new() };
        let mut all: Vec<(String, Vec<u8>)> = entries
            .map(|e| e.unwrap())
            .filter(|e| e.path().is_file())
            .map(|e| (e.file_name().to_str().unwrap().to_owned(), fs::read(e.path()).unwrap()))
            .collect();
        all.sort();
        all
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the program answered.
#[derive(Debug)]
pub struct Ran {
    pub words: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn new(words: String, output: Output) -> Self {
        Self {
            words,
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Its standard output as JSON: one document and nothing else, and one that its schema allows.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let value = serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:#?}"));
        document::allowed(&value);
        value
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// What is wrong with it as a refusal that names all of `named`: exit 2, nothing on stdout, and one line on stderr
    /// that begins with the program's name and ends in a next step.
    pub fn unlike_a_refusal(&self, named: &[&str]) -> Option<String> {
        let mut wrong = self.unlike_a_failure(named);
        if self.err.lines().count() != 1 {
            wrong.push(format!("stderr has {} lines", self.err.lines().count()));
        }
        (!wrong.is_empty())
            .then(|| format!("{}: {}\n  stdout {:?}\n  stderr {:?}", self.words, wrong.join(", "), self.out, self.err))
    }

    fn unlike_a_failure(&self, named: &[&str]) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.code != Some(2) {
            wrong.push(format!("exit {:?}", self.code));
        }
        if !self.out.is_empty() {
            wrong.push("something on stdout".to_owned());
        }
        let last = self.err.lines().last().unwrap_or_default();
        if !self.err.ends_with('\n') || !last.starts_with("lowlat: ") {
            wrong.push("its last line is not the program's".to_owned());
        }
        // Every error of this program sets the next step off by a semicolon (house style).
        if last.split_once("; ").is_none_or(|(_, next)| next.len() <= 5) {
            wrong.push("no next step".to_owned());
        }
        if last.contains("panicked") || last.contains("RUST_BACKTRACE") {
            wrong.push("a panic".to_owned());
        }
        for name in named.iter().filter(|n| !last.contains(**n)) {
            wrong.push(format!("it does not name {name:?}"));
        }
        wrong
    }

    /// Asserts a refusal.
    #[track_caller]
    pub fn refuses(&self, named: &[&str]) -> &Self {
        if let Some(wrong) = self.unlike_a_refusal(named) {
            panic!("{wrong}");
        }
        self
    }

    /// Asserts a failure during work: as a refusal, with progress before its line.
    #[track_caller]
    pub fn fails(&self, named: &[&str]) -> &Self {
        let wrong = self.unlike_a_failure(named);
        assert!(wrong.is_empty(), "{wrong:?}: {self:#?}");
        self
    }
}

/// Longest that any command here may take; one that hangs is killed and fails its test.
const PATIENCE: Duration = Duration::from_secs(240);

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Ran {
    Started::new(command).wait()
}

/// A running program, killed when dropped.
#[derive(Debug)]
pub struct Started {
    words: String,
    child: Option<std::process::Child>,
    out: Option<std::thread::JoinHandle<Vec<u8>>>,
    err: Lines,
}

/// The lines of a stream so far.
#[derive(Debug, Clone, Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<(Vec<u8>, bool)>>);

impl Lines {
    fn follow(&self, mut from: impl std::io::Read + Send + 'static) {
        let lines = self.clone();
        std::thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut buf) {
                lines.0.lock().unwrap().0.extend_from_slice(&buf[..n]);
            }
            lines.0.lock().unwrap().1 = true;
        });
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap().0).into_owned()
    }

    fn ended(&self) -> bool {
        self.0.lock().unwrap().1
    }
}

impl Started {
    #[track_caller]
    pub fn new(command: &mut Command) -> Self {
        let words = format!("{command:?}");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("start {words}: {e}"));
        let err = Lines::default();
        err.follow(child.stderr.take().unwrap());
        let mut stdout = child.stdout.take().unwrap();
        let out = std::thread::spawn(move || {
            let mut all = Vec::new();
            let _ = std::io::Read::read_to_end(&mut stdout, &mut all);
            all
        });
        Self { words, child: Some(child), out: Some(out), err }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn err(&self) -> String {
        self.err.text()
    }

    /// Waits until a line on stderr holds `text`.
    #[track_caller]
    pub fn says(&mut self, text: &str) {
        let start = Instant::now();
        while !self.err.text().contains(text) {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() || !self.err.ended(),
                "it ended with {ended:?} before it said {text:?}: {}",
                self.err()
            );
            assert!(start.elapsed() < PATIENCE, "it did not say {text:?}: {}", self.err());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal by name.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        kill(name, self.pid());
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Ran {
        let start = Instant::now();
        let mut child = self.child.take().unwrap();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{} did not end within {PATIENCE:?}: {}", self.words, self.err.text());
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        // What the program leaves running (the watchdog of `apply --confirm-within`) has no business with its streams.
        let patience = Instant::now();
        while !self.err.ended() || !self.out.as_ref().unwrap().is_finished() {
            assert!(patience.elapsed() < Duration::from_secs(5), "{}: something holds its output open", self.words);
            std::thread::sleep(Duration::from_millis(2));
        }
        let stdout = self.out.take().unwrap().join().unwrap();
        let stderr = self.err.text().into_bytes();
        Ran::new(std::mem::take(&mut self.words), Output { status, stdout, stderr })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends a signal to a process that this suite started.
#[track_caller]
pub fn kill(name: &str, pid: u32) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill -{name} {pid}");
}

/// Whether a process is there and no zombie.
pub fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
}

/// Waits until `met`; at most ten seconds.
#[track_caller]
pub fn until(what: &str, mut met: impl FnMut() -> bool) {
    let start = Instant::now();
    while !met() {
        assert!(start.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the first of `most` tries that succeeds gives. For what the machine beside can hide and cannot make: a gain.
#[track_caller]
pub fn tries<T>(most: usize, mut one: impl FnMut() -> Result<T, String>) -> T {
    let mut reported = Vec::new();
    for _ in 0..most {
        match one() {
            Ok(done) => return done,
            Err(why) => reported.push(why),
        }
    }
    panic!("{most} tries: {}", reported.join("\n"));
}

/// A copy of the program that any user may run: the build folder may be root's alone.
pub fn for_anybody(scratch: &Scratch) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let copy = scratch.path().join("lowlat");
    if copy.exists() {
        return copy;
    }
    fs::copy(LOWLAT, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

/// A capture in libpcap's classic form, of bare IPv4: a datagram of so many bytes at each time, ns, from port 5000 to 6000.
pub fn capture(packets: &[(u64, u16)]) -> Vec<u8> {
    let words = |all: &[u32]| all.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let mut out = words(&[0xa1b2_3c4d, 0x0004_0002, 0, 0, 65_535, 101]);
    for (at_ns, bytes) in packets {
        let mut ip = vec![0; 28];
        (ip[0], ip[9]) = (0x45, 17);
        ip[2..4].copy_from_slice(&(bytes + 28).to_be_bytes());
        ip[12..20].copy_from_slice(&[192, 0, 2, 1, 192, 0, 2, 2]);
        ip[20..24].copy_from_slice(&[5_000u16.to_be_bytes(), 6_000u16.to_be_bytes()].concat());
        ip[24..26].copy_from_slice(&(bytes + 8).to_be_bytes());
        let [s, ns] = [at_ns / 1_000_000_000, at_ns % 1_000_000_000].map(|n| u32::try_from(n).unwrap());
        out.extend(words(&[s, ns, 28, u32::from(*bytes) + 28]));
        out.extend(ip);
    }
    out
}

/// CRC-32 (IEEE 802.3, reflected), as the journal's lines carry it; by the definition, not by the crate under test.
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 })
    })
}
