//! `optimize --judge` as its users run it, in a namespace: the user's own number proves a setting or does not, and a
//! command that fails leaves nothing changed and nothing running.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use common::lab::{FAR, IFACE, Lab};
use common::{Scratch, Started, kill, lives, until};

const KNOB: &str = "nic.gro-flush-timeout";
const FILE: &str = "/sys/class/net/near0/gro_flush_timeout";

/// A second setting of the namespace, on unless somebody turns it off.
const OTHER: &str = "/proc/sys/net/ipv4/tcp_autocorking";

/// Prints some 1,000: a tenth less where the first setting stands, a twentieth more where the second is off; up to 20 of it are
/// chance.
fn moved() -> String {
    format!("echo $((1000 - $(cat {FILE}) / 500 + (1 - $(cat {OTHER})) * 50 + $(od -An -N1 -tu1 /dev/urandom) % 20))")
}

/// `optimize` judged by a command, of the setting and of what the lab's link lacks.
fn judged<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let base = ["optimize", "--iface", IFACE, "--own-settings-only", "--judge", command, "--try", KNOB, IFACE, "50000"];
    [&base[..], more].concat()
}

fn value(lab: &Lab) -> String {
    lab.sh(&format!("cat {FILE}"))
}

#[test]
fn a_number_of_the_user_s_proves_a_setting_in_either_direction() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let command = moved();
    let lower = lab.run(&scratch, &judged(&command, &["--json"]));
    let d = lower.exits(0).json();
    let step = |d: &serde_json::Value| {
        let all = d["steps"].as_array().unwrap();
        all.iter().rfind(|s| s["knob"] == KNOB).unwrap_or_else(|| panic!("{d:#}")).clone()
    };
    let (kept, figure) = (step(&d), &step(&d)["comparison"]["figure"]);
    assert_eq!((&kept["kept"], &kept["verdict"]), (&true.into(), &"better".into()), "{kept:#}");
    assert!((-0.14..-0.06).contains(&figure["change_ratio"].as_f64().unwrap()), "{figure:#}");
    assert!(kept["p50_change_ratio"].is_null() && d["baseline"].is_null() && d["result"].is_null(), "{d:#}");
    let whole = &d["headline"]["idle"]["figure"];
    assert!(whole["change_high"].as_f64().unwrap() < 0.0 && d["judge"]["before"].as_array().unwrap().len() == 3);
    assert_eq!(value(&lab), "50000");
    // What the report says is a number of no unit.
    let text = lab.run(&scratch, &["report", "last"]).exits(0).out.clone();
    assert!(text.contains("Gain:") && text.contains("the command's number 10"), "{text}");
    assert!(text.contains("lower is better") && text.contains("JUDGED BY YOUR COMMAND"), "{text}");
    assert!(!text.contains("reduction"), "{text}");
    lab.run(&scratch, &["rollback"]).exits(0);
    assert_eq!(value(&lab), "0");

    // Where more is better the same setting is worse.
    let d = lab.run(&scratch, &judged(&command, &["--higher-is-better", "--rollback", "--json"])).exits(0).json();
    let put_back = step(&d);
    assert_eq!((&put_back["kept"], &put_back["verdict"]), (&false.into(), &"worse".into()), "{put_back:#}");
    // With a far end too, the path is measured next to it, and the goal judged by that.
    let _far = lab.serve(&scratch, &[]);
    let more = ["--target", FAR, "--goal", "1s", "--duration", "200ms", "--engines", "none", "--rollback", "--json"];
    let d = lab.run(&scratch, &judged(&command, &more)).exits(0).json();
    assert!(step(&d)["kept"] == true && d["goal_met"] == true, "{d:#}");
    assert!(d["baseline"]["received"].as_u64() > Some(0) && d["result"]["received"].as_u64() > Some(0), "{d:#}");
    assert_eq!(value(&lab), "0");
}

#[test]
fn a_number_that_is_chance_alone_keeps_nothing() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let chance = "od -An -N2 -tu2 /dev/urandom";
    // The chance that a run keeps something is what it is allowed to be: so small here that this test does not err.
    for more in [&[][..], &["--higher-is-better"], &["--pairs", "12"]] {
        let more = [&["--json", "--false-keep", "0.1%"], more].concat();
        let d = lab.run(&scratch, &judged(chance, &more)).exits(0).json();
        assert!(d["steps"].as_array().unwrap().iter().all(|s| s["kept"] == false), "{d:#}");
        assert!(d["headline"]["idle"].is_null() && d["headline"]["p50_change_ratio"].is_null(), "{d:#}");
    }
    assert_eq!(value(&lab), "0");
}

