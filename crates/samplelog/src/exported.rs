//! Latency distributions that an application exports itself.
//!
//! Two formats only ever grow, so that what came between two readings is known:
//!
//! - the cumulative buckets of a Prometheus histogram (text exposition format 0.0.4): `NAME_bucket{le="0.005",…} 12`. Counts of
//!   the label sets that fit are added; a quantile is interpolated within its bucket, as `histogram_quantile` of Prometheus
//!   does, so its resolution is the bucket's width.
//! - HdrHistogram's interval log (`.hlog`, format 1.3 with V2 histograms): one line for each interval. The first line that
//!   comes after a reading is of an interval that began before it, so it is left out.
//!
//! What cannot be subtracted is refused with the reason: HdrHistogram's percentile table, and a summary of Prometheus, whose
//! quantiles are of a window of the application's own.
//!
//! Sources: "Exposition formats" and "Histograms and summaries" of Prometheus' documentation; the head of HdrHistogram's
//! `HistogramLogWriter`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

/// Most buckets of one histogram; Prometheus' own clients make some ten.
const MOST_BUCKETS: usize = 10_000;
/// Names listed in an error.
const NAMED: usize = 5;

/// Which histogram of an export is meant: a name, and labels that have to fit. Of an interval log the name is its tag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChosenHistogram {
    /// `http_request_seconds`, without `_bucket`.
    pub name: String,
    /// Each has to be there with this value.
    pub labels: Vec<(String, String)>,
}

impl FromStr for ChosenHistogram {
    type Err = String;

    /// `NAME` or `NAME{label="value",…}`, as in a query.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (name, rest) = text.split_at(text.find('{').unwrap_or(text.len()));
        let labels = match rest.strip_prefix('{') {
            None => Vec::new(),
            Some(inner) => match labels(inner) {
                Some((labels, rest)) if rest.trim().is_empty() => labels,
                _ => return Err("its labels are not of the form {label=\"value\"}".to_owned()),
            },
        };
        if name.trim().is_empty() {
            return Err("it names no histogram".to_owned());
        }
        Ok(Self { name: name.trim().to_owned(), labels })
    }
}

impl fmt::Display for ChosenHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.labels.is_empty() {
            let all: Vec<String> = self.labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
            write!(f, "{{{}}}", all.join(","))?;
        }
        Ok(())
    }
}

/// One reading of an export.
#[derive(Debug, Clone, PartialEq)]
pub enum Exported {
    /// Cumulative counts by upper bound, ascending; the last bound may be infinite.
    Buckets(Vec<(f64, f64)>),
    /// Histograms of an interval log in their stored form, in order.
    Intervals(Vec<String>),
}

/// Reads an export. `chosen` says which histogram is meant where it holds more than one.
///
/// # Errors
/// What is wrong with it, without its place: not one of the formats, no such histogram, or more than one.
pub fn read(bytes: &[u8], chosen: Option<&ChosenHistogram>) -> Result<Exported, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let head = text.lines().find(|l| !l.trim().is_empty()).ok_or("it is empty")?;
    if head.contains("Percentile") && head.contains("TotalCount") {
        return Err("it is a percentile table of HdrHistogram, from which no part can be subtracted; \
                    export the interval log (.hlog) or Prometheus' buckets"
            .to_owned());
    }
    if is_interval_log(text) { intervals(bytes, chosen) } else { buckets(text, chosen) }
}

/// A log begins with its legend or comments, or with a line of four fields.
fn is_interval_log(text: &str) -> bool {
    text.lines().take(64).any(|l| {
        let l = l.strip_prefix("Tag=").and_then(|l| l.split_once(',')).map_or(l, |(_, rest)| rest);
        let mut fields = l.split(',');
        let numbers = fields.by_ref().take(3).filter(|f| f.trim().parse::<f64>().is_ok()).count();
        l.starts_with("\"StartTimestamp\"")
            || l.starts_with("#[Histogram log format version")
            || numbers == 3 && fields.next().is_some_and(|f| f.starts_with("HIST"))
    })
}

