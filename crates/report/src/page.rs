//! Sections without a format, and their two plain formats.

use std::fmt::Write as _;

use crate::drawing::{Drawing, Plot};
use crate::fill::{fill, longest_word, wrap};

/// Which section it is. What a format shows in a form of its own it leaves out by this, never by the heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Id {
    /// Escalations.
    ReadFirst,
    /// The demo's faults.
    Planted,
    /// Interfaces of the path.
    Path,
    /// Where the probers ran.
    Placement,
    /// A path with two modes.
    Modes,
    /// Goals.
    Goals,
    /// The A/B test of the whole configuration.
    Headline,
    /// What another program changed.
    Around,
    /// The command that judged.
    Judge,
    /// Findings on the path.
    Findings,
    /// Findings off the path.
    Elsewhere,
    /// Steps kept.
    Kept,
    /// Steps put back.
    PutBack,
    /// Steps Removed again.
    TakenOut,
    /// Steps refused.
    Refused,
    /// Steps that reset the link.
    Reset,
    /// Idle and under load.
    Load,
    /// Engines.
    Engines,
    /// Stages of the round trip.
    Waterfall,
    /// The checklist.
    Checklist,
    /// The confidence, rule by rule.
    Confidence,
    /// Warnings.
    Warnings,
    /// What could not be checked.
    NotSeen,
    /// How to undo.
    Undo,
    /// About the run.
    About,
    /// A section of another document.
    Other,
}

/// One section of a report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Section {
    /// Which.
    pub(crate) id: Id,
    /// Heading.
    pub(crate) title: String,
    /// What is under it.
    pub(crate) blocks: Vec<Block>,
}

/// One piece of a section.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    /// A sentence.
    Words(String),
    /// A sentence in at most so many lines of a terminal, where it is cut with an ellipsis; whole in every other format.
    Bounded(String, usize),
    /// A list.
    List(Vec<String>),
    /// Commands, to be copied.
    Code(Vec<String>),
    /// A table.
    Table(Table),
    /// A plot; on the page alone.
    Drawing(Box<Drawing>),
}

/// A table. Every row has as many cells as there are columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// Column heads.
    pub(crate) columns: Vec<String>,
    /// Rows of cells.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Section {
    /// A section of a document other than a run.
    pub(crate) fn new(title: &str, blocks: Vec<Block>) -> Self {
        Self::of(Id::Other, title, blocks)
    }

    /// It has plots alone, which stand on the page in a place of their own.
    pub(crate) fn is_drawn_only(&self) -> bool {
        self.blocks.iter().all(|b| b.drawn().is_some())
    }

    /// A section that formats know.
    pub(crate) fn of(id: Id, title: &str, blocks: Vec<Block>) -> Self {
        Self { id, title: title.to_owned(), blocks }
    }
}

impl Block {
    /// The plot, where it is one.
    pub(crate) fn drawn(&self) -> Option<&Drawing> {
        if let Self::Drawing(drawing) = self { Some(drawing) } else { None }
    }

    /// A plot, with what its marks mean and its figures.
    pub(crate) fn drawing(title: &str, legend: &str, plot: Plot, table: Table) -> Self {
        Self::Drawing(Box::new(Drawing { title: title.to_owned(), legend: legend.to_owned(), plot, table }))
    }
}

impl Table {
    /// A block of it.
    pub(crate) fn block<S: ToString>(columns: &[S], rows: Vec<Vec<String>>) -> Block {
        Block::Table(Self::new(columns, rows))
    }

    /// The table itself.
    pub(crate) fn new<S: ToString>(columns: &[S], rows: Vec<Vec<String>>) -> Self {
        Self { columns: columns.iter().map(ToString::to_string).collect(), rows }
    }

    /// Whether a column holds figures alone; those stand at its right edge, so that their units are below each other.
    fn is_figures(&self, column: usize) -> bool {
        let number = |c: &str| c.trim_start_matches(['+', '−']).starts_with(|f: char| f.is_ascii_digit());
        let figure = |c: &str| c.is_empty() || matches!(c, "n/a" | "-") || number(c);
        let short = |c: &str| c.split(' ').count() <= 2;
        let cells = || self.rows.iter().filter_map(|r| r.get(column));
        cells().all(|c| figure(c) && short(c)) && cells().any(|c| number(c))
    }
}