#[test]
fn a_command_that_fails_leaves_nothing_changed_and_nothing_running() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let before = value(&lab);
    let (noted, slow) = (scratch.name("pid"), scratch.name("slow"));
    let hangs = format!("sleep 600 & echo $! > {noted}; wait");
    for (command, more, named) in [
        ("true", &[][..], "it printed nothing"),
        ("echo 12us", &[], "12us"),
        ("echo 1; exit 3", &[], "exit status: 3"),
        ("no-such-program-of-ours", &[], "127"),
        (&hangs, &["--judge-timeout", "200ms"], "no end after 0.2 s"),
    ] {
        let said = lab.run(&scratch, &judged(command, more));
        said.refuses(&[named, &command[..4], "nothing was changed"]);
    }
    let pid = || std::fs::read_to_string(&noted).unwrap().trim().parse().unwrap();
    until("what it started is gone", || !lives(pid()));
    // In the middle, with the setting in.
    let breaks = format!("[ $(cat {FILE}) = 0 ] && echo 1");
    lab.run(&scratch, &judged(&breaks, &[])).exits(2).fails(&["exit status: 1", "every applied change was undone"]);
    // A signal in the middle of a run.
    let waits = format!("echo $$ > {slow}; [ $(cat {FILE}) = 0 ] || sleep 600; echo 1");
    let mut running = Started::new(&mut lab.lowlat(&scratch, &judged(&waits, &[])));
    running.says("phase 2");
    until("the setting is in", || value(&lab) == "50000");
    kill("INT", running.pid());
    let said = running.wait();
    said.exits(2).fails(&["interrupted", "every applied change was undone"]);
    let last = || std::fs::read_to_string(&slow).unwrap().trim().parse().unwrap();
    until("its last run is gone", || !lives(last()));
    assert_eq!(value(&lab), before);
    // A kill there: the run of the command goes too, and the journal knows the setting.
    let running = Started::new(&mut lab.lowlat(&scratch, &judged(&waits, &[])));
    until("the setting is in", || value(&lab) == "50000");
    kill("KILL", running.pid());
    drop(running);
    until("its last run is gone", || !lives(last()));
    lab.run(&scratch, &["rollback"]).exits(0);
    assert_eq!(value(&lab), before);
    let status = lab.run(&scratch, &["status", "--json"]).exits(0).json();
    assert_eq!(status["applied"].as_array().unwrap().len(), 0, "{status:#}");
}

// ---- a histogram that the application exports, and its connections -----------------------------------------------------

/// An application that counts 100 messages each 10 ms in cumulative buckets, of which `speed` is the share below a millisecond
/// in percent: a shell expression. A second histogram does not depend on it.
fn application(lab: &Lab, scratch: &Scratch, file: &str, speed: &str) -> Started {
    let script = format!(
        "f=0 n=0; while :; do s=$(({speed})); f=$((f + s + $(od -An -N1 -tu1 /dev/urandom) % 5)) n=$((n + 100)); \
         {{ echo '# TYPE rtt_seconds histogram'; echo \"rtt_seconds_bucket{{le=\\\"0.001\\\"}} $f\"; \
         echo \"rtt_seconds_bucket{{le=\\\"0.002\\\"}} $n\"; echo \"rtt_seconds_bucket{{le=\\\"+Inf\\\"}} $n\"; \
         echo \"size_bytes_bucket{{le=\\\"64\\\"}} $((n * 3 / 4 + n % 7))\"; echo \"size_bytes_bucket{{le=\\\"+Inf\\\"}} $n\"; }} >{file}.new; \
         mv {file}.new {file}; sleep 0.01; done"
    );
    let mut shell = std::process::Command::new("ip");
    shell.args(["netns", "exec", &lab.near, "sh", "-c", &script]).env("LOWLAT_STATE", scratch.state());
    let started = Started::new(&mut shell);
    until("the application exports", || std::path::Path::new(file).exists());
    started
}

