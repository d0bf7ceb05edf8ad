//! tuned: the active profile and those it includes.

use lowlat_model::{Claim, Locus};

use crate::files::text;
use crate::ini::{self, Entry, last, on_off, parse, truth};
use crate::sysctl_d::slashed;
use crate::{Host, Owner, coalesced, feature_matches, glob, sysctl_key};

#[derive(Debug)]
pub(crate) struct Tuned;

/// tuned-profiles(7); `profiles/` since tuned 2.23.
const FOLDERS: [&str; 4] = ["/etc/tuned/profiles", "/etc/tuned", "/usr/lib/tuned/profiles", "/usr/lib/tuned"];
/// Profiles that include each other in a ring end here.
const DEEPEST: usize = 8;

impl Owner for Tuned {
    fn file(&self) -> &'static str {
        file!()
    }
    fn claims(&self, host: &Host<'_>, locus: &Locus) -> Vec<Claim> {
        let runs = host.runs("tuned");
        if !runs && !host.starts_at_boot("tuned.service") {
            return Vec::new();
        }
        let active = text(host.sys, "/etc/tuned/active_profile");
        let mut entries = Vec::new();
        for name in active.split_whitespace() {
            read(host, name, DEEPEST, &mut entries);
        }
        let found = entries.iter().rev().find_map(|(file, e)| sets(&entries, locus, e).map(|v| (file, e, v)));
        let Some((file, entry, value)) = found else { return Vec::new() };
        let (wins, rule) = standing(host, locus);
        vec![Claim {
            by: format!("tuned, profile {}", active.trim()),
            file: Some(format!("{file}:{}", entry.line)),
            sets: value,
            runs,
            wins,
            rule,
            remedy: format!(
                "make a profile of your own (`[main] include={}`) that sets it to lowlat's value in section [{}], and \
                 choose it with `tuned-adm profile`",
                active.trim(),
                entry.section
            ),
        }]
    }
}

fn standing(host: &Host<'_>, locus: &Locus) -> (bool, String) {
    if sysctl_key(locus).is_none() {
        return (
            true,
            "tuned applies its profile when it starts and to each device that appears, at no time that a \
                       unit can wait for (tuned.conf(5))"
                .to_owned(),
        );
    }
    let main = parse(&text(host.sys, "/etc/tuned/tuned-main.conf"));
    // The default is on (tuned-main.conf(5)).
    let again = last(&main, "", "reapply_sysctl").and_then(|e| truth(&e.value)).unwrap_or(true);
    if again {
        (
            false,
            "after its own values tuned applies /run/sysctl.d, /etc/sysctl.d and /etc/sysctl.conf again \
                 (tuned-main.conf(5), reapply_sysctl), so a file there wins; a value set by hand does not"
                .to_owned(),
        )
    } else {
        (
            true,
            "tuned applies its values after systemd-sysctl and reapply_sysctl is off (tuned-main.conf(5))".to_owned(),
        )
    }
}

/// The assignments of a profile behind those it includes.
fn read(host: &Host<'_>, name: &str, depth: usize, out: &mut Vec<(String, Entry)>) {
    let path = |folder: &&str| format!("{folder}/{name}/tuned.conf");
    let found = FOLDERS.iter().map(path).map(|p| (text(host.sys, &p), p)).find(|(text, _)| !text.is_empty());
    let (Some((text, path)), Some(depth)) = (found, depth.checked_sub(1)) else { return };
    let own = parse(&text);
    if let Some(include) = last(&own, "main", "include") {
        for name in include.value.split([',', ' ', ';']).filter(|n| !n.is_empty()) {
            read(host, name, depth, out);
        }
    }
    out.extend(own.into_iter().map(|e| (path.clone(), e)));
}

/// The plug-in of a section: its `type`, else its name (tuned.conf(5)).
fn plugin<'a>(entries: &'a [(String, Entry)], section: &'a str) -> &'a str {
    entries.iter().rev().find(|(_, e)| e.section == section && e.key == "type").map_or(section, |(_, e)| &e.value)
}

/// The value at a place, if the assignment is for it; `Some(None)` where tuned works it out itself.
#[allow(clippy::option_option)] // not set, set to what tuned works out, set to a value
fn sets(entries: &[(String, Entry)], locus: &Locus, e: &Entry) -> Option<Option<String>> {
    let plain = |value: &str| (!value.contains("${") && !value.starts_with(['>', '<'])).then(|| value.to_owned());
    match plugin(entries, &e.section) {
        "sysctl" => (slashed(&e.key) == sysctl_key(locus)?).then(|| plain(&e.value)),
        "cpu" => {
            let Locus::File { path } = locus else { return None };
            // The first of several that the driver has is taken.
            (e.key == "governor" && path.ends_with("/scaling_governor"))
                .then(|| plain(&e.value).filter(|v| !v.contains('|')))
        }
        "scheduler" => {
            let placed = matches!(locus, Locus::IrqAffinity { .. }) && e.key == "isolated_cores" && !e.value.is_empty();
            let ignored = entries.iter().rev().find(|(_, o)| o.key == "default_irq_smp_affinity");
            (placed && ignored.is_none_or(|(_, o)| o.value != "ignore")).then_some(None)
        }
        "net" => {
            let devices = entries.iter().rev().find(|(_, o)| o.section == e.section && o.key == "devices");
            let mine = devices.is_none_or(|(_, o)| {
                o.value.split([',', ';']).map(str::trim).any(|p| locus.iface().is_some_and(|i| glob::matches(p, i)))
            });
            if mine { net(locus, e).map(Some) } else { None }
        }
        _ => None,
    }
}

