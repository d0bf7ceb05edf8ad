//! Files that are read and written: whose they are, what they are, and what is set in them.
//!
//! Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;
use std::time::Duration;

use common::lab::{FAR, Lab};
use common::{Scratch, Started, crc32, run};
use serde_json::{Value, json};

const KNOB: [&str; 3] = ["steer.rps", "near0/rx-0", "0"];

#[track_caller]
fn plan(lab: &Lab, scratch: &Scratch) -> String {
    let file = scratch.name("plan.json");
    lab.run(scratch, &[&["plan", "--set"], &KNOB[..], &["--out", &file]].concat()).exits(0);
    file
}

#[test]
fn a_state_directory_that_others_can_write_is_not_trusted() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let plan = plan(&lab, &scratch);
    lab.run(&scratch, &["apply", &plan]).exits(0);
    let (state, journal) = (scratch.state(), scratch.state().join("journal"));
    let owner = |path: &std::path::Path, uid| std::os::unix::fs::chown(path, Some(uid), None).unwrap();
    let mode = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let names = scratch.journals().into_iter().map(|(name, _)| journal.join(name));
    let file = names.into_iter().find(|p| p.extension().is_some_and(|e| e == "jsonl")).unwrap();
    let refused = |named: &str| {
        for args in [&["apply", &plan][..], &["rollback"], &["status"], &["persist"], &["confirm"]] {
            lab.run(&scratch, args).refuses(&[named]);
        }
        assert_eq!(lab.rps(), "1", "{named}: something was changed");
    };
    for path in [&state, &journal, &file] {
        owner(path, 1_234);
        refused("1234");
        owner(path, 0);
        let was = fs::metadata(path).unwrap().mode() & 0o7777;
        mode(path, 0o777);
        refused("0777");
        mode(path, was);
    }
    // A link in the place of the folder, or of a journal.
    for path in [&journal, &file] {
        let real = path.with_extension("real");
        fs::rename(path, &real).unwrap();
        symlink(&real, path).unwrap();
        refused("symbolic link");
        fs::remove_file(path).unwrap();
        fs::rename(&real, path).unwrap();
    }
    lab.run(&scratch, &["rollback"]).exits(0);
    assert_eq!(lab.rps(), "0");
}

