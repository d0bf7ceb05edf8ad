//! Where the probers run: decided once, by a stated rule, for the whole run.
