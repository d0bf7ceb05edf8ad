//! A multicast receiver that also gets what others joined.

use std::collections::BTreeSet;

use lowlat_model::Severity;

use crate::look::{few, finding, socket};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A UDP socket of the application that is bound to any address while several multicast groups are joined.
    /// ## Why it matters
    /// With IP_MULTICAST_ALL, which is on unless it is set to 0, such a socket receives the datagrams of every group
    /// that any socket of the network namespace joined, if the port is the same. They cost time and room in the buffer,
    /// and a program that does not look at the destination takes them for its own.
    /// ## Threshold
    /// Two groups or more are joined in the process's namespace, 224.0.0.1 left out. The kernel does not show which
    /// socket joined which group, so a program that joined all of them itself is reported too. Groups of IPv6 are not
    /// looked at, and so neither is a socket at [::] that takes IPv6 alone (IPV6_V6ONLY); one that takes both receives
    /// them.
    /// ## Remedy
    /// setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &(int){0}, sizeof(int)), or bind the socket to the group's address.
    pub DatagramsOfOtherGroups = "datagrams-of-other-groups";
    sources [
        "man 7 ip (IP_MULTICAST_ALL)",
        "net/ipv4/igmp.c in linux 6.12: ip_mc_sf_allow",
        "net/ipv4/udp.c in linux 6.12: __udp_is_mcast_sock (ipv6_only_sock)",
        "net/ipv4/inet_diag.c in linux 6.12: inet_diag_msg_attrs_fill (INET_DIAG_SKV6ONLY)",
        "include/uapi/linux/inet_diag.h in linux 6.12: struct inet_diag_sockopt, mc_all",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(application) = &input.facts.application else { return };
    let mut evidence = Vec::new();
    for s in &application.sockets {
        let any = s.local.starts_with("0.0.0.0:") || s.local.starts_with("[::]:");
        // Without a port nobody can send to it.
        if s.protocol != "udp" || s.state != "close" || !any || s.local.ends_with(":0") || s.v6_only == Some(true) {
            continue;
        }
        let Some(process) = s.owners.first().and_then(|o| application.process(o.pid)) else { continue };
        let Some(groups) = seen.need(format!("multicast groups of process {}", process.pid), &process.groups) else {
            continue;
        };
        let joined: BTreeSet<&str> = groups.values().flatten().map(String::as_str).collect();
        if joined.len() < 2 {
            continue;
        }
        if !*seen.need(format!("IP_MULTICAST_ALL of {}", socket(s)), &s.multicast_all).unwrap_or(&false) {
            continue;
        }
        let shown: Vec<&str> = joined.iter().copied().take(4).collect();
        evidence.push(format!(
            "{}: IP_MULTICAST_ALL on, {} groups joined here: {}",
            socket(s),
            joined.len(),
            shown.join(", ")
        ));
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Info,
        "the application also receives datagrams of multicast groups that others joined".to_owned(),
        few(evidence),
        "setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &(int){0}, sizeof(int)), or bind the socket to its group's address",
    ));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lowlat_model::Reading;
    use lowlat_testkit::application::of;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn several_groups_and_any_address() {
        let mut facts = healthy();
        let groups = vec!["239.1.1.10".to_owned(), "239.1.1.11".to_owned()];
        of(&mut facts).processes[0].groups = Reading::Value(BTreeMap::from([("eth0".to_owned(), groups)]));
        let line =
            "feed[812] fd 8: udp 0.0.0.0:6000: IP_MULTICAST_ALL on, 2 groups joined here: 239.1.1.10, 239.1.1.11";
        only(NAME, &facts, &[line], &[]);
        of(&mut facts).sockets[1].multicast_all = Reading::Unsupported("x".into());
        blind(NAME, &facts, "IP_MULTICAST_ALL of", "unsupported");
        of(&mut facts).sockets[1].multicast_all = Reading::Value(false);
        assert_eq!(rule(NAME, &facts), Seen::default());
        of(&mut facts).sockets[1].multicast_all = Reading::Value(true);
        of(&mut facts).sockets[1].local = "239.1.1.10:6000".into();
        assert_eq!(rule(NAME, &facts), Seen::default(), "bound to its group");
        of(&mut facts).sockets[1].local = "[::]:6000".into();
        for (v6_only, found) in [(None, 1), (Some(false), 1), (Some(true), 0)] {
            of(&mut facts).sockets[1].v6_only = v6_only;
            assert_eq!(rule(NAME, &facts).findings.len(), found, "{v6_only:?}");
        }
    }
}
