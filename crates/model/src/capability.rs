//! Which capability of Linux an operation needs, and what to do where the kernel says no (capabilities(7)).

/// A capability that something of lowlat's needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Files that others own, whatever their mode.
    DacOverride,
    /// Interfaces, queue disciplines, routes, network sysctls, `SO_BUSY_POLL`.
    NetAdmin,
    /// Raw and AF_XDP sockets.
    NetRaw,
    /// Locked memory beyond `RLIMIT_MEMLOCK`.
    IpcLock,
    /// Namespaces and mounts.
    SysAdmin,
    /// BPF programs that calculate with pointers, as for the length of a packet.
    Perfmon,
    /// BPF programs.
    Bpf,
}

impl Capability {
    /// `CAP_NET_ADMIN`.
    pub fn name(self) -> &'static str {
        self.parts().0
    }

    /// Whether it is in a set as the kernel writes it: bit N for number N.
    pub fn is_in(self, set: u64) -> bool {
        set & 1 << self.parts().1 != 0
    }

    /// Name and number (include/uapi/linux/capability.h).
    fn parts(self) -> (&'static str, u32) {
        match self {
            Self::DacOverride => ("CAP_DAC_OVERRIDE", 1),
            Self::NetAdmin => ("CAP_NET_ADMIN", 12),
            Self::NetRaw => ("CAP_NET_RAW", 13),
            Self::IpcLock => ("CAP_IPC_LOCK", 14),
            Self::SysAdmin => ("CAP_SYS_ADMIN", 21),
            Self::Perfmon => ("CAP_PERFMON", 38),
            Self::Bpf => ("CAP_BPF", 39),
        }
    }
}

/// Those of `needed` that are not in the effective set, by name: `CAP_NET_ADMIN and CAP_BPF`; `None` where all are.
pub fn missing(needed: &[Capability], effective: u64) -> Option<String> {
    let names: Vec<&str> = needed.iter().filter(|c| !c.is_in(effective)).map(|c| c.name()).collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

/// What to do where the kernel says that this process may not do what needs these capabilities (`EACCES`, `EPERM`). One
/// that has them learns nothing from being told to get them: those of a container or of a user namespace are not the
/// host's (user_namespaces(7)).
pub fn next_where_denied(needed: &[Capability], effective: u64) -> String {
    if let Some(lacks) = missing(needed, effective) {
        return format!("this process lacks {lacks}; give it that, as sudo does");
    }
    let names: Vec<&str> = needed.iter().map(|c| c.name()).collect();
    let names = names.join(" and ");
    format!(
        "{names}, which this process has, is not enough here: in a container or a user namespace, run it on the host"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_and_what_is_there_is_not_asked_for() {
        let both = [Capability::NetAdmin, Capability::Bpf];
        assert_eq!(missing(&both, 0).as_deref(), Some("CAP_NET_ADMIN and CAP_BPF"));
        assert_eq!(missing(&both, 1 << 12).as_deref(), Some("CAP_BPF"));
        assert_eq!((missing(&both, 1 << 12 | 1 << 39), missing(&[], 0)), (None, None));
        let lacks = next_where_denied(&[Capability::SysAdmin], 1 << 12);
        assert!(lacks.contains("lacks CAP_SYS_ADMIN") && !lacks.contains("root"), "{lacks}");
        let has = next_where_denied(&[Capability::NetAdmin], u64::MAX);
        assert!(has.contains("not enough here") && !has.contains("sudo"), "{has}");
    }
}
