//! An interface in another boot: its name, its index and the numbers of its interrupts may have changed, its address and
//! its place on the bus have not.

use std::fmt::Write as _;

use lowlat_model::journal::Device;
use lowlat_settings::shell;
use lowlat_sys::{Sys, query};

/// Below `/run`, where the unit notes what each interface is called in this boot (systemd.exec(5), `RuntimeDirectory=`).
pub(crate) const DIRECTORY: &str = "lowlat-boot";
/// Gives the device units of physical interfaces a name that no boot changes.
pub(crate) const RULES: &str = "/etc/udev/rules.d/90-lowlat.rules";
/// Tenths of a second for which the service waits for an interface to come up. The DHCP of a slow switch port takes 30 s
/// (spanning tree's two forward delays of 15 s, IEEE 802.1D), but an interface is up before it; a minute leaves room.
const PATIENCE: u32 = 600;

/// Stands for the interface's name until it is known; no word that a shell would quote, and longer than a name can be.
pub(crate) const STANDS_FOR: &str = "THE_INTERFACE_OF_THIS_COMMAND";

/// A command whose interface is `$i` when it runs.
pub(crate) fn on_the_name(command: impl Fn(&str) -> Option<String>) -> Option<String> {
    let text = command(STANDS_FOR)?;
    // In the pattern of sed the name stands between single quotes.
    Some(text.replace(&format!("[ ,]{STANDS_FOR}"), r#"[ ,]'"$i"'"#).replace(STANDS_FOR, r#""$i""#))
}

/// An interface as the files of `lowlat persist` know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BootIface {
    /// Its name when they were written.
    name: String,
    mac: Option<String>,
    /// Its place on the bus: `0000:00:03.0`; none for a virtual interface, which has its name alone.
    bus: Option<String>,
}

/// The last part of `../../../0000:00:03.0`.
fn bus(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl BootIface {
    pub(crate) fn of(name: &str, device: &Device) -> Self {
        let bus = device.path.as_deref().map(|p| bus(p).to_owned());
        Self { name: name.to_owned(), mac: device.mac.clone(), bus }
    }

    /// Whether it is found by more than its name.
    pub(crate) fn is_physical(&self) -> bool {
        self.bus.is_some()
    }

    /// The file of this boot that holds its name.
    fn file(&self) -> String {
        format!("/run/{DIRECTORY}/if-{}", self.name)
    }

    /// A shell's assignment of its present name to `i`; fails where it was not found.
    pub(crate) fn name_of(&self) -> String {
        format!("i=$(cat {})", shell::quote(&self.file()))
    }

    /// The unit of its device, which the service is ordered after.
    pub(crate) fn device_unit(&self) -> String {
        match self.alias() {
            Some(_) => format!("lowlat-net-{}.device", escaped(&self.name)),
            None => format!("sys-subsystem-net-devices-{}.device", escaped(&self.name)),
        }
    }

    /// A further name of its device unit, the same in every boot (systemd.device(5), `SYSTEMD_ALIAS=`). By the address, or
    /// where none is known by its place on the bus. A name that udev would read otherwise has none.
    fn alias(&self) -> Option<String> {
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b":._-@".contains(&b));
        let (bus, name) = (self.bus.as_deref()?, self.name.as_str());
        if !plain(bus) || !plain(name) {
            return None;
        }
        let is = match &self.mac {
            Some(mac) if plain(mac) => format!("DRIVERS==\"?*\", ATTR{{address}}==\"{mac}\""),
            _ => format!("KERNELS==\"{bus}\""),
        };
        Some(format!("{is}, TAG+=\"systemd\", ENV{{SYSTEMD_ALIAS}}+=\"/lowlat/net/{name}\""))
    }

    /// The line of [`RULES`].
    pub(crate) fn rule(&self) -> Option<String> {
        self.alias().map(|alias| format!("ACTION!=\"remove\", SUBSYSTEM==\"net\", {alias}\n"))
    }

    /// A shell's command that waits until it is there and up, and notes its name.
    ///
    /// `carrier` of an interface that is not up cannot be read (net/core/net-sysfs.c, `carrier_show`).
    pub(crate) fn wait(&self) -> String {
        let Some(bus) = &self.bus else {
            return format!(
                "n=0; until cat /sys/class/net/{}/carrier || [ $n -ge {PATIENCE} ]; do n=$((n + 1)); sleep 0.1; done \
                 > /dev/null 2>&1",
                shell::quote(&self.name)
            );
        };
        // Address and place together, else the address alone, and only at last the place alone: another card may be there.
        format!(
            "f() {{ b=; m=; p=; for d in /sys/class/net/*; do [ -e \"$d/device\" ] || continue; \
             a=$(cat \"$d/address\"); l=$(readlink \"$d/device\"); l=${{l##*/}}; \
             if [ \"$a\" = {mac} ]; then m=\"$m ${{d##*/}}\"; fi; \
             if [ \"$l\" = {bus} ]; then p=\"$p ${{d##*/}}\"; fi; \
             if [ \"$a$l\" = {mac}{bus} ]; then b=\"$b ${{d##*/}}\"; fi; done; \
             for s in \"$b\" \"$m\" \"$1\"; do [ \"$s\" != late ] || s=$p; set -f; set -- \"$1\" $s; set +f; \
             if [ $# = 2 ]; then i=$2; return 0; fi; set -- \"$1\"; done; return 1; }}; \
             n=0; until f '' && cat \"/sys/class/net/$i/carrier\" || [ $n -ge {PATIENCE} ]; do n=$((n + 1)); sleep 0.1; \
             done > /dev/null 2>&1; f late && printf '%s' \"$i\" > {file}",
            mac = shell::quote(self.mac.as_deref().unwrap_or("none")),
            bus = shell::quote(bus),
            file = shell::quote(&self.file()),
        )
    }
}

/// What an interface of an earlier boot is called in this one: by address and place on the bus, else by the address, else by
/// the place, where no other has the same; a virtual one by its name. `None` where it is not there.
pub(crate) fn name_now(sys: &dyn Sys, was: &Device) -> Option<String> {
    let links = query::links(sys).into_value()?;
    let Some(place) = was.path.as_deref().map(bus) else {
        return links.iter().any(|l| l.name == was.name).then(|| was.name.clone());
    };
    let mut found: [Vec<&str>; 3] = Default::default();
    for l in &links {
        let Some(path) = sys.link_target(&format!("/sys/class/net/{}/device", l.name)).into_value() else { continue };
        let (mac, there) = (l.mac.is_some() && l.mac == was.mac, bus(&path) == place);
        for (is, list) in [mac && there, mac, there].into_iter().zip(&mut found) {
            if is {
                list.push(&l.name);
            }
        }
    }
    found.iter().find_map(|names| if let [one] = names.as_slice() { Some((*one).to_owned()) } else { None })
}

/// A name as part of a unit's name (systemd.unit(5), "String escaping for inclusion in unit names").
pub(crate) fn escaped(name: &str) -> String {
    let mut out = String::new();
    for (n, b) in name.bytes().enumerate() {
        if b.is_ascii_alphanumeric() || b == b'_' || b == b':' || (b == b'.' && n > 0) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use lowlat_sys::NetQuery;
    use lowlat_testkit::FakeSys;
    use serde_json::json;

    use super::*;

    /// Name, address, place on the bus.
    type Card = (&'static str, &'static str, &'static str);

    fn was() -> Device {
        Device {
            name: "eth0".into(),
            mac: Some("02:00:00:00:00:0a".into()),
            path: Some("../../../0000:00:03.0".into()),
            ..Device::default()
        }
    }

    fn link_named(index: usize, name: &str, mac: &str) -> serde_json::Value {
        json!({"index": index, "name": name, "mac": mac, "up": true, "operstate": "up", "mtu": 1500, "kind": null, "xdp": "none"})
    }

    fn by_lowlat(cards: &[Card]) -> Option<String> {
        let link = |(n, (name, mac, _)): (usize, &Card)| link_named(n + 1, name, mac);
        let links: Vec<_> = cards.iter().enumerate().map(link).collect();
        let sys = cards.iter().fold(FakeSys::new().net(&NetQuery::Links, links), |sys, (name, _, bus)| {
            sys.link(&format!("/sys/class/net/{name}/device"), &format!("../../../{bus}"))
        });
        name_now(&sys, &was())
    }

    /// The unit's own command, in a folder that stands for `/sys` and `/run`.
    fn by_shell(cards: &[Card]) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().display();
        std::fs::create_dir_all(dir.path().join("run").join(DIRECTORY)).unwrap();
        std::fs::create_dir_all(dir.path().join("sys/class/net")).unwrap();
        for (name, mac, bus) in cards {
            let at = dir.path().join("sys/class/net").join(name);
            std::fs::create_dir_all(dir.path().join("devices").join(bus)).unwrap();
            std::fs::create_dir_all(&at).unwrap();
            std::fs::write(at.join("address"), format!("{mac}\n")).unwrap();
            std::fs::write(at.join("carrier"), "1\n").unwrap();
            std::os::unix::fs::symlink(dir.path().join("devices").join(bus), at.join("device")).unwrap();
        }
        let command = BootIface::of("eth0", &was()).wait();
        let command = command.replace("/sys/", &format!("{root}/sys/")).replace("/run/", &format!("{root}/run/"));
        // Its patience is the host's, not this test's.
        let command = command.replace(&format!("-ge {PATIENCE}"), "-ge 2");
        Command::new("dash").args(["-c", &command]).status().unwrap();
        std::fs::read_to_string(dir.path().join(format!("run/{DIRECTORY}/if-eth0"))).ok()
    }

    #[test]
    fn an_interface_is_found_again_by_address_and_place_and_no_other_is_taken_for_it() {
        const MAC: &str = "02:00:00:00:00:0a";
        const OTHER: &str = "02:00:00:00:00:0b";
        let cases: &[(&str, &[Card], Option<&str>)] = &[
            ("as it was", &[("eth0", MAC, "0000:00:03.0"), ("eth1", OTHER, "0000:00:04.0")], Some("eth0")),
            ("names changed places", &[("eth0", OTHER, "0000:00:04.0"), ("eth1", MAC, "0000:00:03.0")], Some("eth1")),
            ("another slot", &[("lan0", MAC, "0000:00:09.0"), ("eth0", OTHER, "0000:00:04.0")], Some("lan0")),
            ("another card in its slot", &[("eth0", OTHER, "0000:00:03.0")], Some("eth0")),
            ("a bond's address on both", &[("a", MAC, "0000:00:04.0"), ("b", MAC, "0000:00:03.0")], Some("b")),
            ("two of its address elsewhere", &[("a", MAC, "0000:00:04.0"), ("b", MAC, "0000:00:05.0")], None),
            ("gone, its name another's", &[("eth0", OTHER, "0000:00:04.0")], None),
        ];
        for (what, cards, name) in cases {
            assert_eq!(by_lowlat(cards).as_deref(), *name, "{what}");
            assert_eq!(by_shell(cards).as_deref(), *name, "the unit: {what}");
        }
    }

    #[test]
    fn a_virtual_interface_is_known_by_its_name() {
        let sys = FakeSys::new().net(&NetQuery::Links, vec![link_named(1, "br0", "02:00:00:00:00:0c")]);
        assert_eq!(name_now(&sys, &Device { name: "br0".into(), ..Device::default() }).as_deref(), Some("br0"));
        assert_eq!(name_now(&sys, &Device { name: "br1".into(), ..Device::default() }), None);
    }
}
