//! Connections that two packets begin at once.

use lowlat_model::Severity;

use crate::look::{finding, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Packets of new connections that were dropped because connection tracking could not insert their entry.
    /// ## Why it matters
    /// When two packets of a new flow arrive close together, such as a resolver's A and AAAA queries, each creates an
    /// entry. The second entry to be confirmed clashes with the first, and its packet is dropped. With source NAT, two
    /// flows can also get the same translated port. The program then waits for its own timeout: five seconds in a DNS
    /// client.
    /// ## Threshold
    /// Any growth of `insert_failed` in the counter window. The table need not be full.
    /// ## Remedy
    /// Exempt such flows from tracking (`notrack` in the raw table), or let NAT choose ports at random
    /// (`--random-fully`, `fully-random`). A resolver can send its queries one after the other
    /// (`options single-request`). lowlat edits no packet filter.
    pub ConnectionTrackingClashes = "connection-tracking-clashes";
    sources [
        "net/netfilter/nf_conntrack_core.c in linux 6.12: nf_ct_resolve_clash, __nf_conntrack_confirm (insert_failed)",
        "man 8 iptables-extensions (MASQUERADE, --random-fully)",
        "man 5 resolv.conf (single-request)",
        "https://github.com/kubernetes/kubernetes/issues/56903",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    if !seen.counted(window, "conntrack") {
        return;
    }
    let Some(by) = window.delta("conntrack", "insert_failed").filter(|by| *by > 0) else { return };
    seen.found(finding(
        NAME,
        Severity::Critical,
        "connection tracking drops packets that begin a connection twice".to_owned(),
        vec![format!("insert_failed grew by {by} {} (/proc/net/stat/nf_conntrack)", within(window))],
        "leave such flows out (notrack), or let NAT choose ports at random (--random-fully); lowlat edits no packet filter",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn inserts_that_fail() {
        let mut facts = healthy();
        grow(&mut facts, "conntrack", "insert_failed", 60);
        only(NAME, &facts, &["insert_failed grew by 60 in 1000 ms (/proc/net/stat/nf_conntrack)"], &[]);
    }

    #[test]
    fn blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        deny_group(&mut facts, "conntrack");
        blind(NAME, &facts, "conntrack", "denied");
    }
}
