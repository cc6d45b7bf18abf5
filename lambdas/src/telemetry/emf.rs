//! The line of an invocation, in `CloudWatch`'s Embedded Metric Format. Pure, but for [`Line::log`].
//!
//! A document of that format is a JSON object whose member `_aws` says which other members are metrics and which are
//! dimensions. `CloudWatch` Logs takes the metrics out of it when it comes in; the rest of the line stays what it is.
//!
//! Why this is ours: `tracing`'s JSON formatter writes no nested values, so it cannot write `_aws`.
//! `metrics_cloudwatch_embedded` (0.10) writes a document of its own beside the line, and one more for each set of
//! dimensions; it is a recorder for the whole process, which keeps at most 100 values of a histogram and drops the
//! others. What is left for us is small: the [`Metric`]s of a line, grouped by their dimensions.
//!
//! A metric's value is a number or a list of at most 100 numbers: the specification knows no counts beside values.

pub mod specification;

use serde_json::{Map, Value, json};
use sumu_contract::function::Function;

use super::Distribution;
use super::format::TARGET;
use super::metric::{ALL, Metric};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "SUMU";

/// The dimension that all metrics have. Its value is put in by [`super::format`], which knows the function's name.
pub const FUNCTION_NAME: &str = "FunctionName";

/// The line of one invocation.
#[derive(Debug)]
pub struct Line {
    function: Function,
    members: Map<String, Value>,
    metrics: Vec<Metric>,
    /// Metrics that are divided, in this line, by a dimension.
    divided: Vec<Metric>,
}

impl Line {
    /// The line of an invocation of this function.
    #[must_use]
    pub fn of(function: Function) -> Self {
        let members = Map::from_iter([("function".to_owned(), function.as_str().into())]);
        Self { function, members, metrics: Vec::new(), divided: Vec::new() }
    }

    /// Adds what is no metric: an id, a word, a duration. Names begin in lower case, so that they never are a metric's.
    pub fn note(&mut self, name: &'static str, value: impl Into<Value>) -> &mut Self {
        let value = value.into();
        if !value.is_null() {
            self.members.insert(name.to_owned(), value);
        }
        self
    }

    /// Adds a number, unless it is zero.
    pub fn count(&mut self, metric: Metric, value: impl TryInto<u64>) -> &mut Self {
        match value.try_into().unwrap_or(u64::MAX) {
            0 => self,
            value => self.metric(metric, value.into()),
        }
    }

    /// Adds one, in total and for the value of the metric's dimension.
    pub fn count_one_by(&mut self, metric: Metric, value: &str) -> &mut Self {
        if let Some(dimension) = metric.by {
            self.members.insert(dimension.name.to_owned(), dimension.bounded(value).into());
            self.divided.push(metric);
        }
        self.metric(metric, 1.into())
    }

    /// Adds a value that means something when it is zero.
    pub fn value(&mut self, metric: Metric, value: Option<u64>) -> &mut Self {
        match value {
            Some(value) => self.metric(metric, value.into()),
            None => self,
        }
    }

    /// Adds values, if there are any.
    pub fn values(&mut self, metric: Metric, values: &Distribution) -> &mut Self {
        let values = values.values();
        if values.is_empty() { self } else { self.metric(metric, values.into()) }
    }

    fn metric(&mut self, metric: Metric, value: Value) -> &mut Self {
        self.members.insert(metric.name.to_owned(), value);
        self.metrics.push(metric);
        self
    }

    /// Writes the line. `now` (epoch milliseconds) is the time of its metrics.
    pub fn log(mut self, now: u64) {
        let line = Value::Object(self.document(now)).to_string();
        tracing::info!(target: TARGET, line = line.as_str());
    }

    fn document(&mut self, now: u64) -> Map<String, Value> {
        let function = self.function;
        for metric in ALL.iter().filter(|metric| metric.is_always_there && metric.functions.contains(&function)) {
            if !self.members.contains_key(metric.name) {
                self.metric(*metric, 0.into());
            }
        }
        let mut directives = vec![directive(&[FUNCTION_NAME], &self.metrics)];
        for metric in &self.divided {
            let dimensions = metric.by.map(|dimension| dimension.name);
            let set: Vec<&str> = [FUNCTION_NAME].into_iter().chain(dimensions).collect();
            directives.push(directive(&set, std::slice::from_ref(metric)));
        }
        let mut members = std::mem::take(&mut self.members);
        members.insert("_aws".to_owned(), json!({"Timestamp": now, "CloudWatchMetrics": directives}));
        members
    }
}

fn directive(dimensions: &[&str], metrics: &[Metric]) -> Value {
    let metrics: Vec<Value> =
        metrics.iter().map(|metric| json!({"Name": metric.name, "Unit": metric.unit.as_str()})).collect();
    json!({"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics})
}
