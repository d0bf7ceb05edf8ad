//! Sections without a format, and their two plain formats.

use std::fmt::Write as _;

/// One section of a report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Section {
    /// Heading.
    pub(crate) title: String,
    /// What stands under it.
    pub(crate) blocks: Vec<Block>,
}

/// One piece of a section.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    /// A sentence.
    Words(String),
    /// A list.
    List(Vec<String>),
    /// Commands, to be copied.
    Code(Vec<String>),
    /// A table.
    Table(Table),
}

/// A table. Every row has as many cells as there are columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// Column heads.
    pub(crate) columns: Vec<&'static str>,
    /// Rows of cells.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Section {
    pub(crate) fn new(title: &str, blocks: Vec<Block>) -> Self {
        Self { title: title.to_owned(), blocks }
    }
}

impl Table {
    /// A block of it.
    pub(crate) fn block(columns: &[&'static str], rows: Vec<Vec<String>>) -> Block {
        Block::Table(Self { columns: columns.to_vec(), rows })
    }
}

/// As plain text: titles in capitals like those of the brief's block, columns aligned.
pub(crate) fn text(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections {
        let _ = writeln!(out, "\n{}:", section.title.to_uppercase());
        for block in &section.blocks {
            match block {
                Block::Words(words) => {
                    let _ = writeln!(out, "{words}");
                }
                Block::List(items) => {
                    for item in items {
                        let _ = writeln!(out, "- {item}");
                    }
                }
                Block::Code(lines) => {
                    for line in lines {
                        let _ = writeln!(out, "    {line}");
                    }
                }
                Block::Table(table) => aligned(&mut out, table),
            }
        }
    }
    out
}

/// Columns padded to their widest cell; the last one runs free, so that no trailing blanks appear.
fn aligned(out: &mut String, table: &Table) {
    let head: Vec<String> = table.columns.iter().map(|c| (*c).to_owned()).collect();
    let all = || std::iter::once(&head).chain(&table.rows);
    let width = |i: usize| all().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    for row in all() {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, " {cell:width$} ");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// As Markdown.
pub(crate) fn markdown(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections {
        let _ = writeln!(out, "## {}\n", section.title);
        for block in &section.blocks {
            match block {
                Block::Words(words) => {
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
            }
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
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
    fn a_cell_cannot_break_out_of_its_table() {
        let table = Table::block(&["a", "b"], vec![vec!["x|y".into(), "<b>".into()]]);
        let md = markdown(&[Section::new("T", vec![table])]);
        assert!(md.contains(r"| x\|y | \<b\> |"), "{md}");
    }

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        let md = markdown(&[Section::new("T", vec![Block::Code(vec!["````".into()])])]);
        assert!(md.contains("`````sh\n````\n`````\n"), "{md}");
    }
}
