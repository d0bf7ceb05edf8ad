//! A packet filter with a long list of rules that every packet walks.

use lowlat_netlink::nft::{self, Hook};

use super::{Bed, Fault, FaultSite, PlantedFault, failed};
use crate::netns::LabError;

const RULES: u16 = 2_000;
const FIRST_PORT: u16 = 20_000;

pub(super) struct FilterChain;

impl Fault for FilterChain {
    fn rule(&self) -> &'static str {
        "long-filter-chain"
    }

    fn beds(&self) -> &'static [Bed] {
        &[Bed::Veth]
    }

    fn plant(&self, _: &mut FaultSite<'_>) -> Result<PlantedFault, LabError> {
        nft::create_table("grown", "input", Hook::Input, FIRST_PORT..FIRST_PORT + RULES)
            .map_err(failed("plant a long packet filter"))?;
        Ok(PlantedFault {
            words: format!("an nftables input chain of {RULES} rules that every packet traverses"),
            rule: self.rule(),
            traffic: Vec::new(),
        })
    }
}
