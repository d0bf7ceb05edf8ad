//! Whether a network namespace still exists.

use lowlat_model::journal::NetnsId;
use lowlat_sys::{Live, Sys, netns_cookie_at};

use crate::rollback::NetnsExists;

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
    // Inside a container processes of others are not shown, so that what is not seen may exist all the same.
    let all_are_shown = sys.link_target("/proc/self/ns/pid").into_value()? == INITIAL_PID_NAMESPACE;
    all_are_shown.then_some(false)
}
