//! A run as one page that needs nothing else: styles and plots are in it, no script runs, nothing is fetched.

mod bars;
mod forest;
mod ladder;
mod ring;
mod scale;
mod writer;

use lowlat_model::document::RunDocument;
use lowlat_model::{Measurement, Severity};

use crate::figures::{line, not_known, percent, time, why_none};
use crate::other::severity;
use crate::page::{Block, Section};
use crate::run;
use writer::Html;

/// The page.
pub(crate) fn html(d: &RunDocument) -> String {
    let mut h = begin(&format!("lowlat: {} to {}", line(&d.iface), line(&d.target)));
    head(&mut h, d);
    cards(&mut h, d);
    list(&mut h, "Before going on", "alert", "", &d.escalations);
    plots(&mut h, d);
    list(&mut h, "Next steps", "", "todo", &d.next_steps);
    checklist(&mut h, d);
    findings(&mut h, d);
    for section in run::sections(d) {
        // Shown above in a form of their own.
        if !["Before going on", "Goal", "Checklist", "What was found", "About this run"]
            .contains(&section.title.as_str())
        {
            write(&mut h, &section);
        }
    }
    verbatim(&mut h, d);
    end(h)
}

/// A page of sections alone.
pub(crate) fn page(title: &str, sections: &[Section]) -> String {
    let title = line(title);
    let mut h = begin(&format!("lowlat: {title}"));
    h.element("h1", &[], &title);
    for section in sections {
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

fn cards(h: &mut Html, d: &RunDocument) {
    h.open("div", &[("class", &"cards")]);
    median(h, d);
    figure(h, d, "P99", |m| time(m.rtt.p99_ns), d.p99_reduction());
    jitter(h, d);
    ring::confidence(h, d.confidence);
    h.close("div");
}

fn median(h: &mut Html, d: &RunDocument) {
    h.open("div", &[("class", &"card")]);
    h.classed("p", "label", "Median round trip");
    let missing = |m: Option<&Measurement>| m.map_or_else(|| not_known("not measured"), |m| not_known(&why_none(m)));
    let of = |m: Option<&Measurement>| match m.and_then(|m| m.rtt.p50_ns) {
        None => missing(m),
        p50 => time(p50),
    };
    h.open("p", &[("class", &"big")]);
    if d.result.is_some() {
        h.classed("span", "from", &format!("{} → ", of(d.baseline.as_ref())));
        h.text(&of(d.result.as_ref()));
    } else {
        h.text(&of(d.baseline.as_ref()));
    }
    h.close("p");
    h.open("p", &[("class", &"note")]);
    if let Some(r) = d.p50_reduction() {
        h.classed("span", if r > 0.0 { "good" } else { "bad" }, &reduction(r));
        h.text(" · ");
    }
    match (d.goal_ns, d.goal_met) {
        (None, _) => h.text("no goal given"),
        (goal, Some(true)) => h.classed("span", "good", &format!("goal {} met", time(goal))),
        (goal, Some(false)) => h.classed("span", "bad", &format!("goal {} missed", time(goal))),
        (goal, None) => h.text(&format!("goal {} not judged", time(goal))),
    }
    h.close("p");
    h.close("div");
}

/// `59.0 % lower`, or `5.0 % higher`.
fn reduction(r: f64) -> String {
    if r >= 0.0 { format!("{} % lower", percent(r)) } else { format!("{} % higher", percent(-r)) }
}

fn figure(h: &mut Html, d: &RunDocument, label: &str, of: fn(&Measurement) -> String, change: Option<f64>) {
    h.open("div", &[("class", &"card")]);
    h.classed("p", "label", label);
    let last = d.result.as_ref().or(d.baseline.as_ref());
    h.classed("p", "mid", &last.map_or_else(|| "n/a".to_owned(), of));
    if let Some(m) = last.filter(|m| of(m) == "n/a") {
        h.classed("p", "note", &why_none(m));
        h.close("div");
        return;
    }
    let before = d.baseline.as_ref().filter(|_| d.result.is_some());
    let mut words = before.map_or_else(|| "before any change".to_owned(), |m| format!("before: {}", of(m)));
    if let Some(r) = change {
        words.push_str(" · ");
        words.push_str(&reduction(r));
    }
    h.classed("p", "note", &words);
    h.close("div");
}

fn jitter(h: &mut Html, d: &RunDocument) {
    let of = |m: &Measurement| m.jitter_ratio.map_or_else(|| "n/a".to_owned(), |j| format!("{j:.2}"));
    h.open("div", &[("class", &"card")]);
    h.classed("p", "label", "Jitter (P99/P50)");
    let last = d.result.as_ref().or(d.baseline.as_ref());
    h.classed("p", "mid", &last.map_or_else(|| "n/a".to_owned(), of));
    let loss = |m: &Measurement| m.loss_ratio.map_or_else(|| "n/a".to_owned(), |r| format!("{}\u{a0}%", percent(r)));
    let before = d.baseline.as_ref().filter(|_| d.result.is_some());
    let from = before.map_or_else(String::new, |m| format!("before: {} · ", of(m)));
    h.classed("p", "note", &format!("{from}loss {}", last.map_or_else(|| "n/a".to_owned(), loss)));
    h.close("div");
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

fn plots(h: &mut Html, d: &RunDocument) {
    h.open("div", &[("class", &"plots")]);
    ladder::plot(h, d);
    forest::plot(h, d);
    bars::plot(h, d);
    h.close("div");
}

fn checklist(h: &mut Html, d: &RunDocument) {
    if d.checklist.is_empty() {
        return;
    }
    h.open("section", &[]);
    h.element("h2", &[], "Checklist");
    h.open("table", &[]);
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
        h.close("td");
        h.close("tr");
    }
    h.close("table");
    h.close("section");
}

fn findings(h: &mut Html, d: &RunDocument) {
    h.open("section", &[]);
    h.element("h2", &[], "What was found");
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
    h.open("section", &[]);
    h.element("h2", &[], &section.title);
    for block in &section.blocks {
        match block {
            Block::Words(words) => h.element("p", &[], words),
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
            Block::Table(table) => {
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
                            None => h.element("td", &[], cell),
                        }
                    }
                    h.close("tr");
                }
                h.close("table");
                h.close("div");
            }
        }
    }
    h.close("section");
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

/// The brief's block, as the terminal shows it.
fn verbatim(h: &mut Html, d: &RunDocument) {
    h.open("section", &[]);
    h.open("details", &[]);
    h.element("summary", &[], "The report as text");
    h.element("pre", &[], &run::block(d));
    h.close("details");
    h.close("section");
}
