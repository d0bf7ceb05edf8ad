//! Which `.link` or `.network` file systemd takes for an interface: the first whose `[Match]` fits (systemd.link(5),
//! systemd.network(5): "the first (in alphanumeric order) … that matches a given interface is applied, all later files are
//! ignored").

use lowlat_sys::Sys;

use crate::files::{layered, text};
use crate::glob;
use crate::ini::{self, Entry};

const FOLDERS: &[&str] = &[
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
    "/lib/systemd/network",
];

/// What a match looks at.
#[derive(Debug)]
struct Iface {
    name: String,
    mac: String,
    /// `pci-0000:00:03.0`, as udev's `ID_PATH` has it for a PCI device.
    path: Option<String>,
    driver: Option<String>,
}

fn base(link: &str) -> &str {
    link.rsplit('/').next().unwrap_or(link)
}

fn look(sys: &dyn Sys, name: &str) -> Iface {
    let dir = format!("/sys/class/net/{name}");
    let link = |to: &str| sys.link_target(&format!("{dir}/{to}")).into_value();
    Iface {
        name: name.to_owned(),
        mac: sys.read(&format!("{dir}/address")).into_value().unwrap_or_default().trim().to_ascii_lowercase(),
        path: link("device").map(|l| format!("pci-{}", base(&l))),
        driver: link("device/driver").map(|l| base(&l).to_owned()),
    }
}

/// The file that applies to an interface and its assignments, those of its drop-ins behind its own.
pub(crate) fn applies(sys: &dyn Sys, iface: &str, ending: &str) -> Option<(String, Vec<(String, Entry)>)> {
    let link = look(sys, iface);
    for (name, path) in layered(sys, FOLDERS, ending) {
        let mut all: Vec<(String, Entry)> =
            ini::parse(&text(sys, &path)).into_iter().map(|e| (path.clone(), e)).collect();
        // foo.link.d/*.conf is read after foo.link (systemd.link(5)).
        let folders: Vec<String> = FOLDERS.iter().map(|f| format!("{f}/{name}.d")).collect();
        let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
        for (_, extra) in layered(sys, &folders, ".conf") {
            all.extend(ini::parse(&text(sys, &extra)).into_iter().map(|e| (extra.clone(), e)));
        }
        let matches: Vec<&Entry> = all.iter().map(|(_, e)| e).filter(|e| e.section == "Match").collect();
        // One without a match applies to none (since systemd 243 it is warned of and passed over).
        if !matches.is_empty() && matches.iter().all(|e| fits(&link, e)) {
            return Some((path, all));
        }
    }
    None
}

/// What is not looked at here (`Host=`, `Architecture=`, …) is taken to fit.
fn fits(link: &Iface, entry: &Entry) -> bool {
    let words = || entry.value.split_whitespace();
    let any = |text: &str| {
        let (no, yes): (Vec<&str>, Vec<&str>) = words().partition(|w| w.starts_with('!'));
        if no.iter().any(|w| glob::matches(&w[1..], text)) {
            return false;
        }
        yes.is_empty() || yes.iter().any(|w| glob::matches(w, text))
    };
    match entry.key.as_str() {
        "Name" | "OriginalName" => any(&link.name),
        "MACAddress" | "PermanentMACAddress" => words().any(|w| w.to_ascii_lowercase().replace('-', ":") == link.mac),
        "Path" => link.path.as_deref().is_some_and(any),
        "Driver" => link.driver.as_deref().is_some_and(any),
        "Type" => link.name == "lo" || !words().any(|w| w == "loopback"),
        _ => true,
    }
}
