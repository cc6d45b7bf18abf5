//! The front that is API Gateway's WebSockets for the tests: each rule with its source, before a stub of Lambda.
//!
//! Sources: "guide" is API Gateway's developer guide (its chapter on WebSocket APIs), "quotas" its page of quotas, "model"
//! the service model that the SDKs are made of.

#[path = "front/ends.rs"]
mod ends;
#[path = "front/frames.rs"]
mod frames;
#[path = "front/handshake.rs"]
mod handshake;
#[path = "front/management.rs"]
mod management;
#[path = "front/stub.rs"]
mod stub;
