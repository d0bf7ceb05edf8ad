//! Many test cases in one guest.
//!
//! A test binary starts itself again inside the guest, so that a case is one `#[test]` function: on the host it asks
//! for its result, in the guest it runs. The first case asked boots the guest, which then runs all cases of the binary,
//! or those that the filter on its command line leaves. A case without a result has failed.
//!
//! ```ignore
//! static SUITE: Suite = Suite::new(&topology::E1000E_PAIR, KernelChoice::V6_12).program("lowlat", PATH);
//!
//! #[test]
//! fn a_link_is_there() {
//!     SUITE.case("a_link_is_there", || assert!(Path::new("/sys/class/net/eth0").exists()));
//! }
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use super::seen::{quoted, split, this_program};
use super::{Guest, GuestOutcome, KernelChoice, Lab, Share, VmError, VmTopology};

/// Set in the guest; holds the results folder.
const INSIDE: &str = "LOWLAT_VM_RESULTS";
/// Set in the guest; which suite of the binary it was booted for.
const NAME: &str = "LOWLAT_VM_SUITE";
/// Where the test binary and the programs stand in the guest: below these two they keep their names, whatever their folders'.
const DEPS: &str = "/run/lowlat/deps";
const BIN: &str = "/run/lowlat/bin";
/// Boot and all cases. A guest on a free core needs a quarter of it; tests share their machine.
const LIMIT: Duration = Duration::from_secs(400);

/// A guest and the cases that run in it.
#[derive(Debug)]
pub struct Suite {
    topology: &'static VmTopology,
    kernel: KernelChoice,
    program: Option<(&'static str, &'static str)>,
    cmdline: &'static str,
    booted: OnceLock<Result<Booted, String>>,
}

/// What a boot left, in memory: its folder is gone.
#[derive(Debug)]
struct Booted {
    cases: BTreeMap<String, String>,
    output: String,
    console: String,
}

impl Suite {
    /// Cases on this machine and kernel.
    pub const fn new(topology: &'static VmTopology, kernel: KernelChoice) -> Self {
        Self { topology, kernel, program: None, cmdline: "", booted: OnceLock::new() }
    }

    /// Gives the guest a program: its path there is in the environment variable `variable`.
    #[must_use]
    pub const fn program(mut self, variable: &'static str, path: &'static str) -> Self {
        self.program = Some((variable, path));
        self
    }

    /// Adds to the kernel's command line.
    #[must_use]
    pub const fn cmdline(mut self, text: &'static str) -> Self {
        self.cmdline = text;
        self
    }

    /// In the guest: runs the case. On the host: its result, and a panic with its words if it failed.
    ///
    /// # Panics
    /// As a test does.
    #[track_caller]
    pub fn case(&self, name: &str, body: impl FnOnce()) {
        if let Some(results) = std::env::var_os(INSIDE) {
            // A binary may have several suites; each guest runs its own.
            if std::env::var(NAME).is_ok_and(|n| n == self.name()) {
                run_inside(Path::new(&results), name, body);
            }
            return;
        }
        let booted = match self.booted.get_or_init(|| self.boot().map_err(|e| e.to_string())) {
            Ok(booted) => booted,
            Err(why) => panic!("{name}: {why}"),
        };
        match booted.cases.get(name) {
            Some(text) if text.starts_with("ok\n") => {}
            Some(text) => panic!("{text}{}", section(&booted.output, name)),
            None => panic!(
                "{name}: it gave no result in the guest; its output ends:\n{}\nthe console ends:\n{}",
                tail(&booted.output, 20),
                tail(&booted.console, 20)
            ),
        }
    }

    fn name(&self) -> String {
        format!("{} on {} {}", self.topology.name, self.kernel.name(), self.cmdline).trim().to_owned()
    }

    fn boot(&self) -> Result<Booted, VmError> {
        let (deps, exe) = this_program()?;
        let mut shares = vec![Share { host: deps, guest: DEPS.into(), writable: false }];
        let mut script = format!("export {INSIDE}=$RESULTS {NAME}='{}'\n", self.name());
        if let Some((variable, path)) = self.program {
            let (dir, file) = split(Path::new(path))?;
            shares.push(Share { host: dir, guest: BIN.into(), writable: false });
            let _ = writeln!(script, "export {variable}={BIN}/{}", quoted(&file));
        }
        let args: Vec<String> = filters(std::env::args().skip(1)).iter().map(|a| quoted(a)).collect();
        let _ = writeln!(script, "{DEPS}/{exe} --test-threads=1 --nocapture {} >$RESULTS/output 2>&1", args.join(" "));
        let lab = Lab::prepare(self.kernel)?;
        let temp = super::cache::TempDir::new(&lab.cache)?;
        let mut guest = Guest::new(self.topology, script, temp.path());
        guest.shares = shares;
        guest.time_limit = LIMIT;
        guest.cmdline_extra = self.cmdline.into();
        let outcome = lab.run(&guest);
        let booted = read(temp.path(), outcome.as_ref().map(|o| o.console.clone()).unwrap_or_default());
        self.tell(&booted, &outcome);
        match outcome {
            // Without a single result the reason is the guest's; with some, the case that has none reports it.
            Err(e) if booted.cases.is_empty() => Err(e),
            Err(e) => Ok(Booted { console: e.to_string(), ..booted }),
            Ok(_) => Ok(booted),
        }
    }

