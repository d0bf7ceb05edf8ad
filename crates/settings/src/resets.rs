//! What resets when a setting is written or put back: by driver, kind of setting and change of value.
//!
//! The rows are in [`TABLE`]; what no row knows gets a cautious answer by its kind, which says that it is not known. A
//! reset is judged in both directions, because a step that is tried is also put back.

use lowlat_model::op::{Locus, State};
use lowlat_model::tune::Resets;
use lowlat_sys::{Sys, query};

pub use crate::reset_table::{Row, TABLE, When};
use crate::{Asked, Part};

/// What is known of a reset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// What resets.
    pub resets: Resets,
    /// Why, or that it is not known; `None` where nothing is known to.
    pub why: Option<String>,
    /// Where it says so; `None` where no row knows it.
    pub source: Option<&'static str>,
}

impl Known {
    const NOTHING: Self = Self { resets: Resets::Nothing, why: None, source: None };
}

/// A device, as far as the table asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResetDevice {
    /// As `ethtool -i` names it; empty where it does not report.
    pub driver: String,
    /// Whether LRO is on; `None` where it is not known, which counts as on.
    pub lro: Option<bool>,
    /// Whether mlx5 compresses completions; `None` as above.
    pub cqe_compression: Option<bool>,
}

impl ResetDevice {
    /// Asks an interface.
    pub fn of(sys: &dyn Sys, iface: &str) -> Self {
        let features = query::features(sys, iface).into_value();
        let flags = query::private_flags(sys, iface).into_value();
        Self {
            driver: query::driver(sys, iface).into_value().map(|d| d.driver).unwrap_or_default(),
            lro: features.map(|f| f.get("rx-lro").is_some_and(|f| f.active)),
            cqe_compression: flags.map(|f| f.get("rx_cqe_compress").copied().unwrap_or(false)),
        }
    }
}

/// What resets when `locus` of this device goes from one state to the other, or back: the gravest that any part of its
/// driver is known for. Files, queue disciplines, routes and affinities are the kernel's own: no driver resets for
/// them.
pub fn of(device: &ResetDevice, locus: &Locus, from: &State, to: &State) -> Known {
    let kind = crate::at(locus);
    let each = kind.asked(from, to);
    let known = each.iter().map(|asked| of_asked(device, asked));
    known.reduce(|a, b| if b.resets > a.resets { b } else { a }).unwrap_or_default()
}

fn of_asked(device: &ResetDevice, asked: &Asked<'_>) -> Known {
    let fits = |row: &&Row| {
        row.driver == device.driver
            && row.part == asked.part
            && (row.only.is_empty() || row.only == asked.name)
            && changes(device, row.when, asked)
    };
    TABLE.iter().find(fits).map_or_else(|| unknown(device, asked.part, asked.name), |row| known(device, row))
}

/// What resets when an XDP program is attached to an interface of this driver, for AF_XDP too, and when it is taken
/// off.
pub fn xdp_attach(driver: &str) -> Known {
    let device = ResetDevice { driver: driver.to_owned(), ..ResetDevice::default() };
    let row = TABLE.iter().find(|row| row.driver == driver && row.part == Part::Xdp);
    row.map_or_else(|| unknown(&device, Part::Xdp, ""), |row| known(&device, row))
}

fn known(device: &ResetDevice, row: &'static Row) -> Known {
    let why = (row.resets != Resets::Nothing).then(|| format!("{}: {}", device.driver, row.why));
    Known { resets: row.resets, why, source: Some(row.source) }
}

/// Features that the core does itself: switching them reaches no driver that does not ask for it.
const OF_THE_CORE: &[&str] = &["rx-gro", "tx-generic-segmentation"];

fn unknown(device: &ResetDevice, part: Part, name: &str) -> Known {
    // LRO and ntuple filters change receive queues on many drivers; segmentation changes descriptors alone.
    let resets = match (part, name) {
        (Part::Feature, "rx-lro" | "rx-ntuple-filter") => Resets::Link,
        _ => part.unknown(),
    };
    if resets == Resets::Nothing || (part == Part::Feature && OF_THE_CORE.contains(&name)) {
        return Known::NOTHING;
    }
    let of = match device.driver.as_str() {
        "" => "a driver that does not report its name".to_owned(),
        driver => format!("driver {driver}"),
    };
    let why = format!("not known for {of}, so a reset of the link is assumed for its {}", part.words());
    Known { resets, why: Some(why), source: None }
}

