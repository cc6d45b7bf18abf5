//! Structured log lines: JSON on standard output, which Lambda carries to `CloudWatch` Logs.
//!
//! One line an invocation tells counts, durations and ids; a refusal or a failed record adds one with its reason.
//! The level is fixed and not read from the environment: below `INFO` the runtime and the SDK print whole events and
//! requests, and with them tokens and payloads.

use std::error::Error;
use std::fmt;
use std::time::Instant;

use tracing::Level;

/// Sets up logging for the whole process. A second call changes nothing.
pub fn init() {
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(true)
        .with_span_list(false)
        .with_max_level(Level::INFO)
        .finish();
    // A subscriber that is already there has been set by whoever embeds the library; it stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// An error with all its causes on one line: `a: b: c`.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// How long something took, in milliseconds.
#[must_use]
pub fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::PortError;

    #[test]
    fn a_chain_names_every_cause_once() {
        let error = PortError::new("Query", PortError::new("dial", "no route"));
        assert_eq!(Chain(&error).to_string(), "Query failed: dial failed: no route");
    }
}
