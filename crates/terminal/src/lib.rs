//! What a person at the terminal sees and answers: what commands print ([`output`]), how far a run is ([`progress`]) and
//! the questions that lowlat asks when it is started without arguments ([`ask`]).

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)] // what commands print leaves here

pub mod ask;
pub mod output;
pub mod progress;
