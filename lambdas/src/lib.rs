//! The four Lambda functions of a SUMU stack.
//!
//! | AWS event | function | module |
//! |---|---|---|
//! | API Gateway asks its REQUEST authorizer about a `$connect` | `authorizer` | [`authorizer`] |
//! | API Gateway's `$connect`, `$disconnect`, `ping`, `send`, `publish`, `$default` | `routes` | [`routes`] |
//! | SQS batch of the notifications or the pushes queue; SNS record of the notifications topic | `pusher` | [`pusher`] |
//! | `DynamoDB` stream batch of the connections table | `watchdog` | [`watchdog`] |
//!
//! Every function has the same shape: event → parse each record alone → decide (pure) → perform through narrow
//! [`ports`] → answer. The [`adapters`] fill the ports with AWS clients, the tests with memory.
//!
//! Invariants:
//! - what decides takes values and a time, never a client or a clock;
//! - nothing panics on input, and no failure is swallowed: it is an answer, a retry or a function error;
//! - tokens, payloads and query strings never reach a log.

pub mod adapters;
pub mod authorizer;
pub mod ports;
pub mod pusher;
pub mod routes;
pub mod telemetry;
pub mod watchdog;

#[cfg(test)]
mod fakes;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
