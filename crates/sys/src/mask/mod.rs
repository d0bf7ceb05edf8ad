//! What identifies a person, a site or one machine is replaced in a capture, equal values by equal ones.
//!
//! Two ways together. Addresses and UUIDs are found by their shape ([`address`]). Names and serial numbers have no
//! shape, so the host itself is asked which are its own ([`known`]), and each is searched for in everything that is
//! stored. Boot parameters and names of processes may hold anything at all, so of them only what lowlat knows is kept
//! ([`files`]).

mod address;
mod files;
mod known;
mod parameters;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{NetQuery, Sys};
pub(crate) use files::{Kept, kept_command, process_of};
use known::Word;

/// Replaces addresses, names, serial numbers and other marks of one host.
///
/// Kept: all-zero and broadcast MACs; loopback, unspecified, multicast and netmask addresses, which tell nothing of a
/// host. IPv4 becomes one of the documentation networks of RFC 5737 and then 10.0.0.0/8, IPv6 `2001:db8::/32`
/// (RFC 3849), link-local stays link-local, MACs become locally administered ones. Prefixes are not kept: two addresses
/// of one network come out in none in common.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    words: Vec<Word>,
    ifaces: BTreeSet<String>,
    macs: BTreeMap<String, usize>,
    uuids: BTreeMap<String, usize>,
    v4: BTreeMap<Ipv4Addr, Ipv4Addr>,
    v6: BTreeMap<Ipv6Addr, Ipv6Addr>,
    groups: BTreeMap<String, usize>,
}

/// Control groups that systemd makes on every host, and the mount of version 2 beside version 1.
const OF_EVERY_HOST: &[&str] = &["system.slice", "user.slice", "machine.slice", "init.scope", "unified"];
/// What files of a group and mounts of version 1 begin with (man 7 cgroups; Documentation/admin-guide/cgroup-v2.rst).
const CONTROLLERS: &[&str] = &[
    "blkio",
    "cgroup",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "dmem",
    "freezer",
    "hugetlb",
    "io",
    "irq",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
    "rdma",
    "name",
];
/// Kinds of systemd's units that have groups.
const UNITS: &[&str] = &["slice", "service", "scope", "mount", "socket", "swap"];

impl Mask {
    /// A mask that also hides what `sys` says are this host's own names and numbers.
    pub(crate) fn of(sys: &dyn Sys) -> Self {
        let mut mask = Self { ifaces: known::interfaces(sys), ..Self::default() };
        mask.words = known::words(sys, &mut mask);
        mask
    }

