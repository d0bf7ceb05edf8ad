//! `lowlat status`: what stands applied.

use lowlat_model::Locus;
use lowlat_model::journal::StatusDocument;

use crate::figures::line;
use crate::page::{Block, Section, Table, text};

/// The document as text.
pub fn status(d: &StatusDocument) -> String {
    if d.applied.is_empty() && d.pending.is_empty() {
        return "No lowlat changes are active.\n".to_owned();
    }
    let rows = d
        .applied
        .iter()
        .map(|a| {
            let by = if a.changed_by_other { "changed by others" } else { "" };
            let [was, set, now] = [&a.was, &a.set, &a.now].map(|v| cut(&line(v)));
            // A file is told by its path: its text is there to be read.
            let target = match &a.locus {
                Locus::DropIn { path } => line(path),
                _ => a.target.to_string(),
            };
            vec![line(&a.knob), target, was, set, now, by.to_owned()]
        })
        .collect();
    let table = Table::block(&["knob", "target", "was", "set", "now", ""], rows);
    let waits = d.pending.iter().map(|p| match p.left_ns.div_ceil(1_000_000_000) {
        0 => "its time to be confirmed is over and it still stands: run `lowlat rollback`".to_owned(),
        s => format!("reverts in {s} s unless confirmed: `lowlat confirm` keeps it"),
    });
    let blocks = waits.map(Block::Words).chain([table]).collect();
    text(&[Section::new("Applied", blocks)]).trim_start().to_owned()
}

/// A value as wide as the widest setting, a queue discipline's; a file's text is longer.
const WIDEST: usize = 72;

fn cut(value: &str) -> String {
    if value.chars().count() <= WIDEST {
        return value.to_owned();
    }
    value.chars().take(WIDEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::Schema;
    use lowlat_model::journal::{Applied, Pending};
    use lowlat_model::op::Target;

    #[test]
    fn a_file_is_told_by_its_path_and_not_by_its_text() {
        let path = "/etc/systemd/system/lowlat.service".to_owned();
        let applied = Applied {
            knob: "persist".into(),
            target: Target::Host,
            locus: Locus::DropIn { path: path.clone() },
            was: "nothing".into(),
            set: "ExecStart=-/bin/sh -c x\n".repeat(50),
            now: "ExecStart=-/bin/sh -c x\n".repeat(50),
            changed_by_other: false,
        };
        let told =
            status(&StatusDocument { schema: Schema::current("status"), applied: vec![applied], pending: Vec::new() });
        assert!(told.contains(&path), "{told}");
        assert!(told.lines().all(|l| l.chars().count() < 260), "{told}");
    }

    #[test]
    fn what_waits_for_its_confirmation_says_how_long() {
        let told = |left_ns: Option<u64>| {
            let pending = left_ns.map(|left_ns| Pending { transaction: "1".into(), left_ns });
            let pending = pending.into_iter().collect();
            status(&StatusDocument { schema: Schema::current("status"), applied: Vec::new(), pending })
        };
        assert!(told(Some(41_200_000_000)).contains("reverts in 42 s unless confirmed"), "{}", told(Some(1)));
        assert!(told(Some(0)).contains("time to be confirmed is over"), "{}", told(Some(0)));
        assert_eq!(told(None), "No lowlat changes are active.\n");
    }
}
