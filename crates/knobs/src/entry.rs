//! An entry of the catalogue, and what it can be asked.

use lowlat_model::op::Target;
use lowlat_model::{Locus, Op, Reading};
use lowlat_settings::Place;
use lowlat_sys::Sys;

use crate::value::Value;
use crate::{KnobMeta, Standing};

/// One knob: its page, its place and its values.
#[derive(Debug)]
pub struct Knob {
    /// What is known of it.
    pub meta: KnobMeta,
    /// Where.
    pub place: &'static dyn Place,
    /// What.
    pub value: Value,
    /// Why lowlat does not set it; empty for those that act.
    pub refusal: &'static str,
}

impl Knob {
    /// Where on this host it can be set. Empty means it is not here; the reading says why.
    pub fn targets(&self, sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<Target>> {
        if !self.place.is_somewhere() {
            return Reading::Unsupported(self.refusal.to_owned());
        }
        self.place.targets(sys, iface).and_then(|all| {
            let mut last = Reading::Absent(format!("{}: there is no place for it on this host", self.meta.name));
            let mut found = Vec::new();
            for target in all {
                match self.read(sys, &target) {
                    Reading::Value(_) => found.push(target),
                    other => last = other.map(|_| Vec::new()),
                }
            }
            if found.is_empty() { last } else { Reading::Value(found) }
        })
    }

    /// The value now, in the knob's text form.
    pub fn read(&self, sys: &dyn Sys, target: &Target) -> Reading<String> {
        if let Some(value) = self.place.in_force(sys) {
            return value;
        }
        if !self.place.is_somewhere() {
            return Reading::Unsupported(self.refusal.to_owned());
        }
        let loci = match self.loci(sys, target) {
            Ok(loci) => loci,
            Err(why) => return Reading::Unsupported(why),
        };
        let mut values: Vec<String> = Vec::new();
        for locus in &loci {
            match lowlat_settings::state(sys, locus).and_then(|s| self.value.decode(self.meta.name, &s)) {
                Reading::Value(v) if values.last() == Some(&v) => {}
                Reading::Value(v) => values.push(v),
                other => return other,
            }
        }
        Reading::Value(values.join(","))
    }

    /// The writes that bring `target` to `value`, in order. A value that is none for this knob is refused with a
    /// sentence. Only [`Standing::Acts`] knobs give ops.
    pub fn ops(&self, sys: &dyn Sys, target: &Target, value: &str) -> Result<Vec<Op>, String> {
        if self.meta.standing != Standing::Acts {
            return Err(self.refusal.to_owned());
        }
        let loci = self.loci(sys, target)?;
        let set = self.value.encode(self.meta.name, sys, &loci, value)?;
        let mut ops = self.place.first(sys, target)?;
        ops.extend(loci.into_iter().map(|locus| Op { locus, set: set.clone() }));
        Ok(ops)
    }

    /// Whether a write at this place can be one of this knob's for that target; asks no host.
    pub fn owns(&self, target: &Target, locus: &Locus) -> bool {
        self.meta.standing == Standing::Acts && self.place.owns(target, locus)
    }

    /// The places at a target, for those who only look; none where it is not set by lowlat.
    pub fn places(&self, sys: &dyn Sys, target: &Target) -> Vec<Locus> {
        if self.meta.standing != Standing::Acts {
            return Vec::new();
        }
        self.loci(sys, target).unwrap_or_default()
    }

    fn loci(&self, sys: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let loci = self.place.loci(sys, target)?;
        if loci.is_empty() { Err(format!("{} cannot be set at {target}", self.meta.name)) } else { Ok(loci) }
    }
}
