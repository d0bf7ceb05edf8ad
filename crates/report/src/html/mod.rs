//! A run as one page that needs nothing else: styles and plots are in it, no script runs, nothing is fetched.

mod cards;
mod forest;
mod ladder;
mod plots;
mod ring;
mod scale;
mod waterfall;
mod writer;

use lowlat_model::document::RunDocument;
use lowlat_model::{Severity, TraceDocument};

use crate::documents::severity;
use crate::figures::line;
use crate::page::{Block, Id, Section, Table};
use crate::run;
use writer::Html;

/// The page: the verdict first and last, as in the other formats.
pub(crate) fn html(d: &RunDocument) -> String {
    let mut h = begin(&format!("lowlat: {} to {}", line(&d.iface), line(&d.target)));
    head(&mut h, d);
    verdict(&mut h, d);
    cards::cards(&mut h, d);
    list(&mut h, "Read this first", "alert", "", &d.escalations);
    drawings(&mut h, d);
    list(&mut h, "Next steps", "", "todo", &d.next_steps);
    checklist(&mut h, d);
    findings(&mut h, d);
    for section in run::sections(d) {
        // The others are shown above in a form of their own.
        if !matches!(section.id, Id::ReadFirst | Id::Checklist | Id::Findings | Id::About) {
            write(&mut h, &section);
        }
    }
    verbatim(&mut h, d);
    verdict(&mut h, d);
    end(h)
}

/// A page of sections, after the plot of a trace where there is one.
pub(crate) fn page(title: &str, sections: &[Section]) -> String {
    let title = line(title);
    let mut h = begin(&format!("lowlat: {title}"));
    h.element("h1", &[], &title);
    // What was measured, then how it looks, then the figures.
    let (first, rest) = sections.split_at(1.min(sections.len()));
    for section in first {
        write(&mut h, section);
    }
    let drawn = || sections.iter().flat_map(|s| &s.blocks).filter_map(Block::drawn);
    if drawn().next().is_some() {
        h.open("div", &[("class", &"plots")]);
        drawn().for_each(|d| plots::draw(&mut h, d));
        h.close("div");
    }
    for section in rest {
        write(&mut h, section);
    }
    end(h)
}

