crate::family! {
    /// ## Devices
    /// FILL IN: the devices, by the names people know them by, and their speeds.
    /// ## Set
    /// - FILL IN: each setting to try, with the reason that is this family's own.
    /// ## Leave
    /// - FILL IN: each setting that does nothing, harms or is refused here, and by what.
    /// ## Know
    /// - FILL IN: what its driver does otherwise than others; what a change resets.
    "new-unit";
    drivers ["new_unit"];
    sources [
        "FILL IN: where each fact was read, in a form of crates/model/src/source.rs",
    ];
}