/// Whether a change is one that the row speaks of.
fn changes(device: &ResetDevice, when: When, asked: &Asked<'_>) -> bool {
    let usecs = |text: &str| text.trim().parse::<u32>().ok();
    let name = asked.name;
    // What cannot be read as a number may cross.
    let crosses = |high: u32| match (usecs(&asked.from), usecs(&asked.to)) {
        (Some(a), Some(b)) => (a == 1 || a >= high) != (b == 1 || b >= high),
        _ => true,
    };
    let delay = matches!(name, "rx-usecs" | "tx-usecs");
    match when {
        When::Any => true,
        // Receive and transmit share their vectors by default, and then the one delay is the other.
        When::IxgbeWriteThreshold => delay && crosses(10),
        When::IxgbeReceiveSideCoalescing => name == "rx-usecs" && device.lro != Some(false) && crosses(7),
        When::Mlx5CqeCompression => device.cqe_compression != Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coalesce(driver: &str, lro: Option<bool>, from: &str, to: &str) -> Known {
        let device = ResetDevice { driver: driver.into(), lro, cqe_compression: None };
        let locus = Locus::Coalesce { iface: "e".into(), param: "rx-usecs".into() };
        of(&device, &locus, &State::Text(from.into()), &State::Text(to.into()))
    }

    fn feature(driver: &str, name: &str) -> Resets {
        let device = ResetDevice { driver: driver.into(), ..ResetDevice::default() };
        let locus = Locus::Feature { iface: "e".into(), name: name.into() };
        of(&device, &locus, &State::Text("on".into()), &State::Text("off".into())).resets
    }

    #[test]
    fn ixgbe_resets_for_some_changes_of_the_delay_both_ways() {
        let known = |from, to| coalesce("ixgbe", Some(false), from, to).resets;
        for (a, b) in [("1", "0"), ("10", "0"), ("50", "9"), ("1", "2")] {
            assert_eq!((known(a, b), known(b, a)), (Resets::Link, Resets::Link), "{a} and {b}");
        }
        for (a, b) in [("0", "2"), ("9", "0"), ("50", "10"), ("50", "1"), ("10", "1")] {
            assert_eq!((known(a, b), known(b, a)), (Resets::Nothing, Resets::Nothing), "{a} and {b}");
        }
        let why = coalesce("ixgbe", Some(false), "1", "0");
        assert!(why.why.unwrap().starts_with("ixgbe: ") && why.source.unwrap().contains("ixgbe_set_coalesce"));
        // With LRO on, receive-side coalescing has a threshold of its own; unknown counts as on.
        assert_eq!(known("0", "8"), Resets::Nothing);
        assert_eq!(coalesce("ixgbe", Some(true), "0", "8").resets, Resets::Link);
        assert_eq!(coalesce("ixgbe", None, "0", "8").resets, Resets::Link);
    }

    #[test]
    fn drivers_differ_and_what_is_not_known_is_said() {
        assert_eq!(coalesce("igb", None, "3", "0").resets, Resets::Nothing);
        let ring = |driver: &str| {
            let device = ResetDevice { driver: driver.into(), ..ResetDevice::default() };
            let locus = Locus::Ring { iface: "e".into(), param: "rx".into() };
            of(&device, &locus, &State::Text("512".into()), &State::Text("1024".into()))
        };
        assert_eq!((ring("tg3").resets, ring("virtio_net").resets), (Resets::Link, Resets::Queues));
        assert_eq!(ring("netdevsim"), Known { source: ring("netdevsim").source, ..Known::NOTHING });
        let unknown = ring("rtl8139");
        assert_eq!((unknown.resets, unknown.source), (Resets::Link, None));
        assert!(unknown.why.unwrap().starts_with("not known for driver rtl8139"));
        assert!(ring("").why.unwrap().contains("does not report its name"));
    }

    #[test]
    fn features_of_the_core_reach_no_driver_but_veth() {
        assert_eq!((feature("ixgbe", "rx-gro"), feature("rtl8139", "rx-gro")), (Resets::Nothing, Resets::Nothing));
        assert_eq!(feature("veth", "rx-gro"), Resets::Queues);
        assert_eq!((feature("ixgbe", "rx-lro"), feature("rtl8139", "rx-lro")), (Resets::Link, Resets::Link));
        assert_eq!(
            (feature("i40e", "rx-ntuple-filter"), feature("ice", "rx-ntuple-filter")),
            (Resets::Link, Resets::Nothing)
        );
        assert_eq!(feature("rtl8139", "tx-tcp-segmentation"), Resets::Nothing);
    }

    #[test]
    fn attaching_xdp_resets_what_the_drivers_row_says_and_an_unknown_one_the_link() {
        let rows = || TABLE.iter().filter(|row| row.part == Part::Xdp);
        for resets in [Resets::Nothing, Resets::Queues, Resets::Link] {
            assert!(rows().any(|row| row.resets == resets), "no driver with {resets:?}");
        }
        for row in rows() {
            let known = xdp_attach(row.driver);
            assert_eq!((known.resets, known.source), (row.resets, Some(row.source)), "{}", row.driver);
            assert_eq!(known.why.is_some(), row.resets != Resets::Nothing, "{}", row.driver);
        }
        assert_eq!(xdp_attach("rtl8139").resets, Resets::Link);
        assert!(xdp_attach("rtl8139").why.unwrap().contains("not known for driver rtl8139"));
    }

    #[test]
    fn files_and_qdiscs_reset_nothing() {
        let any = State::Text("1".into());
        for locus in [
            Locus::File { path: "/sys/class/net/e/gro_flush_timeout".into() },
            Locus::IrqAffinity { iface: "e".into(), index: 0 },
            Locus::Qdisc { iface: "e".into(), parent: "root".into() },
        ] {
            assert_eq!(of(&ResetDevice::default(), &locus, &any, &any), Known::NOTHING);
        }
    }

    #[test]
    fn every_row_can_be_reached_and_says_where_from() {
        for (n, row) in TABLE.iter().enumerate() {
            assert!(lowlat_model::source::has_form(row.source), "{} {:?}: {}", row.driver, row.part, row.source);
            assert!(!row.why.is_empty() && !row.why.ends_with('.'));
            let hides = |earlier: &Row| {
                earlier.driver == row.driver
                    && earlier.part == row.part
                    && earlier.when == When::Any
                    && (earlier.only.is_empty() || earlier.only == row.only)
            };
            assert!(
                !TABLE[..n].iter().any(hides),
                "{} {:?} {}: an earlier row hides it",
                row.driver,
                row.part,
                row.only
            );
        }
    }
}
