//! `lowlat`: Measure a network path, find what slows it down, tune the host with proof, and undo every change.
//!
//! This crate parses, wires the stages together and prints. It alone knows every stage; it computes nothing.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)] // the one crate that talks to people
#![allow(unreachable_pub)] // a binary has no outside: `pub` here means "for the other modules"

mod args;
mod combinations;
mod commands;
mod config;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use lowlat_live::{Failure, Outcome, signals};
use lowlat_terminal::{ask, output, progress};

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    match start() {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output::failure(&format!("lowlat: {failure}"));
            ExitCode::from(2)
        }
    }
}

fn start() -> Outcome {
    let command = Cli::command();
    let given: Vec<OsString> = std::env::args_os().collect();
    let words = config::merge(given.clone(), &command)?;
    let Some(cli) = parse(words, command)? else { return Ok(0) };
    match cli.command {
        Some(command) => {
            signals::install();
            dispatch(command, cli.json)
        }
        None if ask::can_ask() && !cli.json => {
            signals::end_at_once();
            let answers = commands::interview()?;
            signals::install();
            // Behind what was given: a config file counts here as it does without questions.
            let args = given.into_iter().chain(answers.into_iter().map(OsString::from)).collect();
            let command = Cli::command();
            match parse(config::merge(args, &command)?, command)? {
                Some(Cli { command: Some(command), .. }) => dispatch(command, false),
                _ => Ok(0),
            }
        }
        None => {
            output::text(&Cli::command().render_help().to_string());
            Ok(0)
        }
    }
}

/// Parses; `None` when clap has printed help or the version. `command` is made once: its some three hundred flags are a good
/// part of what a short command takes.
fn parse(args: Vec<OsString>, command: clap::Command) -> Result<Option<Cli>, Failure> {
    let name = args.iter().skip(1).find_map(|a| command.find_subcommand(a.to_str()?).map(|c| c.get_name().to_owned()));
    let matches = command.try_get_matches_from(args);
    match matches.and_then(|m| Cli::from_arg_matches(&m).map(|cli| (cli, m))) {
        Ok((cli, matches)) => combinations::check(&matches).map(|()| Some(cli)),
        Err(e) if e.use_stderr() => Err(refusal(&e.to_string(), name.as_deref())),
        Err(e) => {
            output::text(&e.render().to_string());
            Ok(None)
        }
    }
}

/// What clap says, in one line: its first line, what is missing, and the name that was meant.
fn refusal(text: &str, command: Option<&str>) -> Failure {
    let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let missing: Vec<&str> = text.lines().skip(1).take_while(|l| !l.is_empty()).map(str::trim).collect();
    let what = if missing.is_empty() { first.to_owned() } else { format!("{first} {}", missing.join(" ")) };
    // clap_builder, error/format.rs: "tip: a similar subcommand exists: 'measure'".
    let similar = text.lines().find_map(|l| {
        let tip = l.trim().strip_prefix("tip: ").filter(|t| t.contains("similar"))?;
        tip.split_once(": ").map(|(_, names)| names)
    });
    let meant = similar.map_or_else(String::new, |names| format!("write {names}, or "));
    let of = command.map_or_else(String::new, |name| format!("{name} "));
    Failure::new(format!("{what}; {meant}see `lowlat {of}--help`"))
}

fn dispatch(command: Command, json: bool) -> Outcome {
    signals::at_stake();
    if !command.is_hidden() {
        commands::guard::attend(matches!(command, Command::Confirm))?;
    }
    if command.only_reports() {
        signals::at_ease()?;
    }
    match command {
        Command::Demo(a) => commands::demo::run(&a, json),
        Command::Facts(a) => commands::facts::run(&a),
        Command::Check(a) => commands::check::run(&a, json),
        Command::Serve(a) => commands::serve::run(&a, json),
        Command::Measure(a) => commands::measure::run(&a, json),
        Command::Compare(a) => commands::compare::run(&a, json),
        Command::Noise(a) => commands::noise::run(&a, json),
        Command::Trace(a) => commands::trace::run(&a, json),
        Command::Watch(a) => commands::watch::run(&a, json),
        Command::Shape(a) => commands::shape::run(&a, json),
        Command::Plan(a) => commands::plan::run(&a, json),
        Command::Apply(a) => commands::apply::run(&a, json),
        Command::Confirm => commands::apply::confirm(json),
        Command::Rollback(a) => commands::apply::rollback(&a, json),
        Command::Status => commands::apply::status(json),
        Command::Persist(a) => commands::apply::persist(&a, json),
        Command::Optimize(a) => commands::optimize::run(&a, json),
        Command::Around(a) => commands::around::run(&a, json),
        Command::Bypass(a) => commands::bypass::run(&a, json),
        Command::Explain(a) => commands::explain::run(&a, json),
        Command::Report(a) => commands::report::run(&a, json),
        Command::Schema(a) => commands::schema::run(&a),
        Command::HoldDmaLatency { us, pipe } => commands::apply::hold(us, pipe.as_deref()),
        Command::RollbackUnlessConfirmed { transaction, token, deadline_boot_ns, watch, lost_after_ns } => {
            let watch =
                watch.zip(lost_after_ns).map(|(target, lost_after_ns)| lowlat_apply::Watch { target, lost_after_ns });
            commands::guard::run(&lowlat_apply::Orders { transaction, token, deadline_boot_ns, watch })
        }
        Command::LabFar => commands::demo::far(),
        Command::LabNear(a) => commands::demo::near(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_word_gets_the_one_that_was_meant() {
        let said = |args: &[&str]| {
            let args = std::iter::once("lowlat").chain(args.iter().copied()).map(OsString::from).collect();
            parse(args, Cli::command()).map(drop).map_err(|e| e.to_string()).err().unwrap_or_default()
        };
        for (args, meant) in [
            (&["mesure", "h"][..], "'measure', or see `lowlat --help`"),
            (&["measure", "h", "--duratoin", "1s"], "; write '--duration', or see `lowlat measure --help`"),
            (&["frobnicate"], "'frobnicate'; see `lowlat --help`"),
        ] {
            assert!(said(args).contains(meant), "{args:?}: {}", said(args));
        }
    }
}