/// `optimize` judged by what `more` names, of the setting.
fn judged_by<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let base = ["optimize", "--iface", IFACE, "--own-settings-only", "--try", KNOB, IFACE, "50000"];
    [&base[..], more].concat()
}

#[test]
fn a_histogram_of_the_application_proves_a_setting_and_one_that_does_not_move_keeps_nothing() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let file = scratch.name("metrics");
    // Half of the messages are fast, four of five where the setting stands: the median falls by a third.
    let _running = application(&lab, &scratch, &file, &format!("50 + $(cat {FILE}) / 1700"));
    let of = |metric: &'static str, place: &str, more: &[&str]| {
        let base =
            ["--judge-histogram", place, "--judge-metric", metric, "--judge-quantile", "p50", "--judge-round", "150ms"];
        let all = judged_by(&[&base[..], more, &["--rollback", "--json"]].concat());
        lab.run(&scratch, &all).exits(0).json()
    };
    let d = of("rtt_seconds", &file, &[]);
    let step = d["steps"].as_array().unwrap().iter().rfind(|s| s["knob"] == KNOB).unwrap();
    assert_eq!((&step["kept"], &step["verdict"]), (&true.into(), &"better".into()), "{step:#}");
    assert!((-0.6..-0.1).contains(&step["comparison"]["figure"]["change_ratio"].as_f64().unwrap()), "{step:#}");
    assert_eq!(d["judge"]["source"], "histogram", "{:#}", d["judge"]);
    let text = lab.run(&scratch, &["report", "last"]).exits(0).out.clone();
    assert!(text.contains("JUDGED BY YOUR HISTOGRAM") && text.contains("p50 of rtt_seconds in"), "{text}");
    assert!(text.contains("the histogram's quantile"), "{text}");

    // By its page, and of what the setting does not move.
    let page = file.clone();
    let port = common::lab::in_netns(&lab.near, move || {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let body = std::fs::read(&page).unwrap_or_default();
                let _ = stream.write_all(&[b"HTTP/1.0 200 OK\r\n\r\n", &body[..]].concat());
            }
        });
        port
    });
    let d = of("size_bytes", &format!("http://127.0.0.1:{port}/metrics"), &["--false-keep", "0.1%", "--pairs", "10"]);
    assert!(d["steps"].as_array().unwrap().iter().all(|s| s["kept"] == false), "{d:#}");
    assert!(d["headline"]["idle"].is_null(), "{d:#}");
    assert_eq!(value(&lab), "0");
}

#[test]
fn a_histogram_that_cannot_judge_is_one_line_and_nothing_is_changed() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let (still, pipe, garbage) = (scratch.name("still"), scratch.name("pipe"), scratch.name("garbage"));
    std::fs::write(&still, "a_bucket{le=\"1\"} 3\na_bucket{le=\"+Inf\"} 4\n").unwrap();
    std::fs::write(&garbage, [0xff, 0, 7]).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let absent = scratch.name("absent");
    for (place, more, named) in [
        (&still, &["--judge-round", "50ms", "--judge-timeout", "300ms"][..], "it counted 0 observations"),
        (&still, &["--judge-metric", "b"], "no histogram b; it has a"),
        (&absent, &[], "no such file or directory"),
        (&pipe, &[], "pipe"),
        (&garbage, &[], "not text"),
        (&"http://127.0.0.1:9/".to_owned(), &[], "refused"),
    ] {
        let said = lab.run(&scratch, &judged_by(&[&["--judge-histogram", place][..], more].concat()));
        said.refuses(&[named, "nothing was changed"]);
    }
    // The application starts again in the middle, with the setting in.
    let file = scratch.name("metrics");
    let first = application(&lab, &scratch, &file, "50");
    let all = judged_by(&["--judge-histogram", &file, "--judge-metric", "rtt_seconds", "--judge-quantile", "p50"]);
    let mut running = Started::new(&mut lab.lowlat(&scratch, &all));
    running.says("phase 2");
    until("the setting is in", || value(&lab) == "50000");
    first.signal("KILL");
    let _second = application(&lab, &scratch, &file, "50");
    running.wait().exits(2).fails(&["started anew", "every applied change was undone"]);
    assert_eq!(value(&lab), "0");
}

