//! Settings of a network device.

mod bql_limit_max;
mod channels_combined;
mod coalesce_adaptive_rx;
mod coalesce_adaptive_tx;
mod coalesce_rx;
mod coalesce_rx_frames;
mod coalesce_rx_usecs;
mod coalesce_tx_usecs;
mod eee;
mod feature_gro;
mod feature_gso;
mod feature_lro;
mod feature_ntuple;
mod feature_tso;
mod fec;
mod firmware_advanced_pci;
mod gro_flush_timeout;
mod hw_timestamping;
mod irq_suspend_timeout;
mod napi_defer_hard_irqs;
mod napi_threaded;
mod pause;
mod private_flag_rx_cqe_compress;
mod private_flag_rx_striding_rq;
mod ring_rx;
mod ring_tx;
mod rss;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[
    &feature_gro::KNOB,
    &feature_lro::KNOB,
    &feature_tso::KNOB,
    &feature_gso::KNOB,
    &feature_ntuple::KNOB,
    &coalesce_adaptive_rx::KNOB,
    &coalesce_adaptive_tx::KNOB,
    &coalesce_rx_usecs::KNOB,
    &coalesce_rx_frames::KNOB,
    &coalesce_tx_usecs::KNOB,
    &coalesce_rx::KNOB,
    &ring_rx::KNOB,
    &ring_tx::KNOB,
    &channels_combined::KNOB,
    &rss::KNOB,
    &hw_timestamping::KNOB,
    &private_flag_rx_striding_rq::KNOB,
    &private_flag_rx_cqe_compress::KNOB,
    &firmware_advanced_pci::KNOB,
    &pause::KNOB,
    &eee::KNOB,
    &gro_flush_timeout::KNOB,
    &napi_defer_hard_irqs::KNOB,
    &napi_threaded::KNOB,
    &irq_suspend_timeout::KNOB,
    &bql_limit_max::KNOB,
    &fec::KNOB,
];
