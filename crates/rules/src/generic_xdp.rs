//! An XDP program in the slow place.

use lowlat_model::Severity;

use crate::look::{finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// An XDP program that runs in generic mode on the interface.
    /// ## Why it matters
    /// In generic mode the kernel makes a socket buffer of each packet and linearizes its data before the program sees
    /// it. Every packet pays for that, and the advantage of XDP is lost.
    /// ## Threshold
    /// The interface's program is in generic (skb) mode.
    /// ## Remedy
    /// Attach the program in native mode (`xdpdrv`); that fails where the driver does not support it. Then XDP gains
    /// nothing here: detach the program. lowlat never detaches a program that it did not attach.
    pub GenericXdp = "generic-xdp";
    sources [
        "net/core/dev.c in linux 6.12: do_xdp_generic, netif_receive_generic_xdp",
        "Documentation/networking/af_xdp.rst in linux 6.12: XDP_SKB and XDP_DRV",
        "man 8 ip-link (xdpgeneric, xdpdrv)",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    for (name, iface) in on_path(input.facts) {
        let Some(mode) = seen.need_of(input.facts, format!("{name} XDP program"), &iface.xdp) else { continue };
        if mode != "generic" {
            continue;
        }
        seen.found(finding(
            NAME,
            Severity::Warning,
            format!("the XDP program on {name} runs in generic mode"),
            vec![format!("{name} xdp: generic")],
            "attach it in native mode (xdpdrv), or remove it: in generic mode every packet pays for it",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn generic_and_native() {
        let mut facts = healthy();
        iface(&mut facts).xdp = Reading::Value("native".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
        iface(&mut facts).xdp = Reading::Value("generic".into());
        only(NAME, &facts, &["eth0 xdp: generic"], &[]);
        iface(&mut facts).xdp = Reading::Denied("x".into());
        blind(NAME, &facts, "XDP program", "denied");
    }
}
