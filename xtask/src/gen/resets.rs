//! The page of what each driver resets, from the catalogue's own table.

use std::fmt::Write as _;

use lowlat_model::tune::Resets;
use lowlat_settings::Part;
use lowlat_settings::resets::{TABLE, When};

use super::Pages;
use super::text::{NOTE, cell};

const PARTS: &[Part] = &[
    Part::Coalesce,
    Part::Ring,
    Part::Channels,
    Part::Feature,
    Part::Pause,
    Part::Eee,
    Part::PrivateFlag,
    Part::HwTimestamp,
    Part::Xdp,
];

fn words(resets: Resets) -> &'static str {
    match resets {
        Resets::Nothing => "nothing",
        Resets::Queues => "the queues",
        Resets::Link => "the link",
    }
}

fn condition(when: When) -> &'static str {
    match when {
        When::Any => "",
        When::IxgbeWriteThreshold => "between {1, 10 µs and more} and {0, 2 to 9 µs}",
        When::IxgbeReceiveSideCoalescing => "`rx-usecs` between {1, 7 µs and more} and {0, 2 to 6 µs}, with LRO on",
        When::Mlx5CqeCompression => "with `rx_cqe_compress` on",
    }
}

/// The page.
pub(crate) fn resets(pages: &mut Pages) {
    let mut page = format!(
        "{NOTE}\n# What resets\n\nWhat a driver resets when a setting is written, or put back. A step that resets the link \
         needs `--allow-disruptive`. A driver that takes its carrier off on the way counts as resetting the link, whether or \
         not the wire goes down.\n\n## Drivers that are not in the table\n\n| setting | assumed to reset |\n|---|---|\n"
    );
    for part in PARTS {
        let note =
            if *part == Part::Feature { "nothing; the link for LRO and ntuple filters" } else { words(part.unknown()) };
        let _ = writeln!(page, "| {} | {note} |", part.words());
    }
    page.push_str("\n## By driver\n\n| driver | setting | resets | because | source |\n|---|---|---|---|---|\n");
    for row in TABLE {
        let mut setting = row.part.words().to_owned();
        for more in [row.only, condition(row.when)].into_iter().filter(|more| !more.is_empty()) {
            let _ = write!(setting, ", {more}");
        }
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            row.driver,
            cell(&setting),
            words(row.resets),
            cell(row.why),
            cell(row.source)
        );
    }
    pages.insert("resets.md".to_owned(), page);
}
