//! A small synchronous netlink client: routes and links, traffic control, ethtool, netdev, socket diagnosis, nf_tables.
//!
//! | module | reads or writes |
//! |---|---|
//! | [`attr`], [`message`], [`socket`] | framing: attributes, messages, one request and its replies |
//! | [`route`] | links, addresses, routes, neighbours: dump and make |
//! | [`tc`] | queue disciplines and filters: dump, decode, put, delete |
//! | [`ethtool`] | features, coalescing, rings, channels, pause, EEE, private flags, time stamping, link modes, statistics |
//! | [`netdev`] | XDP features |
//! | [`diag`] | TCP sockets with TCP_INFO |
//! | [`traffic`] | live sockets with their counters, asked again and again |
//! | [`wireguard`] | peers |
//! | [`nl80211`] | whether a Wi-Fi interface saves power |
//! | [`nft`] | nf_tables: rules per chain; a table with rules in one batch |
//!
//! Every function opens its own socket in the calling thread's network namespace, so a thread that has entered a
//! namespace talks to that one. Parsers take `&[u8]`, check every bound, and never panic.
//!
//! # Why own framing
//!
//! Four of the five protocols here have no crate that gives both directions (ethtool SET, netdev, nf_tables batches,
//! raw `TCA_OPTIONS` that go back byte for byte), so an attribute reader and writer of our own is needed whatever is
//! chosen. On top of it the route messages are a few lines each. Of the crates, `netlink-packet-route` decodes every
//! attribute of a message into its own enumeration, also the ones nobody asked for, and most of them with `?`
//! (`link/attribute.rs`): one of an unexpected length fails the whole message. lowlat runs on kernels from 5.10 to ones
//! that do not exist yet and wants eight attributes of a link. That crate alone also took 27 to 29 s to compile in a
//! trial.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod attr;
pub mod diag;
mod error;
pub mod ethtool;
pub mod genl;
pub mod message;
pub mod netdev;
pub mod nft;
pub mod nl80211;
pub mod route;
pub mod socket;
pub mod tc;
pub mod traffic;
pub mod wireguard;

pub use error::{Error, Malformed, errno_text};
