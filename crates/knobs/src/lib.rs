//! The catalogue: one file per knob, one line per file in [`KNOBS`].
//!
//! A knob describes; it never writes. `read` asks the reading door, `ops` gives the writes as data, and the apply
//! crate performs them with journal and read-back. The doc comment of a knob is its page in the reference
//! (`lowlat explain NAME`), so it has the same sections everywhere; a test checks them.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod boot;
mod bypass;
mod cpu;
pub mod cpulist;
mod grub;
pub mod how;
mod irq;
mod kind;
mod memory;
mod nic;
mod pcie;
mod qdisc;
mod reset_table;
pub mod resets;
mod resolve;
mod route;
mod sched;
mod scope;
pub mod shell;
mod socket;
mod steer;
mod sysctl;
mod time;

pub use resolve::resolve;

use lowlat_model::op::Target;
use lowlat_model::{Locus, Op, Reading, Risk};
use lowlat_sys::Sys;

/// What is known of a knob before it is asked anything.
#[derive(Debug)]
pub struct Meta {
    /// `sysctl.net.core.busy_read`, `nic.coalesce.rx-usecs`, `irq.affinity`.
    pub name: &'static str,
    /// The page: the doc comment's Markdown, with the sections `What it does`, `Why it matters`, `Cost`, `Example`.
    pub page: &'static str,
    /// Kernels on which it acts: `3.11..`, `..4.14` (inert since), `any`.
    pub kernels: &'static str,
    /// 2 for the kernel, 3 for bypass.
    pub phase: u8,
    /// What can go wrong.
    pub risk: Risk,
    /// The link goes down for a moment.
    pub resets_link: bool,
    /// `acts`, or why nobody should set it: the brief's folklore has an entry too.
    pub standing: Standing,
    /// Other names people know it by: `SO_BUSY_POLL`, `chrt`, `isolcpus`.
    pub also: &'static [&'static str],
    /// Where the facts on the page come from, each in a form of [`lowlat_model::source`].
    pub sources: &'static [&'static str],
    /// Knobs that it is known to act only with: where neither helps alone, the two are tried together. The sources say
    /// why.
    pub needs: &'static [&'static str],
    /// File of the knob, for the code link.
    pub file: &'static str,
}

/// Whether a setting is worth touching at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It acts where the kernel and the device have it.
    Acts,
    /// Real, and already the default: setting it changes nothing.
    Default,
    /// Nothing reads it any more.
    Inert,
    /// It makes latency or the host worse; lowlat reads and explains it and never sets it.
    Harmful,
    /// Never existed in mainline, or in firmware only: lowlat explains, never writes.
    Elsewhere,
}

impl Standing {
    /// What it means to the reader.
    pub fn words(self) -> &'static str {
        match self {
            Self::Acts => "acts",
            Self::Default => "default: real, and already set so; setting it changes nothing",
            Self::Inert => "inert: nothing reads it any more",
            Self::Harmful => "harmful: lowlat explains it and never sets it",
            Self::Elsewhere => "elsewhere: no setting lowlat writes; explained only",
        }
    }
}

/// A file that makes a setting survive a reboot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Persist {
    /// A line of `/etc/sysctl.d/90-lowlat.conf`: key, value.
    Sysctl(String, String),
    /// A `tmpfiles.d`-style write at boot: path, text.
    FileWrite(String, String),
    /// A line `lowlat`'s systemd unit runs at boot through `lowlat apply --boot`: knob, target, value.
    Unit(String, Target, String),
    /// A boot parameter, written as a drop-in of the boot loader.
    BootParameter(String),
}

/// One knob.
pub trait Knob: Sync {
    /// What is known of it.
    fn meta(&self) -> &'static Meta;