/// Columns of a terminal that does not report its width.
pub const WIDTH: usize = 80;
/// No column is made narrower than this for another one.
const NARROWEST: usize = 14;

/// As plain text: titles in capitals like those of the report's block, columns aligned, no word broken. Only commands
/// and words that are longer go beyond `width`.
pub(crate) fn text_at(sections: &[Section], width: usize) -> String {
    let mut out = String::new();
    for section in sections.iter().filter(|s| !s.is_drawn_only()) {
        let _ = writeln!(out, "\n{}:", section.title.to_uppercase());
        for block in &section.blocks {
            match block {
                // The later lines stand off, so that no text of others can begin a line of the report.
                Block::Words(words) => fill(&mut out, "", words, 2, width),
                Block::Bounded(words, lines) => fill(&mut out, "", &bounded(words, *lines, width), 2, width),
                Block::List(items) => items.iter().for_each(|item| fill(&mut out, "- ", item, 2, width)),
                Block::Code(lines) => {
                    for line in lines {
                        let _ = writeln!(out, "    {line}");
                    }
                }
                Block::Table(table) => laid_out(&mut out, table, width),
                Block::Drawing(_) => {}
            }
        }
    }
    out
}

/// A text in at most so many lines of a terminal, or of one of 80 columns where it is narrower; what is longer ends with an
/// ellipsis.
fn bounded(text: &str, lines: usize, width: usize) -> String {
    let fits = |text: &str| {
        let mut out = String::new();
        fill(&mut out, "", text, 2, width.max(WIDTH));
        out.lines().count() <= lines
    };
    if fits(text) {
        return text.to_owned();
    }
    let words: Vec<&str> = text.split(' ').collect();
    (1..words.len()).rev().map(|n| format!("{} …", words[..n].join(" "))).find(|text| fits(text)).unwrap_or_default()
}

/// A table in columns where they fit, the widest made narrower by wrapping; else row by row.
fn laid_out(out: &mut String, table: &Table, width: usize) {
    match widths(table, width) {
        Some(widths) => aligned(out, table, &widths),
        None => stacked(out, table, width),
    }
}

/// The width of each column; `None` where they cannot be made to fit.
fn widths(table: &Table, width: usize) -> Option<Vec<usize>> {
    let all = || std::iter::once(&table.columns).chain(&table.rows);
    let most = |i: usize, of: &dyn Fn(&str) -> usize| all().filter_map(|r| r.get(i)).map(|c| of(c)).max().unwrap_or(0);
    let count = table.columns.len();
    let least: Vec<usize> = (0..count).map(|i| most(i, &longest_word).max(NARROWEST)).collect();
    let mut widths: Vec<usize> = (0..count).map(|i| most(i, &|c| c.chars().count())).collect();
    // One blank before the first column, two between columns.
    while 2 * count + widths.iter().sum::<usize>() > width {
        let widest = (0..count).filter(|i| widths[*i] > least[*i]).max_by_key(|i| widths[*i])?;
        widths[widest] -= 1;
    }
    Some(widths)
}

