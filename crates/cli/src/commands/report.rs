//! `lowlat report`: a stored run again, or its samples in the formats of others.

use std::io::{BufWriter, Write};
use std::time::{Duration, UNIX_EPOCH};

use lowlat_model::GoalResult;
use lowlat_model::document::RunDocument;
use lowlat_model::goal::all_met;
use lowlat_model::stored::StoredRun;
use lowlat_report::Format;
use lowlat_samplelog::export;

use crate::args::{FormatArg, ReportArgs};
use crate::output;
use lowlat_live::stored::{self, Stored};
use lowlat_live::{Failure, Outcome, signals};

/// One histogram of the HdrHistogram log a second, as its own recorders write them.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs the command. The exit code is the run's own: 1 when its goal was missed.
pub fn run(args: &ReportArgs, json: bool) -> Outcome {
    let format = if json { FormatArg::Json } else { args.format };
    if matches!(format, FormatArg::Csv | FormatArg::Hlog) {
        return samples(&args.run, format);
    }
    let stored = Stored::load(&args.run)?;
    stored.left_out.iter().for_each(|line| output::progress(line));
    match &stored.run {
        StoredRun::Optimize(document) => {
            print(document, format)?;
            Ok(exit_code(document))
        }
        other => {
            let stored_as = |format| lowlat_report::stored(other, format, output::width());
            match format {
                FormatArg::Json => match other {
                    StoredRun::Measure(m) => output::json(m)?,
                    StoredRun::Sweep(s) => output::json(s)?,
                    StoredRun::Engines(e) => output::json(e)?,
                    StoredRun::Shape(s) => output::json(s)?,
                    StoredRun::ZeroCopy(z) => output::json(z)?,
                    StoredRun::Compare(c) => output::json(c)?,
                    StoredRun::Noise(n) => output::json(n)?,
                    StoredRun::Trace(t) => output::json(t)?,
                    StoredRun::Watch(w) => output::json(w)?,
                    StoredRun::Bypass(b) => output::json(b)?,
                    StoredRun::Optimize(d) => output::json(d)?,
                },
                FormatArg::Md => output::text(&stored_as(Format::Markdown)),
                FormatArg::Html => output::text(&stored_as(Format::Html)),
                _ => output::report(&stored_as(Format::Text)),
            }
            Ok(match other {
                StoredRun::Measure(m) => missed(&m.goals),
                StoredRun::Bypass(b) => super::bypass::verdict::missed(b),
                _ => 0,
            })
        }
    }
}

/// 0 when every goal was met or none was given, 1 when one was missed or could not be judged.
pub fn exit_code(document: &RunDocument) -> u8 {
    // The one goal of older documents is not in the list.
    let wanted = document.goal_ns.is_some() || !document.goals.is_empty();
    u8::from(!document.dry_run && wanted && document.goal_met != Some(true))
}

/// The same of a measurement: a goal that too few probes support is not met.
pub fn missed(goals: &[GoalResult]) -> u8 {
    u8::from(!goals.is_empty() && all_met(goals) != Some(true))
}

/// Prints a run.
pub fn print(document: &RunDocument, format: FormatArg) -> Result<(), Failure> {
    match format {
        FormatArg::Md => output::text(&lowlat_report::markdown(document)),
        FormatArg::Html => output::text(&lowlat_report::html(document)),
        FormatArg::Json => output::json(document)?,
        _ => output::report(&lowlat_report::text_at(document, output::width())),
    }
    Ok(())
}

/// Every sample of a run, to stdout, in constant memory.
fn samples(run: &str, format: FormatArg) -> Outcome {
    signals::end_with_the_reader();
    let file = stored::log_of(run)?;
    let (mut reader, head) = stored::open(&file)?;
    let mut out = BufWriter::with_capacity(1 << 18, std::io::stdout().lock());
    let of_log = |e: lowlat_samplelog::LogError| stored::in_file(&file, &e);
    if format == FormatArg::Hlog {
        let started = UNIX_EPOCH + Duration::from_nanos(head.started_unix_ns);
        export::hdr_log(&mut reader, started, INTERVAL, &mut out).map_err(of_log)?;
    } else {
        let afters = export::afters(&mut stored::open(&file)?.0).map_err(of_log)?;
        export::csv(&mut reader, &afters, &mut out).map_err(of_log)?;
    }
    if reader.is_cut() {
        output::progress(&stored::cut_short(reader.read()));
    }
    out.flush().map_err(|e| Failure::new(format!("write the samples: {e}; look at where they go")))?;
    Ok(0)
}
