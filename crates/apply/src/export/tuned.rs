//! The profile: tuned's own plugins alone, since these put back what they replaced when the profile is left.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lowlat_model::{Locus, Plan, State};
use lowlat_settings::{AtBoot, at, shell};

use super::{Export, Item, items};

/// Plugin options by section, in the order of the plan; an interface is one section, since tuned gives it to one alone.
type Sections = BTreeMap<String, Vec<(String, String)>>;

pub(super) fn export(plan: &Plan) -> Export {
    let (items, mut left_out) = items(plan);
    let mut sections = Sections::new();
    let mut steps = 0;
    for item in &items {
        match place(item) {
            Ok((section, option, value)) => {
                let all = sections.entry(section).or_default();
                match all.iter_mut().find(|(other, _)| *other == option) {
                    // Parameters of one option stand in one line; the last value of a file is what it ends with.
                    Some((_, before)) if option_of_net(&option) => *before = format!("{before} {value}"),
                    Some((_, before)) => *before = value,
                    None => all.push((option, value)),
                }
                steps += 1;
            }
            Err(why) => left_out.push(format!("{}: {why}", item.title)),
        }
    }
    Export { text: profile(&sections, &left_out), left_out, steps }
}

/// Section, option and value; as text, why tuned does not take it.
fn place(item: &Item<'_>) -> Result<(String, String, String), &'static str> {
    let State::Text(value) = &item.op.set else { return Err("tuned has no plugin for queue disciplines") };
    let of = |plugin: &str, iface: &str, name: &str| -> Result<_, &'static str> {
        Ok((format!("net {}", plain(iface)?), plugin.to_owned(), format!("{} {}", plain(name)?, plain(value)?)))
    };
    match (&item.op.locus, at(&item.op.locus).at_boot()) {
        (Locus::Feature { iface, name }, _) => of("features", iface, as_tuned(name)),
        // It reads the present values from `ethtool -c` and gives up at a line that it does not know, which every ethtool
        // since 5.15 prints: its issues 726 (before 2.25) and 819 (open). Nothing would be set, and only its log would say so.
        (Locus::Coalesce { .. } | Locus::Moderation { .. }, _) => Err(
            "tuned sets no coalescing where ethtool shows CQE modes or aggregation (redhat-performance/tuned, issues 726 \
                 and 819)",
        ),
        (Locus::Ring { iface, param }, _) => of("ring", iface, param),
        (Locus::Channels { iface, param }, _) => of("channels", iface, param),
        (Locus::Pause { iface, param }, _) => of("pause", iface, param),
        // tuned takes the dots of a key for slashes (plugin_sysctl.py, `_get_sysctl_path`).
        (Locus::File { path }, AtBoot::Sysctl(_)) => {
            let key = path.strip_prefix("/proc/sys/").ok_or("not a sysctl")?;
            if key.contains('.') {
                return Err("tuned takes a dot in an interface's name for a slash");
            }
            Ok(("sysctl".into(), plain(&key.replace('/', "."))?.into(), plain(value)?.into()))
        }
        // plugin_sysfs.py, `_check_sysfs`.
        (Locus::File { path }, _) if path.starts_with("/sys/") => {
            Ok(("sysfs".into(), plain(path)?.into(), plain(value)?.into()))
        }
        _ => Err("tuned has no plugin that would put it back as it was"),
    }
}

/// A feature by the name under which tuned finds it again in what ethtool shows (plugin_net.py,
/// `_parse_device_parameters`); another name would be set and never put back.
fn as_tuned(kernel: &str) -> &str {
    match kernel {
        "rx-gro" => "gro",
        "tx-generic-segmentation" => "gso",
        "rx-lro" => "lro",
        "rx-ntuple-filter" => "ntuple",
        "rx-hashing" => "rxhash",
        other => other,
    }
}

/// What neither the file's format (ConfigObj) nor tuned's variables and globs look into.
fn plain(text: &str) -> Result<&str, &'static str> {
    let ok = |c: char| c.is_ascii_alphanumeric() || "/._-:, ".contains(c);
    let fits = !text.is_empty() && text.trim() == text && text.chars().all(ok);
    if fits { Ok(text) } else { Err("a name or value that tuned could read as something else") }
}

fn option_of_net(option: &str) -> bool {
    ["features", "ring", "channels", "pause"].contains(&option)
}

fn profile(sections: &Sections, left_out: &[String]) -> String {
    let mut out = HEAD.to_owned();
    for line in left_out {
        let _ = writeln!(out, "# Not in it: {}", shell::comment(line));
    }
    out.push_str("[main]\nsummary=A plan of lowlat\n");
    for (number, (section, all)) in sections.iter().enumerate() {
        let _ = match section.strip_prefix("net ") {
            Some(iface) => writeln!(out, "\n[lowlat_{number}]\ntype=net\ndevices={iface}"),
            None => writeln!(out, "\n[{section}]"),
        };
        for (option, value) in all {
            let _ = writeln!(out, "{option}={value}");
        }
    }
    out
}

const HEAD: &str = "# A profile of tuned that sets what a plan of lowlat sets, on the host that it was made for.
# Put it in /etc/tuned/profiles/lowlat/tuned.conf (before tuned 2.23: /etc/tuned/lowlat/tuned.conf), then:
#   tuned-adm profile OTHER lowlat    sets it, on top of the profile OTHER
#   tuned-adm profile OTHER           puts it back: tuned restores what it replaced
";

#[cfg(test)]
mod tests {
    use lowlat_model::{Op, PlannedStep, Schema};

    use super::*;

    #[test]
    fn what_tuned_would_not_set_is_left_out_with_its_reason() {
        let step = |locus: Locus, value: &str| PlannedStep {
            knob: "k".into(),
            target: "eth0".parse().unwrap(),
            ops: vec![Op::text(locus, value)],
            prior: vec![State::Text("1".into())],
            ..PlannedStep::default()
        };
        let steps = vec![
            step(Locus::Ring { iface: "eth0".into(), param: "rx".into() }, "512"),
            step(Locus::Coalesce { iface: "eth0".into(), param: "rx-usecs".into() }, "0"),
            step(Locus::Feature { iface: "eth0".into(), name: "rx-gro".into() }, "off"),
        ];
        let plan = Plan { schema: Schema::current("plan"), iface: None, steps, left_out: Vec::new() };
        let export = export(&plan);
        assert_eq!((export.steps, export.left_out.len()), (2, 1), "{export:?}");
        assert!(export.left_out[0].contains("issues 726 and 819"), "{:?}", export.left_out);
        assert!(export.text.ends_with("type=net\ndevices=eth0\nring=rx 512\nfeatures=gro off\n"), "{}", export.text);
        assert!(export.text.contains("# Not in it: k on eth0"), "{}", export.text);
    }
}
