//! Man pages and completions say what the command line knows, are accepted by the programs that read them, and complete.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing
#![allow(dead_code, unreachable_pub)] // a file of `examples/` is included by path

mod common;
#[path = "../examples/manual.rs"]
mod manual;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::Scratch;

/// Whether a program is here. Where everything must be tried, it must be.
fn here(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    assert!(there || std::env::var_os("LOWLAT_REQUIRE_ROOT").is_none(), "{program} is missing; run scripts/packages");
    if !there {
        eprintln!("NOT RUN: no {program}");
    }
    there
}

/// What a command said, of which nothing is left out.
#[track_caller]
fn said(command: &mut Command) -> String {
    let out = command.output().unwrap();
    let text = [&*String::from_utf8_lossy(&out.stdout), &*String::from_utf8_lossy(&out.stderr)].concat();
    assert!(out.status.success(), "{command:?}: {text}");
    text
}

fn walk(command: &clap::Command, path: &str, each: &mut impl FnMut(&str, &clap::Command)) {
    each(path, command);
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        walk(sub, &format!("{path}-{}", sub.get_name()), each);
    }
}

#[test]
fn every_command_has_a_page_with_every_flag_and_no_hidden_one_has() {
    let scratch = Scratch::new();
    manual::write(scratch.path()).unwrap();
    let man = scratch.path().join("man");
    let mut wanted = BTreeSet::new();
    walk(&manual::visible(), "lowlat", &mut |path, command| {
        let name = format!("{path}.1");
        // Roff writes a hyphen as `\-`.
        let text = fs::read_to_string(man.join(&name)).unwrap_or_else(|e| panic!("{name}: {e}")).replace("\\-", "-");
        for flag in command.get_arguments().filter(|a| !a.is_hide_set()).filter_map(clap::Arg::get_long) {
            assert!(text.contains(&format!("--{flag}")), "{name} lacks --{flag}");
        }
        wanted.insert(name);
    });
    let there: BTreeSet<String> =
        fs::read_dir(&man).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, wanted);
    assert!(there.contains("lowlat-optimize.1") && there.contains("lowlat-bypass-check.1"), "{there:?}");
    assert!(!there.iter().any(|name| name.contains("hold-dma") || name.contains("lab-")), "{there:?}");
    // What `lowlat --help` lists is what has a page.
    let help = said(Command::new(common::LOWLAT).arg("--help"));
    for name in help
        .lines()
        .skip_while(|l| *l != "Commands:")
        .skip(1)
        .take_while(|l| !l.is_empty())
        .filter_map(|l| l.strip_prefix("  ")?.split_whitespace().next())
    {
        let is_command = name.chars().all(|c| c.is_ascii_lowercase()) && name != "help";
        assert!(!is_command || there.contains(&format!("lowlat-{name}.1")), "{name} has no page: {there:?}");
    }
}

#[test]
fn man_and_mandoc_complain_of_no_page() {
    let scratch = Scratch::new();
    let files = manual::write(scratch.path()).unwrap();
    let pages: Vec<&Path> =
        files.iter().map(std::path::PathBuf::as_path).filter(|f| f.extension().is_some_and(|e| e == "1")).collect();
    assert!(pages.len() > 15);
    for page in pages {
        if here("man") {
            let complaints =
                Command::new("man").args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(page).output();
            let complaints = String::from_utf8(complaints.unwrap().stderr).unwrap();
            assert!(complaints.is_empty(), "{}: {complaints}", page.display());
        }
        if here("mandoc") {
            let lint = Command::new("mandoc").args(["-T", "lint", "-W", "error"]).arg(page).output().unwrap();
            assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
        }
    }
}

#[test]
fn each_shell_reads_its_completion_and_completes() {
    let scratch = Scratch::new();
    manual::write(scratch.path()).unwrap();
    let file = |name: &str| scratch.path().join("completions").join(name);
    if here("bash") {
        let script = format!(
            "set -e; source '{}'; COMP_WORDS=(lowlat mea); COMP_CWORD=1; _lowlat lowlat mea lowlat; echo \"${{COMPREPLY[@]}}\"\n\
             COMP_WORDS=(lowlat measure --eng); COMP_CWORD=2; _lowlat lowlat --eng measure; echo \"${{COMPREPLY[@]}}\"",
            file("lowlat").display()
        );
        assert_eq!(said(Command::new("bash").args(["--norc", "-c", &script])), "measure\n--engine\n");
    }
    if here("zsh") {
        assert_eq!(said(Command::new("zsh").args(["-f", "-n"]).arg(file("_lowlat"))), "");
        let text = fs::read_to_string(file("_lowlat")).unwrap();
        assert!(text.starts_with("#compdef lowlat") && text.contains("--engine="), "{text}");
    }
    if here("fish") {
        let script = format!(
            "source '{}'; complete -C 'lowlat mea'; complete -C 'lowlat measure --eng'",
            file("lowlat.fish").display()
        );
        let reported = said(Command::new("fish").args(["--no-config", "-c", &script]).env("HOME", scratch.path()));
        assert!(reported.starts_with("measure\t") && reported.contains("--engine\t"), "{reported}");
    }
}
