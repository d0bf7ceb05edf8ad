//! The page of the kernel's own defaults, from the table that the rules read.

use std::fmt::Write as _;

use lowlat_model::defaults::DEFAULTS;

use super::Pages;
use super::text::{NOTE, cell};

/// The page.
pub(crate) fn defaults(pages: &mut Pages) {
    let mut page = format!(
        "{NOTE}\n# The kernel's own defaults\n\nWhat a kernel sets before anybody else does, by release and machine. Rules \
         compare with these numbers. Where a value depends on the memory, the largest is given.\n\n\
         | setting | value | kernels | machines | source |\n|---|---|---|---|---|\n"
    );
    for (n, default) in DEFAULTS.iter().enumerate() {
        let next = DEFAULTS[n + 1..].iter().find(|d| d.key == default.key && d.since > default.since);
        let since = |(major, minor): (u32, u32)| format!("{major}.{minor}");
        let kernels = match (default.since, next) {
            ((0, 0), None) => "any".to_owned(),
            ((0, 0), Some(next)) => format!("before {}", since(next.since)),
            (first, None) => format!("from {} on", since(first)),
            (first, Some(next)) => format!("from {} until {}", since(first), since(next.since)),
        };
        let machines = default.bits.map_or_else(|| "any".to_owned(), |bits| format!("{bits} bit"));
        let _ = writeln!(
            page,
            "| `{}` | {} | {kernels} | {machines} | {} |",
            cell(default.key),
            cell(default.value),
            cell(default.source)
        );
    }
    pages.insert("kernel-defaults.md".to_owned(), page);
}
