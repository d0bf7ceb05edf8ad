//! A host's own names and numbers, as the host itself reports them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use lowlat_model::Reading;

use super::Mask;
use crate::{Sys, query};

/// Words to which lowlat, the kernel or a driver gives a meaning. A host called `performance` is not given away where
/// the kernel writes that word, and replacing it would change what the capture says.
const MEANT: &str = "vm kvm lo eth eth0 eth1 net dev all any none host user root daemon nobody localhost localdomain local \
    on off up down yes no rx tx cpu irq node numa mem io udp tcp ip ipv4 ipv6 inet inet6 arp link mtu full half unknown \
    performance powersave ondemand conservative schedutil userspace tsc hpet acpi_pm kvm-clock xen jiffies poll halt \
    intel amd arm64 x86 x86_64 aarch64 linux debian ubuntu kernel generic virtio qemu vmware xenial amazon google microsoft \
    default always never madvise enabled disabled active inactive native ptp ptp4l phc2sys ts2phc chronyd ntpd irqbalance \
    filter nat mangle raw security input output forward prerouting postrouting ingress clsact fq fq_codel codel pfifo \
    pfifo_fast bfifo noqueue mq netem tbf htb cake reno cubic bbr";

/// A word of this host and its replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    text: String,
    pub(super) instead: String,
    /// Also inside a longer word. A mere word of letters is looked for on its own only: `alice` is not in `malice`.
    anywhere: bool,
}

impl Word {
    /// `None` for what is too short or too common to report anybody.
    pub(super) fn new(word: &str, instead: &str) -> Option<Self> {
        let word = word.trim();
        if word.chars().count() < 2 || MEANT.split_whitespace().any(|m| m.eq_ignore_ascii_case(word)) {
            return None;
        }
        let anywhere = word.chars().count() >= 6 && !word.chars().all(char::is_alphabetic);
        Some(Self { text: word.to_owned(), instead: instead.to_owned(), anywhere })
    }

    /// Where the word ends if the text begins with it; `before` is the sign before the text.
    pub(super) fn at(&self, before: Option<char>, text: &str) -> Option<usize> {
        let head = text.get(..self.text.len())?;
        if !head.eq_ignore_ascii_case(&self.text) {
            return None;
        }
        let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let stands_alone = !inside(before) && !inside(text[self.text.len()..].chars().next());
        (self.anywhere || stands_alone).then_some(self.text.len())
    }
}

/// The longest first, so that no rest of a longer one is left.
pub(super) fn sorted(mut words: Vec<Word>) -> Vec<Word> {
    words.sort_by(|a, b| b.text.len().cmp(&a.text.len()).then_with(|| a.text.cmp(&b.text)));
    words.dedup_by(|a, b| a.text.eq_ignore_ascii_case(&b.text));
    words
}

/// The names of all interfaces.
pub(super) fn interfaces(sys: &dyn Sys) -> BTreeSet<String> {
    let links = query::links(sys).into_value().unwrap_or_default();
    let listed = sys.list("/sys/class/net").into_value().unwrap_or_default();
    links.into_iter().map(|l| l.name).chain(listed).collect()
}

fn text(sys: &dyn Sys, path: &str) -> String {
    match sys.read(path) {
        Reading::Value(t) => t.trim_matches(['\0', '\n', ' ', '\t']).to_owned(),
        _ => String::new(),
    }
}

/// Everything that `sys` says is its own.
pub(super) fn words(sys: &dyn Sys, mask: &mut Mask) -> Vec<Word> {
    let mut all = Vec::new();
    for name in host_names(sys) {
        all.extend(Word::new(&name, "host"));
    }
    let kinds = [("domain", domains(sys)), ("user", users(sys)), ("wifi", wifi_names(sys)), ("serial", serials(sys))];
    for (kind, found) in kinds {
        let found: BTreeSet<String> = found.into_iter().collect();
        for (n, word) in (1..).zip(found) {
            all.extend(Word::new(&word, &format!("{kind}{n}")));
        }
    }
    for (n, id) in (1..).zip(ids(sys)) {
        // As it is written, and without its dashes.
        all.extend([id.clone(), id.replace('-', "")].iter().filter_map(|id| Word::new(id, &format!("{n:032x}"))));
    }
    all.extend(other_forms(sys, mask));
    sorted(all)
}

/// Hardware and IP addresses in the forms that show by nothing: without signs, in groups of four, with dashes.
fn other_forms(sys: &dyn Sys, mask: &mut Mask) -> Vec<Word> {
    let mut all = Vec::new();
    for mac in query::links(sys).into_value().unwrap_or_default().into_iter().filter_map(|l| l.mac) {
        let bare = mac.replace(':', "");
        let instead = mask.mac(&bare, "");
        if instead != bare && bare.is_ascii() {
            all.extend(Word::new(&bare, &instead));
            if bare.len() == 12 && instead.len() == 12 {
                let groups = |t: &str| format!("{}.{}.{}", &t[..4], &t[4..8], &t[8..]);
                all.extend(Word::new(&groups(&bare), &groups(&instead)));
            }
        }
    }
    for address in query::addresses(sys).into_value().unwrap_or_default() {
        let ip = address.address.split('/').next().unwrap_or_default();
        if let Ok(IpAddr::V4(ip)) = ip.parse()
            && let Some(instead) = mask.v4_of(ip)
        {
            // ip-10-0-0-1.ec2.internal
            all.extend(Word::new(&ip.to_string().replace('.', "-"), &instead.replace('.', "-")));
        }
    }
    all
}

