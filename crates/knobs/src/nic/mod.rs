//! Settings of a network device.

pub(crate) mod bql_limit_max;
pub(crate) mod channels_combined;
pub(crate) mod coalesce_adaptive_rx;
pub(crate) mod coalesce_adaptive_tx;
pub(crate) mod coalesce_rx_frames;
pub(crate) mod coalesce_rx_usecs;
pub(crate) mod coalesce_tx_usecs;
pub(crate) mod eee;
pub(crate) mod feature_gro;
pub(crate) mod feature_gso;
pub(crate) mod feature_lro;
pub(crate) mod feature_ntuple;
pub(crate) mod feature_tso;
pub(crate) mod firmware_advanced_pci;
pub(crate) mod gro_flush_timeout;
pub(crate) mod hw_timestamping;
pub(crate) mod napi_defer_hard_irqs;
pub(crate) mod napi_threaded;
pub(crate) mod pause;
pub(crate) mod private_flag_rx_cqe_compress;
pub(crate) mod private_flag_rx_striding_rq;
pub(crate) mod ring_rx;
pub(crate) mod ring_tx;
pub(crate) mod rss;
