//! Boot parameters: a line on which anything may stand, so what is known is kept and all else is not.

/// Parameters whose values are numbers, CPU lists and words of the kernel (admin-guide/kernel-parameters.txt), and that
/// affect latency. A name that ends in a dot stands for all of that module.
const KEPT: &[&str] = &[
    "acpi_irq_nobalance",
    "amd_iommu",
    "amd_pstate",
    "audit",
    "clocksource",
    "cpufreq.",
    "cpuidle.",
    "default_hugepagesz",
    "housekeeping",
    "hpet",
    "hugepages",
    "hugepagesz",
    "idle",
    "init_on_alloc",
    "init_on_free",
    "intel_idle.",
    "intel_iommu",
    "intel_pstate",
    "iommu",
    "iommu.",
    "irqaffinity",
    "isolcpus",
    "kthread_cpus",
    "mce",
    "mitigations",
    "nmi_watchdog",
    "nohz",
    "nohz_full",
    "noirqbalance",
    "nosmt",
    "nosoftlockup",
    "nowatchdog",
    "numa",
    "numa_balancing",
    "panic",
    "pci",
    "pcie_aspm",
    "preempt",
    "processor.",
    "quiet",
    "rcu_nocb_poll",
    "rcu_nocbs",
    "rcupdate.",
    "rcutree.",
    "ro",
    "rw",
    "sched_",
    "skew_tick",
    "swiotlb",
    "threadirqs",
    "transparent_hugepage",
    "tsc",
    "workqueue.",
];

/// Signs that values of the kept parameters are made of.
fn plain(value: &str) -> bool {
    value.len() <= 64 && value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-,.:@".contains(c))
}

fn kept(name: &str) -> bool {
    KEPT.iter().any(|k| *k == name || (k.ends_with(['.', '_']) && name.starts_with(k) && plain(name)))
}

/// The line with only what is known; the number of parameters stays.
pub(super) fn known_only(line: &str) -> String {
    let words: Vec<&str> = line
        .split_whitespace()
        .map(|word| match word.split_once('=') {
            Some((name, value)) if kept(name) && plain(value) => word,
            None if kept(word) => word,
            _ => "masked",
        })
        .collect();
    let newline = if line.ends_with('\n') { "\n" } else { "" };
    format!("{}{newline}", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_parameters_are_kept() {
        let line = "BOOT_IMAGE=/boot/vmlinuz-6.1 root=UUID=1-2 ro quiet isolcpus=managed_irq,domain,2-5 nohz_full=2-5 \
                    ip=10.0.0.2:::::eth0 systemd.hostname=trader7 secretword intel_idle.max_cstate=1 idle=Alice \"a b\"\n";
        let want = "masked masked ro quiet isolcpus=managed_irq,domain,2-5 nohz_full=2-5 \
                    masked masked masked intel_idle.max_cstate=1 masked masked masked\n";
        assert_eq!(known_only(line), want);
    }
}
