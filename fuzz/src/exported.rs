//! Latency histograms that an application exports: two readings, what came in between, and its quantiles.

use lowlat_samplelog::exported::{ChosenHistogram, read};

/// `split u8 | text`: the first reading is a part of the text, the second all of it, as a log that grows.
pub fn run(mut data: &[u8]) {
    let split = usize::from(crate::byte(&mut data));
    let chosen: Option<ChosenHistogram> = std::str::from_utf8(data).ok().and_then(|t| t.lines().next()?.parse().ok());
    let before = data.len() * split / 255;
    for chosen in [None, chosen.as_ref()] {
        let (Ok(first), Ok(last)) = (read(&data[..before], chosen), read(data, chosen)) else { continue };
        for (now, before) in [(&last, &first), (&last, &last), (&first, &last)] {
            let Ok(increase) = now.since(before) else { continue };
            let mut least = f64::NEG_INFINITY;
            for q in [0.0, 0.1, 0.5, 0.9, 0.99, 1.0] {
                if let Ok(value) = increase.quantile(q) {
                    assert!(value >= least || value.is_nan(), "quantiles fall: {value} after {least}");
                    least = value;
                }
            }
        }
    }
}
