//! What this process lacks for a write, as far as that is certain before it is made.

use lowlat_model::{Capability, Op};
use lowlat_settings::Write;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

/// The capability without which the kernel refuses this write to this process; `None` where it lets it, or where only the write
/// itself shows. A message to the kernel asks for `CAP_NET_ADMIN`; a file asks to be its owner's, or for what forces it.
pub fn lacks(op: &Op, effective: u64) -> Option<Capability> {
    let needs = match lowlat_settings::write(op).ok()? {
        Write::Line { path, .. } => of_file(&path)?,
        Write::Feature { .. }
        | Write::Coalesce { .. }
        | Write::Ring { .. }
        | Write::Channels { .. }
        | Write::Pause { .. }
        | Write::Eee { .. }
        | Write::PrivateFlag { .. }
        | Write::HwTimestamp { .. }
        | Write::Rss { .. }
        | Write::Napi { .. }
        | Write::RouteMetric { .. }
        | Write::Qdisc { .. } => Capability::NetAdmin,
        // Which file it is, is known when it is written.
        Write::IrqAffinity { .. } | Write::PciDriver { .. } | Write::Own { .. } | Write::RemoveOwn { .. } => {
            return None;
        }
    };
    (!needs.is_in(effective)).then_some(needs)
}

/// What a file of the kernel asks of this process, which may not write it. The plan that names it was not looked at yet.
fn of_file(path: &str) -> Option<Capability> {
    let of_the_kernel = ["/proc/sys/", "/sys/"].iter().any(|root| path.starts_with(root)) && !path.contains("/../");
    // As the effective user, with its capabilities: faccessat(2).
    let may = of_the_kernel.then(|| accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS))?;
    if !matches!(may, Err(Errno::ACCESS | Errno::PERM)) {
        return None;
    }
    match path {
        _ if path.starts_with("/proc/sys/net/") => Some(Capability::NetAdmin),
        // User 0's alone, which no capability is.
        _ if path.starts_with("/proc/sys/") => None,
        _ => Some(Capability::DacOverride),
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Locus;

    use super::*;

    #[test]
    fn a_message_needs_the_network_and_a_file_only_what_its_mode_leaves_open() {
        let feature = Op::text(Locus::Feature { iface: "eth0".into(), name: "rx-gro".into() }, "on");
        assert_eq!(lacks(&feature, 0), Some(Capability::NetAdmin));
        assert_eq!(lacks(&feature, 1 << 12), None);
        // What is not there is refused for another reason.
        let none = Op::text(Locus::File { path: "/proc/sys/net/core/no_such_setting".into() }, "1");
        assert_eq!(lacks(&none, 0), None);
        assert_eq!(of_file("/etc/shadow"), None, "no file of the kernel");
        assert_eq!(of_file("/sys/../etc/shadow"), None);
    }
}
