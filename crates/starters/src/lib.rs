//! Small projects to begin a program with: AF_XDP, io_uring or DPDK, in Rust or C. Each builds, runs a ping-pong against
//! `lowlat serve`, prints P50 and P99, and leaves nothing behind. Their sources are files of `templates/`.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const ENGINE_H: &str = include_str!("../templates/engine.h");
const MAIN_C: &str = include_str!("../templates/main.c");
const MAIN_RS: &str = include_str!("../templates/main.rs");
const BUILD_RS: &str = include_str!("../templates/build.rs");
const ENGINE_FFI: &str = include_str!("../templates/engine_ffi.rs");
const ENGINE_URING: &str = include_str!("../templates/engine_uring.rs");

/// A technique that there is a project for.
struct Technique {
    name: &'static str,
    /// Its engine in C.
    engine_c: &'static str,
    /// Packages of pkg-config.
    packages: &'static [&'static str],
    /// Packages of Debian and Ubuntu.
    debian: &'static str,
    /// Its part of the README.
    readme: &'static str,
}

const TECHNIQUES: [Technique; 3] = [
    Technique {
        name: "af-xdp",
        engine_c: include_str!("../templates/engine_xdp.c"),
        packages: &["libxdp", "libbpf"],
        debian: "libxdp-dev libbpf-dev",
        readme: include_str!("../templates/README_xdp.md"),
    },
    Technique {
        name: "io-uring",
        engine_c: include_str!("../templates/engine_uring.c"),
        packages: &["liburing"],
        debian: "liburing-dev",
        readme: include_str!("../templates/README_uring.md"),
    },
    Technique {
        name: "dpdk",
        engine_c: include_str!("../templates/engine_dpdk.c"),
        packages: &["libdpdk"],
        debian: "libdpdk-dev dpdk",
        readme: include_str!("../templates/README_dpdk.md"),
    },
];

/// Languages.
pub const LANGUAGES: [&str; 2] = ["rust", "c"];

/// Names of the techniques.
pub fn techniques() -> Vec<&'static str> {
    TECHNIQUES.iter().map(|t| t.name).collect()
}

/// The files of a project, by their path in it; `None` for a technique or language that there is none of.
pub fn files(technique: &str, language: &str) -> Option<Vec<(&'static str, String)>> {
    let t = TECHNIQUES.iter().find(|t| t.name == technique)?;
    let text = |text: &str| text.to_owned();
    let mut files = match language {
        "c" => vec![
            ("meson.build", meson(t)),
            ("main.c", text(MAIN_C)),
            ("engine.c", text(t.engine_c)),
            ("engine.h", text(ENGINE_H)),
        ],
        "rust" if t.name == "io-uring" => vec![
            ("Cargo.toml", manifest("io-uring = \"0.7\"\nlibc = \"0.2\"\n")),
            ("src/main.rs", text(MAIN_RS)),
            ("src/engine.rs", text(ENGINE_URING)),
        ],
        "rust" => {
            let quoted: Vec<String> = t.packages.iter().map(|p| format!("{p:?}")).collect();
            vec![
                ("Cargo.toml", manifest("")),
                ("build.rs", BUILD_RS.replace("@PACKAGES@", &quoted.join(", "))),
                ("src/main.rs", text(MAIN_RS)),
                ("src/engine.rs", text(ENGINE_FFI)),
                ("engine.c", text(t.engine_c)),
                ("engine.h", text(ENGINE_H)),
            ]
        }
        _ => return None,
    };
    files.push(("README.md", readme(t, language)));
    Some(files)
}

fn manifest(dependencies: &str) -> String {
    format!(
        "[package]\nname = \"pingpong\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}\n\
         [profile.release]\ndebug = true # for perf; costs nothing at run time\n"
    )
}

fn meson(t: &Technique) -> String {
    let dependencies: Vec<String> = t.packages.iter().map(|p| format!("dependency('{p}')")).collect();
    format!(
        "project('pingpong', 'c', default_options: ['c_std=gnu11', 'buildtype=release', 'warning_level=2'])\n\
         executable('pingpong', 'main.c', 'engine.c',\n  dependencies: [{}],\n  c_args: '-D_GNU_SOURCE')\n",
        dependencies.join(", ")
    )
}

