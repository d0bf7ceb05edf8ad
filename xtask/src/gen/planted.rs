//! What became of each planted fault and of each ordinary host: the page of them all, and the table of the README, from the
//! records in `fixtures/planted/`, which the suites that plant them write.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use super::text::NOTE;
use super::{Pages, README};
use crate::tree::Tree;

/// Record, what it is called, and the suite that writes it.
const RECORDS: [(&str, &str, &str); 2] = [
    ("fixtures/planted/captured.json", "captured hosts", "crates/collect/tests/cases.rs"),
    (
        "fixtures/planted/namespaces.json",
        "the real kernel, in network namespaces",
        "crates/collect/tests/kernel_faults.rs",
    ),
];
const BEGIN: &str = "<!-- planted faults: made by `xtask gen` -->\n";
const END: &str = "<!-- /planted faults -->\n";

/// Case → `fault` or `ordinary`, the rule that must stand first or the kind of host, and what became of it.
type Record = BTreeMap<String, [String; 3]>;

pub(super) fn planted(tree: &Tree, pages: &mut Pages) -> Result<()> {
    let mut records = Vec::new();
    for (file, title, suite) in RECORDS {
        let text = tree.text(file).with_context(|| format!("read {file}: missing; run {suite} with LOWLAT_BLESS=1"))?;
        let record: Record = serde_json::from_str(text).with_context(|| format!("read {file}"))?;
        records.push((title, suite, record));
    }
    pages.insert("planted-faults.md".to_owned(), page(&records));
    let readme = tree.text(README).context("read README.md")?;
    let (before, rest) = readme.split_once(BEGIN).context("README.md: no place for the table of planted faults")?;
    let (_, after) = rest.split_once(END).context("README.md: the table of planted faults has no end")?;
    pages.insert(README.to_owned(), format!("{before}{BEGIN}{}{END}{after}", table(&records)));
    Ok(())
}

/// Planted, found on top, found, missed.
fn faults(record: &Record) -> [usize; 4] {
    let of = |what: &str| record.values().filter(|o| o[0] == "fault" && o[2] == what).count();
    [record.values().filter(|o| o[0] == "fault").count(), of("top"), of("found"), of("missed")]
}

/// Ordinary hosts, and those of them with a false serious finding.
fn ordinary(record: &Record) -> [usize; 2] {
    let all = || record.values().filter(|o| o[0] == "ordinary");
    [all().count(), all().filter(|o| o[2] != "silent").count()]
}

fn table(records: &[(&str, &str, Record)]) -> String {
    let mut out = "\n| where | planted | found on top | found | missed | ordinary hosts | false |\n|---|---|---|---|---|---|---|\n"
        .to_owned();
    for (title, _, record) in records {
        let ([planted, top, found, missed], [hosts, wrong]) = (faults(record), ordinary(record));
        let of_hosts = |n: usize| if hosts == 0 { "–".to_owned() } else { n.to_string() };
        let (hosts, wrong) = (of_hosts(hosts), of_hosts(wrong));
        let _ = writeln!(out, "| {title} | {planted} | {top} | {found} | {missed} | {hosts} | {wrong} |");
    }
    out + "\n"
}

fn page(records: &[(&str, &str, Record)]) -> String {
    let mut out = format!(
        "{NOTE}\n# Planted faults\n\nFaults that were planted on purpose, each with the finding that must stand first, and \
         ordinary hosts, on which no serious finding may appear. *Found on top*: the right finding stands first. *Found*: it \
         is there, under another. *False*: a finding at warning or above on an ordinary host.\n{}",
        table(records)
    );
    for (title, suite, record) in records {
        let _ = write!(out, "## Faults: {title}\n\nPlanted by `{suite}`.\n\n");
        out.push_str("| fault | the right finding | became |\n|---|---|---|\n");
        for (name, [_, rule, became]) in record.iter().filter(|(_, o)| o[0] == "fault") {
            let became = if became == "top" { "on top" } else { became };
            let _ = writeln!(out, "| {name} | [{rule}](rules/{rule}.md) | {became} |");
        }
        out.push('\n');
    }
    out.push_str("## Ordinary hosts\n\n| host | kind | serious findings |\n|---|---|---|\n");
    for (name, [_, kind, became]) in records.iter().flat_map(|(_, _, r)| r).filter(|(_, o)| o[0] == "ordinary") {
        let became = if became == "silent" { "none" } else { became };
        let _ = writeln!(out, "| {} | {kind} | {became} |", name.trim_start_matches("ordinary-"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_what_became_of_each() {
        let one = |kind: &str, what: &str| [kind.to_owned(), "x".to_owned(), what.to_owned()];
        let record = Record::from([
            ("a".into(), one("fault", "top")),
            ("b".into(), one("fault", "found")),
            ("c".into(), one("fault", "missed")),
            ("d".into(), one("ordinary", "silent")),
            ("e".into(), one("ordinary", "false: x")),
        ]);
        assert_eq!((faults(&record), ordinary(&record)), ([3, 1, 1, 1], [2, 1]));
        let text = table(&[("here", "suite", record)]);
        assert!(text.contains("| here | 3 | 1 | 1 | 1 | 2 | 1 |"), "{text}");
    }
}
