//! `lowlat measure --zerocopy`: a row for each size, and what each way of sending comes to.

use lowlat_model::ZeroCopyDocument;
use lowlat_model::zerocopy::{ZeroCopyFigure, ZeroCopySize};

use crate::figures::{line, time};
use crate::page::{Block, Section, Table, text_at};

/// The document as text.
pub(crate) fn zerocopy(d: &ZeroCopyDocument, width: usize) -> String {
    text_at(&sections(d), width).trim_start().to_owned()
}

/// The document laid out.
pub(crate) fn sections(d: &ZeroCopyDocument) -> Vec<Section> {
    let cpu = d.cpu.map_or_else(String::new, |cpu| format!(", sender on CPU {cpu}"));
    let head =
        format!("TCP to the sink at {}{cpu}; times are CPU time of the sending thread for one send", line(&d.target));
    let mut rows = Vec::new();
    for size in &d.sizes {
        for f in &size.against {
            rows.push(vec![
                size.size_bytes.to_string(),
                line(&f.how),
                time(size.plain_cpu_ns),
                time(f.cpu_ns),
                ratio(f),
                format!("{} of {}", f.copied.map_or_else(|| "n/a".to_owned(), |c| c.to_string()), f.completed),
            ]);
        }
    }
    let columns = ["bytes", "way", "plain send", "without a copy", "ratio", "copied anyway"];
    let mut blocks = vec![Block::Words(head), Table::block(&columns, rows)];
    blocks.push(Block::List(d.methods.iter().map(|m| format!("{}: {}", line(&m.how), line(&m.words))).collect()));
    if d.interrupted {
        blocks.push(Block::Words("interrupted: rounds are missing".to_owned()));
    }
    vec![Section::new("Zero-copy sends", blocks)]
}

fn ratio(f: &ZeroCopyFigure) -> String {
    match (f.cpu_ratio, f.cpu_ratio_low, f.cpu_ratio_high) {
        (Some(middle), Some(low), Some(high)) => format!("{middle:.2} [{low:.2}, {high:.2}]"),
        (Some(middle), ..) => format!("{middle:.2}"),
        _ => "n/a".to_owned(),
    }
}

/// One size in one line, for progress.
pub(crate) fn size_line(size: &ZeroCopySize) -> String {
    let each: Vec<String> = size.against.iter().map(|f| format!("{} {}", f.how, ratio(f))).collect();
    format!("{} bytes: CPU time against plain send: {}", size.size_bytes, each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::Schema;
    use lowlat_model::zerocopy::ZeroCopyMethod;

    #[test]
    fn figures_and_what_they_come_to_are_shown() {
        let figure = ZeroCopyFigure {
            how: "msg-zerocopy".into(),
            cpu_ns: Some(4_000),
            send_ns: Some(5_000),
            cpu_ratio: Some(2.0),
            cpu_ratio_low: Some(1.8),
            cpu_ratio_high: Some(2.2),
            completed: 12,
            copied: Some(12),
        };
        let size = ZeroCopySize { size_bytes: 4096, plain_cpu_ns: Some(2_000), plain_ns: None, against: vec![figure] };
        assert_eq!(size_line(&size), "4096 bytes: CPU time against plain send: msg-zerocopy 2.00 [1.80, 2.20]");
        let method = ZeroCopyMethod {
            how: "msg-zerocopy".into(),
            why_not: None,
            break_even_bytes: None,
            above_bytes: Some(4096),
            copied_ratio: Some(1.0),
            words: "pays at none of the sizes up to 4096 bytes".into(),
        };
        let d = ZeroCopyDocument {
            schema: Schema::current("zerocopy"),
            target: "198.18.0.2:8620".into(),
            cpu: Some(1),
            sizes: vec![size],
            methods: vec![method],
            interrupted: false,
        };
        let text = zerocopy(&d, 120);
        for part in
            ["sender on CPU 1", "4096", "2.00 [1.80, 2.20]", "12 of 12", "pays at none of the sizes up to 4096 bytes"]
        {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }
}
