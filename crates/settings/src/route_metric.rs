//! Metrics of a route of the main table: a number, 0 where it is not set.

use lowlat_model::op::Target;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::place::of_ifaces;
use crate::shell::{literal, quote};
use crate::{Kind, Place, Write, text};

/// A metric by its name: `rto_min`, `quickack`.
#[derive(Debug)]
pub struct Metric(pub &'static str);

impl Place for Metric {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Route(iface, prefix) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::RouteMetric { iface: iface.clone(), prefix: prefix.clone(), metric: self.0.to_owned() }])
    }
    fn targets(&self, sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<Target>> {
        of_ifaces(sys, iface, |iface| {
            let links = query::links(sys).into_value().unwrap_or_default();
            let index = links.into_iter().find(|l| l.name == iface).map(|l| l.index);
            // Those that cannot be set one by one the reading leaves out.
            let all = query::routes(sys).into_value().unwrap_or_default().into_iter();
            let mine = all.filter(|r| r.table == MAIN && r.oif.is_some() && r.oif == index);
            mine.map(|r| Target::Route(iface.to_owned(), r.prefix)).collect()
        })
    }
}

/// `RT_TABLE_MAIN` (include/uapi/linux/rtnetlink.h).
const MAIN: u32 = 254;

/// What `ip route show` says of a route's present state and `ip route change` does not take, each with a blank on both sides,
/// and the unit of a time that it takes only without (iproute2 ip/iproute.c, `print_rt_flags` and `print_rta_cacheinfo` against
/// `iproute_modify`).
const SHOWN_ONLY: &str = "s/ rt_[a-z_]*//g; s/ dead / /; s/ linkdown / /; s/ unresolved / /; s/ offload / /; s/ trap / /; \
                          s/\\( expires [0-9]*\\)sec/\\1/";

/// One metric of one route.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) metric: &'a str,
}

impl At<'_> {
    /// The one route of the main table to the prefix over the interface.
    fn route(&self, sys: &dyn Sys) -> Reading<query::RouteEntry> {
        let Self { iface, prefix, .. } = self;
        query::links(sys).and_then(|links| {
            let Some(link) = links.into_iter().find(|l| l.name == *iface) else {
                return Reading::Absent(format!("there is no interface {iface}"));
            };
            query::routes(sys).and_then(|all| {
                let mut mine =
                    all.into_iter().filter(|r| r.table == MAIN && r.prefix == *prefix && r.oif == Some(link.index));
                match (mine.next(), mine.next()) {
                    (Some(r), _) if r.multipath => {
                        Reading::Unsupported(format!("the route to {prefix} has several next hops"))
                    }
                    (Some(r), None) => Reading::Value(r),
                    (Some(_), Some(_)) => {
                        Reading::Unsupported(format!("there are several routes to {prefix} over {iface}"))
                    }
                    (None, _) => Reading::Absent(format!("there is no route to {prefix} over {iface}")),
                }
            })
        })
    }
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("{} of the route to {} over {}", self.metric, self.prefix, self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        self.route(sys).map(|r| text::text(r.metrics.get(self.metric).copied().unwrap_or(0)))
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        let to = self
            .prefix
            .split_once('/')
            .and_then(|(address, length)| Some((address.parse().ok()?, length.parse().ok()?)))
            .ok_or("the route has no prefix")?;
        let (iface, metric) = (self.iface.to_owned(), self.metric.to_owned());
        Ok(Write::RouteMetric { iface, to, metric, value: text::number(set)? })
    }
    /// The whole route is sent again, as `ip` shows it, with the one word changed.
    fn shown(&self) -> Option<String> {
        let ip = if self.prefix.contains(':') { "ip -6" } else { "ip" };
        Some(format!("{ip} route show exact {} dev {}", quote(self.prefix), quote(self.iface)))
    }
    fn undo(&self, was: &State) -> String {
        let text = was.to_string();
        let ip = if self.prefix.contains(':') { "ip -6" } else { "ip" };
        let unit = if self.metric == "rto_min" { "ms" } else { "" };
        let set = match text.as_str() {
            "0" => String::new(),
            value => format!(" {} {}", quote(self.metric), quote(&format!("{value}{unit}"))),
        };
        format!(
            "{ip} route change $({ip} route show exact {0} dev {1} | sed {2}) dev {1}{set}",
            quote(self.prefix),
            quote(self.iface),
            quote(&format!("s/ {} \\(lock \\)*[^ ]*//; {SHOWN_ONLY}", literal(self.metric)))
        )
    }
}
