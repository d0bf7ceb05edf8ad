//! `lowlat serve`: the far end.

use lowlat_peers::serve::{self, ServeConfig, ServeStats};

use crate::args::ServeArgs;
use crate::failure::{Failure, Outcome};
use crate::path::read_key;
use crate::{output, signals};

/// Runs the command until a signal ends it; then prints what it did.
pub fn run(args: &ServeArgs, json: bool) -> Outcome {
    let mut config = ServeConfig {
        bind: args.bind.clone(),
        sockperf: args.sockperf,
        stamp: args.stamp,
        key: args.key_file.as_deref().map(read_key).transpose()?,
        source_limit: args.source_limit,
        total_limit: args.total_limit,
        spin: args.spin,
        cpu: args.cpu,
        drop_privileges: crate::is_root(),
        ..ServeConfig::default()
    };
    if let Some(port) = args.port {
        config.port = Some(port);
    }
    for range in &args.allow {
        config.allow.push(range.parse().map_err(|e| Failure::new(format!("serve: {e}")))?);
    }
    let stats = serve::run(&config, signals::stop(), |bound| {
        for b in bound {
            output::progress(&format!("{} over {:?} on {}", b.protocol, b.proto, b.at));
        }
    })?;
    print(&stats, json)?;
    Ok(0)
}

fn print(stats: &ServeStats, json: bool) -> Result<(), Failure> {
    let counts = [
        ("received", stats.received),
        ("answered", stats.answered),
        ("malformed", stats.malformed),
        ("unauthenticated", stats.unauthenticated),
        ("none_wanted", stats.none_wanted),
        ("not_allowed", stats.not_allowed),
        ("source_limited", stats.source_limited),
        ("total_limited", stats.total_limited),
        ("send_failed", stats.send_failed),
        ("receive_failed", stats.receive_failed),
        ("kernel_dropped", stats.kernel_dropped),
        ("connections", stats.connections),
        ("connections_refused", stats.connections_refused),
        ("connections_idle", stats.connections_idle),
        ("sink_bytes", stats.sink_bytes),
    ];
    let residence = |q: f64| stats.residence.quantile(q);
    if json {
        let mut document: serde_json::Map<String, serde_json::Value> =
            counts.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
        document.insert("residence_p50_ns".into(), residence(0.5).into());
        document.insert("residence_p99_ns".into(), residence(0.99).into());
        return output::json(&document);
    }
    for (name, count) in counts.iter().filter(|(name, count)| *count > 0 || matches!(*name, "received" | "answered")) {
        output::text(&format!("{name:<20} {count}"));
    }
    if let (Some(p50), Some(p99)) = (residence(0.5), residence(0.99)) {
        output::text(&format!("{:<20} p50 {p50} ns, p99 {p99} ns", "residence"));
    }
    Ok(())
}
