//! The config file, as the command line takes it: read, made into flags, and parsed as flags.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use clap::{CommandFactory, Parser};

use crate::args::Cli;
use crate::byte;
use crate::cli_config::merge;

const COMMANDS: [&str; 7] = ["optimize", "measure", "compare", "check", "facts", "plan", "serve"];

/// `command u8 | TOML`.
pub fn run(mut data: &[u8]) {
    thread_local! {
        static FILE: PathBuf = {
            let shared = PathBuf::from("/dev/shm");
            let folder = if shared.is_dir() { shared } else { std::env::temp_dir() };
            folder.join(format!("lowlat-fuzz-{}.toml", std::process::id()))
        };
        static CLI: clap::Command = Cli::command();
    }
    let command = COMMANDS[usize::from(byte(&mut data)) % COMMANDS.len()];
    FILE.with(|file| {
        fs::write(file, data).expect("the file can be written");
        let args = ["lowlat", "--config"].map(OsString::from).into_iter();
        let args: Vec<OsString> = args.chain([file.clone().into_os_string(), command.into()]).collect();
        match CLI.with(|cli| merge(args, cli)) {
            Ok(merged) => drop(Cli::try_parse_from(merged)),
            Err(e) => {
                let line = e.to_string();
                assert!(!line.contains('\n'), "more than one line: {line:?}");
            }
        }
    });
}
