//! What a topology needs on the host's side of QEMU.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::error::VmError;

/// The host's side of the guest's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostNetwork {
    /// Nothing: the link is inside QEMU.
    None,
    /// Two multi-queue taps joined by a bridge, in a network namespace that lives as long as QEMU.
    BridgedTaps,
}

/// The bridge is made by the script that becomes QEMU; QEMU's own hook would need one more file for the same.
const BRIDGED_TAPS: &str = "set -e
ip link add br0 type bridge
ip link set br0 up
for t in lab0 lab1; do
\tip tuntap add dev $t mode tap multi_queue
\tip link set $t up master br0
done
exec \"$@\"
";

impl HostNetwork {
    /// `command` with the network around it; the pid stays that of QEMU (`unshare` and the shell replace themselves).
    pub(crate) fn wrap(self, command: Command, temp: &Path) -> Result<Command, VmError> {
        if self == Self::None {
            return Ok(command);
        }
        let script = temp.join("host-network.sh");
        fs::write(&script, BRIDGED_TAPS).map_err(VmError::io("write", &script))?;
        let mut outer = Command::new("unshare");
        outer.args(["--net", "--", "/bin/sh"]).arg(&script).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                outer.env(name, value);
            }
        }
        Ok(outer)
    }
}
