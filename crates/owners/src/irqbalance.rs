//! irqbalance, which moves interrupts between CPUs every ten seconds.

use lowlat_model::{Claim, Locus};
use lowlat_sys::irqs;

use crate::files::text;
use crate::ini::{last, parse};
use crate::{Host, Owner};

#[derive(Debug)]
pub(crate) struct Irqbalance;

/// The unit, and where `lowlat persist` adds to it.
pub const UNIT: &str = "irqbalance.service";
/// The drop-in that keeps it away from lowlat's lines.
pub const DROP_IN: &str = "/etc/systemd/system/irqbalance.service.d/90-lowlat.conf";

impl Owner for Irqbalance {
    fn file(&self) -> &'static str {
        file!()
    }
    fn claims(&self, host: &Host<'_>, locus: &Locus) -> Vec<Claim> {
        let Locus::IrqAffinity { iface, index } = locus else { return Vec::new() };
        let runs = host.runs("irqbalance");
        let boots = host.starts_at_boot(UNIT);
        if !runs && !boots {
            return Vec::new();
        }
        let banned = banned(host, iface, *index);
        if banned && (boots || runs) {
            return Vec::new();
        }
        vec![Claim {
            by: "irqbalance".to_owned(),
            file: None,
            sets: None,
            runs,
            wins: boots,
            rule: "it moves every interrupt that it is not configured to leave alone, every ten seconds (irqbalance(1), \
                   --banirq, --interval)"
                .to_owned(),
            remedy: "ban the line with --banirq in its configuration, as `lowlat persist` does; `lowlat explain irq.irqbalance`"
                .to_owned(),
        }]
    }
}

/// Whether it was started with the line banned. Numbers change with each boot, so what it was started with counts.
fn banned(host: &Host<'_>, iface: &str, index: u32) -> bool {
    let lines = irqs::of_interface(host.sys, iface).into_value().unwrap_or_default();
    let Some(line) = usize::try_from(index).ok().and_then(|n| lines.get(n)) else { return false };
    let pids = host.sys.list("/proc").into_value().unwrap_or_default();
    pids.iter().filter(|p| p.bytes().all(|b| b.is_ascii_digit())).any(|pid| {
        let is = text(host.sys, &format!("/proc/{pid}/comm"));
        is.trim_end() == "irqbalance" && names(&text(host.sys, &format!("/proc/{pid}/cmdline")), line.irq)
    })
}

/// irqbalance(1): `--banirq=N`, `-i N`.
fn names(cmdline: &str, irq: u32) -> bool {
    let words: Vec<&str> = cmdline.split('\0').flat_map(str::split_whitespace).collect();
    let number = |w: &str| w.parse() == Ok(irq);
    words.iter().any(|w| w.strip_prefix("--banirq=").or_else(|| w.strip_prefix("-i")).is_some_and(number))
        || words.windows(2).any(|w| matches!(w[0], "--banirq" | "-i") && number(w[1]))
}

/// The command that its unit runs, as the unit has it; `None` where there is no unit or another drop-in replaces it, which
/// is not ours to merge with.
pub fn command(host: &Host<'_>) -> Option<String> {
    let folders = ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
    let other = folders.iter().any(|folder| {
        let dir = format!("{folder}/{UNIT}.d");
        let names = host.sys.list(&dir).into_value().unwrap_or_default();
        names
            .iter()
            .filter(|n| {
                n.rsplit_once('.').is_some_and(|(_, ending)| ending == "conf") && format!("{dir}/{n}") != DROP_IN
            })
            .any(|n| parse(&text(host.sys, &format!("{dir}/{n}"))).iter().any(|e| e.key == "ExecStart"))
    });
    if other {
        return None;
    }
    let unit = folders.iter().map(|f| text(host.sys, &format!("{f}/{UNIT}"))).find(|t| !t.is_empty())?;
    last(&parse(&unit), "Service", "ExecStart").map(|e| e.value.clone()).filter(|c| c.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use lowlat_model::State;
    use lowlat_testkit::FakeSys;

    use super::*;

    fn host(cmdline: &str) -> FakeSys {
        FakeSys::new()
            .file("/proc/41/comm", "irqbalance\n")
            .file("/proc/41/cmdline", cmdline)
            .file("/proc/interrupts", "     CPU0\n 40: 0 PCI-MSI 0-edge eth0-rx-0\n 41: 0 PCI-MSI 1-edge eth0-rx-1\n")
    }

    fn found(sys: &FakeSys, index: u32) -> Vec<Claim> {
        Host::new(sys).others(&Locus::IrqAffinity { iface: "eth0".into(), index }, &State::Text("3".into()))
    }

    #[test]
    fn it_moves_every_line_that_is_not_banned() {
        let sys = host("/usr/sbin/irqbalance\0--foreground\0--banirq=41\0");
        assert!(found(&sys, 0)[0].runs && !found(&sys, 0)[0].wins);
        assert!(found(&sys, 1).is_empty(), "the banned line stays");
        let sys =
            host("/usr/sbin/irqbalance\0").link("/etc/systemd/system/multi-user.target.wants/irqbalance.service", "x");
        assert!(found(&sys, 1)[0].wins, "it starts at boot too");
        assert!(found(&FakeSys::new(), 0).is_empty(), "it is not there");
    }

    #[test]
    fn its_command_is_merged_unless_another_replaced_it() {
        let unit = "[Service]\nExecStart=/usr/sbin/irqbalance --foreground $IRQBALANCE_ARGS\n";
        let sys =
            host("").file("/lib/systemd/system/irqbalance.service", unit).file(DROP_IN, "[Service]\nExecStart=\n");
        assert_eq!(command(&Host::new(&sys)).as_deref(), Some("/usr/sbin/irqbalance --foreground $IRQBALANCE_ARGS"));
        let sys = sys.file("/etc/systemd/system/irqbalance.service.d/50-mine.conf", "[Service]\nExecStart=/x\n");
        assert_eq!(command(&Host::new(&sys)), None);
        assert_eq!(command(&Host::new(&FakeSys::new())), None);
    }
}
