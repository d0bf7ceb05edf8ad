//! The rule base: one file per rule, one line per file in [`RULES`].
//!
//! A rule is pure: facts (and what was measured) in, findings out. It reads no clock and no file, so a captured host
//! replays it. A rule is named for the fault, never for the remedy. Its doc comment is its page in the reference.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod af_xdp_copies;
mod autocorking;
mod busy_cpus_differ_in_frequency;
mod busy_poll_without_effect;
mod busy_smt_sibling;
mod clock_daemons_compete;
mod clock_not_synchronized;
mod clocksource_not_tsc;
mod coarse_timer_slack;
mod connection_tracking_clashes;
mod connection_tracking_full;
mod cpu_quota_throttled;
mod cpuset_partition_invalid;
mod datagrams_of_other_groups;
mod delayed_acknowledgements;
mod device_interrupts_on_isolated_cpus;
mod eee_active;
mod flow_changes_queue;
mod flow_limit_drops;
mod forward_error_correction;
mod frequency_capped;
mod generic_xdp;
mod governor_not_performance;
mod gro_flush_without_poller;
mod hardware_clock_not_steered;
mod huge_page_compaction;
mod idle_state_exit_latency;
mod instance_allowance_exceeded;
mod interprocessor_interrupts;
mod interrupt_coalescing;
mod interrupts_moved_by_irqbalance;
mod interrupts_moved_in_window;
mod interrupts_on_one_cpu;
mod interrupts_outside_their_affinity;
mod interrupts_while_polling;
mod irq_off_node_or_app_cpu;
mod kernel_not_preemptible;
mod link_below_capability;
mod link_errors;
mod link_goes_down;
mod listen_queue_overflows;
mod long_filter_chain;
mod look;
mod major_faults;
mod memory_not_locked;
mod memory_reclaim_stalls;
mod messages_wait_behind_unsent_data;
mod mitigations_in_system_calls;
mod neighbour_table_full;
mod netem_on_path;
mod nic_ring_drops;
mod numa_balancing_faults;
mod one_queue_carries_most;
mod packet_sockets;
mod page_merging_active;
mod pause_frames;
mod pci_express_errors;
mod pci_express_link_sleeps;
mod plain_fifo_backlog;
mod process_page_faults;
mod ptp_clock_contended;
mod ptp_software_stamps;
mod reader_asleep_past_goal;
mod realtime_thread_spins;
mod realtime_thread_throttled;
mod receive_buffer_errors;
mod receive_pages_not_recycled;
mod retransmission_timeouts;
mod retransmits;
mod reverse_path_drops;
mod rps_remote_cpu;
mod rt_throttling_off;
mod shaper_below_line_rate;
mod small_writes_held_by_nagle;
mod socket_buffer_small;
mod socket_drops;
mod socket_read_late;
mod softirqs_left_to_threads;
mod softnet_drops;
mod softnet_time_squeeze;
mod steal_time;
mod strict_iommu;
mod swapping;
mod system_management_interrupts;
mod tasks_wait_for_cpu;
mod tcp_backlog_drops;
mod tcp_features_off;
mod tcp_receive_pruned;
mod thermal_throttling;
mod thread_migrates;
mod thread_off_nic_node;
mod thread_on_interrupt_cpu;
mod thread_preempted;
mod thread_sleeps_for_packets;
mod thread_waits_for_cpu;
mod tick_on_isolated_cpu;
mod traffic_control_filters;
mod transmit_completes_on_another_node;
mod transmit_queue_backlog;
mod transmit_timeouts;
mod udp_memory_exhausted;
mod uncore_frequency_drops;
mod unexplained_drops;
mod unsent_data_queued;
mod view;
mod virtual_cpu_halts;
mod watchdog_on_isolated_cpus;
mod wireless_link;
mod workqueues_on_isolated_cpus;

use std::collections::BTreeSet;

use lowlat_model::{Facts, Finding, Measurement, NotSeen, Severity};

/// What a rule may look at.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The host.
    pub facts: &'a Facts,
    /// The path, where it was measured.
    pub baseline: Option<&'a Measurement>,
    /// The latency wanted, ns.
    pub goal_ns: Option<u64>,
}

/// What a rule saw.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Seen {
    /// Faults.
    pub findings: Vec<Finding>,
    /// Facts it needed and did not get.
    pub not_seen: Vec<NotSeen>,
    /// Faults of interfaces off the path, without settings: reported, never acted on. Only [`check_all`] gives any.
    pub elsewhere: Vec<Finding>,
}

