//! What `--dpdk-port` names, and the arguments of EAL for it. Pure.

/// How a port gets its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortKind {
    /// A packet socket on an interface that stays the kernel's.
    AfPacket,
    /// The first receive queue of an interface.
    AfXdp,
    /// An interface that DPDK makes.
    Tap,
    /// A ring that gives back what was sent: a test of the program alone.
    Ring,
    /// A PCI device without the kernel.
    Pci,
}

/// A port of DPDK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// How it gets its frames.
    pub kind: PortKind,
    /// As EAL takes it: `net_af_packet0,iface=eth0`, `0000:03:00.0`.
    pub name: String,
}

/// Virtual devices, by the name of their driver.
const VIRTUAL: [(&str, PortKind); 4] = [
    ("net_af_packet", PortKind::AfPacket),
    ("net_af_xdp", PortKind::AfXdp),
    ("net_tap", PortKind::Tap),
    ("net_ring", PortKind::Ring),
];

/// Longer than any device string that means something; EAL copies them.
const LONGEST: usize = 200;

impl Port {
    /// Reads what `--dpdk-port` says: `net_af_xdp`, `net_af_packet0,iface=eth0,qpairs=1`, `0000:03:00.0`. As text, why it
    /// names no port.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_,=.:-".contains(&b);
        if text.len() > LONGEST || !text.bytes().all(plain) {
            return Err(format!("{text:?} is no device string of DPDK"));
        }
        if is_pci(text) {
            return Ok(Self { kind: PortKind::Pci, name: text.to_owned() });
        }
        let (driver, options) = text.split_once(',').map_or((text, None), |(d, o)| (d, Some(o)));
        let bare = driver.trim_end_matches(|c: char| c.is_ascii_digit());
        let Some((_, kind)) = VIRTUAL.iter().find(|(name, _)| *name == bare) else {
            let known: Vec<&str> = VIRTUAL.iter().map(|(name, _)| *name).collect();
            return Err(format!("{text:?} is neither a PCI address (0000:03:00.0) nor one of {}", known.join(", ")));
        };
        // EAL wants a number behind the driver's name.
        let driver = if bare == driver { format!("{driver}0") } else { driver.to_owned() };
        Ok(Self { kind: *kind, name: options.map_or(driver.clone(), |o| format!("{driver},{o}")) })
    }

    /// Whether the kernel has the interface, its address and its neighbours.
    pub fn on_interface(&self) -> bool {
        matches!(self.kind, PortKind::AfPacket | PortKind::AfXdp)
    }

    /// The interface that its own options name.
    pub fn iface(&self) -> Option<&str> {
        self.name.split(',').skip(1).find_map(|o| o.strip_prefix("iface="))
    }

    /// The same port on an interface, where its options name none.
    #[must_use]
    pub fn on(self, iface: &str) -> Self {
        if !self.on_interface() || self.iface().is_some() {
            return self;
        }
        Self { name: format!("{},iface={iface}", self.name), ..self }
    }

    /// The arguments of EAL: nothing in hugepages, nothing shared, no telemetry, the calling thread on `cpus`.
    pub(crate) fn eal(&self, cpus: &[usize], prefix: &str) -> Vec<String> {
        let cpus: Vec<String> = cpus.iter().map(ToString::to_string).collect();
        let mut args: Vec<String> =
            ["--no-huge", "-m", "128", "--no-shconf", "--no-telemetry"].map(str::to_owned).to_vec();
        args.extend(["--file-prefix".to_owned(), prefix.to_owned(), "--log-level".to_owned(), "*:error".to_owned()]);
        args.push(format!("--lcores=0@({})", cpus.join(",")));
        match self.kind {
            // Without hugepages memory has no physical address that it keeps.
            PortKind::Pci => args.extend(["-a".to_owned(), self.name.clone(), "--iova-mode=va".to_owned()]),
            _ => args.extend(["--no-pci".to_owned(), "--vdev".to_owned(), self.name.clone()]),
        }
        args
    }
}

/// `0000:03:00.0`.
pub(crate) fn is_pci(text: &str) -> bool {
    let hex = |t: &str, n: usize| t.len() == n && t.bytes().all(|b| b.is_ascii_hexdigit());
    let mut parts = text.split([':', '.']);
    let shape =
        text.len() == 12 && text.as_bytes()[4] == b':' && text.as_bytes()[7] == b':' && text.as_bytes()[10] == b'.';
    shape && [4, 2, 2, 1].into_iter().all(|n| parts.next().is_some_and(|p| hex(p, n))) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_what_eal_takes_and_nothing_else() {
        let name = |text: &str| Port::parse(text).map(|p| p.on("eth0").name);
        for (text, want) in [
            ("net_af_packet", "net_af_packet0,iface=eth0"),
            ("net_af_xdp1", "net_af_xdp1,iface=eth0"),
            ("net_af_packet0,iface=eth1,qpairs=1", "net_af_packet0,iface=eth1,qpairs=1"),
            ("net_tap", "net_tap0"),
            ("net_ring7", "net_ring7"),
            ("0000:03:00.0", "0000:03:00.0"),
        ] {
            assert_eq!(name(text).as_deref(), Ok(want));
        }
        for bad in [
            "",
            "eth0",
            "03:00.0",
            "0000:03:00:0",
            "net_af_packet0 --vdev",
            "net_pcap0",
            "net_af_xdp\n",
            "0000:03:00.00",
        ] {
            assert!(name(bad).is_err(), "{bad:?} was taken");
        }
        assert!(name(&format!("net_tap,iface={}", "x".repeat(300))).is_err());
    }

    #[test]
    fn eal_gets_no_hugepages_and_the_callers_cpus() {
        let args = |text: &str| Port::parse(text).unwrap().eal(&[2, 3], "p").join(" ");
        for text in ["net_af_packet0,iface=e", "0000:03:00.0"] {
            assert!(args(text).contains("--no-huge") && args(text).contains("--lcores=0@(2,3)"), "{}", args(text));
        }
        assert!(args("net_tap").contains("--no-pci --vdev net_tap0"));
        assert!(args("0000:03:00.0").contains("-a 0000:03:00.0") && !args("0000:03:00.0").contains("--no-pci"));
    }
}
