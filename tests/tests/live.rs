//! Every test that needs the Kubernetes API or AWS, in one program, because one program has one testbed.

#[path = "live/crd.rs"]
mod crd;
#[path = "live/smoke.rs"]
mod smoke;
#[path = "live/testbed.rs"]
mod testbed;
