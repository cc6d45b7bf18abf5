//! The Helm chart: what it renders, what an API server says to it, and its life in one.
//!
//! No pod ever starts here, because there is no kubelet, and no Job begins, because there are no controllers. So where a
//! pod of the chart would run, its arguments are run as a process with the service account's token, and where a
//! controller would say how that has ended, the test does.

#[path = "chart/alarms.rs"]
mod alarms;
#[path = "chart/cluster.rs"]
mod cluster;
#[path = "chart/image.rs"]
mod image;
#[path = "chart/install.rs"]
mod install;
#[path = "chart/life.rs"]
mod life;
#[path = "chart/notes.rs"]
mod notes;
#[path = "chart/refused.rs"]
mod refused;
#[path = "chart/render.rs"]
mod render;
#[path = "chart/values.rs"]
mod values;
