//! The page of the outcome of every knob on the lab's kernels and drivers, from `fixtures/knobs-on-kernels.json`, which
//! `examples/lab_record` of the command line writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use lowlat_knobs::{KNOBS, KnobMeta};
use serde_json::Value;

use super::Pages;
use super::text::{NOTE, cell};
use crate::tree::Tree;

const FILE: &str = "fixtures/knobs-on-kernels.json";

/// What one boot recorded of one knob.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tried {
    outcome: String,
    asked: String,
    now: String,
    why: String,
}

/// A kernel's release, and by driver each knob.
#[derive(Debug)]
struct Kernel {
    release: String,
    drivers: BTreeMap<String, BTreeMap<String, Tried>>,
}

/// `6.12` of `6.12.95+deb12-amd64`.
fn version(release: &str) -> String {
    release.split('.').take(2).collect::<Vec<_>>().join(".")
}

fn number(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Oldest first.
fn read(tree: &Tree) -> Result<Vec<Kernel>> {
    let text = tree.text(FILE).with_context(|| format!("read {FILE}: missing; run the example lab_record"))?;
    let all: BTreeMap<String, Value> = serde_json::from_str(text).with_context(|| format!("read {FILE}"))?;
    let word = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
    let knobs = |knobs: &Value| -> BTreeMap<String, Tried> {
        let each = knobs.as_object().into_iter().flatten();
        each.map(|(knob, t)| {
            let tried = Tried {
                outcome: word(t, "outcome"),
                asked: word(t, "asked"),
                now: word(t, "now"),
                why: word(t, "why"),
            };
            (knob.clone(), tried)
        })
        .collect()
    };
    let mut kernels: Vec<Kernel> = all
        .values()
        .map(|k| Kernel {
            release: word(k, "release"),
            drivers: k["drivers"].as_object().into_iter().flatten().map(|(d, all)| (d.clone(), knobs(all))).collect(),
        })
        .collect();
    kernels.sort_by_key(|k| number(&version(&k.release)));
    Ok(kernels)
}

/// Whether a knob's place belongs to an interface, so that the driver may decide.
fn of_driver(m: &KnobMeta) -> bool {
    ["nic.", "steer.", "qdisc."].iter().any(|f| m.name.starts_with(f)) || m.name == "irq.affinity"
}

/// The outcomes of one column: one word, or each kernel's where they differ.
fn differing(by_kernel: &[(String, String)]) -> String {
    let mut outcomes: Vec<&str> = by_kernel.iter().map(|(_, o)| o.as_str()).collect();
    outcomes.dedup();
    match outcomes.as_slice() {
        [] => "–".to_owned(),
        [one] => (*one).to_owned(),
        _ => by_kernel.iter().map(|(v, o)| format!("{v} {o}")).collect::<Vec<_>>().join("<br>"),
    }
}

const LEGEND: &str = "\
| word | what was seen |
|---|---|
| acts | another value was written, read back, put back, and read back again; what it does to a path is not shown by that |
| inert | taken without an error, and nothing changed; or it is kept, and nothing in the kernel reads it |
| refused | it is there, and every value tried was refused |
| exists | it is there and was read; it has no second value here, or none that is tried |
| absent | this kernel or this driver has no such place |
";

/// The page.
pub(crate) fn knobs_on_kernels(tree: &Tree, pages: &mut Pages) -> Result<()> {
    let kernels = read(tree)?;
    let mut drivers: Vec<&String> = kernels.iter().flat_map(|k| k.drivers.keys()).collect();
    drivers.sort();
    drivers.dedup();
    let releases = kernels.iter().map(|k| format!("`{}`", k.release)).collect::<Vec<_>>().join(", ");
    let mut page = format!(
        "{NOTE}\n# Knobs on kernels\n\nEvery knob was tried in a guest of the lab: Debian's kernels {releases}, in QEMU, with the \
         drivers {}. The record is [`{FILE}`](../../{FILE}); the suite `kernel_vm_knobs` tries again and compares.\n\n{LEGEND}",
        drivers.iter().map(|d| format!("`{d}`")).collect::<Vec<_>>().join(", ")
    );
    let tried = |k: &Kernel, driver: &str, knob: &str| k.drivers.get(driver).and_then(|all| all.get(knob)).cloned();
    let any = |k: &Kernel, knob: &str| k.drivers.values().find_map(|all| all.get(knob)).cloned();
    let listed = |m: &KnobMeta| {
        kernels.iter().filter_map(|k| any(k, m.name)).any(|t| !matches!(&*t.outcome, "outside" | "boot"))
    };
    let link = |m: &KnobMeta| format!("[{0}](knobs/{0}.md)", m.name);

    page.push_str("\n## Of the host\n\n| knob |");
    for k in &kernels {
        let _ = write!(page, " {} |", version(&k.release));
    }
    let _ = writeln!(page, "\n|---|{}", "---|".repeat(kernels.len()));
    for m in KNOBS.iter().map(|k| &k.meta).filter(|m| !of_driver(m) && listed(m)) {
        let _ = write!(page, "| {} |", link(m));
        for k in &kernels {
            let _ = write!(page, " {} |", any(k, m.name).map_or_else(|| "–".to_owned(), |t| t.outcome));
        }
        page.push('\n');
    }

    page.push_str("\n## Of an interface\n\nWhere the kernels differ, each is named.\n\n| knob |");
    for driver in &drivers {
        let _ = write!(page, " {driver} |");
    }
    let _ = writeln!(page, "\n|---|{}", "---|".repeat(drivers.len()));
    for m in KNOBS.iter().map(|k| &k.meta).filter(|m| of_driver(m) && listed(m)) {
        let _ = write!(page, "| {} |", link(m));
        for driver in &drivers {
            let by_kernel: Vec<(String, String)> =
                kernels.iter().filter_map(|k| Some((version(&k.release), tried(k, driver, m.name)?.outcome))).collect();
            let _ = write!(page, " {} |", differing(&by_kernel));
        }
        page.push('\n');
    }

    page.push_str("\n## Refused, inert, or taken as another value\n\n| knob | where | asked | the host's words |\n|---|---|---|---|\n");
    for m in KNOBS.iter().map(|k| &k.meta) {
        // The same words of several kernels and drivers stand in one row.
        let mut rows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for k in &kernels {
            for (driver, all) in &k.drivers {
                let Some(t) = all.get(m.name) else { continue };
                let clamped = t.outcome == "acts" && t.asked != t.now;
                if clamped || matches!(&*t.outcome, "refused" | "inert") {
                    let place =
                        if of_driver(m) { format!("{driver} {}", version(&k.release)) } else { version(&k.release) };
                    let words = if t.why.is_empty() { format!("{} is read back", t.now) } else { t.why.clone() };
                    let places = rows.entry((t.asked.clone(), words)).or_default();
                    if !places.contains(&place) {
                        places.push(place);
                    }
                }
            }
        }
        for ((asked, why), places) in rows {
            let _ = writeln!(page, "| {} | {} | {} | {} |", link(m), places.join(", "), cell(&asked), cell(&why));
        }
    }

    let named = |outcome: &str| {
        let of = |m: &&KnobMeta| kernels.iter().filter_map(|k| any(k, m.name)).any(|t| t.outcome == outcome);
        KNOBS.iter().map(|k| &k.meta).filter(of).map(link).collect::<Vec<_>>().join(", ")
    };
    let _ = write!(
        page,
        "\n## Not tried\n\nThey take a boot: {}.\n\nThey have no place that lowlat may write; a program, a service or the card's \
         firmware has them: {}.\n",
        named("boot"),
        named("outside")
    );
    pages.insert("knobs-on-kernels.md".to_owned(), page);
    Ok(())
}

/// Where the record and a page's `kernels` contradict each other, and what no run may leave.
#[cfg(test)]
fn contradictions(kernels: &[Kernel]) -> Vec<String> {
    let mut wrong = Vec::new();
    for m in KNOBS.iter().map(|k| &k.meta) {
        let (from, to) = m.kernels.split_once("..").unwrap_or((m.kernels, m.kernels));
        let bound = |text: &str| number(text.split_whitespace().next().unwrap_or_default());
        for k in kernels {
            let here = number(&version(&k.release)).unwrap_or_default();
            let outside = bound(from).is_some_and(|f| here < f) || bound(to).is_some_and(|t| here > t);
            for (driver, all) in &k.drivers {
                let Some(t) = all.get(m.name) else {
                    wrong.push(format!("{}: not tried on {driver} {}", m.name, k.release));
                    continue;
                };
                let there = matches!(&*t.outcome, "acts" | "refused" | "exists");
                // A driver or a machine may lack what the kernel has; a sysctl is the kernel's alone.
                let missing = m.name.starts_with("sysctl.") && t.outcome == "absent" && !outside && m.kernels != "none";
                if there && outside {
                    wrong.push(format!(
                        "{} on {driver} {}: {} although its page says {}",
                        m.name, k.release, t.outcome, m.kernels
                    ));
                }
                if missing {
                    wrong.push(format!("{} on {}: absent although its page says {}", m.name, k.release, m.kernels));
                }
                if !matches!(&*t.outcome, "acts" | "inert" | "refused" | "exists" | "absent" | "boot" | "outside") {
                    wrong.push(format!("{} on {driver} {}: {}: {}", m.name, k.release, t.outcome, t.why));
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_contradicts_no_page() {
        let kernels = read(&Tree::load().unwrap()).unwrap();
        assert!(kernels.len() >= 3, "{} kernels", kernels.len());
        for k in &kernels {
            for driver in ["e1000e", "igb", "virtio", "netdevsim"] {
                assert!(k.drivers.contains_key(driver), "no {driver} on {}", k.release);
            }
        }
        let wrong = contradictions(&kernels);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn a_contradiction_is_named() {
        let of = |release: &str, knob: &str, outcome: &str| {
            let tried = Tried { outcome: outcome.into(), asked: String::new(), now: String::new(), why: String::new() };
            let mut all: BTreeMap<String, Tried> = KNOBS
                .iter()
                .map(|k| (k.meta.name.to_owned(), Tried { outcome: "inert".into(), ..tried.clone() }))
                .collect();
            all.insert(knob.to_owned(), tried);
            vec![Kernel { release: release.into(), drivers: [("d".to_owned(), all)].into() }]
        };
        let rto = "sysctl.net.ipv4.tcp_rto_min_us";
        for (release, outcome, words) in [
            ("6.1.0-9", "acts", "although its page says"),
            ("6.12.1", "absent", "absent although"),
            ("6.12.1", "stuck", "stuck"),
        ] {
            let said = contradictions(&of(release, rto, outcome)).join("\n");
            assert!(said.contains(words) && said.contains(rto), "{release} {outcome}: {said}");
        }
        assert_eq!(contradictions(&of("6.12.1", rto, "acts")), Vec::<String>::new());
    }
}
