//! ufw, which applies sysctls of its own when it starts.

use lowlat_model::{Claim, Locus};

use crate::files::text;
use crate::ini::{last, parse};
use crate::sysctl_d::assigned;
use crate::{Host, Owner, sysctl_key};

#[derive(Debug)]
pub(crate) struct Ufw;

impl Owner for Ufw {
    fn file(&self) -> &'static str {
        file!()
    }
    fn claims(&self, host: &Host<'_>, locus: &Locus) -> Vec<Claim> {
        let Some(key) = sysctl_key(locus) else { return Vec::new() };
        // ufw-init-functions, `ufw_start`: both files are sourced; ENABLED is compared with yes and YES, and without IPT_SYSCTL
        // no file is applied.
        let enabled = parse(&text(host.sys, "/etc/ufw/ufw.conf"));
        if !last(&enabled, "", "ENABLED").is_some_and(|e| matches!(e.value.trim_matches('"'), "yes" | "YES")) {
            return Vec::new();
        }
        let defaults = parse(&text(host.sys, "/etc/default/ufw"));
        let Some(file) = last(&defaults, "", "IPT_SYSCTL").map(|e| e.value.trim_matches('"')) else {
            return Vec::new();
        };
        let Some((line, value)) = assigned(&text(host.sys, file), &key) else { return Vec::new() };
        vec![Claim {
            by: "ufw".to_owned(),
            file: Some(format!("{file}:{line}")),
            sets: Some(value),
            runs: true,
            wins: true,
            rule:
                "ufw applies its own file when it starts or is reloaded, over sysctl.d (IPT_SYSCTL in /etc/default/ufw; \
                 ufw-init-functions, ufw_start)"
                    .to_owned(),
            remedy: "change or remove that line, then run `ufw reload`".to_owned(),
        }]
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::State;
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn it_counts_where_it_is_enabled() {
        let found = |enabled: &str, defaults: &str| {
            let sys = FakeSys::new()
                .file("/etc/ufw/ufw.conf", &format!("ENABLED={enabled}\n"))
                .file("/etc/default/ufw", defaults)
                .file("/etc/ufw/sysctl.conf", "net/ipv4/tcp_sack=1\n");
            let locus = Locus::File { path: "/proc/sys/net/ipv4/tcp_sack".into() };
            Host::new(&sys).others(&locus, &State::Text("0".into()))
        };
        let stock = "IPT_SYSCTL=/etc/ufw/sysctl.conf\n";
        assert!(found("yes", stock)[0].wins && found("no", stock).is_empty());
        assert!(found("yes", "#IPT_SYSCTL=/etc/ufw/sysctl.conf\n").is_empty(), "without the line it applies no file");
    }
}
