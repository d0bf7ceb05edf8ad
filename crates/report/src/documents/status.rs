//! `lowlat status`: what is applied.

use lowlat_model::Locus;
use lowlat_model::journal::{Pending, StatusDocument};

use crate::figures::line;
use crate::page::{Section, Table, text_at};

/// The document as text.
pub(crate) fn status(d: &StatusDocument, width: usize) -> String {
    if d.applied.is_empty() && d.pending.is_empty() {
        return "No lowlat changes are active.\n".to_owned();
    }
    let rows = d
        .applied
        .iter()
        .map(|a| {
            let by = match (&a.changed_by, a.changed_by_other) {
                (Some(who), _) => format!("changed by {}", line(who)),
                (None, true) => "changed by an unknown process".to_owned(),
                (None, false) => String::new(),
            };
            let [was, set, now] = [&a.was, &a.set, &a.now].map(|v| cut(&line(v)));
            // A file is shown by its path: its text can be read there.
            let target = match &a.locus {
                Locus::DropIn { path } => line(path),
                _ => a.target.to_string(),
            };
            vec![line(&a.knob), target, was, set, now, by]
        })
        .collect();
    let table = Table::block(&["knob", "target", "was", "set", "now", ""], rows);
    let mut out = text_at(&[Section::new("Applied", vec![table])], width).trim_start().to_owned();
    for p in &d.pending {
        out.push_str(&pending(p));
    }
    out
}

/// What goes back on its own, and when.
fn pending(p: &Pending) -> String {
    let left_s = p.left_ns.div_ceil(1_000_000_000);
    let cut = p.watch.as_ref().map_or_else(String::new, |t| format!(", and at once when {} stops answering", line(t)));
    match (p.left_ns, p.guarded) {
        (0, _) => "Not confirmed in time: its settings are being restored.\n".to_owned(),
        (_, true) => format!("reverts in {left_s} s unless you run `lowlat confirm`{cut}\n"),
        (_, false) => format!(
            "should revert in {left_s} s, but its guard was killed: run `lowlat confirm` to keep it, or `lowlat rollback`\n"
        ),
    }
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
    fn a_file_is_reported_by_its_path_and_not_by_its_text() {
        let path = "/etc/systemd/system/lowlat.service".to_owned();
        let applied = Applied {
            knob: "persist".into(),
            target: Target::Host,
            locus: Locus::DropIn { path: path.clone() },
            was: "nothing".into(),
            set: "ExecStart=-/bin/sh -c x\n".repeat(50),
            now: "ExecStart=-/bin/sh -c x\n".repeat(50),
            changed_by_other: false,
            changed_by: None,
        };
        let reported = status(
            &StatusDocument { schema: Schema::current("status"), applied: vec![applied], pending: Vec::new() },
            80,
        );
        assert!(reported.contains(&path), "{reported}");
        assert!(reported.lines().all(|l| l.chars().count() < 260), "{reported}");
    }

    #[test]
    fn who_changed_a_setting_is_named_where_it_is_known() {
        let shown = |by: Option<&str>| {
            let applied = Applied {
                knob: "irq.affinity".into(),
                target: "eth0/irq-0".parse().unwrap(),
                locus: Locus::IrqAffinity { iface: "eth0".into(), index: 0 },
                was: "0-1".into(),
                set: "1".into(),
                now: "0".into(),
                changed_by_other: true,
                changed_by: by.map(str::to_owned),
            };
            let schema = Schema::current("status");
            status(&StatusDocument { schema, applied: vec![applied], pending: Vec::new() }, 120)
        };
        assert!(shown(Some("irqbalance")).contains("changed by irqbalance"));
        assert!(shown(None).contains("changed by an unknown process"));
    }

    #[test]
    fn what_waits_for_a_confirmation_says_until_when_and_who_watches() {
        let reported = |left_ns: u64, guarded: bool, watch: Option<&str>| {
            let pending =
                Pending { settings: 1, left_ns, guarded, watch: watch.map(str::to_owned), ..Pending::default() };
            status(
                &StatusDocument { schema: Schema::current("status"), applied: Vec::new(), pending: vec![pending] },
                80,
            )
        };
        let plain = reported(19_200_000_000, true, None);
        assert!(plain.contains("reverts in 20 s unless you run `lowlat confirm`\n"), "{plain}");
        assert!(reported(1, true, Some("gate\x1b[2J")).contains("when gate[2J stops answering"));
        assert!(reported(1, false, None).contains("its guard was killed"));
        assert!(reported(0, true, None).contains("Not confirmed in time"));
        let nothing = StatusDocument { schema: Schema::current("status"), applied: Vec::new(), pending: Vec::new() };
        assert_eq!(status(&nothing, 80), "No lowlat changes are active.\n");
    }
}
