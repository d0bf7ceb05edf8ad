//! How a guest may end: by its script's exit code, by a panic, and never; and one that never came up is started again.
//! Each is reported in one line, and nothing is left of it. (That each machine boots and does what it is for is held by
//! the suites of the command line.)
#![allow(clippy::unwrap_used)] // a test may end by panic

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lowlat_lab::vm::{Guest, KernelChoice, Lab, VmError, in_guest, quoted, topology};

/// Where a guest of this test leaves its results; it stands in QEMU's arguments too, so that a QEMU left behind is
/// found.
fn results(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("lowlat-vm-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    dir
}

fn processes_with(word: &Path) -> Vec<String> {
    let word = word.to_str().unwrap();
    let holds = |pid: &String| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    };
    let names = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().into_string().ok());
    names.filter(|pid| pid.parse::<u32>().is_ok()).filter(holds).collect()
}

/// Folders that guests of this process have in the cache now (`vm/tmp/PID-STARTTIME-N`).
fn folders() -> Vec<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("LOWLAT_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|d| d.join("lowlat")))
        .or_else(|| set("HOME").map(|d| d.join(".cache/lowlat")))
        .unwrap();
    let mine = format!("{}-", std::process::id());
    fs::read_dir(base.join("vm/tmp"))
        .unwrap()
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().starts_with(&mine))
        .map(|e| e.path())
        .collect()
}

#[track_caller]
fn nothing_is_left(dir: &Path) {
    assert_eq!(processes_with(dir), Vec::<String>::new());
    assert_eq!(folders(), Vec::<PathBuf>::new());
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn an_exit_code_is_the_scripts() {
    let dir = results("exit");
    let lab = Lab::prepare(KernelChoice::V6_12).unwrap();
    // In the guest's sight while it runs, or the looking for what is left could not fail.
    let (outcome, seen) = std::thread::scope(|s| {
        let guest =
            s.spawn(|| lab.run(&Guest::new(&topology::E1000E_PAIR, "uname -r > $RESULTS/release; exit 7", &dir)));
        let mut seen = (0, 0);
        while !guest.is_finished() {
            seen = (seen.0.max(processes_with(&dir).len()), seen.1.max(folders().len()));
            std::thread::sleep(Duration::from_millis(100));
        }
        (guest.join().unwrap().unwrap(), seen)
    });
    assert_eq!(outcome.exit_code, 7);
    assert!(seen.0 >= 1 && seen.1 >= 1, "a running guest was not seen: {seen:?}");
    let release = fs::read_to_string(dir.join("release")).unwrap();
    assert!(release.starts_with("6.12.") && release.trim() == lab.kernel().release, "{release}");
    nothing_is_left(&dir);
}

/// `/tmp` and `/run` are the guest's own, and hide there what the host has below them.
#[test]
fn a_program_is_found_wherever_the_host_has_it() {
    let dir = results("where");
    let lab = Lab::prepare(KernelChoice::V6_12).unwrap();
    let home = std::env::var_os("HOME").map_or_else(|| "/root".into(), PathBuf::from);
    let name = format!("lowlat it's, a path {}", std::process::id());
    let places: Vec<PathBuf> = ["/tmp", "/run", "/dev/shm"].map(PathBuf::from).into_iter().chain([home]).collect();
    let mut script = "set -e\n".to_owned();
    for place in &places {
        let folder = place.join(&name);
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join("program");
        fs::write(&program, format!("#!/bin/sh\necho {}\n", place.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let inside = quoted(&in_guest(&program).unwrap());
        // Its own path is hidden in three of the four, or nothing is tried here.
        let own = quoted(program.to_str().unwrap());
        let line = format!("{inside} >> $RESULTS/said\n[ -e {own} ] || echo {} >> $RESULTS/hidden\n", place.display());
        script.push_str(&line);
    }
    let outcome = lab.run(&Guest::new(&topology::E1000E_PAIR, script, &dir));
    for place in &places {
        fs::remove_dir_all(place.join(&name)).unwrap();
    }
    assert_eq!(outcome.unwrap().exit_code, 0);
    let said = fs::read_to_string(dir.join("said")).unwrap();
    assert_eq!(said.lines().map(PathBuf::from).collect::<Vec<_>>(), places);
    let hidden = fs::read_to_string(dir.join("hidden")).unwrap();
    assert!(hidden.starts_with("/tmp\n/run\n/dev/shm\n"), "{hidden}");
    nothing_is_left(&dir);
}

#[test]
fn a_guest_that_sleeps_on_its_way_up_is_started_again() {
    let dir = results("asleep");
    let lab = Lab::prepare(KernelChoice::V6_12).unwrap();
    let outcome = std::thread::scope(|s| {
        let guest = s.spawn(|| lab.run(&Guest::new(&topology::E1000E_PAIR, "echo up > $RESULTS/up", &dir)));
        let first = loop {
            assert!(!guest.is_finished());
            match processes_with(&dir).pop() {
                Some(pid) => break pid,
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        // Stopped in its first moments, it does nothing any more.
        assert!(Command::new("kill").args(["-STOP", &first]).status().unwrap().success());
        guest.join().unwrap().unwrap()
    });
    assert_eq!((outcome.exit_code, outcome.restarts), (0, 1), "{}", outcome.console);
    assert_eq!(fs::read_to_string(dir.join("up")).unwrap(), "up\n");
    nothing_is_left(&dir);
}

#[test]
fn a_panic_is_one_line_and_leaves_nothing() {
    let dir = results("panic");
    let lab = Lab::prepare(KernelChoice::V6_12).unwrap();
    let error = lab.run(&Guest::new(&topology::E1000E_PAIR, "echo c > /proc/sysrq-trigger", &dir)).unwrap_err();
    assert!(matches!(&error, VmError::Panic { reason, .. } if reason.contains("sysrq")), "{error}");
    assert_eq!(error.to_string().lines().count(), 1);
    nothing_is_left(&dir);
}

#[test]
fn a_hang_is_one_line_and_leaves_nothing() {
    let dir = results("hang");
    let lab = Lab::prepare(KernelChoice::V6_12).unwrap();
    let mut guest = Guest::new(&topology::E1000E_PAIR, "while :; do :; done", &dir);
    guest.time_limit = Duration::from_secs(20);
    let error = lab.run(&guest).unwrap_err();
    assert!(matches!(error, VmError::Hang { .. }), "{error}");
    assert_eq!(error.to_string().lines().count(), 1);
    nothing_is_left(&dir);
}
