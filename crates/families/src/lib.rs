//! NIC families.

/// A family.
#[derive(Debug)]
pub struct Family {
    /// Name.
    pub name: &'static str,
    /// Drivers.
    pub drivers: &'static [&'static str],
    /// Page.
    pub page: &'static str,
    /// Sources.
    pub sources: &'static [&'static str],
}
/// All.
pub static FAMILIES: &[&Family] = &[];
/// By name or driver.
pub fn find(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().copied().find(|f| f.name == name || f.drivers.contains(&name))
}