    #[allow(clippy::print_stdout)] // a suite reports what it did; libtest shows it where it is asked to
    fn tell(&self, booted: &Booted, outcome: &Result<GuestOutcome, VmError>) {
        let how = match outcome {
            Ok(o) => format!(
                "{:.1} s in all, ready after {:.1} s of its own time{}",
                o.wall.as_secs_f64(),
                o.ready.unwrap_or_default().as_secs_f64(),
                o.restarted()
            ),
            Err(e) => e.to_string(),
        };
        println!("guest {}: {} cases, {how}", self.name(), booted.cases.len());
        for (name, words) in &booted.cases {
            println!("  {name}: {}", words.lines().take(2).collect::<Vec<_>>().join(", "));
        }
    }
}

fn read(results: &Path, console: String) -> Booted {
    let mut cases = BTreeMap::new();
    for entry in fs::read_dir(results).into_iter().flatten().flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if let Some(name) = file.strip_prefix("case.") {
            cases.insert(name.to_owned(), fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
    // Not UTF-8 where a case printed what it should not.
    let output = fs::read(results.join("output")).unwrap_or_default();
    Booted { cases, output: String::from_utf8_lossy(&output).into_owned(), console }
}

fn run_inside(results: &Path, name: &str, body: impl FnOnce()) {
    let file = results.join(format!("case.{name}"));
    let began = uptime();
    // On a line of its own: libtest has begun one for this test.
    eprintln!("\n{}", begin(name));
    let done = if file.exists() {
        Err("failed\ntwo cases have this name".to_owned())
    } else {
        catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            format!("failed\n{}", words.unwrap_or_else(|| "a panic without words".into()))
        })
    };
    let took = uptime() - began;
    let text = match &done {
        Ok(()) => format!("ok\n{took:.1} s of guest time\n"),
        Err(words) => format!("{words}\n"),
    };
    if let Err(e) = fs::write(&file, text) {
        eprintln!("{name}: its result could not be written: {e}");
    }
    eprintln!("{name}: {}", if done.is_ok() { "ok" } else { "failed" });
}

fn begin(name: &str) -> String {
    format!("== case {name}")
}

/// What a case wrote, up to the next one.
fn section(output: &str, name: &str) -> String {
    let lines: Vec<&str> =
        output.lines().skip_while(|l| *l != begin(name)).skip(1).take_while(|l| !l.starts_with("== case ")).collect();
    tail(&lines.join("\n"), 150)
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split_whitespace().next().and_then(|s| s.parse().ok()).unwrap_or(0.0)
}

/// The words of a test binary's command line that choose cases.
fn filters(args: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut value_follows = false;
    for arg in args {
        if std::mem::take(&mut value_follows) {
            continue;
        }
        match arg.as_str() {
            "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => value_follows = true,
            "--exact" | "--ignored" | "--include-ignored" => kept.push(arg),
            _ if !arg.starts_with('-') => kept.push(arg),
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_choose_cases_reach_the_guest() {
        let args = ["--test-threads", "1", "-q", "rings", "--exact", "--format=terse", "--color", "never"];
        assert_eq!(filters(args.into_iter().map(str::to_owned)), ["rings", "--exact"]);
    }

    #[test]
    fn a_case_leaves_its_result_and_a_second_of_its_name_fails() {
        let dir = std::env::temp_dir().join(format!("lowlat-suite-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        run_inside(&dir, "good", || ());
        run_inside(&dir, "bad", || panic!("the link is {}", "down"));
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        assert!(read("case.good").starts_with("ok\n"));
        assert_eq!(read("case.bad"), "failed\nthe link is down\n");
        run_inside(&dir, "good", || ());
        assert_eq!(read("case.good"), "failed\ntwo cases have this name\n");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_failed_case_is_reported_with_its_own_output() {
        let output = "== case a\none\n== case b\ntwo\nthree\n== case c\nfour\n";
        assert_eq!(section(output, "b"), "two\nthree");
        assert_eq!(tail("1\n2\n3", 2), "2\n3");
    }
}
