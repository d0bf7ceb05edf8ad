//! Files of `/sys/class/net/IF/` and of its queues.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::place::{numbered, of_ifaces};
use crate::{Kind, Place, Write, text};

/// Where sysfs has the interfaces of the namespace that it was mounted in (net/core/net-sysfs.c,
/// `net_ns_type_operations`).
pub(crate) const ROOT: &str = "/sys/class/net/";

/// A file of `queues/rx-N/`.
#[derive(Debug)]
pub struct RxFile(pub &'static str);

impl Place for RxFile {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::RxQueue(iface, n) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::File { path: format!("{ROOT}{iface}/queues/rx-{n}/{}", self.0) }])
    }
    fn targets(&self, sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<Target>> {
        of_ifaces(sys, iface, |i| queues(sys, i, "rx-").map(|n| Target::RxQueue(i.to_owned(), n)).collect())
    }
    fn order(&self) -> Order {
        Order::Placement
    }
}

/// A file of `queues/tx-N/`.
#[derive(Debug)]
pub struct TxFile(pub &'static str);

impl Place for TxFile {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::TxQueue(iface, n) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::File { path: format!("{ROOT}{iface}/queues/tx-{n}/{}", self.0) }])
    }
    fn targets(&self, sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<Target>> {
        of_ifaces(sys, iface, |i| queues(sys, i, "tx-").map(|n| Target::TxQueue(i.to_owned(), n)).collect())
    }
    fn order(&self) -> Order {
        if self.0.starts_with("byte_queue_limits/") { Order::Queues } else { Order::Placement }
    }
}

/// The switch for L1 of the PCI Express link of an interface's device.
#[derive(Debug)]
pub struct LinkPower;

/// Below the interface's directory.
const L1: &str = "device/link/l1_aspm";
/// The substates of L1. Switching L1 off switches them off too (drivers/pci/pcie/aspm.c, `aspm_attr_store_common`), and
/// switching it on brings none back.
const SUBSTATES: &[&str] = &["l1_1_aspm", "l1_2_aspm", "l1_1_pcipm", "l1_2_pcipm"];

impl Place for LinkPower {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::File { path: format!("{ROOT}{iface}/{L1}") }])
    }
    fn order(&self) -> Order {
        Order::Power
    }
}

fn queues(sys: &dyn Sys, iface: &str, prefix: &str) -> impl Iterator<Item = u32> + use<> {
    numbered(sys, &format!("{ROOT}{iface}/queues"), prefix).into_value().unwrap_or_default().into_iter()
}

/// Files of a receive queue that hold a setting (net/core/net-sysfs.c, `rx_queue_default_attrs`).
const RX_FILES: &[&str] = &["rps_cpus", "rps_flow_cnt"];
/// Files of a transmit queue that hold a setting (`netdev_queue_default_attrs`, `dql_attrs`).
const TX_FILES: &[&str] = &[
    "xps_cpus",
    "xps_rxqs",
    "tx_maxrate",
    "byte_queue_limits/limit_max",
    "byte_queue_limits/limit_min",
    "byte_queue_limits/hold_time",
];

/// All of an interface's queues.
pub fn of_queues(sys: &dyn Sys, iface: &str) -> Vec<Locus> {
    let dir = format!("{ROOT}{iface}/queues");
    let mut places = Vec::new();
    for queue in sys.list(&dir).into_value().unwrap_or_default() {
        let files: &[&str] = if queue.starts_with("rx-") { RX_FILES } else { TX_FILES };
        places.extend(files.iter().map(|f| Locus::File { path: format!("{dir}/{queue}/{f}") }));
    }
    places
}

#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) path: &'a str,
    pub(crate) iface: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        self.path.to_owned()
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        text::read(sys, self.path)
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        text::line(self.path, set)
    }
    fn shown(&self) -> Option<String> {
        Some(text::shown(self.path))
    }
    fn undo(&self, was: &State) -> String {
        text::undo(self.path, was)
    }
    fn same(&self, a: &State, b: &State) -> bool {
        text::same_in(self.path, a, b)
    }
    fn refused(&self, sys: &dyn Sys, _: &State) -> Option<String> {
        of_another_namespace(sys, self.iface)
    }
    fn beside(&self, _: &dyn Sys) -> Result<Vec<Locus>, String> {
        Ok(self.substates().collect())
    }
    fn may_change(&self, other: &Locus) -> bool {
        self.substates().any(|s| s == *other)
    }
}

impl At<'_> {
    /// Of the switch for L1, those that are switched off with it.
    fn substates(&self) -> impl Iterator<Item = Locus> {
        let dir = self.path.strip_suffix(L1).map(|base| format!("{base}device/link"));
        dir.into_iter().flat_map(|dir| SUBSTATES.iter().map(move |s| Locus::File { path: format!("{dir}/{s}") }))
    }
}

/// A sysfs that was mounted in another namespace shows that one's interfaces under the same names.
pub(crate) fn of_another_namespace(sys: &dyn Sys, iface: &str) -> Option<String> {
    let shown = sys.read(&format!("{ROOT}{iface}/ifindex")).into_value().and_then(|t| t.trim().parse::<u32>().ok())?;
    let index = query::links(sys).into_value().and_then(|l| l.into_iter().find(|l| l.name == iface)).map(|l| l.index);
    (index != Some(shown)).then(|| {
        format!(
            "/sys shows the interfaces of another network namespace; enter this one with `ip netns exec`, which mounts \
             its own ({iface} is index {shown} there)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Blank;

    #[test]
    fn the_substates_of_l1_go_and_come_with_it() {
        let loci = LinkPower.loci(&Blank, &Target::Iface("eth0".into())).unwrap();
        let [Locus::File { path }] = loci.as_slice() else { panic!("{loci:?}") };
        assert_eq!(path, "/sys/class/net/eth0/device/link/l1_aspm");
        let at = crate::at(&loci[0]);
        let others = at.beside(&Blank).unwrap();
        assert_eq!(others.len(), 4);
        assert!(others.iter().all(|o| at.may_change(o) && crate::at(o).beside(&Blank).unwrap().is_empty()));
        let queue = Locus::File { path: "/sys/class/net/eth0/queues/rx-0/rps_cpus".into() };
        assert!(crate::at(&queue).beside(&Blank).unwrap().is_empty() && !at.may_change(&queue));
    }
}