fn host_names(sys: &dyn Sys) -> Vec<String> {
    let mut names = vec![text(sys, "/proc/sys/kernel/hostname"), text(sys, "/etc/hostname")];
    // hosts(5): an address and its names.
    for line in text(sys, "/etc/hosts").lines() {
        let line = line.split('#').next().unwrap_or_default();
        names.extend(line.split_whitespace().skip(1).filter(|n| !n.starts_with("ip6-")).map(str::to_owned));
    }
    let short: Vec<String> = names.iter().filter_map(|n| n.split_once('.')).map(|(s, _)| s.to_owned()).collect();
    names.extend(short);
    names
}

fn domains(sys: &dyn Sys) -> Vec<String> {
    let mut found = vec![text(sys, "/proc/sys/kernel/domainname")];
    // resolv.conf(5)
    for line in text(sys, "/etc/resolv.conf").lines() {
        let mut words = line.split_whitespace();
        if matches!(words.next(), Some("search" | "domain")) {
            found.extend(words.map(|w| w.trim_end_matches('.').to_owned()));
        }
    }
    found.extend(host_names(sys).iter().filter_map(|n| n.split_once('.')).map(|(_, domain)| domain.to_owned()));
    found.retain(|d| d.len() > 3 && d != "(none)");
    found
}

/// People, not daemons: from 1000 on (`UID_MIN`, login.defs(5)), without `nobody`; their names at length, and homes.
fn users(sys: &dyn Sys) -> Vec<String> {
    let mut found = sys.list("/home").into_value().unwrap_or_default();
    // passwd(5): name, password, uid, gid, comment, home, shell.
    for line in text(sys, "/etc/passwd").lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, _, comment, home, ..] = fields.as_slice() else { continue };
        if uid.parse::<u32>().is_ok_and(|uid| uid >= 1000 && uid != 65_534) {
            found.push((*name).to_owned());
            found.push(comment.split(',').next().unwrap_or_default().to_owned());
            found.extend(home.rsplit('/').next().map(str::to_owned));
        }
    }
    found.retain(|u| u != "lost+found");
    found
}

/// The networks that NetworkManager, wpa_supplicant and iwd know.
fn wifi_names(sys: &dyn Sys) -> Vec<String> {
    let mut found = Vec::new();
    let names = |dir: &str| sys.list(dir).into_value().unwrap_or_default();
    for file in names("/etc/NetworkManager/system-connections") {
        let own = text(sys, &format!("/etc/NetworkManager/system-connections/{file}"));
        found.extend(own.lines().filter_map(|l| l.strip_prefix("ssid=").or(l.strip_prefix("id="))).map(str::to_owned));
        found.extend(file.strip_suffix(".nmconnection").map(str::to_owned));
    }
    for file in names("/etc/wpa_supplicant").into_iter().filter(|f| f.rsplit('.').next() == Some("conf")) {
        let own = text(sys, &format!("/etc/wpa_supplicant/{file}"));
        let ssids = own.lines().filter_map(|l| l.trim().strip_prefix("ssid="));
        found.extend(ssids.map(|s| s.trim_matches('"').to_owned()));
    }
    for file in names("/var/lib/iwd") {
        found.extend(
            ["psk", "open", "8021x"].iter().find_map(|e| file.strip_suffix(&format!(".{e}")).map(str::to_owned)),
        );
    }
    found
}

/// Serial numbers of firmware and boards (Documentation/ABI/testing/sysfs-firmware-dmi-entries, devicetree
/// `serial-number`). Vendors fill the field with words where they have none.
fn serials(sys: &dyn Sys) -> Vec<String> {
    let dmi = [
        "product_serial",
        "board_serial",
        "chassis_serial",
        "product_asset_tag",
        "board_asset_tag",
        "chassis_asset_tag",
    ];
    let mut found: Vec<String> = dmi.iter().map(|f| text(sys, &format!("/sys/class/dmi/id/{f}"))).collect();
    found.push(text(sys, "/proc/device-tree/serial-number"));
    found.retain(|s| s.len() > 3 && s.bytes().any(|b| b.is_ascii_digit()));
    found
}

fn ids(sys: &dyn Sys) -> Vec<String> {
    [
        "/etc/machine-id",
        "/var/lib/dbus/machine-id",
        "/sys/class/dmi/id/product_uuid",
        "/sys/class/dmi/id/product_serial",
    ]
    .iter()
    .map(|path| text(sys, path))
    .filter(|id| id.len() >= 32 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-'))
    .collect()
}
