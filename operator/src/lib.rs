//! The operator.
pub mod sumu_stack;
