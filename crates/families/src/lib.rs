//! NIC families: what to set, what to leave, and what each one's driver does differently.
//!
//! One file per family, one line per file in [`FAMILIES`]. A page says only what its sources say or what lowlat
//! measured itself; it gives no "x % faster", because that belongs to a path and is measured there. What a page
//! recommends is a value to *try*: the A/B test on the live path decides.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod bnxt;
mod connectx;
mod e1000e;
mod ena;
mod gve;
mod i40e;
mod iavf;
mod ice;
mod idpf;
mod igb;
mod igc;
mod ixgbe;
mod macb;
mod mana;
mod mlx4;
mod netvsc;
mod r8169;
mod sfc;
mod stmmac;
mod tg3;
mod veth;
mod virtio;
mod vmxnet3;
mod wifi;

/// One family of devices that share a driver or nearly so.
#[derive(Debug)]
pub struct NicFamily {
    /// `i40e`, `connectx`, …: what `lowlat explain NAME` takes.
    pub name: &'static str,
    /// Kernel drivers, as `ethtool -i` names them.
    pub drivers: &'static [&'static str],
    /// What people call it: a maker, a product, a program that it is known for.
    pub also: &'static [&'static str],
    /// The page: Markdown with the sections `Devices`, `Set`, `Leave`, `Know`.
    pub page: &'static str,
    /// Where the page's facts come from.
    pub sources: &'static [&'static str],
    /// File of the family, for the code link.
    pub file: &'static str,
}

/// Every family, in the order of the reference.
pub static FAMILIES: &[&NicFamily] = &[
    &ice::FAMILY,
    &i40e::FAMILY,
    &ixgbe::FAMILY,
    &igc::FAMILY,
    &igb::FAMILY,
    &e1000e::FAMILY,
    &iavf::FAMILY,
    &idpf::FAMILY,
    &connectx::FAMILY,
    &mlx4::FAMILY,
    &bnxt::FAMILY,
    &tg3::FAMILY,
    &sfc::FAMILY,
    &r8169::FAMILY,
    &stmmac::FAMILY,
    &macb::FAMILY,
    &ena::FAMILY,
    &gve::FAMILY,
    &mana::FAMILY,
    &netvsc::FAMILY,
    &virtio::FAMILY,
    &vmxnet3::FAMILY,
    &veth::FAMILY,
    &wifi::FAMILY,
];

/// A family by its name, by a driver of it, or by what people call it, in any case of letters.
pub fn find(name: &str) -> Option<&'static NicFamily> {
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    let all = || FAMILIES.iter().copied();
    let by_name = all().find(|f| is(&f.name)).or_else(|| all().find(|f| f.drivers.iter().any(is)));
    by_name.or_else(|| all().find(|f| f.also.iter().any(is)))
}

/// Declares a family: its doc comment is its page.
macro_rules! family {
    ($(#[doc = $line:literal])+ $name:literal; drivers [$($driver:literal),+ $(,)?]; $(also [$($also:literal),+ $(,)?];)? sources [$($source:literal),+ $(,)?];) => {
        $(#[doc = $line])+
        pub(crate) static FAMILY: crate::NicFamily = crate::NicFamily {
            name: $name,
            drivers: &[$($driver),+],
            also: &[$($($also),+)?],
            page: lowlat_model::doc_page!($($line)+),
            sources: &[$($source),+],
            file: file!(),
        };
    };
}
pub(crate) use family;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_page_says_all_four_things_and_where_from() {
        for f in FAMILIES {
            for title in ["Devices", "Set", "Leave", "Know"] {
                let (_, rest) =
                    f.page.split_once(&format!("## {title}\n")).unwrap_or_else(|| panic!("{}: no {title}", f.name));
                let text = rest.split("\n## ").next().unwrap_or_default().trim();
                assert!(text.len() > 20, "{}: {title} says nothing: {text:?}", f.name);
            }
            for s in f.sources {
                assert!(
                    lowlat_model::source::has_form(s),
                    "{}: {s:?} is none of {}",
                    f.name,
                    lowlat_model::source::FORMS
                );
            }
            assert!(!f.sources.is_empty() && !f.drivers.is_empty(), "{}", f.name);
        }
    }

    #[test]
    fn every_file_is_registered_and_no_driver_has_two_families() {
        let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let files: BTreeSet<String> = std::fs::read_dir(src)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|f| f != "lib.rs")
            .collect();
        let listed: BTreeSet<String> =
            FAMILIES.iter().map(|f| f.file.rsplit('/').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(files, listed);
        let drivers: Vec<&str> = FAMILIES.iter().flat_map(|f| f.drivers).copied().collect();
        let unique: BTreeSet<&str> = drivers.iter().copied().collect();
        assert_eq!(drivers.len(), unique.len(), "a driver twice");
        let mut known = BTreeSet::new();
        for f in FAMILIES {
            let names = f.also.iter().chain(f.drivers).chain([&f.name]).map(|n| n.to_ascii_lowercase());
            for name in names.collect::<BTreeSet<_>>() {
                assert!(known.insert(name.clone()), "{name} leads to two families");
            }
        }
    }

    #[test]
    fn a_family_is_found_by_each_of_its_names_in_any_case_of_letters() {
        for f in FAMILIES {
            for known in f.also.iter().chain(f.drivers).chain([&f.name]) {
                for asked in [known.to_ascii_lowercase(), known.to_ascii_uppercase()] {
                    assert_eq!(find(&asked).map(|found| found.name), Some(f.name), "{asked}");
                }
            }
        }
        assert!(find("rtl8139").is_none());
    }

    #[test]
    fn no_page_promises_a_gain() {
        for f in FAMILIES {
            let promise = f.page.split_whitespace().any(|w| w.ends_with('%') || w == "faster");
            assert!(!promise, "{}: a gain belongs to a path", f.name);
        }
    }
}
