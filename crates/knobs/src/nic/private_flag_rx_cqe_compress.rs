use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// mlx5: packs completions to save PCIe bandwidth.
    /// ## Why it matters
    /// It saves PCIe bandwidth and memory, and by its own commit message adds some software overhead: it may help or
    /// harm latency, so it is judged on the path.
    /// ## Cost
    /// The driver reopens its queues.
    /// ## Example
    /// `off -> on` runs `ethtool --set-priv-flags IF rx_cqe_compress on`
    "nic.private-flag.rx_cqe_compress";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place Place::PrivateFlag("rx_cqe_compress");
    value Value::OnOff;
    words "rx_cqe_compress goes {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/device_drivers/ethernet/mellanox/mlx5/index.html", "Linux commit b797a684b0dd"];
}