fn readme(t: &Technique, language: &str) -> String {
    let rust = language == "rust";
    let (build, program) = if rust {
        ("cargo build --release", "target/release/pingpong")
    } else {
        ("meson setup build && meson compile -C build", "build/pingpong")
    };
    let needed = match (rust, t.name) {
        (true, "io-uring") => "nothing but cargo".to_owned(),
        (true, _) => format!("`apt install gcc pkg-config {}`", t.debian),
        (false, _) => format!("`apt install gcc meson pkg-config {}`", t.debian),
    };
    let main = if rust { "src/main.rs" } else { "main.c" };
    let engine = if rust && t.name == "io-uring" { "src/engine.rs" } else { "engine.c" };
    t.readme
        .replace("@BUILD@", build)
        .replace("@PROGRAM@", program)
        .replace("@NEEDS@", &needed)
        .replace("@MAIN@", main)
        .replace("@ENGINE@", engine)
}

/// Why a project was not written.
#[derive(Debug)]
pub enum Refused {
    /// There is something where it would go.
    Occupied(PathBuf),
    /// A file could not be written.
    Io(PathBuf, io::Error),
}

/// Writes a project into a folder that is not there or is empty. It is there whole or not at all: it is written next to
/// it and then takes its place.
pub fn write(dir: &Path, files: &[(&str, String)]) -> Result<(), Refused> {
    match fs::read_dir(dir) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(Refused::Occupied(dir.to_owned()));
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Err(Refused::Occupied(dir.to_owned())),
        Err(e) => return Err(Refused::Io(dir.to_owned(), e)),
    }
    let mut name = dir.file_name().ok_or_else(|| Refused::Occupied(dir.to_owned()))?.to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let beneath = dir.with_file_name(name);
    let written = fill(&beneath, files).and_then(|()| fs::rename(&beneath, dir).map_err(|e| (dir.to_owned(), e)));
    written.map_err(|(path, e)| {
        let _ = fs::remove_dir_all(&beneath); // ours; what stays of it has this process's number in its name
        Refused::Io(path, e)
    })
}

fn fill(folder: &Path, files: &[(&str, String)]) -> Result<(), (PathBuf, io::Error)> {
    for (name, text) in files {
        let path = folder.join(name);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&path, text)).map_err(|e| (path.clone(), e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_project_has_its_parts_and_no_mark_is_left_open() {
        for technique in techniques() {
            for language in LANGUAGES {
                let files = files(technique, language).unwrap();
                let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
                assert!(names.contains(&"README.md"), "{technique} {language}: {names:?}");
                assert!(names.contains(&if language == "c" { "meson.build" } else { "Cargo.toml" }));
                for (name, text) in &files {
                    assert!(
                        !text.contains("@PACKAGES@") && !text.contains("@BUILD@"),
                        "{technique} {language}: {name}"
                    );
                    assert!(!text.contains(" @") || *name != "README.md", "{technique} {language}: {name}");
                }
            }
        }
        assert!(files("warp", "c").is_none() && files("dpdk", "go").is_none());
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_half_written() {
        let root = std::env::temp_dir().join(format!("lowlat-starters-{}", std::process::id()));
        fs::create_dir_all(root.join("full")).unwrap();
        fs::write(root.join("full/mine"), "mine").unwrap();
        fs::create_dir_all(root.join("empty")).unwrap();
        let project = files("af-xdp", "c").unwrap();
        assert!(matches!(write(&root.join("full"), &project), Err(Refused::Occupied(_))));
        assert!(matches!(write(&root.join("full/mine"), &project), Err(Refused::Occupied(_))));
        assert_eq!(fs::read_dir(root.join("full")).unwrap().count(), 1);
        for dir in ["empty", "new"] {
            write(&root.join(dir), &project).unwrap();
            assert_eq!(fs::read_dir(root.join(dir)).unwrap().count(), project.len());
        }
        // A file where a folder has to be: nothing of the project stays.
        let broken = [("a", String::new()), ("a/b", String::new())];
        assert!(matches!(write(&root.join("broken"), &broken), Err(Refused::Io(..))));
        let mut left: Vec<_> = fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["empty", "full", "new"]);
        fs::remove_dir_all(&root).unwrap();
    }
}