    /// Where on this host it can be set. Empty means it is not here; the reading says why.
    fn targets(&self, sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<Target>>;

    /// The value now, in the knob's text form.
    fn read(&self, sys: &dyn Sys, target: &Target) -> Reading<String>;

    /// The writes that bring `target` to `value`, in order. A value that is none for this knob is refused with a
    /// sentence. Only [`Standing::Acts`] knobs give ops.
    fn ops(&self, sys: &dyn Sys, target: &Target, value: &str) -> Result<Vec<Op>, String>;

    /// Whether a write at this place can be one of this knob's for that target; asks no host.
    fn owns(&self, target: &Target, locus: &Locus) -> bool;

    /// What makes it survive a reboot; `None` where nothing can.
    fn persist(&self, target: &Target, value: &str) -> Option<Persist>;

    /// What the change does, in one sentence for the report.
    fn explain(&self, was: &str, want: &str) -> String;

    /// The command that undoes it without lowlat.
    fn undo_by_hand(&self, target: &Target, was: &str) -> String;
}

/// Declares a knob in a file of its own: the doc comment is its page, the rest its [`Meta`] and its mechanics.
macro_rules! knob {
    (
        $(#[doc = $page:literal])+
        $name:literal;
        kernels $kernels:literal; phase $phase:literal; risk $risk:ident; resets_link $resets:literal; standing $standing:ident;
        place $place:expr;
        value $value:expr;
        words $words:literal;
        refusal $refusal:literal;
        also [$($also:literal),* $(,)?];
        sources [$($source:literal),+ $(,)?];
        $(needs [$($needs:literal),+ $(,)?];)?
    ) => {
        $(#[doc = $page])+
        pub(crate) static KNOB: &$crate::how::Entry = &$crate::how::Entry {
            meta: $crate::Meta {
                name: $name,
                page: lowlat_model::doc_page!($($page)+),
                kernels: $kernels,
                phase: $phase,
                risk: lowlat_model::Risk::$risk,
                resets_link: $resets,
                standing: $crate::Standing::$standing,
                also: &[$($also),*],
                sources: &[$($source),+],
                needs: &[$($($needs),+)?],
                file: file!(),
            },
            place: $place,
            value: $value,
            words: $words,
            refusal: $refusal,
        };
    };
}
pub(crate) use knob;

/// Every knob, in the order of the reference.
pub static KNOBS: &[&dyn Knob] = &[
    &sysctl::tcp_low_latency::KNOB,
    &sysctl::tcp_fastopen::KNOB,
    &sysctl::tcp_timestamps::KNOB,
    &sysctl::tcp_sack::KNOB,
    &sysctl::tcp_window_scaling::KNOB,
    &sysctl::tcp_delack_min::KNOB,
    &sysctl::tcp_autocorking::KNOB,
    &sysctl::tcp_rmem::KNOB,
    &sysctl::tcp_wmem::KNOB,
    &sysctl::tcp_slow_start_after_idle::KNOB,
    &sysctl::tcp_notsent_lowat::KNOB,
    &sysctl::tcp_limit_output_bytes::KNOB,
    &sysctl::tcp_rto_min_us::KNOB,
    &sysctl::rmem_max::KNOB,
    &sysctl::wmem_max::KNOB,
    &sysctl::rmem_default::KNOB,
    &sysctl::wmem_default::KNOB,
    &sysctl::netdev_max_backlog::KNOB,
    &sysctl::netdev_budget::KNOB,
    &sysctl::netdev_budget_usecs::KNOB,
    &sysctl::busy_poll::KNOB,
    &sysctl::busy_read::KNOB,
    &sysctl::default_qdisc::KNOB,
    &sysctl::rps_sock_flow_entries::KNOB,
    &sysctl::somaxconn::KNOB,
    &sysctl::sched_rt_runtime_us::KNOB,
    &sysctl::numa_balancing::KNOB,
    &sysctl::timer_migration::KNOB,
    &sysctl::stat_interval::KNOB,
    &sysctl::swappiness::KNOB,
    &nic::feature_gro::KNOB,
    &nic::feature_lro::KNOB,
    &nic::feature_tso::KNOB,
    &nic::feature_gso::KNOB,
    &nic::feature_ntuple::KNOB,
    &nic::coalesce_adaptive_rx::KNOB,
    &nic::coalesce_adaptive_tx::KNOB,
    &nic::coalesce_rx_usecs::KNOB,
    &nic::coalesce_rx_frames::KNOB,
    &nic::coalesce_tx_usecs::KNOB,
    &nic::ring_rx::KNOB,
    &nic::ring_tx::KNOB,
    &nic::channels_combined::KNOB,
    &nic::rss::KNOB,
    &nic::hw_timestamping::KNOB,
    &nic::private_flag_rx_striding_rq::KNOB,
    &nic::private_flag_rx_cqe_compress::KNOB,
    &nic::firmware_advanced_pci::KNOB,
    &nic::pause::KNOB,
    &nic::eee::KNOB,
    &nic::gro_flush_timeout::KNOB,
    &nic::napi_defer_hard_irqs::KNOB,
    &nic::napi_threaded::KNOB,
    &nic::bql_limit_max::KNOB,
    &qdisc::kind::KNOB,
    &irq::affinity::KNOB,
    &irq::irqbalance::KNOB,
    &steer::rps::KNOB,
    &steer::rfs::KNOB,
    &steer::xps::KNOB,
    &steer::flow_rule::KNOB,
    &route::quickack::KNOB,
    &route::rto_min::KNOB,
    &cpu::dma_latency::KNOB,
    &cpu::governor::KNOB,
    &cpu::min_frequency::KNOB,
    &cpu::max_frequency::KNOB,
    &cpu::energy_preference::KNOB,
    &cpu::resume_latency::KNOB,
    &cpu::smt::KNOB,
    &cpu::workqueue_mask::KNOB,
    &pcie::aspm_policy::KNOB,
    &memory::hugepages::KNOB,
    &memory::hugetlbfs::KNOB,
    &memory::thp::KNOB,
    &memory::ksm::KNOB,
    &memory::mlock::KNOB,
    &memory::numa::KNOB,
    &boot::isolcpus::KNOB,
    &boot::nohz_full::KNOB,
    &boot::rcu_nocbs::KNOB,
    &boot::idle::KNOB,
    &boot::intel_idle_max_cstate::KNOB,
    &boot::processor_max_cstate::KNOB,
    &boot::skew_tick::KNOB,
    &boot::tsc::KNOB,
    &boot::mitigations::KNOB,
    &boot::preempt_rt::KNOB,
    &bypass::vfio::KNOB,
    &bypass::xdp::KNOB,
    &socket::busy_poll::KNOB,
    &socket::prefer_busy_poll::KNOB,
    &socket::timestamping::KNOB,
    &socket::zerocopy::KNOB,
    &socket::nodelay::KNOB,
    &socket::quickack::KNOB,
    &socket::nonblock::KNOB,
    &socket::sqpoll::KNOB,
    &socket::iopoll::KNOB,
    &socket::uring_napi::KNOB,
    &socket::send_zc::KNOB,
    &socket::recv_zc::KNOB,
    &time::ptp4l::KNOB,
    &time::phc2sys::KNOB,
    &sched::rt_priority::KNOB,
    &sched::affinity::KNOB,
];

/// A knob by its name.
pub fn find(name: &str) -> Option<&'static dyn Knob> {
    KNOBS.iter().copied().find(|k| k.meta().name == name)
}

/// A knob by a name that people know it by: one of [`Meta::also`], or the last part of its own where that is one
/// knob's alone (`tcp_rmem`, `busy_read`).
pub fn find_known(name: &str) -> Option<&'static dyn Knob> {
    let known = |k: &&dyn Knob| k.meta().also.iter().any(|a| a.eq_ignore_ascii_case(name));
    let mut tails = KNOBS.iter().copied().filter(|k| k.meta().name.rsplit('.').next() == Some(name));
    KNOBS.iter().copied().find(known).or_else(|| match (tails.next(), tails.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
