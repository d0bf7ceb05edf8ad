//! What each link of the namespace stands on.

use std::collections::{BTreeMap, BTreeSet};

use lowlat_model::Reading;
use lowlat_sys::Sys;
use lowlat_sys::query::{self, LinkInfo, Stacked};

/// Kinds whose `IFLA_LINK` is the other end and not what is beneath (drivers/net/veth.c, `veth_get_iflink`;
/// drivers/net/netkit.c, `netkit_get_iflink`; drivers/net/can/vxcan.c, `vxcan_get_iflink`).
const PEERS: &[&str] = &["veth", "netkit", "vxcan"];

/// The links of one moment and what they stand on.
pub(crate) struct Below<'a> {
    sys: &'a dyn Sys,
    links: Vec<LinkInfo>,
    stack: Reading<BTreeMap<u32, Stacked>>,
}

impl<'a> Below<'a> {
    /// Reads the links.
    pub(crate) fn read(sys: &'a dyn Sys) -> Self {
        let links = crate::interfaces::links(sys);
        let stack = query::stack(sys).map(|all| all.into_iter().map(|s| (s.index, s)).collect());
        Self { sys, links, stack }
    }

    /// All links.
    pub(crate) fn links(&self) -> &[LinkInfo] {
        &self.links
    }

    /// A link by its name.
    pub(crate) fn link(&self, name: &str) -> Option<&LinkInfo> {
        self.links.iter().find(|l| l.name == name)
    }

    /// A link's name.
    pub(crate) fn name(&self, index: u32) -> Option<&str> {
        self.links.iter().find(|l| l.index == index).map(|l| l.name.as_str())
    }

    /// What the link dump says about a link's place in the stack.
    pub(crate) fn stacked(&self, index: u32) -> Option<&Stacked> {
        self.stack.value()?.get(&index)
    }

    /// The links directly beneath one, by name. Absent where neither the link dump nor sysfs reports.
    pub(crate) fn lower(&self, link: &LinkInfo) -> Reading<Vec<String>> {
        let mut lower = self.by_sysfs(link);
        match &self.stack {
            Reading::Value(stack) => {
                let part = |s: &&Stacked| s.master == Some(link.index);
                lower.extend(stack.values().filter(part).filter_map(|s| self.name(s.index)).map(str::to_owned));
                let own = stack.get(&link.index);
                let linked =
                    own.filter(|s| !s.link_elsewhere && !s.kind.as_deref().is_some_and(|k| PEERS.contains(&k)));
                let named = [linked.and_then(|s| s.link), own.and_then(|s| s.bound)];
                lower.extend(named.into_iter().flatten().filter_map(|i| self.name(i)).map(str::to_owned));
                Reading::Value(lower.into_iter().collect())
            }
            _ if !lower.is_empty() => Reading::Value(lower.into_iter().collect()),
            other => other.as_ref().map(|_| Vec::new()),
        }
    }

    /// The `lower_*` links that the kernel keeps for each pair of links (net/core/dev.c, `netdev_adjacent_sysfs_add`).
    /// A `/sys` that was mounted in another network namespace shows other links, with other indexes.
    fn by_sysfs(&self, link: &LinkInfo) -> BTreeSet<String> {
        let dir = format!("/sys/class/net/{}", link.name);
        let index = self.sys.read(&format!("{dir}/ifindex")).into_value().and_then(|t| t.trim().parse::<u32>().ok());
        if index.is_some_and(|i| i != link.index) {
            return BTreeSet::new();
        }
        lower_links(self.sys, &link.name).into_iter().filter(|n| self.link(n).is_some()).collect()
    }
}

/// The names after `lower_` in an interface's directory.
pub(crate) fn lower_links(sys: &dyn Sys, iface: &str) -> Vec<String> {
    let entries = sys.list(&format!("/sys/class/net/{iface}")).into_value().unwrap_or_default();
    entries.iter().filter_map(|e| e.strip_prefix("lower_")).map(str::to_owned).collect()
}
