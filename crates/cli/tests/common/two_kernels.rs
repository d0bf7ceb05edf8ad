//! A trace over two kernels: the near end is this host, in the network namespace of the taps that the guest's NICs hang on; the
//! far end is in the guest. Both talk over a connection of TCP: the guest says which port its program answers on, hears when
//! the near end's rounds are over, and sends what it traced.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::guest::{FAR, Node, program, sh};
use crate::common::{LOWLAT, Scratch, Started, until};

/// This host's address on the bridge of the taps.
const NEAR: &str = "10.77.0.3";
const TALK: u16 = 9_900;
/// Such a guest's QEMU, by an argument of its topology (lab, `topology/virtio_mq.rs`).
const TAP: &str = "ifname=lab0";
const TRACEFS: &str = "mount -t tracefs none /sys/kernel/tracing && exec";
/// A boot and every case before this one.
const LIMIT: Duration = Duration::from_secs(400);

static RUNS: OnceLock<Mutex<Option<JoinHandle<Value>>>> = OnceLock::new();

/// Begins to wait for the guest that this process boots; nothing in the guest itself.
pub(crate) fn begin() {
    if std::env::var_os("LOWLAT_VM_RESULTS").is_none() {
        RUNS.get_or_init(|| Mutex::new(Some(std::thread::spawn(near_end))));
    }
}

/// What the near end's trace gave; `None` in the guest.
pub(crate) fn ended() -> Option<Value> {
    let run = RUNS.get()?.lock().unwrap().take();
    Some(run.unwrap().join().unwrap_or_else(|_| panic!("the near end failed; its words stand above")))
}

/// Waits for something of the guest.
#[track_caller]
fn soon<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A QEMU of this process with the taps.
fn qemu() -> Option<u32> {
    let ours = format!("PPid:\t{}", std::process::id());
    let pids = std::fs::read_dir("/proc").ok()?.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.into_iter().find(|pid: &u32| {
        let file = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        String::from_utf8_lossy(&file("cmdline")).contains(TAP)
            && String::from_utf8_lossy(&file("status")).lines().any(|l| l == ours)
    })
}

fn inside(qemu: u32, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--net", "--target", &qemu.to_string(), "--", program]);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn near_end() -> Value {
    // Before its namespace is made the bridge is not there.
    let qemu = soon("a guest with taps boots", || {
        qemu().filter(|q| {
            inside(*q, "ip")
                .args(["addr", "add", &format!("{NEAR}/24"), "dev", "br0"])
                .status()
                .is_ok_and(|s| s.success())
        })
    });
    let listener =
        lowlat_sys::in_netns(&format!("/proc/{qemu}/ns/net"), move || TcpListener::bind((NEAR, TALK))).unwrap();
    listener.set_nonblocking(true).unwrap();
    let (talk, _) = soon("the far end talks", || listener.accept().ok());
    talk.set_nonblocking(false).unwrap();
    let mut heard = BufReader::new(talk.try_clone().unwrap());
    let mut port = String::new();
    heard.read_line(&mut port).unwrap();
    let scratch = Scratch::new();
    let script = format!("{TRACEFS} \"$0\" \"$@\"");
    let target = format!("{FAR}:{}", port.trim());
    let mut near = inside(qemu, "unshare")
        .args(["--mount", "sh", "-c", &script, LOWLAT, "trace", &target, "--far", "-", "--duration", "2s", "--json"])
        .env("LOWLAT_STATE", scratch.state())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    soon("its rounds are over", || (reads(&near) || near.try_wait().unwrap().is_some()).then_some(()));
    (&talk).write_all(b"done\n").unwrap();
    let mut far = Vec::new();
    heard.read_to_end(&mut far).unwrap();
    let _ = near.stdin.take().unwrap().write_all(&far);
    let ended = near.wait_with_output().unwrap();
    assert!(ended.status.success(), "the near end: {:?}; the far one sent {} bytes", ended.status, far.len());
    serde_json::from_slice(&ended.stdout).unwrap()
}

/// Whether the program waits for the far host's part: it reads its input only once its rounds are over.
fn reads(near: &Child) -> bool {
    let of = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", near.id())).unwrap_or_default();
    // read(2) is call 0 on x86-64, the lab's only machine; the descriptor comes first.
    of("comm").starts_with("lowlat") && of("syscall").starts_with("0 0x0 ")
}

/// The far end, in the guest.
pub(crate) fn far_end(node: &mut Node) {
    let far = node.serve("");
    let port = far.rsplit(':').next().unwrap().to_owned();
    let traced = || sh("ls /sys/kernel/tracing/instances").contains("lowlat-");
    sh("mountpoint -q /sys/kernel/tracing || mount -t tracefs none /sys/kernel/tracing");
    let mut command = Command::new("ip");
    command.args(["netns", "exec", "far", "sh", "-c", &format!("{TRACEFS} \"$0\" \"$@\""), &program()]);
    command
        .args(["trace", "--answers", &port, "--duration", "300s", "--json"])
        .env("LOWLAT_STATE", node.scratch().state());
    let recorder = Started::new(&mut command);
    until("it traces", traced);
    let mut talk = TcpStream::connect((NEAR, TALK)).unwrap();
    talk.write_all(format!("{port}\n").as_bytes()).unwrap();
    let mut done = [0; 5];
    talk.read_exact(&mut done).unwrap();
    recorder.signal("INT");
    let ran = recorder.wait();
    talk.write_all(ran.exits(0).out.as_bytes()).unwrap();
    talk.shutdown(Shutdown::Write).unwrap();
    // Until the near end has it.
    let _ = talk.read(&mut done);
}