// ---- Prometheus --------------------------------------------------------------------------------------------------

/// One sample of the text format.
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(String, String)>,
    value: f64,
}

/// Bounds and counts, by name and labels without `le`.
type LabelSets<'a> = BTreeMap<(&'a str, Vec<(String, String)>), Vec<(f64, f64)>>;

fn buckets(text: &str, chosen: Option<&ChosenHistogram>) -> Result<Exported, String> {
    let mut all = LabelSets::new();
    let (mut summaries, mut samples) = (BTreeSet::new(), 0usize);
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let Some(Sample { name, mut labels, value }) = sample(line) else { continue };
        samples += 1;
        if labels.iter().any(|(k, _)| k == "quantile") {
            summaries.insert(name);
        }
        let Some(name) = name.strip_suffix("_bucket") else { continue };
        let Some(at) = labels.iter().position(|(k, _)| k == "le") else { continue };
        let (_, bound) = labels.swap_remove(at);
        let Some(bound) = number(&bound).filter(|b| !b.is_nan()) else { continue };
        if !(value >= 0.0 && value.is_finite()) {
            return Err(format!("a count of {name} is {value}, which counts nothing"));
        }
        labels.sort();
        let of = all.entry((name, labels)).or_default();
        if of.len() >= MOST_BUCKETS {
            return Err(format!("{name} has more than {MOST_BUCKETS} buckets"));
        }
        of.push((bound, value));
    }
    if samples == 0 {
        return Err("it holds no sample of Prometheus' text format, and no interval of HdrHistogram's log".to_owned());
    }
    let names: BTreeSet<&str> = all.keys().map(|(name, _)| *name).collect();
    let name = match chosen {
        Some(c) if names.contains(c.name.as_str()) => c.name.as_str(),
        Some(c) if summaries.contains(c.name.as_str()) => {
            return Err(format!(
                "{} is a summary, whose quantiles are of a window of the application's own; export a histogram",
                c.name
            ));
        }
        Some(c) => return Err(format!("it holds no histogram {}; it has {}", c.name, list(&names))),
        None if names.len() > 1 => {
            return Err(format!(
                "it holds {} histograms: choose one of {} with --judge-metric",
                names.len(),
                list(&names)
            ));
        }
        None => {
            names.first().copied().ok_or("it holds no histogram: no sample is called NAME_bucket with a label le")?
        }
    };
    let wanted = chosen.map(|c| c.labels.as_slice()).unwrap_or_default();
    let fitting = all.iter().filter(|((n, labels), _)| *n == name && wanted.iter().all(|w| labels.contains(w)));
    let mut sum: Option<Vec<(f64, f64)>> = None;
    for (_, of) in fitting {
        let mut of = of.clone();
        of.sort_by(|a, b| a.0.total_cmp(&b.0));
        let falls = of.windows(2).any(|w| w[0].0 >= w[1].0 || w[0].1 > w[1].1);
        if falls || of.is_empty() {
            return Err(format!("the buckets of {name} are not cumulative, or one is there twice"));
        }
        match &mut sum {
            None => sum = Some(of),
            Some(sum) => {
                if sum.len() != of.len() || sum.iter().zip(&of).any(|(a, b)| a.0.total_cmp(&b.0).is_ne()) {
                    return Err(format!("label sets of {name} have different buckets; choose one by its labels"));
                }
                sum.iter_mut().zip(of).for_each(|(a, b)| a.1 += b.1);
            }
        }
    }
    let asked = chosen.map(ToString::to_string).unwrap_or_default();
    sum.map(Exported::Buckets).ok_or_else(|| format!("no label set of {name} fits {asked}"))
}

