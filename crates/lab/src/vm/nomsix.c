// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * No MSI-X for network devices: a test's module for the guests of the lab.
 *
 * Loaded before a driver, it hides the capability that the driver asks for (drivers/pci/msi/api.c, `pci_msix_vec_count`:
 * no `msix_cap`, -EINVAL), as a platform's quirk does. igb then takes the one interrupt of plain MSI
 * (drivers/net/ethernet/intel/igb/igb_main.c, `igb_set_interrupt_capability`). Of QEMU's models it is the one that does:
 * its e1000e masks the cause by which the driver tries MSI.
 */
#include <linux/module.h>
#include <linux/pci.h>

static int __init nomsix_init(void)
{
	struct pci_dev *dev = NULL;

	for_each_pci_dev(dev)
		if (dev->class >> 16 == PCI_BASE_CLASS_NETWORK)
			dev->msix_cap = 0;
	return 0;
}
module_init(nomsix_init);

static void __exit nomsix_exit(void)
{
}
module_exit(nomsix_exit);

MODULE_DESCRIPTION("no MSI-X for network devices");
MODULE_LICENSE("Dual MIT/GPL");
