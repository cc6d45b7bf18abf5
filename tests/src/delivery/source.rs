//! The settings of an event source, as they were asked for.

use std::time::{Duration, Instant};

use serde_json::Value;

/// What a source reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table's stream.
    Stream,
    /// An SQS queue.
    Queue,
}

/// An event source.
#[derive(Clone, Debug)]
pub struct Source {
    /// As the API describes it.
    pub settings: Value,
    /// Whether it is to work.
    pub is_enabled: bool,
    /// When it begins, which takes AWS its time.
    pub from: Instant,
}

impl Kind {
    /// What an ARN is of; nothing when we leave it to the emulator.
    #[must_use]
    pub fn of(arn: &str) -> Option<Self> {
        match arn.split(':').nth(2)? {
            "sqs" => Some(Self::Queue),
            "dynamodb" => Some(Self::Stream),
            _ => None,
        }
    }
}

impl Source {
    /// What it reads.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::of(self.arn()).unwrap_or(Kind::Queue)
    }

    /// The ARN of what it reads.
    #[must_use]
    pub fn arn(&self) -> &str {
        self.settings["EventSourceArn"].as_str().unwrap_or_default()
    }

    /// The ARN of the function.
    #[must_use]
    pub fn function(&self) -> &str {
        self.settings["FunctionArn"].as_str().unwrap_or_default()
    }

    /// The most records in one invocation.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        let usual = if self.kind() == Kind::Stream { 100 } else { 10 };
        self.number("BatchSize").and_then(|size| usize::try_from(size).ok()).unwrap_or(usual)
    }

    /// How long a batch that is not full may wait.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.number("MaximumBatchingWindowInSeconds").unwrap_or(0))
    }

    /// How often a batch that fails is tried again; nothing for without end.
    #[must_use]
    pub fn retries(&self) -> Option<u32> {
        self.number("MaximumRetryAttempts").and_then(|retries| u32::try_from(retries).ok())
    }

    /// How old a record may grow; nothing for as old as the stream keeps it.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.number("MaximumRecordAgeInSeconds").map(Duration::from_secs)
    }

    /// Whether a batch that fails is halved.
    #[must_use]
    pub fn bisects(&self) -> bool {
        self.settings["BisectBatchOnFunctionError"] == true
    }

    /// Whether the function says which records have failed.
    #[must_use]
    pub fn reports(&self) -> bool {
        let kinds = self.settings["FunctionResponseTypes"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "ReportBatchItemFailures"))
    }

    /// Where it is noted which records were given up.
    #[must_use]
    pub fn on_failure(&self) -> Option<&str> {
        self.settings.pointer("/DestinationConfig/OnFailure/Destination")?.as_str()
    }

    /// The most invocations at once. Without a number Lambda begins with five.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        let wanted = self.settings.pointer("/ScalingConfig/MaximumConcurrency").and_then(Value::as_u64);
        wanted.and_then(|most| usize::try_from(most).ok()).unwrap_or(5)
    }

    /// -1 stands for no limit.
    fn number(&self, member: &str) -> Option<u64> {
        self.settings[member].as_u64()
    }
}
