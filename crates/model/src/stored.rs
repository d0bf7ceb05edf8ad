//! Stored documents, read from bytes: pure, and never a panic, whatever the bytes are.

use serde::de::DeserializeOwned;

use crate::bypass_verdict::BypassVerdict;
use crate::document::RunDocument;
use crate::verdict::Comparison;
use crate::{
    EnginesDocument, FlowShape, Measurement, NoiseDocument, Schema, SweepDocument, TraceDocument, WatchDocument,
    ZeroCopyDocument,
};

/// A document that can be printed or compared again.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredRun {
    /// `lowlat measure`.
    Measure(Box<Measurement>),
    /// `lowlat measure --sweep`.
    Sweep(Box<SweepDocument>),
    /// `lowlat shape`.
    Shape(Box<FlowShape>),
    /// `lowlat measure --engine all`.
    Engines(Box<EnginesDocument>),
    /// `lowlat measure --zerocopy`.
    ZeroCopy(Box<ZeroCopyDocument>),
    /// `lowlat compare`.
    Compare(Box<Comparison>),
    /// `lowlat noise`.
    Noise(Box<NoiseDocument>),
    /// `lowlat trace`.
    Trace(Box<TraceDocument>),
    /// `lowlat watch`.
    Watch(Box<WatchDocument>),
    /// `lowlat bypass verdict`.
    Bypass(Box<BypassVerdict>),
    /// `lowlat optimize` and `lowlat demo`.
    Optimize(Box<RunDocument>),
}

impl StoredRun {
    /// Reads any of them, chosen by its schema. The error says what is wrong, without the file's name.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let (value, schema) = parts(bytes)?;
        Ok(match schema.name.as_str() {
            "lowlat.measure" => Self::Measure(Box::new(known(value, &schema, "measure")?)),
            "lowlat.sweep" => Self::Sweep(Box::new(known(value, &schema, "sweep")?)),
            "lowlat.shape" => Self::Shape(Box::new(known(value, &schema, "shape")?)),
            "lowlat.engines" => Self::Engines(Box::new(known(value, &schema, "engines")?)),
            "lowlat.zerocopy" => Self::ZeroCopy(Box::new(known(value, &schema, "zerocopy")?)),
            "lowlat.compare" => Self::Compare(Box::new(known(value, &schema, "compare")?)),
            "lowlat.noise" => Self::Noise(Box::new(known(value, &schema, "noise")?)),
            "lowlat.trace" => Self::Trace(Box::new(known(value, &schema, "trace")?)),
            "lowlat.watch" => Self::Watch(Box::new(known(value, &schema, "watch")?)),
            "lowlat.bypass-verdict" => Self::Bypass(Box::new(known(value, &schema, "bypass-verdict")?)),
            "lowlat.optimize" => Self::Optimize(Box::new(known(value, &schema, "optimize")?)),
            other => return Err(format!("it is a {other:?} document, not a run")),
        })
    }
}

/// Reads the document of that name (`measure`, `facts`, …). The error says what is wrong, without the file's name.
pub fn read<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T, String> {
    let (value, schema) = parts(bytes)?;
    known(value, &schema, name)
}

fn parts(bytes: &[u8]) -> Result<(serde_json::Value, Schema), String> {
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|e| format!("it is not a JSON document ({e})"))?;
    let schema = value.get("schema").cloned().unwrap_or_default();
    let schema: Schema = serde_json::from_value(schema).map_err(|_| "it carries no schema".to_owned())?;
    Ok((value, schema))
}

fn known<T: DeserializeOwned>(value: serde_json::Value, schema: &Schema, name: &str) -> Result<T, String> {
    schema.expect(name)?;
    serde_json::from_value(value).map_err(|e| format!("it is damaged ({e})"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use super::*;

    fn measured() -> Measurement {
        Measurement { schema: Schema::current("measure"), target: "192.0.2.1:7".into(), ..Measurement::default() }
    }

    #[test]
    fn a_document_comes_back_and_a_foreign_a_newer_and_a_cut_one_are_reported() {
        let text = serde_json::to_string(&measured()).unwrap();
        assert_eq!(StoredRun::parse(text.as_bytes()).unwrap(), StoredRun::Measure(Box::new(measured())));
        assert_eq!(read::<Measurement>(text.as_bytes(), "measure").unwrap(), measured());
        let why = |bytes: &[u8]| StoredRun::parse(bytes).unwrap_err();
        assert!(why(b"").contains("not a JSON"));
        assert!(why(b"{}").contains("no schema"));
        assert!(why(b"{\"schema\":{\"name\":\"lowlat.facts\",\"version\":1}}").contains("not a run"));
        assert!(why(text.replace("\"version\":1", "\"version\":99").as_bytes()).contains("newer"));
        assert!(why(text.replace("\"sent\":0", "\"sent\":-1").as_bytes()).contains("damaged"));
        assert!(read::<Measurement>(text.as_bytes(), "facts").unwrap_err().contains("not \"lowlat.facts\""));
        for cut in 0..text.len() {
            assert!(StoredRun::parse(&text.as_bytes()[..cut]).is_err());
        }
    }

    /// A document of a build before these keys were there.
    #[test]
    fn keys_that_are_new_may_be_missing() {
        let mut value = serde_json::to_value(measured()).unwrap();
        let keys = value.as_object_mut().unwrap();
        for key in [
            "unsent",
            "sent_rate_pps",
            "rate_sustained",
            "send_delay",
            "rtt_intervals",
            "rtt_planned_intervals",
            "jitter",
            "steady",
            "interrupted",
        ] {
            assert!(keys.remove(key).is_some(), "{key}");
        }
        assert_eq!(read::<Measurement>(value.to_string().as_bytes(), "measure").unwrap(), measured());
    }
}
