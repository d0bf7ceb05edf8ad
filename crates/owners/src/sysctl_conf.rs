//! `/etc/sysctl.conf`.

use lowlat_model::{Claim, Locus};
use lowlat_sys::Sys;

use crate::files::text;
use crate::sysctl_d::assigned;
use crate::{Host, Owner, SYSCTL_FILE, sysctl_key};

#[derive(Debug)]
pub(crate) struct SysctlConf;

const FILE: &str = "/etc/sysctl.conf";

/// Whether a file of sysctl.d leads to it: Debian's `99-sysctl.conf` (systemd until 257).
pub(crate) fn is_link(sys: &dyn Sys, path: &str) -> bool {
    sys.link_target(path).value().is_some_and(|to| to == "../sysctl.conf" || to == FILE)
}

/// The link of sysctl.d by which systemd-sysctl reads it.
fn link(sys: &dyn Sys) -> Option<String> {
    let names = sys.list("/etc/sysctl.d").into_value().unwrap_or_default();
    names.into_iter().find(|n| is_link(sys, &format!("/etc/sysctl.d/{n}")))
}

impl Owner for SysctlConf {
    fn file(&self) -> &'static str {
        file!()
    }
    fn claims(&self, host: &Host<'_>, locus: &Locus) -> Vec<Claim> {
        let found = sysctl_key(locus).and_then(|key| assigned(&text(host.sys, FILE), &key));
        let Some((line, value)) = found else { return Vec::new() };
        let systemd = host.sys.list("/run/systemd/system").value().is_some();
        let (wins, rule) = match link(host.sys) {
            Some(name) if systemd => (
                name.as_str() > SYSCTL_FILE,
                format!("systemd-sysctl reads it as /etc/sysctl.d/{name}, in the order of the names (sysctl.d(5))"),
            ),
            // procps reads it after all folders (sysctl(8), --system); systemd-sysctl does not read it at all.
            None if systemd => (
                false,
                "systemd-sysctl does not read it at boot, but `sysctl --system` does, last of all (sysctl(8))"
                    .to_owned(),
            ),
            _ => (true, "`sysctl --system` reads it last of all (sysctl(8))".to_owned()),
        };
        vec![Claim {
            by: if systemd && wins { "systemd-sysctl" } else { "sysctl --system" }.to_owned(),
            file: Some(format!("{FILE}:{line}")),
            sets: Some(value),
            runs: false,
            wins,
            rule,
            remedy: "change or remove that line, then run `lowlat persist` again".to_owned(),
        }]
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::State;
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn it_wins_where_boot_reads_it_last() {
        let base = || FakeSys::new().file(FILE, "net.core.busy_read=0\n").file("/run/systemd/system/x", "");
        let found = |sys: &FakeSys| {
            let locus = Locus::File { path: "/proc/sys/net/core/busy_read".into() };
            Host::new(sys).others(&locus, &State::Text("50".into()))
        };
        let linked = base()
            .link("/etc/sysctl.d/99-sysctl.conf", "../sysctl.conf")
            .file("/etc/sysctl.d/99-sysctl.conf", "net.core.busy_read=0\n");
        let told = found(&linked);
        assert_eq!(told.len(), 1, "said once: {told:?}");
        assert!(told[0].wins && told[0].rule.contains("99-sysctl.conf"), "{told:?}");
        assert!(!found(&base())[0].wins, "systemd does not read it without the link");
        assert!(found(&FakeSys::new().file(FILE, "net.core.busy_read=0\n"))[0].wins, "no systemd");
    }
}