    /// A text with everything replaced.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let text = self.replace_words(text);
        self.addresses(&text)
    }

    /// A path, a link's target or a directory's entry: its parts are the kernel's words, but for interfaces, addresses
    /// and the kernel's release.
    pub(crate) fn path(&mut self, path: &str) -> String {
        if path.contains("/boot/") {
            return self.text(path);
        }
        if let Some(group) = path.strip_prefix("/sys/fs/cgroup/") {
            return format!("/sys/fs/cgroup/{}", self.groups(group));
        }
        let parts: Vec<String> = path
            .split('/')
            .map(|part| {
                // `lower_eth0` and `upper_eth0` beside `eth0`.
                let name = part.strip_prefix("lower_").or_else(|| part.strip_prefix("upper_")).unwrap_or(part);
                if self.ifaces.contains(name) { self.text(part) } else { self.addresses(part) }
            })
            .collect();
        parts.join("/")
    }

    /// The path of a control group below where they are mounted: a group is called after a user, a service or a container.
    pub(crate) fn groups(&mut self, path: &str) -> String {
        let parts: Vec<String> = path.split('/').map(|part| self.group(part)).collect();
        parts.join("/")
    }

    fn group(&mut self, part: &str) -> String {
        // A file of the core or of a controller; a mount of version 1, which is called after its controllers.
        let first = part.split(['.', ',', '=']).next().unwrap_or_default();
        if part.is_empty() || OF_EVERY_HOST.contains(&part) || CONTROLLERS.contains(&first) {
            return part.to_owned();
        }
        let kind = part.rsplit_once('.').map(|(_, kind)| kind).filter(|k| UNITS.contains(k));
        let next = self.groups.len() + 1;
        let number = *self.groups.entry(part.to_owned()).or_insert(next);
        kind.map_or_else(|| format!("group{number}"), |kind| format!("group{number}.{kind}"))
    }

    /// Bytes: what is text of them is replaced, what is none stays, so that it is garbled again.
    pub(crate) fn bytes(&mut self, bytes: &[u8], one: &mut dyn FnMut(&mut Self, &str) -> String) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            out.extend_from_slice(one(self, chunk.valid()).as_bytes());
            out.extend_from_slice(chunk.invalid());
        }
        out
    }

    /// A reply with every text in it replaced, keys too.
    pub(crate) fn reply(&mut self, query: &NetQuery, value: serde_json::Value) -> serde_json::Value {
        use NetQuery as Q;
        match query {
            // Versions look like addresses (firmware 10.2.0.1) and tell nothing of the host.
            Q::Driver(_) | Q::Uname => json(value, &mut |t| self.replace_words(t)),
            // What runs on a host is its owner's business.
            Q::XskSockets => without(value, "owner"),
            Q::Redirects(_) => json(without(value, "program_name"), &mut |t| self.addresses(t)),
            Q::TcxPrograms => {
                json(of_each(value, &|all| without(without(all, "owner"), "name")), &mut |t| self.text(t))
            }
            Q::Links | Q::Stack | Q::Addresses | Q::Routes | Q::Qdiscs | Q::TcpSockets | Q::NftRules => {
                json(value, &mut |t| self.text(t))
            }
            // The others hold the driver's and the kernel's words and numbers; a host called `rx` is in none of them.
            _ => json(value, &mut |t| self.addresses(t)),
        }
    }

    /// Replaces the known words, the longest first.
    fn replace_words(&self, text: &str) -> String {
        if self.words.is_empty() {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut before = None;
        'next: while let Some(first) = rest.chars().next() {
            for word in &self.words {
                if let Some(end) = word.at(before, rest) {
                    before = rest[..end].chars().next_back();
                    out.push_str(&word.instead);
                    rest = &rest[end..];
                    continue 'next;
                }
            }
            out.push(first);
            before = Some(first);
            rest = &rest[first.len_utf8()..];
        }
        out
    }
}

/// A list of objects, each without one of its keys.
fn without(mut value: serde_json::Value, key: &str) -> serde_json::Value {
    for object in value.as_array_mut().into_iter().flatten().filter_map(|v| v.as_object_mut()) {
        object.remove(key);
    }
    value
}

/// An object with each of its values changed.
fn of_each(mut value: serde_json::Value, change: &dyn Fn(serde_json::Value) -> serde_json::Value) -> serde_json::Value {
    for one in value.as_object_mut().into_iter().flat_map(|o| o.values_mut()) {
        *one = change(one.take());
    }
    value
}

