//! A device that waits before it raises an interrupt for a packet.

use std::collections::BTreeMap;

use lowlat_model::Severity;
use lowlat_model::finding::Setting;
use lowlat_model::op::Target;
use lowlat_model::units::us;

use crate::look::{chosen, finding, joint, on_path, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Receive interrupts that the device delays: adaptive coalescing, a fixed delay above 10 µs, or no delay with more
    /// than one packet to wait for.
    /// ## Why it matters
    /// A coalescing device waits for more packets before it raises an interrupt, which delays the first packet by up to
    /// `rx-usecs`. Adaptive coalescing changes that delay with the load, so it moves the median *and* P99, and results
    /// differ between runs. The device interrupts when the delay is over *or* when `rx-frames` packets have arrived.
    /// With a delay of 0 only the number of packets counts, and a lone packet waits for others that may never follow.
    /// ## Threshold
    /// `adaptive-rx` on, or `rx-usecs` above 10 (a heuristic: on most hosts a shorter delay is lost in the interrupt's
    /// own cost); or `rx-frames` above 1 with `rx-usecs 0`. It is critical when the delay alone is longer than the
    /// goal. Some Intel drivers use the smallest values for modes that adapt the delay to the load, and the rule finds
    /// these too: 1 on `ixgbe` and `ixgbevf`, up to 3 on `igb`, `igbvf` and `igc`, up to 4 on `e1000` and `e1000e`,
    /// whose default is 3. Without a goal and without a measured path the finding is `info` only: some hosts coalesce
    /// on purpose.
    /// ## Remedy
    /// Try `adaptive-rx off`, `rx-usecs 0` and, where the driver has it, `rx-frames 1`, as one step, judged on P50 and
    /// P99 of the live path. Together they are what the kernel calls no coalescing; each alone can be worse than
    /// before. `tg3` refuses 0 and gets 1, which adds no delay with `rx-frames 1`. `stmmac` refuses less than some
    /// 17 µs and gets only `rx-frames 1`, with which its timer does not run. On `vmxnet3` only zeros switch coalescing
    /// off. An interrupt for each packet costs CPU time, so at high packet rates a few microseconds may do better than
    /// 0 (the smallest delay other than 0 that `igb`, `igc` and `e1000e` accept is 10). A program that polls the device
    /// itself gains nothing and may lose.
    pub InterruptCoalescing = "interrupt-coalescing";
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: COALESCE_GET",
        "Documentation/networking/net_dim.rst in linux 6.12: Net DIM Algorithm",
        "https://github.com/amzn/amzn-drivers/blob/365c58ba5cf538aba14f1661e471b5cfc07c9548/kernel/linux/ena/ENA_Linux_Best_Practices.rst (optimal settings for achieving the best latency)",
        "include/uapi/linux/ethtool.h in linux 6.12: struct ethtool_coalesce (to disable coalescing, set usecs = 0 and max_frames = 1)",
        "drivers/net/ethernet/broadcom/tg3.c in linux 6.12: tg3_set_coalesce",
        "drivers/net/ethernet/stmicro/stmmac/stmmac_ethtool.c in linux 6.12: __stmmac_set_coalesce (MIN_DMA_RIWT)",
        "drivers/net/ethernet/stmicro/stmmac/stmmac_main.c in linux 6.12: stmmac_rx_refill (use_rx_wd)",
        "drivers/net/vmxnet3/vmxnet3_ethtool.c in linux 6.12: vmxnet3_set_coalesce (VMXNET3_COALESCE_DISABLED)",
        "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_set_coalesce",
        "drivers/net/ethernet/intel/igb/igb_ethtool.c in linux 6.12: igb_set_coalesce",
        "drivers/net/ethernet/intel/e1000e/ethtool.c in linux 6.12: e1000_set_coalesce",
        "drivers/net/ethernet/intel/igbvf/ethtool.c in linux 6.12: igbvf_set_coalesce",
        "heuristic: 10 µs, below which the delay drowns in the cost of the interrupt itself",
    ];
}

const LIMIT_US: u32 = 10;
/// Drivers whose `rx-usecs` from 1 to this number are modes that adapt, not microseconds.
const MODES: [(&str, u32); 7] =
    [("ixgbe", 1), ("ixgbevf", 1), ("igb", 3), ("igbvf", 3), ("igc", 3), ("e1000", 4), ("e1000e", 4)];

/// Names of `stmmac`: its timer takes no less than some 17 µs, and does not run where one frame is waited for.
const STMMAC: [&str; 3] = ["st_gmac", "st_mac100", "st_xgmac"];