#[test]
fn links_in_the_state_directory_lead_root_to_no_victim() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let plan = plan(&lab, &scratch);
    let victim = scratch.file("victim", "precious");
    fs::create_dir(scratch.state()).unwrap();
    symlink(&victim, scratch.state().join("lock")).unwrap();
    lab.run(&scratch, &["apply", &plan]).refuses(&["lock", "symbolic link"]);
    fs::remove_file(scratch.state().join("lock")).unwrap();
    // Names with the process id, as they were once.
    for pid in 1..200 {
        symlink(&victim, scratch.state().join(format!(".probe.{pid}"))).unwrap();
    }
    lab.run(&scratch, &["apply", &plan]).exits(0);
    lab.run(&scratch, &["rollback"]).exits(0);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn forged_journals_and_plans_change_nothing_and_reach_no_shell_or_terminal() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let plan = plan(&lab, &scratch);
    let forwarding = "/proc/sys/net/ipv4/ip_forward";
    let was = lab.sh(&format!("cat {forwarding}"));
    lab.run(&scratch, &["apply", &plan]).exits(0);
    let names = scratch.journals().into_iter().map(|(name, _)| scratch.state().join("journal").join(name));
    let path = names.into_iter().find(|p| p.extension().is_some_and(|e| e == "jsonl")).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let forged = good.lines().map(|line| {
        let mut entry: Value = serde_json::from_str(line.split_once(' ').unwrap().1).unwrap();
        if entry["entry"] == "intent" {
            entry["op"]["locus"] = json!({"at": "file", "path": forwarding});
            entry["prior"] = json!({"text": "1"});
        }
        let text = entry.to_string();
        format!("{:08x} {text}\n", crc32(text.as_bytes()))
    });
    fs::write(&path, forged.collect::<String>()).unwrap();
    for args in [&["rollback"][..], &["rollback", "--force"], &["status"], &["apply", &plan]] {
        lab.run(&scratch, args).refuses(&[&path.display().to_string(), "not a place of"]);
    }
    assert_eq!(lab.sh(&format!("cat {forwarding}")), was);
    fs::write(&path, good).unwrap();
    lab.run(&scratch, &["rollback"]).exits(0);

    let touched = scratch.name("touched");
    let real: Value = serde_json::from_slice(&fs::read(&plan).unwrap()).unwrap();
    let forge = |change: &dyn Fn(&mut Value)| {
        let mut forged = real.clone();
        change(&mut forged["steps"][0]);
        scratch.file("forged.json", forged.to_string())
    };
    let knob = format!("x\ntouch {touched}\n#\u{1b}[2J\u{9b}2J");
    let changes: [&dyn Fn(&mut Value); 5] = [
        &|s| s["knob"] = knob.clone().into(),
        &|s| s["ops"][0]["locus"]["path"] = forwarding.into(),
        &|s| s["ops"][0]["set"]["text"] = "ff".into(),
        &|s| s["target"] = "near0/rx-\u{1b}[2J".into(),
        &|s| s["target"] = "near0/tx-0".into(),
    ];
    for change in changes {
        let ran = lab.run(&scratch, &["apply", &forge(change)]);
        ran.refuses(&["forged.json"]);
        assert!(!ran.err.contains(['\u{1b}', '\u{9b}']), "{ran:#?}");
    }
    assert_eq!((lab.rps().as_str(), fs::exists(&touched).unwrap()), ("0", false));
}

#[test]
fn outputs_replace_files_alone_and_are_proven_before_the_work() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let set = |to: &str| [&["plan", "--set"], &KNOB[..], &["--out", to]].concat().join(" ");
    let (null, full, fifo, link) =
        (scratch.name("null"), scratch.name("full"), scratch.name("fifo"), scratch.name("link"));
    for (name, minor) in [(&null, "3"), (&full, "7")] {
        assert!(Command::new("mknod").args([name, "c", "1", minor]).status().unwrap().success());
    }
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let victim = scratch.file("victim", "precious");
    symlink(&victim, &link).unwrap();
    let out = |to: &str| lab.run(&scratch, &set(to).split(' ').collect::<Vec<_>>());
    out(&null).exits(0);
    out(&full).fails(&[&full, "space"]);
    out(&fifo).refuses(&[&fifo, "nobody reads"]);
    out(&link).refuses(&[&link, "symbolic link"]);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    for (name, device) in [(&null, true), (&full, true), (&fifo, false)] {
        let kind = fs::symlink_metadata(name).unwrap().file_type();
        assert!(if device { kind.is_char_device() } else { kind.is_fifo() }, "{name} was replaced");
    }
    // A FIFO with a reader gets the plan, and so does what stdout is.
    let read = lab.sh(&format!("cat {fifo} & sleep 0.2; {} {} >/dev/null; wait", common::word(), set(&fifo)));
    assert_eq!(serde_json::from_str::<Value>(&read).unwrap()["schema"]["name"], "lowlat.plan");
    assert!(out("/dev/stdout").exits(0).out.contains("lowlat.plan"));
    let file = scratch.file("file", "old");
    out(&file).exits(0);
    assert!(fs::read_to_string(&file).unwrap().contains("lowlat.plan"));

    for at in ["/nonexistent/x", "/dev/null/x", "/proc/x"] {
        let ran = run(&mut scratch.lowlat(&["demo", "--html", at]));
        ran.refuses(&[at]);
        assert!(!ran.err.contains("baseline"), "found after the work: {}", ran.err);
    }
}

