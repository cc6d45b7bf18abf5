//! Runs one of the [`subjects`](super::subjects) in a process of its own.

use std::error::Error;
use std::time::Duration;

use serde_json::Value;

use super::function::environment;
use super::stand_in::StandIn;

/// What a subject told of itself, and the stand-in of it.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// Processor time of all that was measured.
    pub cpu: Duration,
    /// How long it took.
    pub took: Duration,
    /// The most memory it had.
    pub peak_mib: f64,
    /// Between two posts on one socket: the median and the 99th percentile.
    pub round_ms: (f64, f64),
}

/// Runs the subject `name` for so many posts or verdicts, each of which takes the gateway so long.
pub async fn run(name: &str, count: usize, service_time: Duration) -> Result<Told, Box<dyn Error + Send + Sync>> {
    let stand_in = StandIn::start(count, service_time, Duration::ZERO).await?;
    let output = tokio::process::Command::new(std::env::current_exe()?)
        .args(["subject", name, &stand_in.management_endpoint(), &count.to_string()])
        .env_clear()
        .envs(environment(&stand_in))
        .output()
        .await?;
    let told: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("{name}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let duration = |name: &str| Duration::from_micros(told[name].as_u64().unwrap_or_default());
    Ok(Told {
        cpu: duration("cpu_us"),
        took: duration("took_us"),
        peak_mib: told["peak_mib"].as_f64().unwrap_or(f64::NAN),
        round_ms: stand_in.seen().round_ms,
    })
}
