//! What functions write while a test runs them: the very bytes.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::emf::specification::violations;
use super::metric::ALL;
use super::subscriber;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What was written while `act` ran on this thread.
pub fn written(act: impl FnOnce()) -> String {
    let written = Written::default();
    tracing::subscriber::with_default(subscriber(Some("sumu-live-it".to_owned()), written.clone()), act);
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// The one line of each invocation, held to the specification and to the list of metrics.
pub fn lines(act: impl FnOnce()) -> Vec<Value> {
    let written = written(act);
    written.lines().filter(|line| line.contains("\"_aws\"")).map(checked).collect()
}

/// The line of the only invocation.
pub fn line(act: impl FnOnce()) -> Value {
    let mut lines = lines(act);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

fn checked(line: &str) -> Value {
    assert_eq!(violations(line), [] as [&str; 0], "{line}");
    let line: Value = serde_json::from_str(line).unwrap();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        for told in directive["Metrics"].as_array().unwrap() {
            let metric = ALL.iter().find(|metric| metric.name == told["Name"]).unwrap();
            assert!(metric.functions.iter().any(|function| function.as_str() == line["function"]), "{told} in {line}");
            assert_eq!(told["Unit"], metric.unit.as_str());
        }
    }
    line
}

/// The metrics of a line with their values, without those that are there but zero.
pub fn metrics(line: &Value) -> Vec<(&str, &Value)> {
    let total = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
    let names = total.iter().map(|metric| metric["Name"].as_str().unwrap());
    let mut metrics: Vec<_> = names.map(|name| (name, &line[name])).filter(|(_, value)| **value != 0).collect();
    metrics.sort_by_key(|(name, _)| *name);
    metrics
}
