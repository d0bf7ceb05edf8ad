//! Frames that arrive broken.

use lowlat_model::Severity;

use crate::look::{finding, on_path, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Frames that the device received with a wrong checksum, or damaged on the wire.
    /// ## Why it matters
    /// A damaged frame is lost, and each loss costs a round trip or a timeout. The cause is a cable, a connector, a
    /// transceiver or a port; tuning fixes none of these.
    /// ## Threshold
    /// Any growth in the counter window of the kernel's `rx_crc_errors` or `rx_frame_errors`, or of a driver's counter
    /// whose name mentions CRC, FCS, symbol or alignment errors (`rx_symbol_err_phy` of mlx5) or blocks that forward
    /// error correction could not restore. A healthy link has none. Bits and blocks that it did restore do not count:
    /// fast links have them all the time.
    /// ## Remedy
    /// Clean or replace cable and transceiver, try another port, and check the counters at the other end of the link.
    /// Tune afterwards.
    pub LinkErrors = "link-errors";
    sources [
        "include/uapi/linux/if_link.h in linux 6.12: struct rtnl_link_stats64 (rx_crc_errors, rx_frame_errors)",
        "net/ethtool/stats.c in linux 6.12: stats_eth_mac_names, stats_eth_phy_names, stats_rmon_names",
        "include/linux/ethtool.h in linux 6.12: struct ethtool_fec_stats (uncorrectable_blocks)",
        "RFC 2819 (section 4, etherStatsFragments, etherStatsJabbers)",
        "drivers/net/ethernet/mellanox/mlx5/core/en_stats.c in linux 6.12: rx_crc_errors_phy, rx_symbol_err_phy",
        "Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst in linux 6.12: rx_corrected_bits_phy, rx_err_lane_[l]_phy",
        "drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c in linux 6.12: rx_fec_uncorrectable_blocks, rx_fec_corrected_blocks",
        "drivers/net/usb/lan78xx.c in linux 6.12: lan78xx_gstrings (RX FCS Errors)",
        "drivers/net/ethernet/cadence/macb.h in linux 6.12: rx_frame_check_sequence_errors",
        "drivers/net/ethernet/freescale/fec_main.c in linux 6.12: fec_stats (IEEE_rx_crc, IEEE_rx_align)",
    ];
}

pub(crate) const KERNEL: [&str; 2] = ["rx_crc_errors", "rx_frame_errors"];

/// The kernel's names for them in the statistics that a driver fills in. Fragments and jabbers are frames too short and
/// too long with a wrong check (RFC 2819, etherStatsFragments, etherStatsJabbers).
pub(crate) const STANDARD: [&str; 6] = [
    "eth-mac.FrameCheckSequenceErrors",
    "eth-mac.AlignmentErrors",
    "eth-phy.SymbolErrorDuringCarrier",
    "fec.uncorrectable_blocks",
    "rmon.etherStatsFragments",
    "rmon.etherStatsJabbers",
];

/// Whether a driver's counter counts frames that came broken off the wire: its name speaks of the frame check, of symbols or
/// of alignment, or of blocks past correction. Drivers write these words with underscores, with blanks and as one
/// (`rx_fcs_errors`, `RX FCS Errors`, `RxFCSErrors`). A wrong checksum of IP, TCP or UDP is the sender's.
pub(crate) fn counts(key: &str) -> bool {
    const BROKEN: [&str; 7] =
        ["crcerr", "fcserr", "symbolerr", "alignerr", "alignmenterr", "alignmentsymbolerr", "framechecksequence"];
    /// What the names of `fec` and `bcmgenet` end with, which say no more.
    const BARE: [&str; 3] = ["rxcrc", "rxfcs", "rxalign"];
    let word: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let broken = BROKEN.iter().any(|part| word.contains(part)) || BARE.iter().any(|end| word.ends_with(end));
    broken || (word.contains("fec") && word.contains("uncorr"))
}