fn list(names: &BTreeSet<&str>) -> String {
    let shown: Vec<&str> = names.iter().copied().take(NAMED).collect();
    match names.len() {
        0 => "none".to_owned(),
        n if n > NAMED => format!("{} and {} more", shown.join(", "), n - NAMED),
        _ => shown.join(", "),
    }
}

/// `name{labels} value [timestamp]`; `None` for another line.
fn sample(line: &str) -> Option<Sample<'_>> {
    let at = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(at);
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(inner) => labels(inner)?,
        None => (Vec::new(), rest),
    };
    let value = number(rest.split_whitespace().next()?)?;
    (!name.is_empty()).then_some(Sample { name, labels, value })
}

/// As the text format writes it: also `+Inf` and `NaN`.
fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        _ => text.parse().ok(),
    }
}

/// `a="b",c="d"} rest`, in which a value escapes `\\`, `\"` and `\n`.
fn labels(mut text: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut all = Vec::new();
    loop {
        text = text.trim_start().trim_start_matches(',').trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Some((all, rest));
        }
        let (name, rest) = text.split_once('=')?;
        let mut chars = rest.trim_start().strip_prefix('"')?.char_indices();
        let inner = rest.trim_start().strip_prefix('"')?;
        let mut value = String::new();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        all.push((name.trim().to_owned(), value));
        text = inner.get(end + 1..)?;
    }
}

// ---- HdrHistogram ------------------------------------------------------------------------------------------------

fn intervals(bytes: &[u8], chosen: Option<&ChosenHistogram>) -> Result<Exported, String> {
    // The last line may be written at this moment.
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let mut all: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    for (number, line) in bytes[..whole].split(|b| *b == b'\n').enumerate() {
        // The legend is a comment that the reader of the crate does not know everywhere; so each line is read alone.
        let is_data = !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b"\"");
        if !is_data {
            continue;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match IntervalLogIterator::new(&[line, b"\n"].concat()).next() {
            Some(Ok(LogEntry::Interval(i))) => {
                all.entry(i.tag().map(|t| t.as_str().to_owned())).or_default().push(i.encoded_histogram().to_owned());
            }
            _ => return Err(format!("line {} is no interval of HdrHistogram's log", number + 1)),
        }
    }
    let tags: BTreeSet<&str> = all.keys().flatten().map(String::as_str).collect();
    let key = match chosen {
        Some(c) if tags.contains(c.name.as_str()) => Some(c.name.clone()),
        Some(c) => return Err(format!("its log has no tag {}; it has {}", c.name, list(&tags))),
        None if all.contains_key(&None) || all.is_empty() => None,
        None if tags.len() == 1 => tags.first().map(|t| (*t).to_owned()),
        None => {
            return Err(format!("its log has {} tags: choose one of {} with --judge-metric", tags.len(), list(&tags)));
        }
    };
    Ok(Exported::Intervals(all.remove(&key).unwrap_or_default()))
}

fn decoded(encoded: &str) -> Result<Histogram<u64>, String> {
    let bytes = STANDARD.decode(encoded).map_err(|_| "an interval's histogram is not base64".to_owned())?;
    Deserializer::new().deserialize(&mut &bytes[..]).map_err(|e| format!("an interval's histogram cannot be read: {e}"))
}

// ---- what came in between ------------------------------------------------------------------------------------------

/// What came between two readings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Increase {
    /// From (exclusive), to (inclusive), observations; ascending.
    steps: Vec<(f64, f64, f64)>,
    total: f64,
}

/// Why a quantile has no figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoFigure {
    /// No observation came.
    Empty,
    /// It lies above the highest bound of the buckets.
    Above(f64),
}

