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
        (Locus::Coalesce { iface, param }, _) if !param.starts_with("adaptive-") => of("coalesce", iface, param),
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
    ["features", "coalesce", "ring", "channels", "pause"].contains(&option)
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
