//! The page of what was tried against the ways back, from records that tests write with `LOWLAT_BLESS=1` and compare else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use super::Pages;
use super::text::NOTE;
use crate::tree::Tree;

/// Row by name, and its counts.
type Record = BTreeMap<String, BTreeMap<String, u64>>;

fn read(tree: &Tree, file: &str) -> Result<Record> {
    let text =
        tree.text(file).with_context(|| format!("read {file}: missing; its test writes it with LOWLAT_BLESS=1"))?;
    serde_json::from_str(text).with_context(|| format!("read {file}"))
}

/// Rows and their sum under a heading.
fn table(page: &mut String, record: &Record, what: &str, columns: [(&str, &str); 2]) {
    let [(tried, tried_words), (right, right_words)] = columns;
    let of = |row: &BTreeMap<String, u64>, key: &str| row.get(key).copied().unwrap_or_default();
    let _ = writeln!(page, "| {what} | {tried_words} | {right_words} |\n|---|---:|---:|");
    for (name, row) in record {
        let _ = writeln!(page, "| {name} | {} | {} |", of(row, tried), of(row, right));
    }
    let sum = |key: &str| record.values().map(|row| of(row, key)).sum::<u64>();
    let _ = writeln!(page, "| **all** | **{}** | **{}** |", sum(tried), sum(right));
}

/// A row each: how often, median and longest time.
fn times(page: &mut String, record: &Record) {
    page.push_str("| way | runs | median | worst |\n|---|---:|---:|---:|\n");
    for (way, row) in record {
        let of = |key: &str| row.get(key).copied().unwrap_or_default();
        let _ = writeln!(page, "| {way} | {} | {} ms | {} ms |", of("runs"), of("median_ms"), of("worst_ms"));
    }
}

/// The page.
pub(crate) fn safety(tree: &Tree, pages: &mut Pages) -> Result<()> {
    let mut page = format!(
        "{NOTE}\n# Safety, in figures\n\nWhat was tried by injection, with the outcome. Every figure is compared by the \
         test that is named with it, but for the times; `LOWLAT_BLESS=1` has that test write it anew.\n\n## Crash points\n\n{CRASHES}\n\n"
    );
    let crashes = read(tree, "fixtures/crash-points.json")?;
    table(&mut page, &crashes, "kind of setting", [("points", "crash points"), ("restored", "restored exactly")]);
    let _ = write!(page, "\n## Damaged journals\n\n{JOURNALS}\n\n");
    let journals = read(tree, "fixtures/damaged-journals.json")?;
    table(&mut page, &journals, "damage", [("tried", "tried"), ("held", "held")]);
    let _ = write!(page, "\n## Bad input\n\n{INPUTS}\n\n");
    let inputs = read(tree, "fixtures/bad-input.json")?;
    table(&mut page, &inputs, "input", [("tried", "tried"), ("right", "right")]);
    let _ = write!(page, "\n## How long a revert takes\n\n{GUARD}\n\n");
    times(&mut page, &read(tree, "fixtures/guard-times.json")?);
    pages.insert("safety.md".to_owned(), page);
    Ok(())
}

const CRASHES: &str = "\
One setting of each kind is applied and rolled back on a machine in memory whose power goes at a chosen point: after each \
byte of the journal and after each write, once while applying and once while going back. Then `rollback` runs. A point is \
restored where it reports success and every setting is as before. A held limit (`dma_latency`) has a process and no write; \
its cases are those of `kernel_session`. Test: `every_kind_is_restored_from_every_point` of `crates/apply/tests/crash.rs`.";

const JOURNALS: &str = "\
The journal of a transaction of two settings, damaged in one place; then `rollback` runs. It holds where rollback refuses and \
changes nothing, or puts everything back exactly. Test: `a_damaged_journal_sets_nothing_foreign` of \
`crates/apply/tests/crash.rs`.";

const INPUTS: &str = "\
Each option of each command with each class of value that it cannot take, and documents, configuration files and targets that \
are none. One is right where the program exits with 2, says one line on standard error that ends in a next step, prints \
nothing and writes nothing. Test: `every_option_refuses_what_it_cannot_take` of `crates/cli/tests/bad_values.rs`; what each \
refusal has to name is in `crates/cli/tests/bad_input.rs`.";

const GUARD: &str = "\
From the event until the setting is as before, over a veth link of two namespaces. *cut*: `apply --confirm-within 60s \
--watch TARGET`, from the cut. *killed*: `apply --confirm-within 2s`, from the deadline, which counts from the start of the \
command. A guard that SIGKILL or SIGSTOP took is replaced by the next lowlat: there from the start of `lowlat status`. Measured \
by `bench/guard-times` on a quiet machine with two CPUs; no test compares these times. That each way ends is tested in \
`crates/cli/tests/kernel_guard.rs`.";