impl Exported {
    /// What came since an earlier reading of the same export.
    ///
    /// # Errors
    /// A count is smaller than before, or the buckets are others: the application was started anew.
    pub fn since(&self, before: &Self) -> Result<Increase, String> {
        const ANEW: &str = "it counts from the start again: the application was started anew, or the file was replaced";
        match (self, before) {
            (Self::Buckets(now), Self::Buckets(before)) => {
                let same = now.len() == before.len()
                    && now.iter().zip(before).all(|(a, b)| a.0.total_cmp(&b.0).is_eq() && a.1 >= b.1);
                if !same {
                    return Err(ANEW.to_owned());
                }
                let (mut steps, mut low, mut counted) = (Vec::with_capacity(now.len()), f64::NEG_INFINITY, 0.0);
                for ((bound, now), (_, before)) in now.iter().zip(before) {
                    // Counts of one scrape need not be of one moment: a difference that falls along the bounds counts as none.
                    let grown = (now - before).max(counted);
                    if grown > counted {
                        steps.push((low, *bound, grown - counted));
                    }
                    (low, counted) = (*bound, grown);
                }
                Ok(Increase { steps, total: counted })
            }
            (Self::Intervals(now), Self::Intervals(before)) => {
                if now.len() < before.len() || now[..before.len()] != before[..] {
                    return Err(ANEW.to_owned());
                }
                let mut sum: Option<Histogram<u64>> = None;
                for encoded in now.iter().skip(before.len() + 1) {
                    let one = decoded(encoded)?;
                    match &mut sum {
                        None => sum = Some(one),
                        Some(sum) => sum.add(one).map_err(|e| format!("intervals cannot be added: {e}"))?,
                    }
                }
                let mut steps = Vec::new();
                for v in sum.iter().flat_map(Histogram::iter_recorded) {
                    let (at, count) = (v.value_iterated_to() as f64, v.count_since_last_iteration() as f64);
                    steps.push((at, at, count));
                }
                let total = steps.iter().map(|s| s.2).sum();
                Ok(Increase { steps, total })
            }
            _ => Err("its format is another than before".to_owned()),
        }
    }
}

