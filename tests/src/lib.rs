//! The testbed of SUMU: a real Kubernetes API, an AWS emulator, a token issuer, the operator as a process,
//! WebSocket clients and boto3 backends, all on this machine, on free ports and without containers.
//!
//! | module | what it is |
//! |---|---|
//! | [`testbed`] | everything together, shared by the tests of a process; [`story`] runs one test on it |
//! | [`kubernetes`] | etcd, kube-apiserver, `kubectl` and the CRD |
//! | [`helm`] | the real Helm, and the chart |
//! | [`aws`] | the emulator, and an inventory of what exists in it |
//! | [`account`] | a real account in its place |
//! | [`front`] | API Gateway's WebSockets as they are documented, before the emulator |
//! | [`gateway`] | the proxy that refuses what AWS refuses, and injects faults |
//! | [`delivery`] | streams, queues and topics that feed functions, as AWS does it |
//! | [`issuer`] | keys over HTTP and the tokens that they sign |
//! | [`stack`] | one `SumuStack` as its users see it |
//! | [`operator`] | `sumu-operator run` as a process, and what its log tells |
//! | [`image`] | the files of the image, and its operator as in a pod |
//! | [`client`] | a WebSocket client |
//! | [`backend`] | plain boto3 |
//! | [`certificate`] | certificates of AWS Certificate Manager |
//! | [`document`] | the blocks of a document, which tests run |
//! | [`guard`] | child processes that cannot outlive us |
//! | [`folder`] | logs and files of a run, and their removal |
//! | [`poll`] | waiting, with a deadline and a good last word |
//! | [`workspace`] | where programs and packages are |
//!
//! # Invariants
//! - Nothing waits without a deadline, and nothing lets time pass but [`poll`].
//! - Nothing survives the process that started it, however that one ends.
//! - Whatever talks to AWS got the address from [`aws::Aws`], and what speaks WebSocket from [`front::Front`].

pub mod account;
pub mod aws;
pub mod backend;
pub mod certificate;
pub mod client;
pub mod delivery;
pub mod document;
mod error;
pub mod folder;
pub mod front;
pub mod gateway;
pub mod guard;
pub mod helm;
pub mod image;
pub mod issuer;
pub mod kubernetes;
pub mod operator;
pub mod poll;
pub mod stack;
pub mod testbed;
pub mod workspace;

pub use error::{Context, Error, Result};
pub use poll::eventually;
pub use testbed::{Testbed, story, story_of};
