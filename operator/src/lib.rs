//! The SUMU operator: makes and keeps the AWS resources of each `SumuStack`.
//!
//! ```text
//! SumuStack ──stack──▶ StackSpec ──desired──▶ Desired ─┐
//!    ▲                                                  ├─plan─▶ Plan {steps, waits}
//!    │          AWS ──cloud──▶ Observed ────────────────┘            │
//!    │                 ▲                                             ▼
//!    │                 └──────────────── converge ◀── cloud (one step = one call)
//!    └──────── status ◀── Pass (on every path, once)
//! ```
//!
//! The modules, in the order of that picture. Those marked *pure* hold no client and no clock.
//!
//! | module | what it does | |
//! |---|---|---|
//! | [`sumu_stack`] | the custom resource | data |
//! | [`stack`] | checks it, names things | pure |
//! | [`desired`] | what should exist | pure |
//! | [`observed`] | what exists | data |
//! | [`plan`] | the next calls | pure |
//! | [`cloud`] | the port to AWS, and AWS behind it | I/O |
//! | [`converge`] | one pass over all of these | I/O through `cloud` |
//! | [`status`] | what is reported | pure |
//! | [`backoff`] | when to look again | pure |
//! | [`controller`] | watches the API server, writes status and finalizer | I/O |
//! | [`explain`] | what the operator would do, told before it does it | I/O |
//! | [`permissions`] | the rights that the operator needs in AWS | pure |
//! | [`reference`](mod@reference) | the custom resource as a page of documentation | pure |
//! | [`packages`] | the functions' code on disk | I/O |
//! | [`leader`] | which of several operators works | I/O |
//! | [`metrics`], [`serve`] | what is counted, and where it is asked for | I/O |
//! | [`ready`], [`uninstall`] | what a chart asks of it | I/O |
//! | [`stop`] | whether the operator was told to stop | |
//! | [`arguments`], [`telemetry`] | the command line and the log | |

pub mod arguments;
pub mod backoff;
pub mod cloud;
pub mod controller;
pub mod converge;
pub mod desired;
pub mod explain;
pub mod leader;
pub mod metrics;
pub mod observed;
pub mod packages;
pub mod permissions;
pub mod plan;
pub mod ready;
pub mod reference;
pub mod serve;
pub mod stack;
pub mod status;
pub mod stop;
pub mod sumu_stack;
pub mod telemetry;
pub mod uninstall;
