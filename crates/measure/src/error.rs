//! Why a measurement could not be done.

use lowlat_transport::EngineError;

/// Each names operation, target, cause and next step.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// What was asked for cannot be measured.
    #[error("measure: {what}: {why}; {next}")]
    Spec {
        /// The setting and its value.
        what: String,
        /// Why not.
        why: String,
        /// Next step.
        next: String,
    },
    /// The stop flag was set before the far end answered.
    #[error("interrupted by a signal")]
    Stopped,
    /// The engine or the path failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Nothing answered.
    #[error(
        "measure: no answer to {tries} {peer} probes within {waited_ms} ms; see that {}, and that no firewall is between", far_end(.peer)
    )]
    Silent {
        /// Far-end protocol.
        peer: &'static str,
        /// Probes sent.
        tries: u32,
        /// Wait for all of them together, ms.
        waited_ms: u64,
    },
    /// Something answered, in another language.
    #[error(
        "measure: the target answered {answers} times, but not as a {peer} far end ({why}); see that its port belongs to one, or name its protocol with --peer"
    )]
    Nonsense {
        /// Far-end protocol.
        peer: &'static str,
        /// Messages that came.
        answers: u64,
        /// What was wrong with the last.
        why: &'static str,
    },
    /// The path failed many times in a row.
    #[error(
        "measure: the path failed {times} times in a row ({last}); see that the interface is up and the far end runs"
    )]
    Broken {
        /// How often.
        times: u32,
        /// The last failure.
        last: String,
    },
    /// The thread could not be placed as asked.
    #[error("{what}: {source}; {next}")]
    Placement {
        /// Operation and target.
        what: String,
        /// The kernel's answer.
        source: std::io::Error,
        /// Next step.
        next: &'static str,
    },
    /// A file or socket of the measurement itself failed.
    #[error("{what}: {source}")]
    Io {
        /// Operation and target.
        what: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// What must be so for a far end of this protocol to answer.
fn far_end(peer: &str) -> &'static str {
    match peer {
        "icmp" => "the address is right, that the far host answers echo requests (net.ipv4.icmp_echo_ignore_all)",
        "udp-closed" => "the address is right, that nobody listens on that port",
        "tls" => "a TLS server listens on that port and that the address is right",
        "tcp-connect" => "a server listens on that port and that the address is right",
        "sockperf" => "`sockperf server` runs there, that the address and port are right",
        "stamp" => "a STAMP or TWAMP-Light reflector runs there, that the address and port are right",
        "irtt" => "`irtt server` runs there, that the address and port are right",
        _ => "the far end runs (`lowlat serve`), that the address and port are right",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_advised_by_its_protocol() {
        let of = |peer| MeasureError::Silent { peer, tries: 5, waited_ms: 50 }.to_string();
        assert!(of("lowlat").contains("lowlat serve"));
        for (peer, advice) in [("icmp", "echo"), ("irtt", "irtt server"), ("stamp", "STAMP"), ("sockperf", "sockperf")]
        {
            assert!(of(peer).contains(advice) && !of(peer).contains("lowlat serve"), "{}", of(peer));
        }
    }
}
