//! Stored runs: where they lie, what they are, and their samples.

use std::fmt;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use lowlat_measure::{Context, Mode, Pattern, Spec};
use lowlat_model::Measurement;
use lowlat_model::bypass_verdict::BypassRounds;
use lowlat_model::log::LogHead;
use lowlat_model::measurement::SteadyState;
use lowlat_model::stored::StoredRun;
use lowlat_samplelog::FileReader;
use lowlat_sys::store::{self, Store};

use crate::Failure;
use crate::figures::{self, SteadyWindow};

/// The samples of a run that `measure --out` stored, next to its document.
pub const SAMPLES: &str = "samples.log";
/// Documents that a folder may hold, in the order in which they are looked for.
const DOCUMENTS: [&str; 8] = [
    "measure.json",
    "sweep.json",
    "engines.json",
    "zerocopy.json",
    "noise.json",
    "trace.json",
    "watch.json",
    "run.json",
];
/// Samples of a log that are held at once, 40 bytes each: up to here figures are exact and have intervals; beyond,
/// memory stays flat and figures come from histograms.
const KEEP: usize = 4 << 20;

/// The samples of a sweep's point, counted from 1, next to its document.
pub fn samples_of(point: u32) -> String {
    format!("samples-{point:02}.log")
}

/// Makes the folder of `--out`, before the measurement takes its time. A run that it holds is not lost by a second use
/// of a name: it is refused unless it may be overwritten, and then removed, so that no part of it stays.
pub fn make_room(folder: &Path, overwrite: bool) -> Result<(), Failure> {
    let cannot = |e: std::io::Error| {
        Failure::new(format!("store the run in {}: {e}; give a writable folder with --out", folder.display()))
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let document = name.strip_suffix(".crc32").unwrap_or(&name);
        let stall = name.starts_with("stall-") && name.contains(".json");
        if !(DOCUMENTS.contains(&document) || stall || (name.starts_with("samples") && name.ends_with(".log"))) {
            continue;
        }
        if !overwrite {
            return Err(Failure::new(format!(
                "store the run in {}: it already holds a run ({name}); give another folder, or add --overwrite",
                folder.display()
            )));
        }
        std::fs::remove_file(entry.path()).map_err(cannot)?;
    }
    Ok(())
}

/// As [`make_room`], and shows that `document` can be written there, before the measurement takes its time.
pub fn prepare(folder: &Path, overwrite: bool, document: &str) -> Result<(), Failure> {
    make_room(folder, overwrite)?;
    store::Output::prove(&folder.join(document))
        .map(drop)
        .map_err(|e| Failure::because(e, "give a writable folder with --out"))
}

/// Writes a document into a run's folder.
pub fn save<T: serde::Serialize>(folder: &Path, name: &str, document: &T) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(document)
        .map_err(|e| Failure::new(format!("write the run: {e}; report this as a bug")))?;
    store::write_atomic(folder.join(name), text).map_err(|e| Failure::because(e, "give a writable folder with --out"))
}

/// A stored run.
#[derive(Debug)]
pub struct Stored {
    /// As the user named it.
    pub name: String,
    /// Its document.
    pub run: StoredRun,
    /// Its sample log, where there is one.
    pub log: Option<PathBuf>,
    /// What is said of newer runs that were passed over for `last`, since they did not come to their end.
    pub left_out: Option<String>,
}

fn failed(file: &Path, why: impl fmt::Display) -> Failure {
    Failure::new(format!("read {}: {why}; give a file or folder written by lowlat", file.display()))
}

impl Stored {
    /// Loads a run by log, file, folder, id, or `last`. A sample log is its own document.
    pub fn load(name: &str) -> Result<Self, Failure> {
        let Located { file, log, left_out } = locate(name)?;
        let run = match &log {
            Some(log) if *log == file => StoredRun::Measure(Box::new(of_log(log)?)),
            _ => document(&file)?,
        };
        Ok(Self { name: name.to_owned(), run, log, left_out })
    }

