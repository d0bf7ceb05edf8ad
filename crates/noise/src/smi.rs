//! How often the firmware took a CPU away (system management interrupts), where the CPU counts them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use lowlat_sys::Sys;

/// `MSR_SMI_COUNT` of Intel CPUs (arch/x86/include/asm/msr-index.h; turbostat's SMI column reads the same).
const MSR_SMI_COUNT: u64 = 0x34;

/// One CPU's counter.
#[derive(Debug)]
pub(crate) struct Smi(File);

impl Smi {
    /// Opens it; or why there is none.
    pub(crate) fn open(sys: &dyn Sys, cpu: u32) -> Result<Self, String> {
        let intel = sys.read("/proc/cpuinfo").into_value().is_some_and(|t| t.contains("GenuineIntel"));
        if !intel {
            return Err("unsupported: Intel's CPUs alone count them".to_owned());
        }
        let path = format!("/dev/cpu/{cpu}/msr");
        let file = File::open(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => format!("absent: {path}; the msr module is not loaded"),
            std::io::ErrorKind::PermissionDenied => {
                format!("denied: {path} needs CAP_SYS_RAWIO, and its owner or CAP_DAC_OVERRIDE")
            }
            _ => format!("unsupported: {path}: {e}"),
        })?;
        let smi = Self(file);
        // A hypervisor may refuse the register (KVM answers EIO).
        smi.read().map(|_| smi).map_err(|e| format!("unsupported: {path}: {e}"))
    }

    /// Since power-on.
    pub(crate) fn read(&self) -> std::io::Result<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, MSR_SMI_COUNT)?;
        // Bits 31:0 (Intel SDM volume 4, table 2-2).
        Ok(u64::from_le_bytes(bytes) & 0xffff_ffff)
    }
}
