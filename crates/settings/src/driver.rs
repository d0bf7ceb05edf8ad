//! Parts of a driver, as far as a setting of them may reset something.

use lowlat_model::tune::Resets;

/// A part of a driver that settings belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Interrupt coalescing.
    Coalesce,
    /// Ring sizes.
    Ring,
    /// Channel counts.
    Channels,
    /// An offload feature.
    Feature,
    /// Pause.
    Pause,
    /// Energy-efficient Ethernet.
    Eee,
    /// A private flag.
    PrivateFlag,
    /// Hardware time stamping.
    HwTimestamp,
    /// Attaching an XDP program, and taking it off.
    Xdp,
}

impl Part {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Coalesce => "coalescing",
            Self::Ring => "rings",
            Self::Channels => "channels",
            Self::Feature => "features",
            Self::Pause => "pause",
            Self::Eee => "EEE",
            Self::PrivateFlag => "private flags",
            Self::HwTimestamp => "hardware time stamping",
            Self::Xdp => "XDP",
        }
    }

    /// Where no row knows the driver. Most drivers free and allocate queues for rings, channels and XDP and negotiate
    /// the link for pause and EEE; coalescing and time stamping are registers in all but a few.
    pub fn unknown(self) -> Resets {
        match self {
            Self::Ring | Self::Channels | Self::Pause | Self::Eee | Self::PrivateFlag | Self::Xdp => Resets::Link,
            Self::Coalesce | Self::Feature | Self::HwTimestamp => Resets::Nothing,
        }
    }
}
