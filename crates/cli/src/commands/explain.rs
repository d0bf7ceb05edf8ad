//! `lowlat explain`: the reference pages, in the terminal.

use crate::args::ExplainArgs;
use crate::failure::{Failure, Outcome};
use crate::output;

/// Runs the command.
pub fn run(args: &ExplainArgs) -> Outcome {
    let Some(name) = &args.name else {
        output::text(&list());
        return Ok(0);
    };
    let page = page(name).ok_or_else(|| {
        let near: Vec<&str> = names().filter(|n| n.contains(name.as_str())).collect();
        let hint = if near.is_empty() {
            "`lowlat explain` lists them all".to_owned()
        } else {
            format!("did you mean {}", near.join(", "))
        };
        Failure::new(format!("explain {name:?}: there is no knob, rule, engine or NIC family of that name; {hint}"))
    })?;
    output::text(&lowlat_report::terminal(&page, output::styled()));
    Ok(0)
}

fn names() -> impl Iterator<Item = &'static str> {
    let knobs = lowlat_knobs::KNOBS.iter().map(|k| k.meta().name);
    let rules = lowlat_rules::RULES.iter().map(|r| r.meta().name);
    let families = lowlat_families::FAMILIES.iter().map(|f| f.name);
    let engines = crate::path::ENGINES.iter().copied();
    knobs.chain(rules).chain(families).chain(engines)
}

fn list() -> String {
    let mut out = String::new();
    let mut section = |title: &str, names: Vec<&str>| {
        out.push_str(title);
        out.push('\n');
        for name in names {
            out.push_str("  ");
            out.push_str(name);
            out.push('\n');
        }
    };
    section("Knobs", lowlat_knobs::KNOBS.iter().map(|k| k.meta().name).collect());
    section("Rules", lowlat_rules::RULES.iter().map(|r| r.meta().name).collect());
    section("NIC families", lowlat_families::FAMILIES.iter().map(|f| f.name).collect());
    section("Engines", crate::path::ENGINES.to_vec());
    out
}

fn page(name: &str) -> Option<String> {
    if let Some(knob) = lowlat_knobs::find(name) {
        let m = knob.meta();
        return Some(format!(
            "# {}\n\n{}\n\n## Kernels\n{}\n\n## Risk\n{:?}{}\n\n## Standing\n{:?}\n\n## Sources\n{}",
            m.name,
            m.page.trim(),
            m.kernels,
            m.risk,
            if m.resets_link { ", resets the link" } else { "" },
            m.standing,
            sources(m.sources)
        ));
    }
    if let Some(rule) = lowlat_rules::find(name) {
        let m = rule.meta();
        return Some(format!("# {}\n\n{}\n\n## Sources\n{}", m.name, m.page.trim(), sources(m.sources)));
    }
    if let Some(family) = lowlat_families::find(name) {
        return Some(format!("# {}\n\n{}\n\n## Sources\n{}", family.name, family.page.trim(), sources(family.sources)));
    }
    crate::path::engine_page(name).map(|page| format!("# {name}\n\n{page}"))
}

fn sources(list: &[&str]) -> String {
    list.iter().flat_map(|s| ["- ", s, "\n"]).collect()
}