fn aligned(out: &mut String, table: &Table, widths: &[usize]) {
    let right: Vec<bool> = (0..widths.len()).map(|i| table.is_figures(i)).collect();
    for row in std::iter::once(&table.columns).chain(&table.rows) {
        let cells: Vec<Vec<String>> = row.iter().zip(widths).map(|(cell, w)| wrap(cell, *w)).collect();
        for n in 0..cells.iter().map(Vec::len).max().unwrap_or(0).max(1) {
            let mut line = String::from(" ");
            for ((cell, width), right) in cells.iter().zip(widths).zip(&right) {
                let part = cell.get(n).map_or("", String::as_str);
                let _ = if *right { write!(line, " {part:>width$} ") } else { write!(line, " {part:width$} ") };
            }
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
}

/// Each row below the other: its first cell, then every other with the name of its column.
fn stacked(out: &mut String, table: &Table, width: usize) {
    for row in &table.rows {
        let mut cells = table.columns.iter().zip(row).filter(|(_, cell)| !matches!(cell.as_str(), "" | "-"));
        if let Some((_, first)) = cells.next() {
            fill(out, "  ", first, 6, width);
        }
        for (column, cell) in cells {
            let named = if column.is_empty() { cell.clone() } else { format!("{column}: {cell}") };
            fill(out, "    ", &named, 6, width);
        }
    }
}

/// As Markdown.
pub(crate) fn markdown(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections.iter().filter(|s| !s.is_drawn_only()) {
        let _ = writeln!(out, "## {}\n", section.title);
        for block in &section.blocks {
            match block {
                Block::Words(words) | Block::Bounded(words, _) => {
                    let _ = writeln!(out, "{}\n", escape(words));
                }
                Block::List(items) => {
                    for item in items {
                        let _ = writeln!(out, "- {}", escape(item));
                    }
                    out.push('\n');
                }
                Block::Code(lines) => {
                    // A fence longer than any run of backticks inside cannot be closed from within (CommonMark 4.5).
                    let fence = "`".repeat(lines.iter().map(|l| longest_run(l)).max().unwrap_or(0).max(2) + 1);
                    let _ = writeln!(out, "{fence}sh\n{}\n{fence}\n", lines.join("\n"));
                }
                Block::Table(table) => piped(&mut out, table),
                Block::Drawing(_) => {}
            }
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// Labelled lines as a Markdown list.
pub(crate) fn labelled(lines: &[(String, String)]) -> String {
    lines.iter().fold(String::new(), |mut out, (label, words)| {
        let _ = writeln!(out, "- **{}:** {}", escape(label), escape(words));
        out
    })
}

fn piped(out: &mut String, table: &Table) {
    let _ = writeln!(out, "| {} |", table.columns.join(" | "));
    let _ = writeln!(out, "|{}", "---|".repeat(table.columns.len()));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|c| escape(c)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text as Markdown shows it unchanged. Interface names and kernel words hold underscores; a program's answer may hold
/// anything.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '|' | '*' | '_' | '<' | '>' | '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_text_is_cut_on_the_terminal_alone() {
        let words = "word ".repeat(60) + "end";
        let of = |lines| [Section::new("Title", vec![Block::Bounded(words.clone(), lines)])];
        let text = text_at(&of(2), WIDTH);
        assert!(text.trim_end().ends_with(" …") && text.lines().count() == 4, "{text}");
        assert!(text_at(&of(2), 400).contains("end"), "a wide one has room");
        assert!(text_at(&of(usize::MAX), WIDTH).contains("end"));
        let page = markdown(&of(2));
        assert!(page.contains("word end") && !page.contains('…'), "{page}");
    }

    #[test]
    fn a_cell_cannot_break_out_of_its_table() {
        let table = Table::block(&["a", "b"], vec![vec!["x|y".into(), "<b>".into()]]);
        let md = markdown(&[Section::new("T", vec![table])]);
        assert!(md.contains(r"| x\|y | \<b\> |"), "{md}");
    }

    fn rows(width: usize) -> String {
        let row = |name: &str, ns: &str, why: &str| vec![name.to_owned(), ns.to_owned(), why.to_owned()];
        let long = "the interrupt fires on another CPU than the one on which the application waits for its packets";
        let table = Table::block(&["name", "P50", "why"], vec![row("a", "9.00 µs", long), row("b", "120 µs", "-")]);
        text_at(&[Section::new("T", vec![table])], width)
    }

    #[test]
    fn a_table_wraps_and_then_stacks_and_breaks_no_word() {
        assert_eq!(rows(200).lines().count(), 5, "{}", rows(200));
        let narrow = rows(60);
        assert!(narrow.lines().all(|l| l.chars().count() <= 60), "{narrow}");
        assert!(narrow.contains("  a     9.00 µs  the interrupt fires"), "{narrow}");
        assert!(narrow.contains("  b      120 µs  -"), "figures stand at the right: {narrow}");
        let stacked = rows(24);
        assert!(stacked.contains("  a\n    P50: 9.00 µs\n    why: the interrupt\n"), "{stacked}");
        for text in [narrow, stacked] {
            assert!(text.contains("application") && text.contains("interrupt"), "{text}");
        }
    }

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        let md = markdown(&[Section::new("T", vec![Block::Code(vec!["````".into()])])]);
        assert!(md.contains("`````sh\n````\n`````\n"), "{md}");
    }
}