/// Whether a driver's counter counts what forward error correction restored, or errors before it: a fast link has these all
/// the time, and nothing is lost.
pub(crate) fn restored(key: &str) -> bool {
    let low = key.to_ascii_lowercase();
    (low.contains("corr") && !low.contains("uncorr") && !low.contains("corrupt")) || low.contains("err_lane")
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    for (name, _) in on_path(input.facts) {
        let mut evidence = seen.grown(window, &format!("link/{name}"), &KERNEL, "kernel counter");
        for (key, by) in seen.all_grown(window, &format!("standard/{name}")) {
            if STANDARD.contains(&key.as_str()) {
                evidence.push(format!("{key} grew by {by} {} (standard counter)", within(window)));
            }
        }
        // What a driver does not count is not a fact missed: the kernel's counters stand for all of them.
        let again = |key: &str| KERNEL.contains(&key) && window.delta(&format!("link/{name}"), key) > Some(0);
        for (key, by) in seen.driver_grown(window, name).into_iter().filter(|(key, _)| counts(key) && !again(key)) {
            evidence.push(format!("{} grew by {by} {} (driver counter)", key.trim(), within(window)));
        }
        if evidence.is_empty() {
            continue;
        }
        seen.found(finding(
            NAME,
            Severity::Critical,
            format!("{name} receives damaged frames"),
            evidence,
            "check cable, transceiver, port and the far side before tuning: no kernel setting fixes this",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn broken_frames_of_kernel_and_driver() {
        let mut facts = healthy();
        grow(&mut facts, "link/eth0", "rx_crc_errors", 3);
        grow(&mut facts, "ethtool/eth0", "rx_symbol_err_phy", 4);
        only(
            NAME,
            &facts,
            &[
                "rx_crc_errors grew by 3 in 1000 ms (kernel counter)",
                "rx_symbol_err_phy grew by 4 in 1000 ms (driver counter)",
            ],
            &[],
        );
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Critical);
        // The driver shows the kernel's own again.
        grow(&mut facts, "ethtool/eth0", "rx_crc_errors", 3);
        assert_eq!(rule(NAME, &facts).findings[0].evidence.len(), 2);
    }

    #[test]
    fn a_driver_whose_counts_the_kernel_does_not_have() {
        let mut facts = healthy();
        grow(&mut facts, "ethtool/eth0", "rx_crc_errors", 3);
        only(NAME, &facts, &["rx_crc_errors grew by 3 in 1000 ms (driver counter)"], &[]);
    }

    #[test]
    fn blocks_that_forward_error_correction_could_not_restore() {
        let mut facts = healthy();
        grow(&mut facts, "standard/eth0", "fec.uncorrectable_blocks", 3);
        only(NAME, &facts, &["fec.uncorrectable_blocks grew by 3 in 1000 ms (standard counter)"], &[]);
    }

    #[test]
    fn names_of_other_drivers() {
        for key in [
            "RX FCS Errors",
            "RxAlignErrors",
            "rx_frame_check_sequence_errors",
            "IEEE_rx_crc",
            "rx_fcs",
            "rx_alignment_symbol_errors",
            "port.rx_crc_errors",
            "rx_fec_uncorrectable_blocks",
            "fec_uncorrected_errors",
        ] {
            assert!(counts(key) && !restored(key), "{key}");
        }
        for key in ["rx_csum_offload_errors", "rx_ip_checksum_errs", "fcs", "rx_errors", "rx_corrected_bits_phy"] {
            assert!(!counts(key), "{key}");
        }
        for key in ["rx_corrected_bits_phy", "rx_err_lane_0_phy", "fec_corrected_errors", "rx_fec_corrected_blocks"] {
            assert!(restored(key) && !counts(key), "{key}");
        }
        assert!(!restored("rx_corrupt_frames") && !restored("rx_errors"));
    }

    #[test]
    fn blind_without_the_kernels_counters() {
        let mut facts = healthy();
        deny_group(&mut facts, "link/eth0");
        blind(NAME, &facts, "link/eth0", "denied");
    }
}