/// `coalesce=adaptive-rx off rx-usecs 0`: names and values in turns, as ethtool takes them.
fn net(locus: &Locus, e: &Entry) -> Option<String> {
    let words: Vec<&str> = e.value.split([' ', ':', ',']).filter(|w| !w.is_empty()).collect();
    let pairs = words.as_chunks::<2>().0.iter().map(|[name, value]| (*name, *value));
    let one = |wanted: &str| pairs.clone().find(|(name, _)| *name == wanted).map(|(_, v)| v.to_owned());
    match (locus, e.key.as_str()) {
        (Locus::Feature { name, .. }, "features") => {
            pairs.clone().find(|(short, _)| feature_matches(short, name)).and_then(|(_, v)| on_off(v))
        }
        (Locus::Ring { param, .. }, "ring") | (Locus::Channels { param, .. }, "channels") => one(param),
        (Locus::Pause { param, .. }, "pause") => one(param).and_then(|v| on_off(&v)),
        (_, "coalesce") => pairs.clone().find_map(|(name, value)| {
            let number =
                if name.starts_with("adaptive") { u8::from(ini::truth(value)?).to_string() } else { value.to_owned() };
            coalesced(locus, name, &number)
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::State;
    use lowlat_testkit::FakeSys;

    use super::*;

    fn host(profile: &str) -> FakeSys {
        FakeSys::new()
            .file("/proc/50/comm", "tuned\n")
            .file("/etc/tuned/active_profile", "network-latency\n")
            .file(
                "/usr/lib/tuned/network-latency/tuned.conf",
                "[main]\ninclude=latency-performance\n[sysctl]\nnet.core.busy_read=50\n",
            )
            .file("/usr/lib/tuned/latency-performance/tuned.conf", profile)
    }

    fn found(sys: &FakeSys, locus: &Locus, set: &str) -> Vec<Claim> {
        Host::new(sys).others(locus, &State::Text(set.into()))
    }

    fn sysctl(key: &str) -> Locus {
        Locus::File { path: format!("/proc/sys/{key}") }
    }

    #[test]
    fn a_sysctl_of_the_profile_wins_only_where_files_are_not_applied_again() {
        let sys = host("[sysctl]\nnet.core.busy_read=10\nvm.swappiness=10\n");
        let found_there = found(&sys, &sysctl("net/core/busy_read"), "20");
        assert_eq!(found_there[0].sets.as_deref(), Some("50"), "the including profile stands: {found_there:?}");
        assert!(!found_there[0].wins && found_there[0].rule.contains("reapply_sysctl"), "{found_there:?}");
        assert!(found_there[0].file.as_deref().unwrap().ends_with("network-latency/tuned.conf:4"));
        assert_eq!(found(&sys, &sysctl("vm/swappiness"), "60").len(), 1, "an included profile counts");
        assert!(found(&sys, &sysctl("net/core/busy_read"), "50").is_empty());
        let sys = sys.file("/etc/tuned/tuned-main.conf", "reapply_sysctl = 0\n");
        assert!(found(&sys, &sysctl("net/core/busy_read"), "20")[0].wins);
    }

    #[test]
    fn devices_of_its_plug_ins_are_known() {
        let sys = host(
            "[cpu]\ngovernor=performance\n[lan]\ntype=net\ndevices=eth*\ncoalesce=adaptive-rx on rx-usecs 8\n\
             features=gro off\n[scheduler]\nisolated_cores=2-3\n",
        );
        let governor = Locus::File { path: "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor".into() };
        assert!(found(&sys, &governor, "powersave")[0].wins);
        assert!(found(&sys, &governor, "performance").is_empty());
        let usecs = |iface: &str| Locus::Coalesce { iface: iface.into(), param: "rx-usecs".into() };
        assert_eq!(found(&sys, &usecs("eth0"), "0")[0].sets.as_deref(), Some("8"));
        assert!(found(&sys, &usecs("wan0"), "0").is_empty());
        assert_eq!(found(&sys, &Locus::Feature { iface: "eth0".into(), name: "rx-gro".into() }, "on").len(), 1);
        let irq = found(&sys, &Locus::IrqAffinity { iface: "eth0".into(), index: 0 }, "3");
        assert!(irq.len() == 1 && irq[0].sets.is_none(), "{irq:?}");
    }

    #[test]
    fn a_ring_of_profiles_ends() {
        let sys = host("[main]\ninclude=network-latency\n[sysctl]\nvm.swappiness=1\n");
        assert_eq!(found(&sys, &sysctl("vm/swappiness"), "60").len(), 1);
    }
}
