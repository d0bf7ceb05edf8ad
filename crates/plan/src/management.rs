//! Which interfaces carry the way in: whoever gives the orders must not be cut off.

use std::collections::BTreeSet;

use lowlat_model::Facts;

/// The interfaces whose loss may cut the host off: those that carry a default route or a login session, and everything
/// beneath them, since a bond's slave that resets takes the VLAN above it along.
pub fn management_ifaces(facts: &Facts) -> Vec<String> {
    let routes = facts.interfaces.iter().filter(|(_, i)| i.default_route).map(|(name, _)| name.clone());
    let mut all = BTreeSet::new();
    for name in routes.chain(facts.login_ifaces.iter().cloned()) {
        all.extend(facts.beneath(&name).into_iter().map(|link| link.name));
        all.insert(name);
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;

    #[test]
    fn what_is_beneath_the_default_route_or_a_login_is_as_protected_as_it() {
        let mut facts = healthy();
        let mut port = facts.interfaces["eth0"].clone();
        port.default_route = false;
        for (name, lower) in [
            ("eth0", vec![]),
            ("eth1", vec![]),
            ("eth2", vec![]),
            ("bond0", vec!["eth0", "eth1"]),
            ("bond0.77", vec!["bond0"]),
        ] {
            port.lower = Reading::Value(lower.into_iter().map(str::to_owned).collect());
            port.default_route = name == "bond0.77";
            facts.interfaces.insert(name.to_owned(), port.clone());
        }
        assert_eq!(management_ifaces(&facts), ["bond0", "bond0.77", "eth0", "eth1"]);
        facts.login_ifaces = vec!["eth2".to_owned()];
        assert_eq!(management_ifaces(&facts).len(), 5);
        // A stack that was never read protects the interface itself.
        facts.interfaces.get_mut("bond0.77").unwrap().lower = Reading::unrecorded();
        facts.login_ifaces.clear();
        assert_eq!(management_ifaces(&facts), ["bond0.77"]);
    }
}