fn json(value: serde_json::Value, text: &mut dyn FnMut(&str) -> String) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(s) => Value::String(text(&s)),
        Value::Array(a) => Value::Array(a.into_iter().map(|v| json(v, text)).collect()),
        Value::Object(o) => Value::Object(o.into_iter().map(|(k, v)| (text(&k), json(v, text))).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(secrets: &[(&str, &str)]) -> Mask {
        let words = secrets.iter().filter_map(|(word, instead)| Word::new(word, instead)).collect();
        Mask { words: known::sorted(words), ..Mask::default() }
    }

    #[test]
    fn the_same_becomes_the_same() {
        let mut m = of(&[("trader7", "host")]);
        assert_eq!(m.text("trader7 10.1.2.3/24 via 10.1.2.1."), "host 192.0.2.1/24 via 192.0.2.2.");
        assert_eq!(m.text("10.1.2.3:5001"), "192.0.2.1:5001");
        assert_eq!(m.text("[2a01:4f8::7]:80 fe80::1c2d:3eff:fe4f:5a6b"), "[2001:db8::1]:80 fe80::2");
        assert_eq!(
            m.text("link AA:bb:cc:dd:ee:01 and aa-bb-cc-dd-ee-01, enxaabbccddee01"),
            "link 02:00:00:00:00:01 and 02-00-00-00-00-01, enx020000000001"
        );
        assert_eq!(
            m.text("UUID=6F1B5A0C-93d2-4c4b-8f0e-2a7f7d1c9e11 6f1b5a0c-93d2-4c4b-8f0e-2a7f7d1c9e11."),
            "UUID=00000000-0000-4000-8000-000000000001 00000000-0000-4000-8000-000000000001."
        );
    }

    #[test]
    fn who_holds_a_socket_is_not_stored() {
        let reply = serde_json::json!([{"index": 3, "queue": 0, "inode": 7, "owner": "strategy (4711)"}]);
        let kept = Mask::default().reply(&NetQuery::XskSockets, reply);
        assert_eq!(kept, serde_json::json!([{"index": 3, "queue": 0, "inode": 7}]));
    }

    #[test]
    fn programs_of_the_hooks_keep_neither_name_nor_holder() {
        let reply =
            serde_json::json!({"eth0": [{"hook": "egress", "id": 7, "name": "strategy", "owner": "strategy (4711)"}]});
        let kept = Mask::default().reply(&NetQuery::TcxPrograms, reply);
        assert_eq!(kept, serde_json::json!({"eth0": [{"hook": "egress", "id": 7}]}));
        let reply =
            serde_json::json!([{"kind": "bpf", "to": [], "opaque": true, "program_id": 7, "program_name": "strategy"}]);
        let kept = Mask::default().reply(&NetQuery::Redirects("eth0".into()), reply);
        assert_eq!(kept, serde_json::json!([{"kind": "bpf", "to": [], "opaque": true, "program_id": 7}]));
    }

    #[test]
    fn names_are_found_in_any_case_and_inside_longer_ones() {
        let mut m =
            of(&[("trader7", "host"), ("trader7.desk.example", "host"), ("alice", "user1"), ("Bob's Wi-Fi", "wifi1")]);
        assert_eq!(m.text("TRADER7.desk.example xtrader7y br-trader7"), "host xhosty br-host");
        assert_eq!(
            m.text("alice's /srv/people/alice/x alice_run malice"),
            "user1's /srv/people/user1/x user1_run malice"
        );
        assert_eq!(m.text("ssid=\"bob's wi-fi\""), "ssid=\"wifi1\"");
    }

    #[test]
    fn what_is_not_an_address_stays() {
        let mut m = of(&[("vm", "host"), ("performance", "host"), ("localhost", "host")]);
        let text = "127.0.0.1 ::1 0.0.0.0 255.255.255.0 0000:00:03.0 6.18.44 vm.swappiness 12:34:56 a:: kvm performance\n\
                    ff:ff:ff:ff:ff:ff 0000:3b:00.1-rx-0 mlx5_comp0@pci:0000:81:00.0 virtio2-input.0 dead beef 10.5e9 1.2.3\n";
        assert_eq!(m.text(text), text.replace("a::", "2001:db8::1"));
    }

    #[test]
    fn an_address_inside_other_signs_is_found() {
        let mut m = Mask::default();
        for (text, want) in [
            ("10.9.8.7-10.9.8.9", "192.0.2.1-192.0.2.2"),
            ("web10.9.8.7_x", "web192.0.2.1_x"),
            ("10.9.8.7.443", "192.0.2.1.443"),
            ("tcp:10.9.8.7:80", "tcp:192.0.2.1:80"),
            ("fe:10.9.8.7", "fe:192.0.2.1"),
            ("::ffff:10.9.8.7", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::2%eth0"),
            ("1:2a01:4f8:1:2:3:4:5:6", "1:2001:db8::3"),
            (":2a01:4f8::7,", ":2001:db8::4,"),
            ("00:11:22:33:44:55:66:77", "02:00:00:00:00:01:00:00"),
        ] {
            assert_eq!(m.text(text), want, "{text}");
        }
    }

    #[test]
    fn a_path_keeps_the_kernels_words() {
        let mut m = of(&[("net", "host"), ("trader7", "host")]);
        m.ifaces.insert("br-trader7".into());
        assert_eq!(m.path("/sys/class/net/br-trader7/mtu"), "/sys/class/net/br-host/mtu");
        assert_eq!(m.path("/sys/class/net/bond0/lower_br-trader7"), "/sys/class/net/bond0/lower_br-host");
        assert_eq!(m.path("/sys/class/net/enx001122334455/mtu"), "/sys/class/net/enx020000000001/mtu");
    }

    proptest! {
        #[test]
        fn any_text_is_masked_without_panic(s in "\\PC{0,80}", t in "[0-9a-f:.xX-]{0,60}") {
            let mut m = of(&[("h2", "host"), ("ä é", "user1")]);
            let _ = (m.text(&s), m.text(&t));
        }
    }
}
