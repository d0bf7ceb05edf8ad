//! Where a rollback runs, and how the network namespace of a transaction is seen from there.

use lowlat_model::journal::NetnsId;
use lowlat_sys::{Live, Sys, netns_cookie_at};

/// Where a rollback from disk runs.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The network namespace it runs in.
    pub netns: NetnsId,
    /// Boot id of the running kernel.
    pub boot_id: &'a str,
    /// Whether a network namespace exists; `None` where that cannot be determined.
    pub netns_exists: &'a dyn NetnsExists,
}

/// Reports whether a network namespace still exists.
pub trait NetnsExists: std::fmt::Debug {
    /// `None` where it cannot be determined.
    fn exists(&self, netns: NetnsId) -> Option<bool>;
}

impl Place<'_> {
    /// Where another namespace stands to this place.
    pub(crate) fn look(&self, netns: NetnsId) -> Netns {
        if netns.is(self.netns) {
            Netns::Same
        } else if netns.inode == self.netns.inode || self.netns_exists.exists(netns) == Some(false) {
            // No two namespaces have one inode at the same time, so who had this one's has ended.
            Netns::Gone
        } else {
            Netns::Other
        }
    }
}

/// The network namespace of a transaction, seen from where it is rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Netns {
    Same,
    Gone,
    Other,
}

/// As far as `/proc` shows: a namespace lives as long as a process is in it, a descriptor is open on it, or it is
/// mounted somewhere (namespaces(7)).
#[derive(Debug)]
pub(crate) struct Visible;

/// Inode of the initial process-id namespace: `PROC_PID_INIT_INO` in include/linux/proc_ns.h.
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

impl NetnsExists for Visible {
    fn exists(&self, netns: NetnsId) -> Option<bool> {
        exists(&Live::new(), netns, |path| netns_cookie_at(path).ok())
    }
}

/// The network namespaces that can be entered, but for this process's own.
pub(crate) struct All {
    /// Inode, and what leads to it.
    pub(crate) paths: Vec<(u64, String)>,
    /// Why there may be others; `None` where every one is shown.
    pub(crate) hidden: Option<String>,
}

/// Looks where [`NetnsExists`] does: at processes, their descriptors and their mounts.
pub(crate) fn all_namespaces(sys: &dyn Sys) -> All {
    let mut paths: Vec<(u64, String)> = Vec::new();
    let own = sys.link_target("/proc/thread-self/ns/net").into_value().and_then(|t| inode_of(&t));
    let mut add = |id: Option<u64>, path: String| {
        if let Some(id) = id.filter(|id| Some(*id) != own && paths.iter().all(|(known, _)| known != id)) {
            paths.push((id, path));
        }
    };
    let target = |path: &str| sys.link_target(path).into_value().and_then(|t| inode_of(&t));
    let pids = sys.list("/proc").into_value().unwrap_or_default();
    let pids: Vec<&String> = pids.iter().filter(|n| n.bytes().all(|b| b.is_ascii_digit())).collect();
    // The names of `ip netns` come first, for they are what a person knows.
    for (pid, seen_from) in
        std::iter::once(("self", String::new())).chain(pids.iter().map(|p| (p.as_str(), format!("/proc/{p}/root"))))
    {
        // proc_pid_mountinfo(5): the root of the mount names the namespace, the mount point is as that process sees it.
        let mounts = sys.read(&format!("/proc/{pid}/mountinfo")).into_value().unwrap_or_default();
        for line in mounts.lines().filter(|l| l.contains(" net:[")) {
            let mut fields = line.split(' ').skip(3);
            if let (Some(root), Some(point)) = (fields.next(), fields.next()) {
                add(inode_of(root), format!("{seen_from}{point}"));
            }
        }
    }
    for pid in &pids {
        let path = format!("/proc/{pid}/ns/net");
        add(target(&path), path);
    }
    for pid in &pids {
        for fd in sys.list(&format!("/proc/{pid}/fd")).into_value().unwrap_or_default() {
            let path = format!("/proc/{pid}/fd/{fd}");
            add(target(&path), path);
        }
    }
    let shown = sys.link_target("/proc/self/ns/pid").into_value().is_some_and(|t| t == INITIAL_PID_NAMESPACE);
    let hidden =
        (!shown).then(|| "processes outside this container are not shown here, nor are their namespaces".to_owned());
    All { paths, hidden }
}

fn inode_of(link: &str) -> Option<u64> {
    link.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// `cookie` asks for that of the namespace at a path; `None` leaves the inode to decide.
fn exists(sys: &dyn Sys, netns: NetnsId, cookie: impl Fn(&str) -> Option<u64>) -> Option<bool> {
    let name = netns.to_string();
    let is = |path: String| {
        sys.link_target(&path).into_value().is_some_and(|t| t == name)
            && (netns.cookie.is_none() || netns.is(NetnsId { inode: netns.inode, cookie: cookie(&path) }))
    };
    for pid in sys.list("/proc").into_value()?.iter().filter(|n| n.bytes().all(|b| b.is_ascii_digit())) {
        let descriptors = sys.list(&format!("/proc/{pid}/fd")).into_value().unwrap_or_default();
        let mounted = |text: String| text.lines().any(|l| l.split(' ').nth(3) == Some(name.as_str()));
        if is(format!("/proc/{pid}/ns/net"))
            || descriptors.iter().any(|fd| is(format!("/proc/{pid}/fd/{fd}")))
            || sys.read(&format!("/proc/{pid}/mountinfo")).into_value().is_some_and(mounted)
        {
            return Some(true);
        }
    }
    // Inside a container processes of others are not shown, so that what is not seen may exist anyway.
    let all_are_shown = sys.link_target("/proc/self/ns/pid").into_value()? == INITIAL_PID_NAMESPACE;
    all_are_shown.then_some(false)
}
