//! NetworkManager: ethtool settings and queue disciplines of a connection's profile.

use lowlat_model::{Claim, Locus};

use crate::files::{layered, text};
use crate::ini::{self, Entry, on_off, truth};
use crate::netplan::is_netplans;
use crate::{Host, Owner, coalesced, feature_matches};

#[derive(Debug)]
pub(crate) struct NetworkManager;

/// nm-settings-keyfile(5), "Description"; NetworkManager.conf(5), `path` of `[keyfile]`.
const PROFILES: &[&str] = &[
    "/etc/NetworkManager/system-connections",
    "/run/NetworkManager/system-connections",
    "/usr/lib/NetworkManager/system-connections",
];

impl Owner for NetworkManager {
    fn file(&self) -> &'static str {
        file!()
    }
    fn claims(&self, host: &Host<'_>, locus: &Locus) -> Vec<Claim> {
        of_profile(host, locus).into_iter().filter(|c| !c.file.as_deref().is_some_and(is_netplans)).collect()
    }
}

/// What the profiles that an interface may be activated with set at a place of it.
pub(crate) fn of_profile(host: &Host<'_>, locus: &Locus) -> Vec<Claim> {
    let Some(iface) = locus.iface() else { return Vec::new() };
    let runs = host.runs("NetworkManager");
    if !runs && !host.starts_at_boot("NetworkManager.service") {
        return Vec::new();
    }
    let active = active(host, iface);
    let mut out = Vec::new();
    for (_, path) in layered(host.sys, PROFILES, ".nmconnection") {
        let profile = ini::parse(&text(host.sys, &path));
        if !fits(host, iface, &profile, active.as_deref()) {
            continue;
        }
        if let Some((entry, value)) = profile.iter().rev().find_map(|e| sets(locus, e).map(|v| (e, v))) {
            let id = ini::last(&profile, "connection", "id").map_or("ID", |e| e.value.as_str());
            out.push(Claim {
                by: "NetworkManager".to_owned(),
                file: Some(format!("{path}:{}", entry.line)),
                sets: Some(value),
                runs,
                wins: true,
                rule: "NetworkManager sets it whenever it activates this connection (settings ethtool and tc of \
                       nm-settings(5)), which no unit can wait for"
                    .to_owned(),
                remedy: format!(
                    "`nmcli connection modify {id:?} {}.{} VALUE` with lowlat's value",
                    entry.section, entry.key
                ),
            });
        }
    }
    out
}

/// The profile that an interface is activated with, by its UUID, which NetworkManager keeps in
/// `/run/NetworkManager/devices/IFINDEX` (nm-config.c, `nm_config_device_state_write`).
fn active(host: &Host<'_>, iface: &str) -> Option<String> {
    let index = host.sys.read(&format!("/sys/class/net/{iface}/ifindex")).into_value()?;
    let state = ini::parse(&text(host.sys, &format!("/run/NetworkManager/devices/{}", index.trim())));
    ini::last(&state, "device", "connection-uuid").map(|e| e.value.clone())
}

fn fits(host: &Host<'_>, iface: &str, profile: &[Entry], active: Option<&str>) -> bool {
    if let (Some(active), Some(uuid)) = (active, ini::last(profile, "connection", "uuid")) {
        return uuid.value == active;
    }
    if let Some(name) = ini::last(profile, "connection", "interface-name") {
        return name.value == iface;
    }
    let mac = ["ethernet", "802-3-ethernet"].iter().find_map(|s| ini::last(profile, s, "mac-address"));
    match mac {
        Some(mac) => {
            let is = host.sys.read(&format!("/sys/class/net/{iface}/address")).into_value().unwrap_or_default();
            mac.value.eq_ignore_ascii_case(is.trim())
        }
        // A profile that names no interface may be that of any.
        None => true,
    }
}

/// The value at a place, if the assignment is for it: options of `[ethtool]` by their names in NMSettingEthtool (libnm), and
/// `qdisc.root=` of `[tc]`, whose value may begin with a handle (nm-keyfile.c, `qdisc_writer`).
fn sets(locus: &Locus, e: &Entry) -> Option<String> {
    if e.section == "tc" {
        let Locus::Qdisc { parent, .. } = locus else { return None };
        let value = match e.value.strip_prefix("handle ") {
            Some(rest) => rest.split_once(' ').map_or("", |(_, kind)| kind),
            None => &e.value,
        };
        return (e.key.strip_prefix("qdisc.")? == parent).then(|| value.to_owned());
    }
    if e.section != "ethtool" {
        return None;
    }
    let (group, name) = e.key.split_once('-')?;
    match (locus, group) {
        (Locus::Feature { name: kernel, .. }, "feature") if feature_matches(name, kernel) => on_off(&e.value),
        (Locus::Ring { param, .. }, "ring") if param == name => Some(e.value.clone()),
        (Locus::Channels { param, .. }, "channels") if param == name => Some(e.value.clone()),
        (Locus::Pause { param, .. }, "pause") if param == name => on_off(&e.value),
        (Locus::Eee { .. }, "eee") if name == "enabled" => on_off(&e.value),
        (_, "coalesce") => {
            let number =
                if name.starts_with("adaptive") { u8::from(truth(&e.value)?).to_string() } else { e.value.clone() };
            coalesced(locus, name, &number)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::State;
    use lowlat_testkit::FakeSys;

    use super::*;

    const LAN: &str = "[connection]\nid=lan\nuuid=11\ninterface-name=eth0\n[ethtool]\nfeature-gro=true\ncoalesce-rx-usecs=40\n\
                       [tc]\nqdisc.root=handle 1234: fq_codel\n";

    #[test]
    fn the_profile_in_use_is_named() {
        let sys = FakeSys::new()
            .file("/proc/9/comm", "NetworkManager\n")
            .file("/sys/class/net/eth0/ifindex", "2\n")
            .file("/run/NetworkManager/devices/2", "[device]\nconnection-uuid=11\n")
            .file("/etc/NetworkManager/system-connections/lan.nmconnection", LAN)
            .file(
                "/etc/NetworkManager/system-connections/spare.nmconnection",
                "[connection]\nid=spare\nuuid=12\ninterface-name=eth0\n[ethtool]\ncoalesce-rx-usecs=99\n",
            );
        let others = |l: Locus, set: &str| Host::new(&sys).others(&l, &State::Text(set.into()));
        let found = others(Locus::Coalesce { iface: "eth0".into(), param: "rx-usecs".into() }, "0");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].wins && found[0].sets.as_deref() == Some("40"), "{found:?}");
        assert!(found[0].remedy.contains("nmcli connection modify \"lan\" ethtool.coalesce-rx-usecs"), "{found:?}");
        assert_eq!(others(Locus::Feature { iface: "eth0".into(), name: "rx-gro".into() }, "off").len(), 1);
        let root = || Locus::Qdisc { iface: "eth0".into(), parent: "root".into() };
        assert_eq!(others(root(), "fq")[0].sets.as_deref(), Some("fq_codel"));
        assert!(others(Locus::Ring { iface: "eth0".into(), param: "rx".into() }, "512").is_empty());
    }

    #[test]
    fn one_that_does_not_run_sets_nothing() {
        let sys = FakeSys::new().file("/etc/NetworkManager/system-connections/lan.nmconnection", LAN);
        let usecs = Locus::Coalesce { iface: "eth0".into(), param: "rx-usecs".into() };
        assert!(Host::new(&sys).others(&usecs, &State::Text("0".into())).is_empty());
    }
}
