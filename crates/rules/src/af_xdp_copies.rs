//! AF_XDP sockets that copy.

use lowlat_model::Severity;
use lowlat_model::facts::XdpSocket;

use crate::look::{finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// An AF_XDP socket on the path for which the kernel copies each packet.
    /// ## Why it matters
    /// A socket asks for zero-copy and silently gets copying where the driver, the queue or the XDP mode does not offer
    /// it, unless the program insists. Each packet is then allocated and copied as without AF_XDP; much of the gain is gone.
    /// ## Threshold
    /// The kernel reports the socket's memory without the zero-copy flag. It is a warning where the driver offers zero-copy
    /// (`xsk-zerocopy`), and `info` otherwise.
    /// ## Remedy
    /// Bind with `XDP_ZEROCOPY`, which fails instead of copying, and read why: a generic XDP program, an MTU or number
    /// of channels that the driver refuses, another socket on the queue. `lowlat bypass check` names what is missing.
    pub AfXdpCopies = "af-xdp-copies";
    sources [
        "Documentation/networking/af_xdp.rst in linux 6.12: XDP_COPY and XDP_ZEROCOPY bind flags",
        "net/xdp/xsk_diag.c in linux 6.12: xsk_diag_put_umem (XDP_DU_F_ZEROCOPY)",
    ];
    follows ["generic-xdp"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let sockets = match &input.facts.xdp_sockets {
        // A kernel without their diagnosis has no list; most have no AF_XDP at all then.
        lowlat_model::Reading::Absent(_) | lowlat_model::Reading::Unsupported(_) if input.facts.iface.is_none() => {
            return;
        }
        other => match seen.need("AF_XDP sockets", other) {
            Some(sockets) => sockets,
            None => return,
        },
    };
    for (name, iface) in on_path(input.facts) {
        let copies: Vec<&XdpSocket> =
            sockets.iter().filter(|s| s.iface == name && s.zero_copy == Some(false)).collect();
        if copies.is_empty() {
            continue;
        }
        let offered = iface.xdp_features.value().is_some_and(|f| f.iter().any(|f| f == "xsk-zerocopy"));
        let line = |s: &&XdpSocket| {
            let owner = s.owner.as_ref().map_or_else(String::new, |o| format!(" of {o}"));
            format!("the socket{owner} on {name} queue {} copies", s.queue)
        };
        let mut evidence: Vec<String> = copies.iter().map(line).collect();
        evidence.push(format!("the driver {} zero-copy", if offered { "offers" } else { "does not offer" }));
        seen.found(finding(
            NAME,
            if offered { Severity::Warning } else { Severity::Info },
            format!("AF_XDP sockets on {name} copy each packet"),
            evidence,
            "bind with XDP_ZEROCOPY and read why it fails; `lowlat bypass check` names what is missing",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule};

    fn socket(zero_copy: Option<bool>) -> XdpSocket {
        XdpSocket { iface: "eth0".into(), queue: 1, zero_copy, owner: Some("feed (42)".into()) }
    }

    #[test]
    fn a_copying_socket_on_a_driver_that_can_do_without() {
        let mut facts = healthy();
        for silent in [Some(true), None] {
            facts.xdp_sockets = Reading::Value(vec![socket(silent)]);
            assert_eq!(rule(NAME, &facts), Seen::default());
        }
        facts.xdp_sockets = Reading::Value(vec![socket(Some(false))]);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info);
        iface(&mut facts).xdp_features = Reading::Value(vec!["basic".into(), "xsk-zerocopy".into()]);
        only(NAME, &facts, &["the socket of feed (42) on eth0 queue 1 copies", "the driver offers zero-copy"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Warning);
    }

    #[test]
    fn blind_where_they_may_not_be_listed() {
        let mut facts = healthy();
        facts.xdp_sockets = Reading::Denied("x".into());
        blind(NAME, &facts, "AF_XDP sockets", "denied");
    }
}
