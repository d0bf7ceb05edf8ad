//! The catalogue's pages: those of knobs, rules, NIC families, engines and collectors, and the guides over them; by name,
//! by words, and by names that are nearly right. `lowlat explain` prints them.

#![forbid(unsafe_code)]

mod names;
mod search;

use std::fmt::{self, Write as _};

pub use search::{list as search_list, search};

/// What was asked for and is on no page: what was looked for, and what to try instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPage(String);

impl fmt::Display for NoPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoPage {}

/// Guides over the whole catalogue: the generated pages themselves, which a test of xtask keeps current.
const GUIDES: [(&str, &str); 5] = [
    ("optimization-patterns", include_str!("../../../docs/reference/optimization-patterns.md")),
    ("kernel-bypass", include_str!("../../../docs/reference/kernel-bypass.md")),
    ("nic-tuning", include_str!("../../../docs/reference/nic-tuning.md")),
    ("resets", include_str!("../../../docs/reference/resets.md")),
    ("kernel-defaults", include_str!("../../../docs/reference/kernel-defaults.md")),
];

/// Pages that hold a word without being its page: so many are named.
const MENTIONED: usize = 5;

fn names() -> impl Iterator<Item = &'static str> {
    all().into_iter().flat_map(|(_, names)| names)
}

/// The groups in the order of a list, with the names of their pages.
pub fn all() -> [(&'static str, Vec<&'static str>); 6] {
    [
        ("Guides", GUIDES.iter().map(|(name, _)| *name).collect()),
        ("Knobs", lowlat_knobs::KNOBS.iter().map(|k| k.meta.name).collect()),
        ("Rules", lowlat_rules::RULES.iter().map(|r| r.meta().name).collect()),
        ("NIC families", lowlat_families::FAMILIES.iter().map(|f| f.name).collect()),
        ("Engines", lowlat_live::path::ENGINES.to_vec()),
        ("Collectors", lowlat_collect::COLLECTORS.iter().map(|p| p.name).collect()),
    ]
}

/// The names of all pages under the titles of their groups, as text.
pub fn list() -> String {
    let mut out = String::new();
    for (title, names) in all() {
        out.push_str(title);
        out.push('\n');
        for name in names {
            out.push_str("  ");
            out.push_str(name);
            out.push('\n');
        }
    }
    out
}

/// The page of this name as Markdown, or the one that is known elsewhere by it (`SO_BUSY_POLL`, `onload`, `ring buffer`), in
/// any case of letters and with any separators.
///
/// # Errors
/// No page has the name; it names those that are nearly it, or that mention it.
pub fn page(name: &str) -> Result<String, NoPage> {
    find(name).or_else(|| names::meant(name)).ok_or_else(|| {
        let within: Vec<&str> = names().filter(|n| n.contains(&name.to_lowercase())).collect();
        // More than a line holds are not help.
        let hint = match (within.len(), search::near(name)) {
            (1..=12, _) => format!("did you mean {}", within.join(", ")),
            (0, near) if !near.is_empty() => format!("did you mean {}", near.join(", ")),
            _ => match search::search(name) {
                Ok(found) => {
                    let few: Vec<&str> = found.iter().take(MENTIONED).map(|f| f.name.as_str()).collect();
                    format!("it is mentioned in {}", few.join(", "))
                }
                Err(_) => "`lowlat explain` lists them all, `lowlat explain --search WORDS` searches them".to_owned(),
            },
        };
        NoPage(format!("explain {name:?}: no such page; {hint}"))
    })
}

