//! The repository's own tools: `gen` writes the reference pages from the catalogue, `tidy` checks the architecture,
//! `new` makes the scaffold of a unit.
//!
//! ```text
//! cargo run -p xtask -- gen [--check]   write docs/reference/, or name the stale ones
//! cargo run -p xtask -- tidy            every check of the architecture
//! cargo run -p xtask -- new KIND NAME   a unit's file and entries, to be filled in
//! cargo run -p xtask -- sbom TARGET     what is built into the program for TARGET, as CycloneDX JSON
//! cargo run -p xtask -- extract 6.1=TREE 6.12=TREE   looks up what the pages cite of the kernel in these sources
//! ```
//!
//! The same checks are tests of this crate, so that `cargo test` alone finds what they find. Exits: 1 where a check finds
//! something, 2 with one line where the work could not be done.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
#![allow(clippy::print_stdout)] // a tool for people at a terminal

mod cited;
mod r#gen;
mod new;
mod sbom;
mod tidy;
mod tree;

use std::process::ExitCode;

use anyhow::Result;

use tree::Tree;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    run(&args).unwrap_or_else(|why| {
        // In one line, and without the backtrace that a `Result` of `main` prints.
        eprintln!("xtask: {why:#}");
        ExitCode::from(2)
    })
}

fn run(args: &[&str]) -> Result<ExitCode> {
    let wrong = match args[..] {
        ["gen"] => {
            let tree = Tree::load()?;
            let pages = r#gen::pages(&tree)?;
            let changed = r#gen::write(&tree, &pages)?;
            println!("{}: {} pages, {changed} changed", r#gen::FOLDER, pages.len());
            Vec::new()
        }
        ["gen", "--check"] => {
            let tree = Tree::load()?;
            r#gen::check(&tree, &r#gen::pages(&tree)?)
        }
        ["tidy"] => tidy::all(&Tree::load()?),
        ["sbom", target] => {
            println!("{}", sbom::document(&Tree::load()?, target)?);
            Vec::new()
        }
        ["extract", ref trees @ ..] if !trees.is_empty() => {
            println!("{}", cited::extract(&Tree::load()?, trees)?);
            Vec::new()
        }
        ["new", kind, name] => {
            match new::run(&Tree::load()?.root, kind, name) {
                Ok(said) => println!("{}", said.join("\n")),
                Err(why) => {
                    eprintln!("xtask: {why}");
                    return Ok(ExitCode::from(2));
                }
            }
            Vec::new()
        }
        _ => {
            eprintln!(
                "usage: cargo run -p xtask -- gen [--check] | tidy | sbom TARGET | extract RELEASE=TREE … | new {} NAME",
                new::kinds()
            );
            return Ok(ExitCode::from(2));
        }
    };
    for line in &wrong {
        println!("{line}");
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