/// Receive coalescing of one interface.
struct Receive<'a> {
    name: &'a str,
    driver: &'a str,
    adaptive: bool,
    /// µs; 0 where the driver has none.
    usecs: u32,
    /// Packets; `None` where the driver has none.
    frames: Option<u32>,
}

impl<'a> Receive<'a> {
    fn of(name: &'a str, driver: &'a str, coalesce: &BTreeMap<String, u32>) -> Self {
        let get = |key: &str| coalesce.get(key).copied();
        Self {
            name,
            driver,
            adaptive: get("adaptive-rx").is_some_and(|v| v != 0),
            usecs: get("rx-usecs").unwrap_or(0),
            frames: get("rx-frames"),
        }
    }

    fn evidence(&self) -> Vec<String> {
        let Self { name, driver, adaptive, usecs, frames } = self;
        let mut evidence = Vec::new();
        if STMMAC.contains(driver) && *frames == Some(1) {
            return evidence;
        }
        if *adaptive {
            evidence.push(format!("{name} adaptive-rx is on"));
        }
        if *usecs > 0 && MODES.iter().any(|(name, last)| name == driver && usecs <= last) {
            evidence.push(format!("{name} rx-usecs = {usecs}, which makes {driver} adapt the delay to the load"));
        }
        if *usecs > LIMIT_US {
            evidence
                .push(format!("{name} rx-usecs = {usecs}: the first packet waits up to {usecs} µs for its interrupt"));
        }
        if let (0, false, Some(frames @ 2..)) = (*usecs, *adaptive, *frames) {
            evidence.push(format!(
                "{name} rx-frames = {frames} beside rx-usecs 0: a packet waits for {} more, however long that takes",
                frames - 1
            ));
        }
        evidence
    }

