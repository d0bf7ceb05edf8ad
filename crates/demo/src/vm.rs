//! The lab of one virtual machine with two real NIC drivers, and what the host does for it: fetch, boot, take out.

use std::path::PathBuf;
use std::time::Duration;

use lowlat_lab::vm::{Guest, KernelChoice, Lab, Share, VmError, quoted, this_program, topology};
use lowlat_model::document::RunDocument;
use lowlat_sys::store::{self, Store};

use super::{DemoAsk, Screen};
use lowlat_live::{Failure, signals};

/// The stock kernel of the newest Debian release that all of the lab's machines boot.
const KERNEL: KernelChoice = KernelChoice::V6_12;
/// A guest on a free core needs a quarter of it.
const LIMIT: Duration = Duration::from_secs(300);
/// Where the guest finds this program: its own folder may be hidden there (below `/tmp`).
const BIN: &str = "/run/lowlat/bin";
/// What the guest leaves in its results.
const DOCUMENT: &str = "run.json";
const WORDS: &str = "words";

/// What the lab could not do.
#[allow(clippy::needless_pass_by_value)] // for map_err
fn in_lab(e: VmError) -> Failure {
    Failure::new(format!("demo: {e}"))
}

/// Runs the demo there.
pub(super) fn run(ask: &DemoAsk, screen: &dyn Screen) -> Result<RunDocument, Failure> {
    let runs = Store::locate()?;
    runs.ensure_writable()?;
    let (folder, program) = this_program().map_err(in_lab)?;
    if let Some(words) = Lab::to_fetch(KERNEL).map_err(in_lab)? {
        screen.line(&words);
    }
    let lab = Lab::prepare(KERNEL).map_err(in_lab)?;
    let scratch = lab.scratch().map_err(in_lab)?;
    let goals: Vec<String> = ask.goals.iter().map(|g| format!("{}={}ns", g.quantile, g.goal_ns)).collect();
    let goals = goals.join(",");
    let script = format!(
        "ip netns exec far ip link set eth1 netns 1 || exit 2\nip addr flush dev eth0\n\
         LOWLAT_STATE=/run/lowlat/state {BIN}/{} lab-near --goal {goals} --out $RESULTS/{DOCUMENT} 2>$RESULTS/{WORDS}",
        quoted(&program)
    );
    let mut guest = Guest::new(&topology::E1000E_PAIR, script, scratch.path());
    guest.shares = vec![Share { host: folder, guest: BIN.into(), writable: false }];
    guest.time_limit = LIMIT;
    screen.line(&format!(
        "booting Debian's kernel {} in QEMU {}, without hardware acceleration",
        lab.kernel().release,
        lab.qemu_version()
    ));
    let mut words = Follow::new(scratch.path().join(WORDS));
    let outcome = lab.run_watched(&guest, &mut || {
        words.tell(screen);
        !signals::stopped()
    });
    words.tell(screen);
    let outcome = match outcome {
        Err(VmError::Stopped { .. }) => {
            return Err(Failure::new("demo: interrupted by a signal; the virtual machine is gone, start it again"));
        }
        other => other.map_err(in_lab)?,
    };
    if outcome.exit_code != 0 {
        let why = words.last.trim_start_matches("lowlat: ");
        return Err(Failure::new(format!("demo: in the virtual machine (exit {}): {why}", outcome.exit_code)));
    }
    let mut document: RunDocument = store::read_document(scratch.path().join(DOCUMENT), "optimize")?;
    // Its name is of the guest's clock and store; here it is one run among this host's.
    document.run = runs.new_run_id(lowlat_live::wall_clock_ns());
    document.lab = Some(format!(
        "{} ({}), kernel {}, in QEMU {} without hardware acceleration, its time counted in instructions: it shows that \
         settings act and can be put back. It has no caches, no idle states, no NUMA cost and no true parallelism, so the \
         figures claim nothing about a real host.",
        topology::E1000E_PAIR.summary,
        topology::E1000E_PAIR.name,
        lab.kernel().release,
        lab.qemu_version()
    ));
    runs.save_stage(&document.run, "run", &document)?;
    Ok(document)
}

/// Hands on what the guest writes, line by line.
struct Follow {
    file: PathBuf,
    read: usize,
    last: String,
}

impl Follow {
    fn new(file: PathBuf) -> Self {
        Self { file, read: 0, last: String::new() }
    }

    fn tell(&mut self, screen: &dyn Screen) {
        let Ok(bytes) = store::read(&self.file) else { return };
        // A line without its end may still grow.
        while let Some(len) = bytes.get(self.read..).and_then(|rest| rest.iter().position(|b| *b == b'\n')) {
            self.last = String::from_utf8_lossy(&bytes[self.read..self.read + len]).into_owned();
            screen.line(&self.last);
            self.read += len + 1;
        }
    }
}
