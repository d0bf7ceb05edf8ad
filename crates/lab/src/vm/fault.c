// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Errors of a driver, on request: a test's module for the guests of the lab.
 *
 * It stands before the driver of one interface (`dev=eth0`): `begin`, which the kernel calls before most questions and
 * changes, and the setters that lowlat uses answer as the parameters say, and otherwise as the driver does. A setter can
 * also say yes and do nothing, which real drivers do too. Taken out, everything is as it was.
 */
#include <linux/ethtool.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/version.h>

static char *dev;
module_param(dev, charp, 0400);
MODULE_PARM_DESC(dev, "interface");
static int begin_err, begin_skip, begin_times, set_err, set_skip, set_times, ignore;
module_param(begin_err, int, 0600);
MODULE_PARM_DESC(begin_err, "errno of every question and change, 0 for none");
module_param(begin_skip, int, 0600);
MODULE_PARM_DESC(begin_skip, "how many questions and changes still pass before that");
module_param(begin_times, int, 0600);
MODULE_PARM_DESC(begin_times, "how many then fail, 0 for all");
module_param(set_err, int, 0600);
MODULE_PARM_DESC(set_err, "errno of every change, 0 for none");
module_param(set_skip, int, 0600);
MODULE_PARM_DESC(set_skip, "how many changes still pass before that");
module_param(set_times, int, 0600);
MODULE_PARM_DESC(set_times, "how many then fail, 0 for all");
module_param(ignore, int, 0600);
MODULE_PARM_DESC(ignore, "changes are taken without effect");

static struct net_device *netdev;
static const struct ethtool_ops *old_eth;
static const struct net_device_ops *old_net;
static struct ethtool_ops new_eth;
static struct net_device_ops new_net;

/* All of it runs under the rtnl lock, so plain counting is enough. */
static int fails(int *err, int *skip, int *times)
{
	int now = *err;

	if (!now)
		return 0;
	if (*skip > 0) {
		(*skip)--;
		return 0;
	}
	if (*times > 0 && --(*times) == 0)
		*err = 0;
	return -now;
}

static int begin(struct net_device *d)
{
	int err = fails(&begin_err, &begin_skip, &begin_times);

	if (err)
		return err;
	return old_eth->begin ? old_eth->begin(d) : 0;
}

#define ANSWER(call)                                     \
	do {                                             \
		int err = fails(&set_err, &set_skip, &set_times); \
		if (err)                                 \
			return err;                      \
		return ignore ? 0 : (call);              \
	} while (0)

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 15, 0)
static int set_coalesce(struct net_device *d, struct ethtool_coalesce *c, struct kernel_ethtool_coalesce *k,
			struct netlink_ext_ack *x)
{
	ANSWER(old_eth->set_coalesce(d, c, k, x));
}
#else
static int set_coalesce(struct net_device *d, struct ethtool_coalesce *c)
{
	ANSWER(old_eth->set_coalesce(d, c));
}
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 17, 0)
static int set_ringparam(struct net_device *d, struct ethtool_ringparam *r, struct kernel_ethtool_ringparam *k,
			 struct netlink_ext_ack *x)
{
	ANSWER(old_eth->set_ringparam(d, r, k, x));
}
#else
static int set_ringparam(struct net_device *d, struct ethtool_ringparam *r)
{
	ANSWER(old_eth->set_ringparam(d, r));
}
#endif

static int set_channels(struct net_device *d, struct ethtool_channels *c)
{
	ANSWER(old_eth->set_channels(d, c));
}

static int set_pauseparam(struct net_device *d, struct ethtool_pauseparam *p)
{
	ANSWER(old_eth->set_pauseparam(d, p));
}

static int set_priv_flags(struct net_device *d, u32 flags)
{
	ANSWER(old_eth->set_priv_flags(d, flags));
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
static int set_eee(struct net_device *d, struct ethtool_keee *e)
#else
static int set_eee(struct net_device *d, struct ethtool_eee *e)
#endif
{
	ANSWER(old_eth->set_eee(d, e));
}

static int set_features(struct net_device *d, netdev_features_t features)
{
	int err = fails(&set_err, &set_skip, &set_times);

	if (err)
		return err;
	return old_net->ndo_set_features ? old_net->ndo_set_features(d, features) : 0;
}

static int __init fault_init(void)
{
	netdev = dev ? dev_get_by_name(&init_net, dev) : NULL;
	if (!netdev)
		return -ENODEV;
	rtnl_lock();
	old_eth = netdev->ethtool_ops;
	old_net = netdev->netdev_ops;
	new_eth = *old_eth;
	new_net = *old_net;
	new_eth.begin = begin;
#define STAND_BEFORE(op)           \
	do {                       \
		if (old_eth->op)   \
			new_eth.op = op; \
	} while (0)
	STAND_BEFORE(set_coalesce);
	STAND_BEFORE(set_ringparam);
	STAND_BEFORE(set_channels);
	STAND_BEFORE(set_pauseparam);
	STAND_BEFORE(set_priv_flags);
	STAND_BEFORE(set_eee);
	new_net.ndo_set_features = set_features;
	netdev->ethtool_ops = &new_eth;
	netdev->netdev_ops = &new_net;
	rtnl_unlock();
	return 0;
}

static void __exit fault_exit(void)
{
	rtnl_lock();
	netdev->ethtool_ops = old_eth;
	netdev->netdev_ops = old_net;
	rtnl_unlock();
	dev_put(netdev);
}

module_init(fault_init);
module_exit(fault_exit);
MODULE_DESCRIPTION("errors of a network driver on request");
MODULE_LICENSE("Dual MIT/GPL");