#[test]
fn live_connections_prove_a_setting_and_keep_nothing_where_none_helps() {
    use std::io::{Read as _, Write as _};
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let listener = lab.in_far(|| std::net::TcpListener::bind((FAR, 7000)).unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut message = [0; 512];
                while stream.read_exact(&mut message).is_ok() && stream.write_all(&message).is_ok() {}
            });
        }
    });
    let quiet = ["--judge-live", "port=7000", "--judge-round", "50ms", "--judge-timeout", "300ms"];
    lab.run(&scratch, &judged_by(&quiet)).refuses(&["no TCP connection is there", "nothing was changed"]);
    // The application: one message at a time.
    common::lab::in_netns(&lab.near, || {
        let mut stream = std::net::TcpStream::connect((FAR, 7000)).unwrap();
        std::thread::spawn(move || {
            let mut message = [7; 512];
            while stream.write_all(&message).is_ok() && stream.read_exact(&mut message).is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
    });
    let live = ["--judge-live", "port=7000,peer=198.18.7.2", "--judge-round", "150ms", "--rollback", "--json"];
    // Nothing is planted, and a setting is tried that one message at a time cannot feel.
    let null =
        ["--try", "sysctl.net.ipv4.tcp_slow_start_after_idle", "host", "0", "--false-keep", "0.1%", "--pairs", "10"];
    let base = ["optimize", "--iface", IFACE];
    let d = lab.run(&scratch, &[&base[..], &null, &live].concat()).exits(0).json();
    assert!(d["steps"].as_array().unwrap().iter().all(|s| s["kept"] == false), "{d:#}");
    // 512 bytes at 2 Mbit/s take 2 ms and more, which the path's own step takes away.
    lab.plant();
    let d = lab.run(&scratch, &[&base[..], &live].concat()).exits(0).json();
    let steps = d["steps"].as_array().unwrap();
    let kept = steps.iter().find(|s| s["kept"] == true).unwrap_or_else(|| panic!("{steps:#?}"));
    assert_eq!(kept["verdict"], "better", "{kept:#}");
    assert_eq!(d["judge"]["source"], "connections", "{:#}", d["judge"]);
    let text = lab.run(&scratch, &["report", "last"]).exits(0).out.clone();
    assert!(text.contains("JUDGED BY YOUR CONNECTIONS") && text.contains("in microseconds"), "{text}");
}

// ---- another tuner ----------------------------------------------------------------------------------------------------

/// A tuner: one setting that helps, one that harms, and one that lowlat does not know.
const TUNER: &str = "echo tuning; echo 50000 > /sys/class/net/near0/gro_flush_timeout; \
                     echo 0 > /proc/sys/net/ipv4/tcp_autocorking; echo 1 > /proc/sys/net/ipv4/conf/near0/log_martians";

fn around<'a>(command: &'a str, more: &[&'a str], tuner: &'a str) -> Vec<&'a str> {
    let base = ["around", "--iface", IFACE, "--judge", command];
    [&base[..], more, &["--", "sh", "-c", tuner]].concat()
}

/// The three settings.
fn tuned(lab: &Lab) -> [String; 3] {
    let file = |path: &str| lab.sh(&format!("cat {path}"));
    [FILE, OTHER, "/proc/sys/net/ipv4/conf/near0/log_martians"].map(file)
}

