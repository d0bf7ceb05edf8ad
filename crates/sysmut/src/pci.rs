//! Which driver a PCI device has.

use std::time::{Duration, Instant};

use lowlat_netlink::route::link;
use lowlat_settings::pci_driver::DEVICES;
use lowlat_sys::{Live, Sys};

use crate::{WriteError, file};

/// Where drivers are.
const DRIVERS: &str = "/sys/bus/pci/drivers";
/// How long the interface may take to come back: a driver registers it as it binds, and udev may rename it after.
const INTERFACE_LIMIT: Duration = Duration::from_secs(10);
/// How long udev is given for its own name before the recorded one is set.
const UDEV_LIMIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// Lets `forced` alone take the device, takes it from its present driver, gives it to `driver`, and waits for its interface,
/// which gets back its name and MTU.
pub(crate) fn bind(
    device: &str,
    driver: Option<&str>,
    forced: Option<&str>,
    iface: Option<(&str, Option<u32>)>,
) -> Result<(), WriteError> {
    let at = format!("{DEVICES}/{device}");
    // Before anything is taken away.
    if let Some(driver) = driver
        && Live::new().list(&format!("{DRIVERS}/{driver}")).value().is_none()
    {
        return Err(WriteError::Absent {
            what: format!("bind {device} to {driver}"),
            why: format!("the kernel has no such driver loaded: `modprobe {driver}`"),
        });
    }
    // An empty line takes it off (drivers/base/driver.c, `driver_set_override`).
    file::write(&format!("{at}/driver_override"), forced.unwrap_or(""))?;
    let bound = || Live::new().link_target(&format!("{at}/driver")).into_value();
    let is = |target: &str, name: &str| target.rsplit('/').next() == Some(name);
    let now = bound();
    let there = matches!((&now, driver), (Some(t), Some(d)) if is(t, d));
    if now.is_some() && !there {
        file::write(&format!("{at}/driver/unbind"), device)?;
    }
    if let Some(driver) = driver
        && !there
    {
        file::write(&format!("{DRIVERS}/{driver}/bind"), device)?;
    }
    iface.map_or(Ok(()), |(name, mtu)| interface(&at, name, mtu))
}

/// Waits for the interface of a device, and gives it its name and MTU.
fn interface(at: &str, name: &str, mtu: Option<u32>) -> Result<(), WriteError> {
    let begin = Instant::now();
    loop {
        let names = Live::new().list(&format!("{at}/net")).into_value().unwrap_or_default();
        match names.as_slice() {
            [one] if one == name => break,
            // Nobody renames it: it was renamed by somebody before.
            [other] if begin.elapsed() > UDEV_LIMIT => link::rename(other, name)?,
            _ if begin.elapsed() > INTERFACE_LIMIT => {
                let why =
                    format!("its driver has it again, and no interface came within {} s", INTERFACE_LIMIT.as_secs());
                return Err(WriteError::Absent { what: format!("wait for {name}"), why });
            }
            _ => std::thread::sleep(PAUSE),
        }
    }
    let now = Live::new().read(&format!("/sys/class/net/{name}/mtu")).into_value();
    match mtu {
        Some(mtu) if now.is_none_or(|t| t.trim() != mtu.to_string()) => Ok(link::set_mtu(name, mtu)?),
        _ => Ok(()),
    }
}
