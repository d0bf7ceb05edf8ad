use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// mlx5: packs several packets into one large receive buffer.
    /// ## Why it matters
    /// It saves PCIe bandwidth and memory, and by its own commit message adds some software overhead: it may help or
    /// harm latency, so it is judged on the path.
    /// ## Cost
    /// The driver reopens its queues.
    /// ## Example
    /// `off -> on` runs `ethtool --set-priv-flags IF rx_striding_rq on`
    "nic.private-flag.rx_striding_rq";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place Place::PrivateFlag("rx_striding_rq");
    value Value::OnOff;
    words "rx_striding_rq goes {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/device_drivers/ethernet/mellanox/mlx5/index.html", "Linux commit b797a684b0dd"];
}