/// What is known of a rule before it runs.
#[derive(Debug)]
pub struct RuleMeta {
    /// `netem-on-path`, `receive-buffer-errors`: the fault.
    pub name: &'static str,
    /// The page: Markdown with the sections `What it finds`, `Why it matters`, `Threshold`, `Remedy`.
    pub page: &'static str,
    /// Where threshold and facts come from.
    pub sources: &'static [&'static str],
    /// The counter that judges its steps, by group and key, where the probe's round trips cannot show the fault: it
    /// loses other programs' packets.
    pub counted_by: Option<(&'static str, &'static str)>,
    /// Rules whose fault this one is likely to follow from: where one of them fires too, this finding stands under it.
    pub follows: &'static [&'static str],
    /// File of the rule.
    pub file: &'static str,
}

/// One rule.
pub trait Rule: Sync {
    /// What is known of it.
    fn meta(&self) -> &'static RuleMeta;
    /// Looks.
    fn check(&self, input: &Input<'_>) -> Seen;
}

/// Declares a rule: its doc comment is its page, and `look(input, seen)` of the same file is what it does.
macro_rules! rule {
    (@counted) => { None };
    (@counted $group:literal $key:literal) => { Some(($group, $key)) };
    ($(#[doc = $doc:literal])+ pub $id:ident = $name:literal; $(counted_by $group:literal $key:literal;)? sources [$($source:literal),+ $(,)?]; $(follows [$($root:literal),+ $(,)?];)?) => {
        /// The name, for the findings.
        const NAME: &str = $name;

        $(#[doc = $doc])+
        #[derive(Debug)]
        pub(crate) struct $id;

        impl $crate::Rule for $id {
            fn meta(&self) -> &'static $crate::RuleMeta {
                static META: $crate::RuleMeta = $crate::RuleMeta {
                    name: NAME,
                    page: lowlat_model::doc_page!($($doc)+),
                    sources: &[$($source),+],
                    counted_by: $crate::rule!(@counted $($group $key)?),
                    follows: &[$($($root),+)?],
                    file: file!(),
                };
                &META
            }

            fn check(&self, input: &$crate::Input<'_>) -> $crate::Seen {
                let mut seen = $crate::Seen::default();
                look(input, &mut seen);
                seen
            }
        }
    };
}
pub(crate) use rule;

/// Every rule, in the order in which faults should be fixed: link errors, drops, placement, power, coalescing, sockets,
/// and what each packet passes that a bypass would leave out.
pub static RULES: &[&dyn Rule] = &[
    &link_errors::LinkErrors,
    &link_goes_down::LinkGoesDown,
    &transmit_timeouts::TransmitTimeouts,
    &pci_express_errors::PciExpressErrors,
    &link_below_capability::LinkBelowCapability,
    &eee_active::EeeActive,
    &forward_error_correction::ForwardErrorCorrection,
    &wireless_link::WirelessLink,
    &instance_allowance_exceeded::InstanceAllowanceExceeded,
    &nic_ring_drops::NicRingDrops,
    &pause_frames::PauseFrames,
    &softnet_drops::SoftnetDrops,
    &flow_limit_drops::FlowLimitDrops,
    &netem_on_path::NetemOnPath,
    &shaper_below_line_rate::ShaperBelowLineRate,
    &plain_fifo_backlog::PlainFifoBacklog,
    &transmit_queue_backlog::TransmitQueueBacklog,
    &udp_memory_exhausted::UdpMemoryExhausted,
    &receive_buffer_errors::ReceiveBufferErrors,
    &socket_drops::SocketDrops,
    &tcp_receive_pruned::TcpReceivePruned,
    &tcp_backlog_drops::TcpBacklogDrops,
    &listen_queue_overflows::ListenQueueOverflows,
    &connection_tracking_full::ConnectionTrackingFull,
    &connection_tracking_clashes::ConnectionTrackingClashes,
    &neighbour_table_full::NeighbourTableFull,
    &reverse_path_drops::ReversePathDrops,
    &unexplained_drops::UnexplainedDrops,
    &receive_pages_not_recycled::ReceivePagesNotRecycled,
    &steal_time::StealTime,
    &cpu_quota_throttled::CpuQuotaThrottled,
    &thermal_throttling::ThermalThrottling,
    &system_management_interrupts::SystemManagementInterrupts,
    &frequency_capped::FrequencyCapped,
    &busy_cpus_differ_in_frequency::BusyCpusDifferInFrequency,
    &swapping::Swapping,
    &memory_reclaim_stalls::MemoryReclaimStalls,
    &tasks_wait_for_cpu::TasksWaitForCpu,
    &thread_waits_for_cpu::ThreadWaitsForCpu,
    &thread_preempted::ThreadPreempted,
    &interrupts_on_one_cpu::InterruptsOnOneCpu,
    &irq_off_node_or_app_cpu::IrqOffNodeOrAppCpu,
    &thread_on_interrupt_cpu::ThreadOnInterruptCpu,
    &thread_off_nic_node::ThreadOffNicNode,
    &thread_migrates::ThreadMigrates,
    &transmit_completes_on_another_node::TransmitCompletesOnAnotherNode,
    &interrupts_moved_by_irqbalance::InterruptsMovedByIrqbalance,
    &interrupts_outside_their_affinity::InterruptsOutsideTheirAffinity,
    &interrupts_moved_in_window::InterruptsMovedInWindow,
    &device_interrupts_on_isolated_cpus::DeviceInterruptsOnIsolatedCpus,
    &rps_remote_cpu::RpsRemoteCpu,
    &one_queue_carries_most::OneQueueCarriesMost,
    &flow_changes_queue::FlowChangesQueue,
    &softnet_time_squeeze::SoftnetTimeSqueeze,
    &softirqs_left_to_threads::SoftirqsLeftToThreads,
    &tick_on_isolated_cpu::TickOnIsolatedCpu,
    &interprocessor_interrupts::InterprocessorInterrupts,
    &cpuset_partition_invalid::CpusetPartitionInvalid,
    &workqueues_on_isolated_cpus::WorkqueuesOnIsolatedCpus,
    &watchdog_on_isolated_cpus::WatchdogOnIsolatedCpus,
    &busy_smt_sibling::BusySmtSibling,
    &numa_balancing_faults::NumaBalancingFaults,
    &huge_page_compaction::HugePageCompaction,
    &page_merging_active::PageMergingActive,
    &major_faults::MajorFaults,
    &process_page_faults::ProcessPageFaults,
    &memory_not_locked::MemoryNotLocked,
    &rt_throttling_off::RtThrottlingOff,
    &realtime_thread_spins::RealtimeThreadSpins,
    &realtime_thread_throttled::RealtimeThreadThrottled,
    &idle_state_exit_latency::IdleStateExitLatency,
    &governor_not_performance::GovernorNotPerformance,
    &pci_express_link_sleeps::PciExpressLinkSleeps,
    &uncore_frequency_drops::UncoreFrequencyDrops,
    &kernel_not_preemptible::KernelNotPreemptible,
    &virtual_cpu_halts::VirtualCpuHalts,
    &clocksource_not_tsc::ClocksourceNotTsc,
    &clock_not_synchronized::ClockNotSynchronized,
    &clock_daemons_compete::ClockDaemonsCompete,
    &ptp_clock_contended::PtpClockContended,
    &ptp_software_stamps::PtpSoftwareStamps,
    &strict_iommu::StrictIommu,
    &interrupt_coalescing::InterruptCoalescing,
    &gro_flush_without_poller::GroFlushWithoutPoller,
    &busy_poll_without_effect::BusyPollWithoutEffect,
    &interrupts_while_polling::InterruptsWhilePolling,
    &reader_asleep_past_goal::ReaderAsleepPastGoal,
    &thread_sleeps_for_packets::ThreadSleepsForPackets,
    &coarse_timer_slack::CoarseTimerSlack,
    &socket_read_late::SocketReadLate,
    &socket_buffer_small::SocketBufferSmall,
    &retransmits::Retransmits,
    &retransmission_timeouts::RetransmissionTimeouts,
    &tcp_features_off::TcpFeaturesOff,
    &delayed_acknowledgements::DelayedAcknowledgements,
    &small_writes_held_by_nagle::SmallWritesHeldByNagle,
    &autocorking::Autocorking,
    &unsent_data_queued::UnsentDataQueued,
    &messages_wait_behind_unsent_data::MessagesWaitBehindUnsentData,
    &datagrams_of_other_groups::DatagramsOfOtherGroups,
    &long_filter_chain::LongFilterChain,
    &packet_sockets::PacketSockets,
    &traffic_control_filters::TrafficControlFilters,
    &generic_xdp::GenericXdp,
    &af_xdp_copies::AfXdpCopies,
    &mitigations_in_system_calls::MitigationsInSystemCalls,
    &hardware_clock_not_steered::HardwareClockNotSteered,
];

/// A rule by its name.
pub fn find(name: &str) -> Option<&'static dyn Rule> {
    RULES.iter().copied().find(|r| r.meta().name == name)
}

/// All rules: findings in the order of [`RULES`], which is the order of fixing, and what is only worth knowing after all
/// others. A cause stands before what follows from it ([`RuleMeta::follows`]), and in the place of the first of them. What could
/// not be seen is said once, however many rules missed it.
///
/// Where a path is in focus, findings are those of its interfaces and of the host; what is conspicuous on other
/// interfaces is in [`Seen::elsewhere`].
pub fn check_all(input: &Input<'_>) -> Seen {
    let mut all = Seen::default();
    if let Some(name) = input.facts.iface.as_deref()
        && !input.facts.interfaces.contains_key(name)
    {
        all.missing(format!("interface {name}"), "absent: there is no interface of this name in the network namespace");
    }
    all.not_seen.extend(input.facts.path_not_seen.iter().cloned());
    all.not_seen.extend(input.facts.application.iter().flat_map(|a| a.not_seen.iter().cloned()));
    let path = view::path(input.facts);
    let seen = if path.is_empty() {
        each(input)
    } else {
        let seen = each(&Input { facts: &view::of_path(input.facts, &path), ..*input });
        all.elsewhere = elsewhere(input.facts, &path, &seen.findings);
        seen
    };
    all.findings = seen.findings;
    all.not_seen.extend(seen.not_seen);
    let mut said = BTreeSet::new();
    all.not_seen.retain(|n| said.insert((n.fact.clone(), n.why.clone())));
    all
}

/// Every rule on these facts.
fn each(input: &Input<'_>) -> Seen {
    let mut all = Seen::default();
    for rule in RULES {
        let seen = rule.check(input);
        all.findings.extend(seen.findings);
        all.not_seen.extend(seen.not_seen);
    }
    all.findings = causes_first(all.findings);
    all
}

/// Findings in the order of fixing, each under the one it follows from.
fn causes_first(findings: Vec<Finding>) -> Vec<Finding> {
    let mut left: Vec<Finding> = findings;
    // The sort keeps the order of RULES among findings of a kind.
    left.sort_by_key(|f| f.severity == Severity::Info);
    let mut done: Vec<Finding> = Vec::with_capacity(left.len());
    while let Some(first) = left.first() {
        let root = root(first, &left);
        let at = left.iter().position(|f| f.rule == root).unwrap_or(0);
        let cause = left.remove(at);
        place(cause, &mut left, &mut done);
    }
    done
}

/// The rule at the bottom of what a finding follows from, among those that fired and are not placed yet. What is only worth
/// knowing is not a cause of what costs latency.
fn root<'a>(finding: &'a Finding, fired: &'a [Finding]) -> &'a str {
    let mut at = finding;
    // No chain is longer than the list of rules; a test keeps it free of circles.
    for _ in RULES {
        let causes = find(&at.rule).map_or(&[][..], |rule| rule.meta().follows);
        let fits = |f: &&Finding| causes.contains(&f.rule.as_str()) && f.severity > Severity::Info;
        match fired.iter().find(fits) {
            Some(cause) => at = cause,
            None => break,
        }
    }
    &at.rule
}

/// Places a finding, and then those that follow from it.
fn place(finding: Finding, left: &mut Vec<Finding>, done: &mut Vec<Finding>) {
    let (rule, weighty) = (finding.rule.clone(), finding.severity > Severity::Info);
    done.push(finding);
    // Several findings of one rule, one for each interface, are one cause.
    while let Some(at) = left.iter().position(|f| f.rule == rule) {
        done.push(left.remove(at));
    }
    let from = |f: &Finding| weighty && find(&f.rule).is_some_and(|r| r.meta().follows.contains(&rule.as_str()));
    while let Some(at) = left.iter().position(from) {
        let mut next = left.remove(at);
        next.follows = Some(rule.clone());
        place(next, left, done);
    }
}

/// Faults of the interfaces off the path. What is found without any interface is the host's, and so is what the path
/// shows too; what was measured is the path's, so it is not asked.
fn elsewhere(facts: &Facts, path: &BTreeSet<String>, found: &[Finding]) -> Vec<Finding> {
    let look = |facts: &Facts| each(&Input { facts, baseline: None, goal_ns: None }).findings;
    let hosts = look(&view::of_none(facts));
    let known = |f: &Finding| hosts.iter().chain(found).any(|k| k.rule == f.rule && k.title == f.title);
    let mut beside = look(&view::beside(facts, path));
    beside.retain(|f| !known(f));
    for f in &mut beside {
        f.remedy.settings.clear();
    }
    beside
}

#[cfg(test)]
mod tests;