fn find(name: &str) -> Option<String> {
    if let Some(knob) = lowlat_knobs::find(name) {
        return Some(knob_page(&knob.meta));
    }
    if let Some(rule) = lowlat_rules::find(name) {
        let m = rule.meta();
        return Some(format!("# {}\n\n{}\n\n## Sources\n{}", m.name, m.page.trim(), sources(m.sources)));
    }
    if let Some(family) = lowlat_families::find(name) {
        return Some(format!("# {}\n\n{}\n\n## Sources\n{}", family.name, family.page.trim(), sources(family.sources)));
    }
    if let Some(page) = lowlat_live::path::engine_page(name) {
        return Some(format!("# {name}\n\n{page}"));
    }
    if let Some(collector) = lowlat_collect::COLLECTORS.iter().find(|p| p.name == name) {
        let reads: String = collector.reads.iter().flat_map(|r| ["- `", r, "`\n"]).collect();
        return Some(format!(
            "# {}\n\n{}\n\n## Reads\n{reads}\n## Sources\n{}",
            collector.name,
            collector.page.trim(),
            sources(collector.sources)
        ));
    }
    if let Some((_, guide)) = GUIDES.iter().find(|(n, _)| *n == name) {
        return Some(for_terminal(guide));
    }
    // Last, what people call it elsewhere: SO_BUSY_POLL, chrt, tcp_rmem.
    lowlat_knobs::find_known(name).map(|knob| knob_page(&knob.meta))
}

fn knob_page(m: &lowlat_knobs::KnobMeta) -> String {
    let also = if m.also.is_empty() { String::new() } else { format!("\n\n## Also known as\n{}", m.also.join(", ")) };
    let acts_with =
        if m.needs.is_empty() { String::new() } else { format!("\n\n## Acts with\n{}", m.needs.join(", ")) };
    format!(
        "# {}\n\n{}\n\n## Kernels\n{}\n\n## Risk\n{:?}{}\n\n## Standing\n{}{also}{acts_with}\n\n## Sources\n{}",
        m.name,
        m.page.trim(),
        m.kernels,
        m.risk,
        if m.resets_link { ", resets the link" } else { "" },
        m.standing.words(),
        sources(m.sources)
    )
}

/// A page written for a browser, for a terminal: no note to editors, no link targets, and each table row as an item.
fn for_terminal(page: &str) -> String {
    let mut out = String::new();
    for line in page.lines().filter(|l| !l.starts_with("<!--")) {
        let line = unlinked(line);
        let Some(row) = line.strip_prefix("| ").and_then(|r| r.strip_suffix(" |")) else {
            out.push_str(&line);
            out.push('\n');
            continue;
        };
        let mut cells = row.split(" | ").map(str::trim);
        let first = cells.next().unwrap_or_default();
        let rest: Vec<&str> = cells.collect();
        let _ = writeln!(out, "- {first}: {}", rest.join(" · "));
    }
    // A table's head and its rule say nothing once the rows are items.
    let keep =
        |(head, next): &(&str, Option<&str>)| !head.starts_with("|--") && !next.is_some_and(|n| n.starts_with("|--"));
    let lines: Vec<&str> = out.lines().collect();
    let pairs = lines.iter().enumerate().map(|(n, l)| (*l, lines.get(n + 1).copied()));
    pairs.filter(keep).fold(String::new(), |all, (line, _)| all + line + "\n")
}

/// `[text](target)` as `text`.
fn unlinked(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        match after.split_once("](").and_then(|(text, target)| Some((text, target.split_once(')')?.1))) {
            Some((text, tail)) if !text.contains('[') => {
                out.push_str(text);
                rest = tail;
            }
            _ => {
                out.push('[');
                rest = after;
            }
        }
    }
    out + rest
}

fn sources(list: &[&str]) -> String {
    list.iter().flat_map(|s| ["- ", s, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_list_has_a_page() {
        for name in names() {
            assert!(find(name).is_some_and(|p| p.len() > 100), "{name}");
        }
        assert!(find("SO_BUSY_POLL").is_some_and(|p| p.starts_with("# socket.busy-poll\n")));
        assert_eq!(find("no-such-thing"), None);
    }

    #[test]
    fn a_guide_reads_in_a_terminal() {
        let text =
            for_terminal("<!-- note -->\n# T\n\n| a | b |\n|---|---|\n| [x](k/x.md) | does `y` |\n\nSee [z](z.md).\n");
        assert_eq!(text, "# T\n\n- x: does `y`\n\nSee z.\n");
        assert_eq!(unlinked("a [b] c [d"), "a [b] c [d");
    }
}
