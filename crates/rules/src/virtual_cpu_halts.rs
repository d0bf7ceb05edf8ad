//! An idle virtual processor that has to be woken by its host.

use lowlat_model::{Reading, Severity};

use crate::look::{aims, finding};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A guest of KVM whose idle processors halt at once, without polling for a moment first.
    /// ## Why it matters
    /// A halted virtual CPU gives its processor back to the host, which has to schedule it again when a packet comes: tens of
    /// microseconds, and more on a busy host. One that polls for some time sees the interrupt at once.
    /// ## Threshold
    /// The guest's idle driver is not `haltpoll`, or its time is 0, and `idle=poll` was not given. A guest whose processor
    /// has MWAIT is not reported: its host lets it wait without leaving to it, and the guest's kernel then halts by MWAIT
    /// (`intel_idle`, or no driver at all), unless `idle=halt` or `idle=nomwait` was given. The host may also poll on its
    /// own (`kvm.halt_poll_ns`), which a guest cannot see. The finding is `info`, and given only where a goal was given
    /// or a path measured.
    /// ## Remedy
    /// See cpu.halt-polling: the module `cpuidle_haltpoll`, in some clouds with `force=1`; `idle=poll` keeps all processors at full
    /// load; a program that spins never halts its own.
    pub VirtualCpuHalts = "virtual-cpu-halts";
    sources [
        "Documentation/virt/guest-halt-polling.rst in linux 6.12",
        "drivers/cpuidle/cpuidle-haltpoll.c in linux 6.12: haltpoll_want, force",
        "Documentation/virt/kvm/halt-polling.rst in linux 6.12: Module Parameters",
        "Documentation/virt/kvm/api.rst in linux 6.12: KVM_CAP_X86_DISABLE_EXITS",
        "arch/x86/kernel/process.c in linux 6.12: prefer_mwait_c1_over_halt, select_idle_routine, idle_setup",
        "drivers/idle/intel_idle.c in linux 6.12: intel_idle_init (X86_FEATURE_MWAIT)",
        "not confirmed: the tens of microseconds, which depend on the host",
    ];
}

/// Names of [`lowlat_model::facts::Host::virtualization`] that are KVM beneath.
const KVM: [&str; 4] = ["kvm", "google", "amazon", "alibaba"];

fn look(input: &Input<'_>, seen: &mut Seen) {
    let host = &input.facts.host;
    if !aims(input) || !host.virtualization.value().is_some_and(|v| KVM.contains(&v.as_str())) {
        return;
    }
    let given = |what: &str| host.cmdline.value().is_some_and(|line| line.split_whitespace().any(|w| w == what));
    if given("idle=poll") {
        return;
    }
    let cpus = &input.facts.cpus;
    if cpus.mwait.value() == Some(&true) && !given("idle=halt") && !given("idle=nomwait") {
        return;
    }
    let driver = match &cpus.idle_driver {
        // Without a driver the kernel halts (arch/x86/kernel/process.c, default_idle).
        Reading::Absent(_) => "none",
        other => match seen.need("idle driver", other) {
            Some(driver) => driver.split('/').next().unwrap_or(driver),
            None => return,
        },
    };
    let evidence = if driver == "haltpoll" {
        if cpus.halt_poll_ns.value() != Some(&0) {
            return;
        }
        "guest_halt_poll_ns is 0".to_owned()
    } else {
        format!("idle driver: {driver}")
    };
    seen.found(finding(
        NAME,
        Severity::Info,
        "idle virtual CPUs halt at once and have to be woken by the host".to_owned(),
        vec![evidence],
        "see cpu.halt-polling (module cpuidle_haltpoll), or let the program spin",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Facts;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{rule, rule_for};

    fn guest(driver: Reading<String>) -> Facts {
        let mut facts = healthy();
        facts.host.virtualization = Reading::Value("kvm".into());
        facts.cpus.idle_driver = driver;
        facts.cpus.mwait = Reading::Value(false);
        facts
    }

    #[test]
    fn halts_and_polls() {
        let asked = |facts: &Facts| rule_for(NAME, facts, 50_000);
        let found = asked(&guest(Reading::Absent("x".into()))).findings.remove(0);
        assert_eq!(found.evidence, ["idle driver: none"]);
        let mut polls = guest(Reading::Value("haltpoll/haltpoll".into()));
        polls.cpus.halt_poll_ns = Reading::Value(200_000);
        assert_eq!(asked(&polls), Seen::default());
        polls.cpus.halt_poll_ns = Reading::Value(0);
        assert_eq!(asked(&polls).findings[0].evidence, ["guest_halt_poll_ns is 0"]);
        polls.host.cmdline = Reading::Value("quiet idle=poll".into());
        assert_eq!(asked(&polls), Seen::default());
        assert_eq!(asked(&healthy()), Seen::default(), "no guest");
        assert_eq!(rule(NAME, &guest(Reading::Absent("x".into()))), Seen::default(), "nobody asked for latency");
    }

    /// A host that lets the guest wait on its own shows it MWAIT, and the guest's kernel uses it with and without a driver.
    #[test]
    fn a_guest_that_waits_by_mwait_does_not_leave_to_its_host() {
        let asked = |facts: &Facts| rule_for(NAME, facts, 50_000);
        for driver in [Reading::Value("intel_idle/menu".into()), Reading::Absent("x".into())] {
            let mut facts = guest(driver);
            assert_eq!(asked(&facts).findings.len(), 1);
            facts.cpus.mwait = Reading::Value(true);
            assert_eq!(asked(&facts), Seen::default());
            facts.host.cmdline = Reading::Value("quiet idle=nomwait".into());
            assert_eq!(asked(&facts).findings.len(), 1, "it was told to halt");
        }
        let mut arm = guest(Reading::Value("psci_idle/menu".into()));
        arm.cpus.mwait = Reading::Unsupported("no flags".into());
        assert_eq!(asked(&arm).findings.len(), 1, "WFI leaves to the host");
    }

    #[test]
    fn blind_where_the_driver_is_not_readable() {
        let seen = rule_for(NAME, &guest(Reading::Denied("x".into())), 50_000);
        assert_eq!((seen.findings.len(), seen.not_seen[0].why.as_str()), (0, "denied: x"));
    }
}
