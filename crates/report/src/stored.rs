//! A stored document of any kind, laid out.

use lowlat_model::stored::StoredRun;

use crate::documents;
use crate::page::Section;

/// A stored document laid out, with its title.
pub(crate) fn sections(run: &StoredRun) -> (String, Vec<Section>) {
    match run {
        StoredRun::Measure(m) => (format!("Round trips to {}", m.target), documents::measurement::sections(m)),
        StoredRun::Sweep(s) => (format!("Sweep over {}", s.axis.name()), documents::sweep::sections(s)),
        StoredRun::Shape(s) => (format!("Shape of {}", s.flow), documents::shape::sections(s)),
        StoredRun::Engines(e) => (format!("Engines on the path to {}", e.target), documents::engines::sections(e)),
        StoredRun::ZeroCopy(z) => (format!("Zero-copy sends to {}", z.target), documents::zerocopy::sections(z)),
        StoredRun::Compare(c) => (format!("{} against {}", c.b, c.a), documents::comparison::sections(c)),
        StoredRun::Noise(n) => ("What the host itself adds".to_owned(), documents::noise::sections(n)),
        StoredRun::Trace(t) => (format!("Where the time to {} goes", t.target), documents::trace::sections(t)),
        StoredRun::Watch(w) => ("Live traffic".to_owned(), documents::watch::sections(w)),
        StoredRun::Bypass(b) => (format!("Kernel bypass to {}", b.target), documents::bypass::sections(b)),
        StoredRun::Optimize(d) => (format!("{} to {}", d.iface, d.target), crate::run::sections(d)),
    }
}
