//! Writes those inputs of the corpus that are made of the program's own documents, in their present form:
//! `scripts/fuzz seeds`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

// Its runtime has what the instrumentation calls.
use libfuzzer_sys as _;
use lowlat_measure::SampleSink;
use lowlat_model::journal::{Beside, Device, JournalEntry};
use lowlat_model::op::Target;
use lowlat_model::watch::{SocketSample, WatchDocument, WatchedSocket};
use lowlat_model::{Locus, Op, Schema, State};
use lowlat_testkit::{facts, run};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread at a time").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn put(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("the corpus can be written");
    fs::write(folder.join(name), bytes).expect("the corpus can be written");
}

fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("a document")
}

/// Magic, version and the head's block of two bytes.
const HEAD: usize = 10 + 13 + 2;

fn main() {
    put("run_document", "run", &json(&run::document()));
    put("run_document", "measurement", &json(&run::measurement(12_345)));
    put("facts", "healthy", &json(&facts::healthy()));
    let socket = WatchedSocket { protocol: "udp".into(), local: "192.0.2.1:5000".into(), ..WatchedSocket::default() };
    let (first, last) =
        (SocketSample { drops: Some(1), ..socket.first }, SocketSample { at_ns: 9, drops: Some(4), ..socket.last });
    let sockets = vec![WatchedSocket { first, last, ..socket }];
    let watched = WatchDocument { schema: Schema::current("watch"), sockets, ..WatchDocument::default() };
    put("watch", "stored", &[&[5], &json(&watched)[..]].concat());

    let op = Op::file("/proc/sys/net/core/busy_read", "50");
    let beside = || Beside {
        locus: Locus::Napi { iface: "eth0".into(), id: 8193, param: "gro-flush-timeout".into() },
        state: State::Text("0".into()),
    };
    let entries = [
        JournalEntry::Begin {
            schema: Schema::current("journal"),
            transaction: "t".into(),
            boot_id: "b".into(),
            netns: 1,
            netns_cookie: Some(2),
            pid: 2,
            at_unix_ns: 3,
        },
        JournalEntry::Intent {
            seq: 0,
            knob: "sysctl.net.core.busy_read".into(),
            target: Target::Host,
            op,
            prior: State::Text("0".into()),
            device: Some(Device { name: "eth0".into(), index: 2, inode: Some(77), ..Device::default() }),
            beside: vec![beside()],
        },
        JournalEntry::Done { seq: 0, read_back: State::Text("50".into()), beside: vec![beside()] },
        JournalEntry::Undoing { seq: 0, beside: vec![beside()] },
        JournalEntry::Refused { seq: 1, why: "no".into() },
        JournalEntry::Undone { seq: 0 },
        JournalEntry::Closed { at_unix_ns: 5 },
    ];
    let whole: Vec<u8> = entries.iter().flat_map(|e| lowlat_apply::journal::encode(e).expect("an entry")).collect();
    put("journal", "whole", &[&[0], &whole[..]].concat());
    let lines: Vec<Vec<u8>> = entries.iter().map(json).collect();
    put("journal", "lines", &[&[1], &lines.join(&b'\n')[..]].concat());

    let memory = Memory::default();
    let mut log = lowlat_samplelog::LogWriter::to(memory.clone(), b"{}").expect("room");
    for n in 0..20 {
        let mut probe = lowlat_measure::Probe { planned: n * 1000, sent: n * 1000 + 7, ..Default::default() };
        if n % 3 > 0 {
            probe.received = probe.sent + 20_000 + n;
            probe.residence = 900;
        }
        log.put(&probe).expect("room");
    }
    log.finish(None, false).expect("memory takes all");
    let log = memory.0.lock().expect("one thread").clone();
    put("sample_log", "whole", &[&[0], &log[..]].concat());
    put("sample_log", "cut", &[&[0], &log[..log.len() / 2]].concat());
    // The same blocks without their sums: kind, count, length, payload.
    let mut blocks = vec![1];
    let mut rest = &log[HEAD..];
    while let [kind, count, 0, 0, 0, length, 0, 0, 0, _, _, _, _, behind @ ..] = rest {
        blocks.extend([*kind, *count, *length]);
        let (payload, next) = behind.split_at(usize::from(*length));
        blocks.extend(payload);
        rest = next;
    }
    put("sample_log", "blocks", &blocks);
}
