//! Structured log lines: JSON on standard output, which Lambda carries to `CloudWatch` Logs.
//!
//! One [`Line`] an invocation tells counts, durations and ids, and is at the same time what `CloudWatch` takes its
//! metrics from ([`emf`]): no call and no second line are spent on them. A refusal or a failed record adds a line of
//! its own, by `tracing`, with its reason. Both are written by one [`mod@format`], and both have `timestamp` and `level`
//! as Lambda wants them, so that they are right whether a function's log format is set to text or to JSON.
//!
//! The level is fixed and not read from the environment: below `INFO` the runtime and the SDK print whole events and
//! requests, and with them tokens and payloads. A panic tells its place and not its message, which may quote a text
//! that a client has sent.

pub mod distribution;
pub mod emf;
pub mod format;
pub mod metric;

use std::error::Error;
use std::fmt;
use std::panic::PanicHookInfo;
use std::time::Instant;

use tracing::{Level, Subscriber};
use tracing_subscriber::fmt::MakeWriter;

pub use distribution::Distribution;
pub use emf::Line;

use self::format::Format;

/// Sets up logging for the whole process. A second call changes nothing.
pub fn init() {
    let name = std::env::var("AWS_LAMBDA_FUNCTION_NAME").ok().filter(|name| !name.is_empty());
    // A subscriber that is already there has been set by whoever embeds the library; it stays.
    let is_ours = tracing::subscriber::set_global_default(subscriber(name, std::io::stdout)).is_ok();
    if is_ours {
        std::panic::set_hook(Box::new(panicked));
    }
}

/// What writes the lines of the function of this name.
fn subscriber<W>(function_name: Option<String>, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .event_format(Format::new(function_name))
        .with_max_level(Level::INFO)
        .with_writer(writer)
        .finish()
}

fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, "panicked");
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
pub(crate) mod testing;

#[cfg(test)]
mod tests;
