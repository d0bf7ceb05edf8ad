//! Packets dropped for the way they came.

use lowlat_model::Severity;

use crate::look::{finding, on_path, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// IPv4 packets that reverse path filtering dropped: the kernel's route back to their source does not use the
    /// interface on which they arrived.
    /// ## Why it matters
    /// The packets arrive, show in `tcpdump`, and reach no program. Multicast feeds suffer most, because they come from
    /// networks to which the host has another route or none. Hosts with two interfaces in one network and asymmetric
    /// routes are affected too.
    /// ## Threshold
    /// Any growth of `TcpExt.IPReversePathFilter` in the counter window. The evidence names the multicast groups that
    /// programs have joined on the path's interfaces: their feeds are the likely victims.
    /// ## Remedy
    /// Add a route to the feed's source over the interface on which it arrives, or set loose mode there
    /// (`net.ipv4.conf.IF.rp_filter = 2`). The larger of the interface's value and that of `all` applies: with `all` at
    /// 1, a 0 at one interface has no effect, but a 2 there sets loose mode. Packets with forged sources are meant to
    /// be dropped this way.
    pub ReversePathDrops = "reverse-path-drops";
    sources [
        "net/ipv4/ip_input.c in linux 6.12: ip_rcv_finish_core (LINUX_MIB_IPRPFILTER)",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: rp_filter",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    if !seen.counted(window, "netstat") {
        return;
    }
    let key = "TcpExt.IPReversePathFilter";
    let Some(by) = window.delta("netstat", key).filter(|by| *by > 0) else { return };
    let mut evidence = vec![format!("{key} grew by {by} {} (/proc/net/netstat)", within(window))];
    let all = "net.ipv4.conf.all.rp_filter";
    evidence.extend(input.facts.sysctl(all).map(|value| format!("{all} = {}", value.trim())));
    for (name, iface) in on_path(input.facts) {
        if let Some(groups) = iface.multicast_groups.value().filter(|g| !g.is_empty()) {
            let some: Vec<&str> = groups.iter().take(3).map(String::as_str).collect();
            let more = if groups.len() > some.len() { ", …" } else { "" };
            evidence.push(format!(
                "programs have joined {} multicast groups on {name}: {}{more}",
                groups.len(),
                some.join(", ")
            ));
        }
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "packets are dropped by reverse path filtering".to_owned(),
        evidence,
        "give the host a route to their source over that interface, or set rp_filter of the interface to 2 (loose)",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn a_feed_that_comes_by_another_way() {
        let mut facts = healthy();
        facts.sysctls.insert("net.ipv4.conf.all.rp_filter".into(), Reading::Value("1".into()));
        let groups = ["233.54.12.1", "233.54.12.2", "233.54.12.3", "233.54.12.4"];
        lowlat_testkit::facts::iface(&mut facts).multicast_groups = Reading::Value(groups.map(str::to_owned).into());
        grow(&mut facts, "netstat", "TcpExt.IPReversePathFilter", 400);
        let said = [
            "TcpExt.IPReversePathFilter grew by 400 in 1000 ms (/proc/net/netstat)",
            "net.ipv4.conf.all.rp_filter = 1",
            "programs have joined 4 multicast groups on eth0: 233.54.12.1, 233.54.12.2, 233.54.12.3, …",
        ];
        only(NAME, &facts, &said, &[]);
    }

    #[test]
    fn blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        deny_group(&mut facts, "netstat");
        blind(NAME, &facts, "netstat", "denied");
    }
}