    /// The samples of its figures, in send order: round trips from the actual send, lost ones as +∞. `None` where they
    /// are not at hand.
    pub fn samples(&self) -> Result<Option<Vec<u64>>, Failure> {
        let Some(file) = &self.log else { return Ok(None) };
        let (mut reader, head) = open(file)?;
        let samples = lowlat_samplelog::samples(&mut reader, head.planned, KEEP).map_err(|e| in_file(file, &e))?;
        Ok(samples.complete().then(|| samples.rtts()))
    }

    /// The one measurement that stands for it.
    pub fn measurement(&self) -> Result<&Measurement, Failure> {
        match &self.run {
            StoredRun::Measure(m) => Ok(m),
            StoredRun::Optimize(run) => run.result.as_ref().or(run.baseline.as_ref()).ok_or_else(|| {
                Failure::new(format!("compare {}: this run measured no path; give one that did", self.name))
            }),
            StoredRun::Sweep(_)
            | StoredRun::Shape(_)
            | StoredRun::Engines(_)
            | StoredRun::ZeroCopy(_)
            | StoredRun::Compare(_)
            | StoredRun::Noise(_)
            | StoredRun::Trace(_)
            | StoredRun::Watch(_)
            | StoredRun::Bypass(_) => Err(Failure::new(format!(
                "compare {}: it holds no single measurement; give a run of `lowlat measure --out` or its sample log",
                self.name
            ))),
        }
    }
}

/// Whether a name can only mean something stored: there is a file, or it is the last run.
pub fn exists(name: &str) -> bool {
    name == "last" || Path::new(name).exists()
}

fn document(file: &Path) -> Result<StoredRun, Failure> {
    let bytes = store::read(file).map_err(|e| Failure::because(e, "give a file or folder written by lowlat"))?;
    StoredRun::parse(&bytes).map_err(|why| failed(file, why))
}

/// The document's file, and the sample log's.
#[derive(Default)]
struct Located {
    file: PathBuf,
    log: Option<PathBuf>,
    left_out: Option<String>,
}

fn locate(name: &str) -> Result<Located, Failure> {
    let path = PathBuf::from(name);
    if path.is_file() {
        let is_log = lowlat_samplelog::is_log(&path).map_err(|e| in_file(&path, &e))?;
        let beside = path.file_name().is_some_and(|f| f == DOCUMENTS[0]).then(|| path.with_file_name(SAMPLES));
        let log = if is_log { Some(path.clone()) } else { beside.filter(|b| b.is_file()) };
        return Ok(Located { file: path, log, ..Located::default() });
    }
    if path.is_dir() {
        let file = DOCUMENTS.iter().map(|d| path.join(d)).find(|f| f.is_file());
        let log = Some(path.join(SAMPLES)).filter(|f| f.is_file());
        return match (file, log) {
            // A run whose end was never written has its samples still.
            (None, Some(log)) => Ok(Located { file: log.clone(), log: Some(log), ..Located::default() }),
            (Some(file), log) => Ok(Located { file, log, ..Located::default() }),
            (None, None) => Err(failed(&path, format!("it holds none of {}", DOCUMENTS.join(", ")))),
        };
    }
    let store = Store::locate()?;
    let runs = store.runs_dir();
    let (id, left_out) = if name == "last" {
        last(&store)?
    } else {
        // Looks at whose the folder is.
        store.run_ids()?;
        (name.to_owned(), None)
    };
    let file = runs.join(&id).join("run.json");
    if file.is_file() {
        Ok(Located { file, log: None, left_out })
    } else {
        Err(Failure::new(format!(
            "read run {name:?}: no such file or folder, and no {}; `ls {}` shows the runs",
            file.display(),
            runs.display()
        )))
    }
}