impl Increase {
    /// Observations.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// The quantile `q` (0 to 1), in the unit of the export.
    ///
    /// # Errors
    /// Why there is none.
    pub fn quantile(&self, q: f64) -> Result<f64, NoFigure> {
        if self.total <= 0.0 {
            return Err(NoFigure::Empty);
        }
        let rank = (q.clamp(0.0, 1.0) * self.total).max(f64::MIN_POSITIVE);
        let mut below = 0.0;
        for (low, high, count) in &self.steps {
            if below + count < rank {
                below += count;
                continue;
            }
            if high.is_infinite() {
                return Err(NoFigure::Above(*low));
            }
            // Below the lowest bound stands 0 where that is above 0, as latencies are.
            let low = if low.is_finite() { *low } else { high.min(0.0) };
            return Ok(low + (high - low) * ((rank - below) / count).clamp(0.0, 1.0));
        }
        // Rounding of many counts.
        self.steps.last().map(|s| s.1).filter(|v| v.is_finite()).ok_or(NoFigure::Empty)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use hdrhistogram::serialization::V2DeflateSerializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
    use proptest::prelude::*;

    use super::*;

    const PAGE: &str = "# HELP rtt_seconds x\n# TYPE rtt_seconds histogram\n\
        rtt_seconds_bucket{path=\"/a \\\"q\\\"\",le=\"0.001\"} 10\n\
        rtt_seconds_bucket{path=\"/a \\\"q\\\"\",le=\"0.002\"} 30\n\
        rtt_seconds_bucket{path=\"/a \\\"q\\\"\",le=\"+Inf\"} 31 1700000000000\n\
        rtt_seconds_sum{path=\"/a\"} 1.5\nrtt_seconds_count{path=\"/a\"} 31\n\
        rtt_seconds_bucket{path=\"/b\",le=\"0.001\"} 5\n\
        rtt_seconds_bucket{path=\"/b\",le=\"0.002\"} 5\n\
        rtt_seconds_bucket{path=\"/b\",le=\"+Inf\"} 5\n\
        up 1\nother_bucket{le=\"1\"} 3\nother_bucket{le=\"+Inf\"} 4\nlag{quantile=\"0.99\"} 0.1\n";

    fn of(page: &str, name: &str) -> Result<Exported, String> {
        read(page.as_bytes(), Some(&name.parse().unwrap()))
    }

    #[test]
    fn label_sets_are_added_or_chosen() {
        let all = of(PAGE, "rtt_seconds").unwrap();
        assert_eq!(all, Exported::Buckets(vec![(0.001, 15.0), (0.002, 35.0), (f64::INFINITY, 36.0)]));
        let one = of(PAGE, "rtt_seconds{path=\"/b\"}").unwrap();
        assert_eq!(one, Exported::Buckets(vec![(0.001, 5.0), (0.002, 5.0), (f64::INFINITY, 5.0)]));
        let quoted = of(PAGE, "rtt_seconds{path=\"/a \\\"q\\\"\"}").unwrap();
        assert_eq!(quoted, Exported::Buckets(vec![(0.001, 10.0), (0.002, 30.0), (f64::INFINITY, 31.0)]));
    }

    #[test]
    fn what_is_meant_and_not_there_is_named() {
        for (page, chosen, named) in [
            (PAGE, None, "choose one of other, rtt_seconds"),
            (PAGE, Some("nosuch"), "no histogram nosuch; it has other, rtt_seconds"),
            (PAGE, Some("lag"), "lag is a summary"),
            (PAGE, Some("rtt_seconds{path=\"/c\"}"), "no label set of rtt_seconds fits rtt_seconds{path=\"/c\"}"),
            ("up 1\n", None, "no histogram: no sample is called"),
            ("hello\n", None, "no sample of Prometheus"),
            ("", None, "empty"),
            ("a_bucket{le=\"1\"} 3\na_bucket{le=\"2\"} 2\n", None, "not cumulative"),
            ("a_bucket{le=\"1\"} 3\na_bucket{le=\"1\"} 3\n", None, "there twice"),
            ("a_bucket{le=\"1\"} -3\n", None, "counts nothing"),
            ("a_bucket{x=\"1\",le=\"1\"} 3\na_bucket{x=\"2\",le=\"2\"} 3\n", None, "different buckets"),
            ("       Value     Percentile TotalCount 1/(1-Percentile)\n\n 1.0 0.0 1 1.0\n", None, "percentile table"),
        ] {
            let chosen: Option<ChosenHistogram> = chosen.map(|c| c.parse().unwrap());
            let why = read(page.as_bytes(), chosen.as_ref()).unwrap_err();
            assert!(why.contains(named) && why.lines().count() == 1, "{page:?}: {why}");
        }
        assert!(read(&[0xff, 0xfe], None).unwrap_err().contains("not text"));
        for bad in ["", "{a=\"b\"}", "x{a=b}", "x{a=\"b\"", "x{a=\"b\"}y"] {
            assert!(bad.parse::<ChosenHistogram>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_quantile_is_interpolated_in_its_bucket() {
        let before = Exported::Buckets(vec![(1.0, 10.0), (2.0, 10.0), (4.0, 10.0), (f64::INFINITY, 10.0)]);
        let now = Exported::Buckets(vec![(1.0, 60.0), (2.0, 100.0), (4.0, 109.0), (f64::INFINITY, 110.0)]);
        let grown = now.since(&before).unwrap();
        assert!((grown.total() - 100.0).abs() < 1e-9);
        for (q, value) in [(0.25, 0.5), (0.5, 1.0), (0.7, 1.5), (0.9, 2.0), (0.99, 4.0)] {
            assert!((grown.quantile(q).unwrap() - value).abs() < 1e-9, "{q}: {:?}", grown.quantile(q));
        }
        assert_eq!(grown.quantile(0.999), Err(NoFigure::Above(4.0)));
        assert_eq!(now.since(&now).unwrap().quantile(0.5), Err(NoFigure::Empty));
        assert!(before.since(&now).unwrap_err().contains("started anew"));
    }

    /// A log with an interval a second, each with this value a hundred times.
    fn log(values: &[u64], tag: Option<&str>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .with_base_time(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
            .begin_log_with(&mut out, &mut serializer)
            .unwrap();
        for (at, value) in values.iter().enumerate() {
            let mut one = Histogram::<u64>::new(3).unwrap();
            one.record_n(*value, 100).unwrap();
            let tag = tag.map(|t| Tag::new(t).unwrap());
            log.write_histogram(&one, Duration::from_secs(at as u64), Duration::from_secs(1), tag).unwrap();
        }
        drop(log);
        out
    }

    #[test]
    fn intervals_since_a_reading_count_but_for_the_first() {
        let before = read(&log(&[900, 900], None), None).unwrap();
        let now = read(&log(&[900, 900, 900, 10, 20], None), None).unwrap();
        let grown = now.since(&before).unwrap();
        assert!((grown.total() - 200.0).abs() < 1e-9, "{grown:?}");
        assert_eq!((grown.quantile(0.5), grown.quantile(0.99)), (Ok(10.0), Ok(20.0)));
        assert!(before.since(&now).unwrap_err().contains("started anew"));
        let tagged = log(&[10, 20], Some("get"));
        assert_eq!(read(&tagged, None).unwrap(), of(std::str::from_utf8(&tagged).unwrap(), "get").unwrap());
        assert!(of(std::str::from_utf8(&tagged).unwrap(), "put").unwrap_err().contains("it has get"));
        // A line that is being written is not there yet.
        let text = log(&[10, 20], None);
        let Exported::Intervals(cut) = read(&text[..text.len() - 5], None).unwrap() else { panic!() };
        assert_eq!(cut.len(), 1);
        let garbled = [&text[..], b"1,2,3,not a histogram of ours\n"].concat();
        let (a, b) = (read(&text, None).unwrap(), read(&garbled, None));
        assert!(b.is_err_and(|e| e.contains("no interval")) || a != Exported::Intervals(Vec::new()));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>, name in "[a-z{}\"=,]{0,12}") {
            let _ = read(&bytes, name.parse().ok().as_ref());
        }

        #[test]
        fn lines_like_samples_never_panic(lines in prop::collection::vec("[a-z_]{1,6}(_bucket)?\\{le=\"[0-9.+Inf]{1,4}\"[,a-z=\"\\\\]{0,6}\\} [0-9.eE-]{1,5}", 0..12)) {
            let text = lines.join("\n");
            if let Ok(one) = read(text.as_bytes(), None) {
                let _ = one.since(&one).map(|g| g.quantile(0.5));
            }
        }

        /// The quantile lies in the bucket that holds its rank.
        #[test]
        fn a_quantile_lies_in_its_bucket(counts in prop::collection::vec(0u32..1000, 1..20), q in 0.01f64..0.999) {
            let mut sum = 0.0;
            let now: Vec<(f64, f64)> = counts.iter().enumerate().map(|(i, c)| { sum += f64::from(*c); (i as f64 + 1.0, sum) }).collect();
            let before: Vec<(f64, f64)> = now.iter().map(|(b, _)| (*b, 0.0)).collect();
            let grown = Exported::Buckets(now.clone()).since(&Exported::Buckets(before)).unwrap();
            match grown.quantile(q) {
                Err(why) => prop_assert!(sum == 0.0 && why == NoFigure::Empty),
                Ok(v) => {
                    let at = now.iter().position(|(_, c)| *c >= q * sum).unwrap();
                    prop_assert!(v >= at as f64 - 1e-9 && v <= at as f64 + 1.0 + 1e-9, "{v} in bucket {at}");
                }
            }
        }
    }
}
