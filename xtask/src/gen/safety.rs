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

/// The page.
pub(crate) fn safety(tree: &Tree, pages: &mut Pages) -> Result<()> {
    let mut page = format!(
        "{NOTE}\n# Safety, in figures\n\nWhat was tried by injection, with the outcome. Every figure is compared by the \
         test that is named with it; `LOWLAT_BLESS=1` has that test write it anew.\n\n## Crash points\n\n{CRASHES}\n\n"
    );
    let crashes = read(tree, "fixtures/crash-points.json")?;
    table(&mut page, &crashes, "kind of setting", [("points", "crash points"), ("restored", "restored exactly")]);
    let _ = write!(page, "\n## Damaged journals\n\n{JOURNALS}\n\n");
    let journals = read(tree, "fixtures/damaged-journals.json")?;
    table(&mut page, &journals, "damage", [("tried", "tried"), ("held", "held")]);
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