#[test]
fn inputs_that_are_not_files_are_refused_and_not_waited_for() {
    let (_lab, scratch) = (Lab::new(), Scratch::new());
    let fifo = scratch.name("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let root = scratch.path().join("root");
    fs::create_dir_all(root.join("proc")).unwrap();
    for name in ["stat", "uptime", "cmdline"] {
        assert!(Command::new("mkfifo").arg(root.join("proc").join(name)).status().unwrap().success());
    }
    for bad in [&*fifo, "/dev/zero"] {
        for args in [
            vec!["measure", "127.0.0.1", "--key-file", bad],
            vec!["serve", "--bind", "127.0.0.1", "--key-file", bad],
            vec!["check", "--facts", bad],
            vec!["plan", "--facts", bad],
            vec!["apply", bad],
            vec!["facts", "--config", bad],
        ] {
            run(&mut scratch.lowlat(&args)).refuses(&[bad]);
        }
    }
    run(&mut scratch.lowlat(&["report", &fifo])).refuses(&["fifo"]);
    let root = root.display().to_string();
    let ran = run(&mut scratch.lowlat(&["check", "--root", &root, "--window", "none"]));
    assert!(ran.code.is_some_and(|c| c < 2), "{ran:#?}");
    // More than a key, and more than any document.
    let long = scratch.secret("long", vec![b'k'; 5_000]);
    run(&mut scratch.lowlat(&["measure", "127.0.0.1", "--key-file", &long])).refuses(&[&long, "longer"]);
    let huge = scratch.name("huge");
    fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    run(&mut scratch.lowlat(&["check", "--facts", &huge])).refuses(&[&huge, "longer"]);
}

#[test]
fn a_signal_ends_every_wait() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let silent = "198.18.7.77";
    // Somebody's by the neighbour table, so that nothing says that there is nobody.
    lab.ip("neigh add 198.18.7.77 lladdr 02:00:00:00:00:77 dev near0");
    let slow = ["--timeout", "300s"];
    for args in [
        [&["measure", silent][..], &slow].concat(),
        [&["measure", silent, "--proto", "icmp"][..], &slow].concat(),
        [&["measure", silent, "--proto", "tcp"][..], &slow].concat(),
        vec!["check", "--window", "300s"],
        vec!["facts", "--window", "300s"],
        vec!["optimize", "--iface", "near0", "--target", silent, "--dry-run", "--timeout", "300s"],
    ] {
        for signal in ["INT", "TERM"] {
            let started = Started::new(&mut lab.lowlat(&scratch, &args));
            std::thread::sleep(Duration::from_millis(700));
            started.signal(signal);
            // Each would go on for longer than a command is waited for here.
            started.wait().fails(&["interrupted"]);
        }
    }
}

#[test]
fn a_killed_run_has_its_samples() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let out = scratch.name("mo");
    let log = format!("{out}/samples.log");
    let started = Started::new(&mut lab.lowlat(&scratch, &["measure", FAR, "--duration", "60s", "--out", &out]));
    common::until("some blocks are written", || fs::metadata(&log).is_ok_and(|m| m.len() > 200_000));
    started.signal("KILL");
    assert_eq!(started.wait().code, None);
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    for name in [&out, &log] {
        for format in ["text", "md", "html", "csv", "hlog"] {
            let ran = run(&mut scratch.lowlat(&["report", name, "--format", format]));
            ran.exits(0);
            let said = format!("{}{}", ran.out, ran.err);
            assert!(ran.out.len() > 200 && said.contains("cut short"), "{name} {format}: {said}");
        }
        let m = run(&mut scratch.lowlat(&["report", name, "--json"])).exits(0).json();
        assert!(m["sent"].as_u64().unwrap() > 4_000 && m["rtt"]["p50_ns"].as_u64().unwrap() > 0, "{m:#}");
        assert_eq!(m["interrupted"], true);
    }
    run(&mut scratch.lowlat(&["compare", &out, &log])).exits(0);
}