fn begin(title: &str) -> Html {
    let mut h = Html::default();
    h.doctype();
    h.open("html", &[("lang", &"en")]);
    h.open("head", &[]);
    h.empty("meta", &[("charset", &"utf-8")]);
    h.empty("meta", &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")]);
    // Held by the browser too: not even an image can be fetched.
    h.empty(
        "meta",
        &[("http-equiv", &"Content-Security-Policy"), ("content", &"default-src 'none'; style-src 'unsafe-inline'")],
    );
    h.element("title", &[], title);
    h.style(include_str!("style.css"));
    h.close("head");
    h.open("body", &[]);
    h.open("main", &[]);
    h
}

fn end(mut h: Html) -> String {
    h.close("main");
    h.close("body");
    h.close("html");
    h.finish()
}

fn head(h: &mut Html, d: &RunDocument) {
    h.element("h1", &[], &format!("Network latency: {} to {}", line(&d.iface), line(&d.target)));
    let dry = if d.dry_run { " · dry run, nothing was changed" } else { "" };
    h.classed(
        "p",
        "sub",
        &format!(
            "{} {} · kernel {} · run {}{dry}",
            line(&d.driver),
            line(&d.driver_version),
            line(&d.kernel),
            line(&d.run)
        ),
    );
}

/// The five lines; nothing for runs of older versions.
fn verdict(h: &mut Html, d: &RunDocument) {
    let lines = run::verdict(d);
    if lines.is_empty() {
        return;
    }
    h.open("section", &[("class", &"verdict")]);
    h.element("h2", &[], "Verdict");
    h.open("dl", &[]);
    for (label, words) in lines {
        h.element("dt", &[], &label);
        h.open("dd", &[]);
        rich(h, &words);
        h.close("dd");
    }
    h.close("dl");
    h.close("section");
}

fn list(h: &mut Html, title: &str, section: &'static str, list: &'static str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    h.open("section", &[("class", &section)]);
    h.element("h2", &[], title);
    h.open("ul", &[("class", &list)]);
    for item in items {
        h.open("li", &[]);
        rich(h, &line(item));
        h.close("li");
    }
    h.close("ul");
    h.close("section");
}

fn drawings(h: &mut Html, d: &RunDocument) {
    h.open("div", &[("class", &"plots")]);
    ladder::plot(h, d);
    forest::plot(h, d);
    crate::run::percentiles(d).iter().filter_map(Block::drawn).for_each(|d| plots::draw(h, d));
    let engines = crate::documents::engines::drawing("Engines on the same path", &d.engines);
    engines.iter().filter_map(Block::drawn).for_each(|d| plots::draw(h, d));
    if let Some(stages) = &d.stages {
        let both: Vec<&TraceDocument> = stages.before.iter().chain(&stages.after).collect();
        waterfall::plot(h, &both);
    }
    h.close("div");
}

fn checklist(h: &mut Html, d: &RunDocument) {
    if d.checklist.is_empty() {
        return;
    }
    h.open("section", &[]);
    h.element("h2", &[], "Checklist");
    h.open("table", &[("class", &"checklist")]);
    for item in &d.checklist {
        let class = match item.met {
            Some(true) => "yes",
            Some(false) => "no",
            None => "null",
        };
        h.open("tr", &[]);
        h.classed("td", class, &line(&item.item));
        h.open("td", &[]);
        rich(h, &line(&item.evidence));
        if !item.rests_on.is_empty() {
            h.open("p", &[]);
            h.classed("span", "from", &line(&format!("rests on {}", item.rests_on.join(", "))));
            h.close("p");
        }
        h.close("td");
        h.close("tr");
    }
    h.close("table");
    h.close("section");
}

fn findings(h: &mut Html, d: &RunDocument) {
    h.open("section", &[]);
    h.element("h2", &[], "Findings");
    for f in &d.findings {
        let weight = match f.severity {
            Severity::Critical => "bad",
            Severity::Warning => "warn",
            Severity::Info => "from",
        };
        h.open("div", &[("class", &"finding")]);
        h.open("p", &[]);
        h.classed("span", weight, severity(f.severity));
        h.element("b", &[], &format!(" {} ", line(&f.title)));
        h.classed("span", "from", &line(&f.rule));
        h.close("p");
        for evidence in &f.evidence {
            h.classed("p", "note", &line(evidence));
        }
        h.element("p", &[], &line(&f.remedy.advice));
        h.close("div");
    }
    if d.findings.is_empty() {
        h.element("p", &[], "No rule found a fault.");
    }
    h.close("section");
}

fn write(h: &mut Html, section: &Section) {
    if section.is_drawn_only() {
        return;
    }
    h.open("section", &[]);
    h.element("h2", &[], &section.title);
    for block in &section.blocks {
        match block {
            Block::Words(words) | Block::Bounded(words, _) => h.element("p", &[], words),
            Block::List(items) => {
                h.open("ul", &[]);
                for item in items {
                    h.open("li", &[]);
                    rich(h, item);
                    h.close("li");
                }
                h.close("ul");
            }
            Block::Code(lines) => h.element("pre", &[], &lines.join("\n")),
            Block::Table(t) => table(h, t),
            Block::Drawing(_) => {}
        }
    }
    h.close("section");
}

/// The figures of a plot, folded away; in print they are open.
fn figures(h: &mut Html, of: &Table) {
    h.open("details", &[]);
    h.element("summary", &[], "The figures");
    table(h, of);
    h.close("details");
}

/// A table that scrolls on its own where it is wider than the page.
fn table(h: &mut Html, table: &Table) {
    h.open("div", &[("class", &"scroll")]);
    h.open("table", &[]);
    h.open("tr", &[]);
    for column in &table.columns {
        h.element("th", &[], column);
    }
    h.close("tr");
    for row in &table.rows {
        h.open("tr", &[]);
        for cell in row {
            match verdict_class(cell) {
                Some(class) => h.classed("td", class, cell),
                // A figure and its unit stay on one line.
                None if cell.chars().count() < 10 => h.classed("td", "short", cell),
                None => h.element("td", &[], cell),
            }
        }
        h.close("tr");
    }
    h.close("table");
    h.close("div");
}

/// Text whose `` `code` `` is shown as such. A backtick without its partner stays one.
fn rich(h: &mut Html, text: &str) {
    let mut rest = text;
    while let Some((before, code, after)) =
        rest.split_once('`').and_then(|(before, tail)| tail.split_once('`').map(|(code, after)| (before, code, after)))
    {
        h.text(before);
        h.element("code", &[], code);
        rest = after;
    }
    h.text(rest);
}

/// Cells that are one judging word are coloured.
fn verdict_class(cell: &str) -> Option<&'static str> {
    match cell {
        "better" => Some("good"),
        "worse" => Some("bad"),
        "refused" => Some("warn"),
        _ => None,
    }
}

/// The prescribed block, as the terminal shows it.
fn verbatim(h: &mut Html, d: &RunDocument) {
    h.open("section", &[]);
    h.open("details", &[]);
    h.element("summary", &[], "The report as text");
    h.element("pre", &[], &run::block(d, usize::MAX));
    h.close("details");
    h.close("section");
}
