//! Pages that put the catalogue's entries side by side. What they say of an entry stands in the entry.

use std::fmt::Write as _;

use lowlat_collect::COLLECTORS;
use lowlat_families::FAMILIES;
use lowlat_knobs::{KNOBS, KnobMeta, Standing};
use lowlat_peers::PEERS;
use lowlat_rules::RULES;

use super::Pages;
use super::text::{NOTE, cell, module_docs, section, sentence};
use super::units::{collector_file, engine_facts, remedies};
use crate::tree::Tree;

fn knob_row(m: &KnobMeta) -> String {
    let risk = format!("{:?}{}", m.risk, if m.resets_link { ", resets the link" } else { "" }).to_lowercase();
    let word = m.standing.words().split(':').next().unwrap_or_default();
    let does = sentence(section(m.page, "What it does"));
    format!("| [{0}](knobs/{0}.md) | {does} | {word} | {risk} | {1} |\n", m.name, cell(m.kernels))
}

fn knob_table(wanted: impl Fn(&KnobMeta) -> bool) -> String {
    let rows: String = KNOBS.iter().map(|k| &k.meta).filter(|m| wanted(m)).map(knob_row).collect();
    format!("| setting | what it does | standing | risk | kernels |\n|---|---|---|---|---|\n{rows}")
}

fn one_of(name: &str, families: &[&str]) -> bool {
    families.iter().any(|f| name.starts_with(f))
}

/// A knob at length, as far as a guide needs it.
fn at_length(m: &KnobMeta) -> String {
    let mut out = format!("\n### [{0}](knobs/{0}.md)\n{1}\n", m.name, section(m.page, "What it does"));
    for title in ["Why it matters", "Cost"] {
        let text = section(m.page, title);
        if !text.is_empty() {
            let _ = write!(out, "\n{title}: {text}\n");
        }
    }
    out
}

/// Fault, sign and remedy, in the order in which faults are fixed.
pub(crate) fn optimization_patterns(tree: &Tree, pages: &mut Pages) {
    let mut page = format!(
        "{NOTE}\n# Optimization patterns\n\nEach pattern is a fault that `lowlat check` finds, in the order in which faults \
         should be fixed: what is changed later is judged on a path that is already quiet. A setting is kept only when \
         alternated rounds on the live path show that it helps; `lowlat plan` shows the steps without making them.\n\n\
         | fault | what it finds | settings asked for |\n|---|---|---|\n"
    );
    for rule in RULES {
        let m = rule.meta();
        let knobs = remedies(tree, m.file);
        let links = knobs.iter().map(|k| format!("[{k}](knobs/{k}.md)")).collect::<Vec<_>>().join(", ");
        let links = if links.is_empty() { "none: see its remedy".to_owned() } else { links };
        let _ = writeln!(
            page,
            "| [{0}](rules/{0}.md) | {1} | {links} |",
            m.name,
            sentence(section(m.page, "What it finds"))
        );
    }
    for rule in RULES {
        let m = rule.meta();
        let _ = write!(page, "\n## {}\n", m.name);
        for title in ["What it finds", "Why it matters", "Threshold", "Remedy"] {
            let _ = write!(page, "\n**{title}.** {}\n", section(m.page, title));
        }
    }
    page.push_str("\n## Settings that are not worth touching\n\nOften recommended; lowlat reads and explains them and never writes them.\n\n");
    page.push_str(&knob_table(|m| matches!(m.standing, Standing::Default | Standing::Inert | Standing::Harmful)));
    pages.insert("optimization-patterns.md".to_owned(), page);
}

/// How `bypass verdict` decides; the rule itself is `lowlat_verdict::bypass::RULE`.
const VERDICT: &str = "
## Whether it is worth it

`lowlat bypass verdict TARGET` runs every engine once in each of 20 laps, in an order drawn anew, and sets each against the
kernel's best: of the engines without bypass, that with the lowest median, on this host as it is tuned now. The intervals
are those of `lowlat compare`.

| verdict | when |
|---|---|
| go | the test calls a bypass engine better, so neither its tail nor its losses lean to harm; the whole interval of its median's gain lies beyond `--worth` (20 %); with `--goal`, it meets the goals and the kernel's best misses one |
| no-go | the gain is shown to be smaller; or the engine is shown to be worse; or the kernel's best meets the goals; or bypass misses them too |
| not decided | no bypass engine ran; the sample is too small; or the path and the far end take so much of the median that no engine at this end could gain as much as is worth having |

Costs are counted in the same rounds: CPU time of the probing thread; system calls, where the engine counts its own;
sleeps; interrupts of the path's devices from `/proc/interrupts`. What cannot be counted is `null`, with the reason: veth
and loopback have no interrupt.
An engine that is named twice in `--engines` is a control: it shows how the test answers where there is no difference.
The rounds are stored: `lowlat bypass verdict --from RUN --worth 10%` judges them again.
";