    /// No coalescing at all: each of the three that is not so already.
    fn off(&self) -> Vec<Setting> {
        let here = || Target::Iface(self.name.to_owned());
        let least = u32::from(self.driver == "tg3");
        // All zero is what switches vmxnet3's off; one frame is its mode of a fixed number.
        let frames = u32::from(self.driver != "vmxnet3");
        let bounded = STMMAC.contains(&self.driver);
        let mut settings = Vec::new();
        if self.adaptive {
            settings.push(set("nic.coalesce.adaptive-rx", here(), "off"));
        }
        if self.usecs > least && !bounded {
            settings.push(set("nic.coalesce.rx-usecs", here(), least));
        }
        if self.frames.is_some_and(|f| f != frames) {
            settings.push(set("nic.coalesce.rx-frames", here(), frames));
        }
        joint(&format!("receive coalescing of {}", self.name), settings)
    }
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    for (name, iface) in on_path(input.facts) {
        let Some(coalesce) = seen.need_of(input.facts, format!("{name} coalescing"), &iface.coalesce) else { continue };
        let driver = iface.driver.value().map(String::as_str).unwrap_or_default();
        let receive = Receive::of(name, driver, coalesce);
        let mut evidence = receive.evidence();
        if evidence.is_empty() {
            continue;
        }
        if let Some((p50, p99)) = input.baseline.and_then(|b| Some((b.rtt.p50_ns?, b.rtt.p99_ns?))) {
            evidence.push(format!("measured: P50 {} µs, P99 {} µs", us(p50), us(p99)));
        }
        let over_goal = input.goal_ns.is_some_and(|goal| u64::from(receive.usecs) * 1_000 > goal);
        let found = finding(
            NAME,
            if over_goal { Severity::Critical } else { chosen(input) },
            format!("{name} delays receive interrupts"),
            evidence,
            "turn adaptive coalescing off and try a delay of 0 with rx-frames 1, then a few microseconds, judged on P50 and P99; an interrupt per packet costs CPU time",
        );
        seen.found(with(found, receive.off()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lowlat_model::Reading;
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule, rule_for};

    #[test]
    fn adaptive_and_slow() {
        let mut facts = healthy();
        iface(&mut facts).coalesce =
            Reading::Value(BTreeMap::from([("adaptive-rx".into(), 1), ("rx-usecs".into(), 64)]));
        only(
            NAME,
            &facts,
            &["eth0 adaptive-rx is on", "eth0 rx-usecs = 64: the first packet waits up to 64 µs for its interrupt"],
            &[],
        );
        let settings = &rule(NAME, &facts).findings[0].remedy.settings;
        assert_eq!(settings.iter().map(|s| s.value.as_str()).collect::<Vec<_>>(), ["off", "0"]);
        assert!(settings.iter().all(|s| s.joint.as_deref() == Some("receive coalescing of eth0")), "one step");
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info, "on purpose, and nobody wants latency");
        assert_eq!(rule_for(NAME, &facts, 100_000).findings[0].severity, Severity::Warning);
        assert_eq!(rule_for(NAME, &facts, 50_000).findings[0].severity, Severity::Critical);
    }

    #[test]
    fn one_is_a_mode_of_some_drivers() {
        let mut facts = healthy();
        iface(&mut facts).coalesce = Reading::Value(BTreeMap::from([("rx-usecs".into(), 1)]));
        only(NAME, &facts, &["eth0 rx-usecs = 1, which makes ixgbe adapt the delay to the load"], &[]);
        iface(&mut facts).driver = Reading::Value("mlx5_core".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
        iface(&mut facts).driver = Reading::Value("e1000e".into());
        iface(&mut facts).coalesce = Reading::Value(BTreeMap::from([("rx-usecs".into(), 3)]));
        only(NAME, &facts, &["eth0 rx-usecs = 3, which makes e1000e adapt the delay to the load"], &[]);
    }

    fn asked(driver: &str, params: &[(&str, u32)]) -> Vec<String> {
        let mut facts = healthy();
        iface(&mut facts).driver = Reading::Value(driver.into());
        iface(&mut facts).coalesce = Reading::Value(params.iter().map(|(p, v)| ((*p).to_owned(), *v)).collect());
        let settings = rule(NAME, &facts).findings.into_iter().flat_map(|f| f.remedy.settings);
        settings.map(|s| format!("{} {}", s.knob.trim_start_matches("nic.coalesce."), s.value)).collect()
    }

    /// A Broadcom card with tg3's own five packets to wait for (`LOW_RXMAX_FRAMES`), a Mellanox one with the 88 of
    /// github.com/Mellanox/sockperf issue 21.
    #[test]
    fn the_packets_to_wait_for_go_with_the_delay() {
        assert_eq!(asked("tg3", &[("rx-usecs", 20), ("rx-frames", 5)]), ["rx-usecs 1", "rx-frames 1"]);
        assert_eq!(asked("mlx4_en", &[("adaptive-rx", 0), ("rx-usecs", 0), ("rx-frames", 88)]), ["rx-frames 1"]);
        let mlx5 = [("adaptive-rx", 1), ("rx-usecs", 8), ("rx-frames", 128)];
        assert_eq!(asked("mlx5_core", &mlx5), ["adaptive-rx off", "rx-usecs 0", "rx-frames 1"]);
        // Both 0 would never interrupt, so 0 packets become 1 with the delay.
        assert_eq!(asked("x", &[("rx-usecs", 50), ("rx-frames", 0)]), ["rx-usecs 0", "rx-frames 1"]);
        // Where nothing waits there is nothing to set.
        assert_eq!(asked("x", &[("rx-usecs", 0), ("rx-frames", 1)]), [""; 0]);
        assert_eq!(asked("x", &[("rx-usecs", 8), ("rx-frames", 64)]), [""; 0]);
        // What refuses a delay of 0, and what is off at zeros only.
        assert_eq!(asked("st_gmac", &[("rx-usecs", 261), ("rx-frames", 0)]), ["rx-frames 1"]);
        assert_eq!(asked("st_gmac", &[("rx-usecs", 261), ("rx-frames", 1)]), [""; 0]);
        assert_eq!(asked("vmxnet3", &[("rx-usecs", 250), ("rx-frames", 0)]), ["rx-usecs 0"]);
    }

    #[test]
    fn packets_to_wait_for_are_named() {
        let mut facts = healthy();
        iface(&mut facts).coalesce = Reading::Value(BTreeMap::from([("rx-usecs".into(), 0), ("rx-frames".into(), 88)]));
        let words = "eth0 rx-frames = 88 beside rx-usecs 0: a packet waits for 87 more, however long that takes";
        only(NAME, &facts, &[words], &[]);
    }

    #[test]
    fn ten_microseconds_are_let_pass() {
        let mut facts = healthy();
        iface(&mut facts).coalesce = Reading::Value(BTreeMap::from([("rx-usecs".into(), 10)]));
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_where_the_driver_does_not_report() {
        let mut facts = healthy();
        iface(&mut facts).coalesce = Reading::Unsupported("the driver has none".into());
        blind(NAME, &facts, "eth0 coalescing", "unsupported");
        facts.iface = None;
        assert_eq!(rule(NAME, &facts).not_seen, [], "with no interface in focus, what a driver lacks is not news");
    }
}
