//! The few facts that one measurement depends on.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_model::site::{Site, SiteIface, SiteLink, SiteState};
use lowlat_sys::{Sys, query};

use crate::moment::Moment;
use crate::{cpus, host, interfaces, irqs, path, qdiscs, queues};

/// The CPUs, and where `iface` is received.
pub fn site(sys: &dyn Sys, iface: Option<&str>) -> Site {
    read(&Moment::new(sys), iface)
}

fn read(sys: &dyn Sys, iface: Option<&str>) -> Site {
    let topology = cpus::topology(sys);
    let links = iface.map(|iface| with_lower(sys, iface)).unwrap_or_default();
    Site {
        caches: cpus::caches(sys, topology.online.value().map_or(&[], Vec::as_slice)),
        links: links.into_iter().map(|name| link(sys, name)).collect(),
        topology,
    }
}

fn link(sys: &dyn Sys, name: String) -> SiteLink {
    SiteLink {
        numa_node: interfaces::node(sys, &name),
        irqs: irqs::of(sys, &name),
        rx_queues: queues::rx(sys, &name),
        name,
    }
}

/// An interface and those below it, each once.
fn with_lower(sys: &dyn Sys, iface: &str) -> Vec<String> {
    let mut all = vec![iface.to_owned()];
    let mut at = 0;
    while let Some(link) = all.get(at).cloned() {
        for lower in path::lower_links(sys, &link) {
            if !all.contains(&lower) {
                all.push(lower);
            }
        }
        at += 1;
    }
    all
}

/// What affects a measurement that ran over `iface` on these CPUs.
pub fn site_state(sys: &dyn Sys, iface: Option<&str>, prober: &[u32]) -> SiteState {
    let sys = &Moment::new(sys);
    let clock = query::clock(sys);
    SiteState {
        site: read(sys, iface),
        governors: prober.iter().map(|n| (*n, cpus::governor(sys, *n))).collect(),
        idle_states: match prober.first() {
            Some(first) => cpus::idle_states(sys, *first),
            None => Reading::Absent("the prober's CPUs are not known".to_owned()),
        },
        dma_latency_us: cpus::dma_latency_us(sys),
        clocksource: host::clocksource(sys),
        busy_read_us: sys.sysctl("net.core.busy_read").parse("net.core.busy_read"),
        synchronized: clock.as_ref().map(|c| c.synchronized),
        estimated_error_ns: clock.map(|c| c.estimated_error_ns),
        ptp: query::ptp(sys),
        iface: iface.map(|name| SiteIface {
            coalesce: query::coalesce(sys, name),
            qdiscs: qdiscs::read(sys),
            features: query::features(sys, name),
            hardware_stamps: query::hw_timestamp(sys, name),
            timestamping: query::timestamping(sys, name),
        }),
    }
}

/// Time of each CPU in each state (`user`, `idle`, `steal`, …), in ticks of USER_HZ.
pub fn cpu_ticks(sys: &dyn Sys) -> BTreeMap<u32, BTreeMap<String, u64>> {
    let table = crate::counters::processors::ticks(sys).into_value().unwrap_or_default();
    table.into_iter().filter_map(|(cpu, ticks)| Some((cpu.parse().ok()?, ticks))).collect()
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn an_interface_is_read_down_to_its_device_and_no_other_is() {
        let sys = FakeSys::new()
            .file("/sys/devices/system/cpu/online", "0-1\n")
            .file("/sys/devices/system/cpu/cpu0/cache/index3/shared_cpu_list", "0-1\n")
            .file("/sys/class/net/bond0/lower_eth0", "")
            .file("/sys/class/net/eth1/queues/rx-0/rps_cpus", "1\n")
            .file("/sys/class/net/eth0/device/msi_irqs/40", "")
            .file("/proc/interrupts", "      CPU0 CPU1\n 40: 1 0 PCI-MSI 1-edge eth0-rx-0\n")
            .file("/proc/irq/40/effective_affinity_list", "x\n")
            .file("/proc/irq/40/smp_affinity_list", "0-1\n")
            .file("/sys/class/net/eth0/queues/rx-0/rps_cpus", "6\n");
        let site = site(&sys, Some("bond0"));
        assert_eq!(site.links.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["bond0", "eth0"]);
        assert_eq!(site.caches, BTreeMap::from([(0, vec![0, 1])]));
        let eth0 = &site.links[1];
        assert_eq!(eth0.rx_queues[0].rps_cpus, Reading::Value(vec![1, 2]));
        assert_eq!(
            eth0.irqs.value().unwrap()[0].cpus(),
            [0, 1],
            "where it may fire, since where it does cannot be read"
        );
        assert!(super::site(&sys, None).links.is_empty());
    }

    #[test]
    fn a_prober_without_cpus_has_no_idle_states() {
        let state = site_state(&FakeSys::new(), None, &[]);
        assert!(state.governors.is_empty() && state.iface.is_none());
        assert!(matches!(state.idle_states, Reading::Absent(_)));
    }

    #[test]
    fn ticks_are_of_cpus() {
        let sys = FakeSys::new().file("/proc/stat", "cpu 1\ncpu3 1 2 3 4 5 6 7 8 0 0\n");
        assert_eq!(cpu_ticks(&sys)[&3]["steal"], 8);
        assert!(cpu_ticks(&FakeSys::new()).is_empty());
    }
}