/// The engines with their costs, what each gives up, and what bypass needs of the host.
pub(crate) fn kernel_bypass(tree: &Tree, pages: &mut Pages) {
    let mut page = format!(
        "{NOTE}\n# Kernel bypass\n\nAn engine is the way a probe leaves and its answer comes back. `lowlat optimize` shows \
         engines side by side on one path; `lowlat compare A B --target T` alternates two and gives the difference with its \
         interval; `lowlat bypass check --iface IF` says what this host can have and why not; `lowlat bypass verdict T` \
         decides whether bypass is worth it on a path, by a stated rule; `lowlat bypass new af-xdp|io-uring|dpdk --lang \
         rust|c DIR` writes a small project to begin with.\n\n| engine | what it costs | what it goes past |\n|---|---|---|\n"
    );
    let mut lost = String::new();
    for engine in engine_facts() {
        let docs = module_docs(tree.text(&engine.file).unwrap_or_default());
        let gives_up = section(&docs, "What it gives up");
        let (past, loses) = gives_up.split_once('\n').unwrap_or((gives_up, ""));
        let past = past.trim_start_matches("Bypass: ").trim_end_matches('.');
        let _ = writeln!(page, "| [{0}](engines/{0}.md) | {1} | {2} |", engine.name, cell(engine.costs), cell(past));
        if !loses.is_empty() {
            let items = loses.split("\n\n").next().unwrap_or_default();
            let _ = write!(lost, "\n### {}\n\n{items}\n", engine.name);
        }
    }
    page.push_str("\n## What stops working for the flow\n");
    page.push_str(&lost);
    page.push_str(VERDICT);
    page.push_str("\n## What goes past the kernel, and what that loses\n");
    for m in KNOBS.iter().map(|k| &k.meta).filter(|m| m.name.starts_with("bypass.")) {
        page.push_str(&at_length(m));
    }
    page.push_str("\n## What a program can ask of its sockets without bypass\n");
    for m in KNOBS.iter().map(|k| &k.meta).filter(|m| m.name.starts_with("socket.")) {
        page.push_str(&at_length(m));
    }
    page.push_str("\n## What the host must give\n\n");
    page.push_str(&knob_table(|m| one_of(m.name, &["memory.", "boot.", "sched.", "cpu."])));
    pages.insert("kernel-bypass.md".to_owned(), page);
}

/// NIC families, and every setting that is the NIC's or steers what it receives.
pub(crate) fn nic_tuning(tree: &Tree, pages: &mut Pages) {
    const NIC: &[&str] = &["nic.", "irq.", "steer.", "qdisc."];
    let mut page = format!(
        "{NOTE}\n# NIC tuning\n\n`lowlat facts --iface IF` shows driver, firmware, features, rings, channels, coalescing and \
         time stamping of an interface.\n"
    );
    if !FAMILIES.is_empty() {
        page.push_str("\n## Families\n\n| family | drivers |\n|---|---|\n");
        for family in FAMILIES {
            let drivers = family.drivers.iter().map(|d| format!("`{d}`")).collect::<Vec<_>>().join(", ");
            let _ = writeln!(page, "| [{0}](families/{0}.md) | {drivers} |", family.name);
        }
        for family in FAMILIES {
            let _ = write!(page, "\n### {}\n", family.name);
            for title in ["Set", "Leave"] {
                let _ = write!(page, "\n**{title}.**\n\n{}\n", section(family.page, title));
            }
        }
    }
    page.push_str("\n## Settings\n\n");
    page.push_str(&knob_table(|m| one_of(m.name, NIC)));
    page.push_str("\n## Faults that lead to them\n\n| fault | what it finds |\n|---|---|\n");
    for m in RULES.iter().map(|r| r.meta()).filter(|m| remedies(tree, m.file).iter().any(|k| one_of(k, NIC))) {
        let _ = writeln!(page, "| [{0}](rules/{0}.md) | {1} |", m.name, sentence(section(m.page, "What it finds")));
    }
    page.push_str("\n## What each setting does and costs\n");
    for m in KNOBS.iter().map(|k| &k.meta).filter(|m| one_of(m.name, NIC)) {
        page.push_str(&at_length(m));
    }
    pages.insert("nic-tuning.md".to_owned(), page);
}

/// The list of all pages.
pub(crate) fn index() -> String {
    let mut page = format!(
        "{NOTE}\n# Reference\n\nMade from the program's own catalogue; `lowlat explain NAME` prints the page of a knob, \
         rule, engine or NIC family in the terminal.\n\nGuides: [optimization patterns](optimization-patterns.md) · \
         [kernel bypass](kernel-bypass.md) · [NIC tuning](nic-tuning.md) · \
         [knobs on kernels](knobs-on-kernels.md) · [resets](resets.md) · [the kernel's own defaults](kernel-defaults.md) · \
         [safety in figures](safety.md)\n"
    );
    let mut part = |title: &str, entries: Vec<(String, String)>| {
        if !entries.is_empty() {
            let _ = write!(page, "\n## {title} ({})\n", entries.len());
            for (name, link) in entries {
                let _ = writeln!(page, "- [{name}]({link})");
            }
        }
    };
    let entry = |folder: &str, name: &str| (name.to_owned(), format!("{folder}/{name}.md"));
    part("Rules", RULES.iter().map(|r| entry("rules", r.meta().name)).collect());
    part("Knobs", KNOBS.iter().map(|k| entry("knobs", k.meta.name)).collect());
    part("Engines", engine_facts().iter().map(|e| entry("engines", e.name)).collect());
    part("Far ends", PEERS.iter().map(|p| entry("peers", p.name)).collect());
    part("NIC families", FAMILIES.iter().map(|f| entry("families", f.name)).collect());
    part(
        "Collectors",
        COLLECTORS.iter().map(|p| (p.name.to_owned(), format!("collectors/{}", collector_file(p.name)))).collect(),
    );
    page
}
