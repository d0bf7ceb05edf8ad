//! NIC families.
