//! Writes the man pages and the completions of bash, zsh and fish, made of the command line itself:
//! `cargo run -p lowlat --example manual -- DIR` fills `DIR/man` and `DIR/completions`. `scripts/dist` packs them.
//!
//! An example and not a command: the program needs none of it, and so it carries no library for it.
#![allow(dead_code, missing_docs, unreachable_pub)] // of the arguments' module the definitions alone are used

#[path = "../src/args.rs"]
mod args;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

/// The shells that get a completion, and the file name that each looks for.
pub const SHELLS: [(Shell, &str); 3] = [(Shell::Bash, "lowlat"), (Shell::Zsh, "_lowlat"), (Shell::Fish, "lowlat.fish")];

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1) else {
        eprintln!("manual: name a folder to write to");
        return ExitCode::from(2);
    };
    match write(Path::new(&dir)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("manual: write to {}: {e}", PathBuf::from(dir).display());
            ExitCode::from(2)
        }
    }
}

/// The command line as people see it: commands that lowlat starts itself are left out.
pub fn visible() -> Command {
    fn without_hidden(command: &Command) -> Command {
        let kept = command.get_subcommands().filter(|c| !c.is_hide_set()).map(without_hidden).collect::<Vec<_>>();
        let mut bare = Command::new(&*command.get_name().to_owned().leak()).args(command.get_arguments().cloned());
        if let Some(about) = command.get_about() {
            bare = bare.about(about.clone());
        }
        if let Some(about) = command.get_long_about() {
            bare = bare.long_about(about.clone());
        }
        if let Some(text) = command.get_after_help() {
            bare = bare.after_help(text.clone());
        }
        for group in command.get_groups().filter(|g| g.get_args().next().is_some()) {
            bare = bare.group(group.clone());
        }
        bare.subcommands(kept)
    }
    let whole = args::Cli::command();
    without_hidden(&whole).version(env!("CARGO_PKG_VERSION"))
}

/// Writes everything; gives the files.
pub fn write(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let (man, completions) = (dir.join("man"), dir.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    let mut files = Vec::new();
    let mut command = visible();
    command.build();
    pages(&command, &man, &mut files)?;
    for (shell, name) in SHELLS {
        let file = completions.join(name);
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut visible(), "lowlat", &mut text);
        fs::write(&file, text)?;
        files.push(file);
    }
    Ok(files)
}

/// `lowlat.1`, `lowlat-measure.1`, `lowlat-bypass-check.1`, …; clap names a built subcommand with its parents.
fn pages(command: &Command, dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let file = dir.join(format!("{name}.1"));
    // No date: the same sources give the same page.
    let page =
        clap_mangen::Man::new(command.clone()).title(name.to_uppercase()).source("lowlat").manual("lowlat manual");
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(&file, text)?;
    files.push(file);
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        pages(sub, dir, files)?;
    }
    Ok(())
}
