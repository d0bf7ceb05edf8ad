//! What each link of the namespace stands on.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use lowlat_model::Reading;
use lowlat_sys::Sys;
use lowlat_sys::query::{self, LinkInfo, Neighbour, Stacked};

/// Kinds whose `IFLA_LINK` is the other end and not what is beneath (drivers/net/veth.c, `veth_get_iflink`;
/// drivers/net/netkit.c, `netkit_get_iflink`; drivers/net/can/vxcan.c, `vxcan_get_iflink`).
const PEERS: &[&str] = &["veth", "netkit", "vxcan"];

/// The links of one moment and what they stand on.
pub(crate) struct Below<'a> {
    sys: &'a dyn Sys,
    links: Vec<LinkInfo>,
    /// Place in `links`, by name and by index.
    by_name: HashMap<String, usize>,
    by_index: HashMap<u32, usize>,
    stack: Reading<BTreeMap<u32, Stacked>>,
    /// Bond, team or bridge → its parts.
    parts: HashMap<u32, Vec<u32>>,
    /// Asked for the first bridge or vxlan, and once.
    forwarding: OnceCell<Vec<Neighbour>>,
    neighbours: OnceCell<Vec<Neighbour>>,
}

impl<'a> Below<'a> {
    /// Reads the links.
    pub(crate) fn read(sys: &'a dyn Sys) -> Self {
        let links = crate::interfaces::links(sys);
        let stack: Reading<BTreeMap<u32, Stacked>> =
            query::stack(sys).map(|all| all.into_iter().map(|s| (s.index, s)).collect());
        let mut parts: HashMap<u32, Vec<u32>> = HashMap::new();
        for part in stack.value().into_iter().flat_map(BTreeMap::values) {
            if let Some(master) = part.master {
                parts.entry(master).or_default().push(part.index);
            }
        }
        // Names and indexes are unique in a namespace; in a tree made by hand the first counts.
        let (mut by_name, mut by_index) = (HashMap::new(), HashMap::new());
        for (place, link) in links.iter().enumerate() {
            by_name.entry(link.name.clone()).or_insert(place);
            by_index.entry(link.index).or_insert(place);
        }
        let (forwarding, neighbours) = (OnceCell::new(), OnceCell::new());
        Self { sys, links, by_name, by_index, stack, parts, forwarding, neighbours }
    }

    /// All forwarding entries of bridges and vxlans; none where they cannot be read.
    pub(crate) fn forwarding(&self) -> &[Neighbour] {
        self.forwarding.get_or_init(|| query::forwarding(self.sys).into_value().unwrap_or_default())
    }

    /// All neighbours; none where they cannot be read.
    pub(crate) fn neighbours(&self) -> &[Neighbour] {
        self.neighbours.get_or_init(|| query::neighbours(self.sys).into_value().unwrap_or_default())
    }

    /// All links.
    pub(crate) fn links(&self) -> &[LinkInfo] {
        &self.links
    }

    /// A link by its name.
    pub(crate) fn link(&self, name: &str) -> Option<&LinkInfo> {
        self.links.get(*self.by_name.get(name)?)
    }

    /// A link's name.
    pub(crate) fn name(&self, index: u32) -> Option<&str> {
        self.links.get(*self.by_index.get(&index)?).map(|l| l.name.as_str())
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
                let parts = self.parts.get(&link.index).into_iter().flatten();
                lower.extend(parts.filter_map(|part| self.name(*part)).map(str::to_owned));
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
