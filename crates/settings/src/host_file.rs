//! Files of the kernel that are the whole host's: of `/sys`, and of its memory nodes.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::tune::Scope;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::Sys;

use crate::place::numbered;
use crate::{AtBoot, Kind, Place, Write, text};

/// A file by its absolute path.
#[derive(Debug)]
pub struct HostFile(pub &'static str);

impl Place for HostFile {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        Ok(if *target == Target::Host { vec![Locus::File { path: self.0.to_owned() }] } else { Vec::new() })
    }
    fn targets(&self, _: &dyn Sys, _: Option<&str>) -> Reading<Vec<Target>> {
        Reading::Value(vec![Target::Host])
    }
    fn order(&self) -> Order {
        if self.0.starts_with("/sys/kernel/mm/") { Order::Memory } else { Order::Power }
    }
}

/// A file of `/sys/devices/system/node/nodeN/`.
#[derive(Debug)]
pub struct NodeFile(pub &'static str);

impl Place for NodeFile {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Node(n) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::File { path: format!("{NODES}/node{n}/{}", self.0) }])
    }
    fn targets(&self, sys: &dyn Sys, _: Option<&str>) -> Reading<Vec<Target>> {
        numbered(sys, NODES, "node").map(|n| n.into_iter().map(Target::Node).collect())
    }
    fn order(&self) -> Order {
        Order::Memory
    }
}

const NODES: &str = "/sys/devices/system/node";

#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) path: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        self.path.to_owned()
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        text::read(sys, self.path)
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        text::line(self.path, set)
    }
    fn shown(&self) -> Option<String> {
        Some(text::shown(self.path))
    }
    fn undo(&self, was: &State) -> String {
        text::undo(self.path, was)
    }
    fn same(&self, a: &State, b: &State) -> bool {
        text::same_in(self.path, a, b)
    }
    fn scope(&self) -> Scope {
        Scope::Host
    }
    fn of_namespace(&self) -> bool {
        false
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Tmpfile(self.path.to_owned())
    }
}
