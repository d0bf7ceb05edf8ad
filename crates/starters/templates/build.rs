//! Builds engine.c with the C compiler and links what pkg-config says.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Packages of pkg-config.
const PACKAGES: &[&str] = &[@PACKAGES@];

fn pkg_config(what: &str) -> Vec<String> {
    let out = Command::new("pkg-config")
        .arg(what)
        .args(PACKAGES)
        .output()
        .expect("run pkg-config; install it");
    assert!(
        out.status.success(),
        "{}; see README.md for the packages",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout)
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

fn run(command: &mut Command) {
    assert!(
        command.status().is_ok_and(|s| s.success()),
        "{command:?} failed"
    );
}

fn main() {
    println!("cargo:rerun-if-changed=engine.c");
    println!("cargo:rerun-if-changed=engine.h");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    let object = out.join("engine.o");
    run(Command::new("cc")
        .args([
            "-D_GNU_SOURCE",
            "-O2",
            "-Wall",
            "-fPIC",
            "-c",
            "engine.c",
            "-o",
        ])
        .arg(&object)
        .args(pkg_config("--cflags")));
    run(Command::new("ar")
        .arg("rcs")
        .arg(out.join("libengine.a"))
        .arg(&object));
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static=engine");
    for flag in pkg_config("--libs") {
        match (flag.strip_prefix("-l"), flag.strip_prefix("-L")) {
            (Some(library), _) if !library.starts_with(':') => {
                println!("cargo:rustc-link-lib={library}")
            }
            (_, Some(folder)) => println!("cargo:rustc-link-search=native={folder}"),
            _ => println!("cargo:rustc-link-arg={flag}"),
        }
    }
}