#[test]
fn another_tuner_s_changes_are_judged_together_and_alone_and_kept_as_asked() {
    let command = moved();
    for (keep, left) in [("better", ["50000", "1", "1"]), ("all", ["50000", "0", "1"]), ("none", ["0", "1", "1"])] {
        let (lab, scratch) = (Lab::new(), Scratch::new());
        assert_eq!(tuned(&lab), ["0", "1", "0"]);
        let ran = lab.run(&scratch, &around(&command, &["--keep", keep, "--pairs", "14", "--json"], TUNER));
        let d = ran.exits(0).json();
        assert!(ran.err.contains("tuning"), "what it prints goes to stderr: {}", ran.err);
        let of = |knob: &str| {
            let all = d["around"]["changed"].as_array().unwrap();
            all.iter().find(|c| c["knob"] == knob).unwrap_or_else(|| panic!("{knob}: {d:#}")).clone()
        };
        assert_eq!((&of(KNOB)["before"], &of(KNOB)["after"]), (&"0".into(), &"50000".into()));
        assert_eq!(of("sysctl.net.ipv4.tcp_autocorking")["after"], "0");
        let other = d["around"]["not_put_back"].to_string();
        assert!(other.contains("/proc/sys/net/ipv4/conf/near0/log_martians"), "{other}");
        assert_eq!(d["around"]["whole"]["verdict"], "better", "{:#}", d["around"]);
        let step = |knob: &str| {
            let all = d["steps"].as_array().unwrap();
            all.iter().rfind(|s| s["knob"] == knob).unwrap_or_else(|| panic!("{knob}: {d:#}")).clone()
        };
        assert_eq!(step(KNOB)["verdict"], "better");
        assert_eq!(step("sysctl.net.ipv4.tcp_autocorking")["verdict"], "worse");
        assert_eq!(tuned(&lab), left, "--keep {keep}");
        let text = lab.run(&scratch, &["report", "last"]).exits(0).out.clone();
        assert!(text.contains("WHAT THE OTHER PROGRAM CHANGED") && text.contains("log_martians"), "{text}");
        lab.run(&scratch, &["rollback"]).exits(0);
        assert_eq!(tuned(&lab), ["0", "1", "1"], "what lowlat does not know stays");
    }
}

#[test]
fn a_tuner_that_fails_or_a_run_that_is_killed_leaves_what_was_there() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let command = moved();
    let fails = format!("{TUNER}; exit 5");
    lab.run(&scratch, &around(&command, &[], &fails))
        .exits(2)
        .fails(&["exit status: 5", "every applied change was undone"]);
    assert_eq!(tuned(&lab)[..2], ["0", "1"]);
    lab.run(&scratch, &["around", "--iface", IFACE, "--judge", &command, "--", "no-such-program-of-ours"])
        .exits(2)
        .fails(&["no-such-program-of-ours", "every applied change was undone"]);
    // Features that come only with another one go back behind it, at once and by a rollback.
    let features = || lab.sh(&format!("ethtool -k {IFACE}"));
    let before = features();
    let off = format!("ethtool -K {IFACE} tso off gso off");
    let more = ["--pairs", "4", "--keep", "none", "--json"];
    let d = lab.run(&scratch, &around("echo 1", &more, &off)).exits(0).json();
    let knobs: Vec<&str> =
        d["around"]["changed"].as_array().unwrap().iter().map(|c| c["knob"].as_str().unwrap()).collect();
    assert!(knobs.contains(&"nic.feature.tso") && knobs.contains(&"nic.feature.gso"), "{knobs:?}");
    // Nor was one changed that lowlat does not know.
    assert!(!d["around"]["not_put_back"].to_string().contains("feature"), "{:#}", d["around"]);
    assert_eq!(features(), before);
    lab.run(&scratch, &around("echo 1", &[], &format!("{off}; exit 5")))
        .exits(2)
        .fails(&["every applied change was undone"]);
    assert_eq!(features(), before);
    // Killed while the tuner runs: the journal knows everything that it may have set.
    let noted = scratch.name("tuner");
    let hangs = format!("echo $$ > {noted}; {TUNER}; sleep 600");
    let pid = || std::fs::read_to_string(&noted).unwrap().trim().parse().unwrap();
    let running = Started::new(&mut lab.lowlat(&scratch, &around(&command, &[], &hangs)));
    until("the tuner has set it", || tuned(&lab)[..2] == ["50000", "0"]);
    kill("KILL", running.pid());
    drop(running);
    until("the tuner is gone", || !lives(pid()));
    lab.run(&scratch, &["rollback"]).exits(0);
    assert_eq!(tuned(&lab)[..2], ["0", "1"]);
    // A signal ends the tuner with all that it started.
    let running = Started::new(&mut lab.lowlat(&scratch, &around(&command, &[], &hangs)));
    until("the tuner has set it", || tuned(&lab)[..2] == ["50000", "0"]);
    kill("INT", running.pid());
    running.wait().exits(2).fails(&["interrupted", "every applied change was undone"]);
    until("the tuner is gone", || !lives(pid()));
    assert_eq!(tuned(&lab)[..2], ["0", "1"]);
}