/// The newest run that came to its end, and what is said of newer ones that did not.
fn last(store: &Store) -> Result<(String, Option<String>), Failure> {
    let runs = store.runs_dir();
    let mut unfinished = Vec::new();
    for id in store.run_ids()?.into_iter().rev() {
        if runs.join(&id).join("run.json").is_file() {
            let names = unfinished.join(", ");
            let words = || format!("left out: {names}, which did not come to an end; this is {id}");
            let left_out = (!unfinished.is_empty()).then(words);
            return Ok((id, left_out));
        }
        unfinished.push(id);
    }
    let none = if unfinished.is_empty() { "none" } else { "none that came to its end" };
    Err(Failure::new(format!(
        "report the last run: {} holds {none}; run `lowlat optimize` or `lowlat demo`",
        runs.display()
    )))
}

/// The rounds of engines that `bypass verdict` stored next to its document.
pub fn rounds_of(name: &str) -> Result<BypassRounds, Failure> {
    let file = locate(name)?.file.with_file_name("rounds.json");
    if !file.is_file() {
        return Err(failed(&file, "the run has no rounds of engines; name one of `lowlat bypass verdict`"));
    }
    let bytes = store::read(&file).map_err(|e| Failure::because(e, "name a run of `lowlat bypass verdict`"))?;
    lowlat_model::stored::read(&bytes, "bypass-verdict").map_err(|why| failed(&file, why))
}

/// Opens a log and reads its head.
pub fn open(file: &Path) -> Result<(FileReader, LogHead), Failure> {
    let mut reader = FileReader::open(file).map_err(|e| in_file(file, &e))?;
    // A run that was killed has its whole blocks.
    reader.to_the_cut();
    let head = LogHead::parse(reader.head()).map_err(|why| failed(file, why))?;
    Ok((reader, head))
}

/// What is said of a log without its end.
pub fn cut_short(probes: u64) -> String {
    format!(
        "the sample log is cut short, as a killed run leaves it: the figures are of the {probes} probes before the cut"
    )
}

/// A log's error, with its file.
pub fn in_file(file: &Path, error: &lowlat_samplelog::LogError) -> Failure {
    Failure::new(format!("{}: {error}", file.display()))
}

/// The document of a log, made from its probes.
fn of_log(file: &Path) -> Result<Measurement, Failure> {
    let (mut reader, head) = open(file)?;
    let mut samples = lowlat_samplelog::samples(&mut reader, head.planned, KEEP).map_err(|e| in_file(file, &e))?;
    let spec = Spec {
        mode: match (head.mode.as_str(), head.rate_pps) {
            ("open-loop", Some(rate_pps)) => Mode::OpenLoop { rate_pps, pattern: Pattern::Fixed },
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; the cast saturates
            (_, rate) => Mode::PingPong { interval_ns: rate.map(|r| (1e9 / r).round() as u64) },
        },
        size: head.size_bytes as usize,
        cpu: head.cpu,
        timeout_ns: head.timeout_ns,
        ..Spec::default()
    };
    let context = Context {
        target: head.target,
        proto: head.proto,
        peer: head.peer,
        engine: head.engine,
        environment: head.environment,
        ..Context::default()
    };
    let looked = reader.end().filter(|e| e.looked);
    let steady = looked.map(|e| SteadyState { warmup: e.warmup, cooldown: e.cooldown, steady: e.steady });
    let mut out = figures::measurement(&mut samples, &spec, context, SteadyWindow::Known(steady));
    out.rate_pps = head.rate_pps;
    if reader.is_cut() {
        out.interrupted = true;
        out.warnings.push(cut_short(reader.read()));
    }
    Ok(out)
}

/// The sample log of a run.
pub fn log_of(name: &str) -> Result<PathBuf, Failure> {
    let Located { file, log, .. } = locate(name)?;
    log.ok_or_else(|| {
        let first = file.with_file_name(samples_of(1));
        let (why, next) = if first.is_file() {
            ("a sweep has them point by point", format!("name one of its logs, e.g. {}", first.display()))
        } else {
            ("this run kept none", "measure with --out or --log".to_owned())
        };
        Failure::new(format!("export the samples of {}: {why}; {next}", file.display()))
    })
}
