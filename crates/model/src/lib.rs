//! The data that flows between lowlat's stages, and nothing else.
//!
//! ```text
//! facts → findings → plan → journal → measurement → verdict → report
//! ```
//!
//! Every stage reads the value the stage before it stored and stores its own, so each can be replayed from a file.
//! This crate does no I/O, reads no clock and holds no thresholds. Times are integers in nanoseconds; every key ends
//! in its unit. What several stages write in one form has that form here: CPU lists and masks ([`cpus`]), bytes as text
//! ([`hex`]), and the numbers that follow from a stored seed ([`random`]).

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod answer;
pub mod application;
pub mod around;
pub mod bypass;
pub mod bypass_verdict;
pub mod capability;
pub mod claim;
pub mod conditions;
pub mod counters;
pub mod cpus;
pub mod defaults;
pub mod distribution;
pub mod document;
pub mod dpdk;
pub mod engine;
pub mod facts;
pub mod finding;
pub mod goal;
pub mod hex;
pub mod journal;
pub mod judge;
pub mod link;
pub mod log;
pub mod measurement;
pub mod noise;
pub mod op;
pub mod os_release;
pub mod page;
pub mod path;
pub mod plan;
pub mod random;
pub mod reading;
pub mod schema;
pub mod settings;
pub mod shape;
pub mod site;
pub mod source;
pub mod stamps;
pub mod stored;
pub mod sweep;
pub mod trace;
pub mod tune;
pub mod units;
pub mod values;
pub mod verdict;
pub mod watch;
pub mod zerocopy;

pub use application::Application;
pub use bypass::Bypass;
pub use capability::Capability;
pub use claim::Claim;
pub use conditions::Conditions;
pub use counters::{Counters, Window};
pub use distribution::{Course, Distribution};
pub use engine::EnginesDocument;
pub use facts::Facts;
pub use finding::{Finding, NotSeen, Remedy, Severity};
pub use goal::{Goal, GoalQuantile, GoalResult};
pub use measurement::{Measurement, Quantiles};
pub use noise::NoiseDocument;
pub use op::{Locus, Op, State};
pub use os_release::OsRelease;
pub use path::{PathLink, PathRole};
pub use plan::{Plan, PlannedStep, Risk};
pub use reading::Reading;
pub use schema::Schema;
pub use shape::FlowShape;
pub use stamps::{GapMarks, OneWay, StampReport};
pub use sweep::SweepDocument;
pub use trace::TraceDocument;
pub use verdict::Verdict;
pub use watch::WatchDocument;
pub use zerocopy::ZeroCopyDocument;
