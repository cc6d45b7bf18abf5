//! How a line is written: the one place that all lines of all functions go through.
//!
//! An event with [`TARGET`] carries a whole [`Line`](super::Line), to which `timestamp`, `level`, the function's name
//! and the runtime's span with its request id are added. All others are as `tracing`'s JSON formatter writes them.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Json, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The target of events that carry a line in their field `line`.
pub const TARGET: &str = "sumu::line";

/// The format of all lines.
#[derive(Debug)]
pub struct Format {
    others: format::Format<Json>,
    function_name: Option<String>,
}

/// A line with what is the same on all of them.
#[derive(Serialize)]
struct Whole<'a> {
    timestamp: String,
    level: &'static str,
    #[serde(rename = "FunctionName")]
    function_name: &'a str,
    #[serde(flatten)]
    line: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span: Option<Map<String, Value>>,
}

impl Format {
    /// The format for the function of this name. One without a name is somebody's test, and goes by its kind.
    #[must_use]
    pub fn new(function_name: Option<String>) -> Self {
        let others = format::format()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(true)
            .with_span_list(false);
        Self { others, function_name }
    }

    fn whole(&self, line: &str, span: Option<Map<String, Value>>) -> Result<String, serde_json::Error> {
        let line: Map<String, Value> = serde_json::from_str(line)?;
        let kind = line.get("function").and_then(Value::as_str).unwrap_or_default();
        let mut timestamp = String::new();
        // Writing into a string does not fail.
        let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
        serde_json::to_string(&Whole {
            timestamp,
            level: "INFO",
            function_name: self.function_name.as_deref().unwrap_or(kind),
            line: &line,
            span,
        })
    }
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if event.metadata().target() != TARGET {
            return self.others.format_event(context, writer, event);
        }
        let mut carried = Carried::default();
        event.record(&mut carried);
        let span = context.lookup_current().map(|span| {
            let fields = span.extensions().get::<FormattedFields<N>>().map(|fields| fields.fields.clone());
            let mut fields: Map<String, Value> =
                fields.and_then(|fields| serde_json::from_str(&fields).ok()).unwrap_or_default();
            fields.insert("name".to_owned(), span.name().into());
            fields
        });
        let line = self.whole(&carried.0, span).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

/// The field `line` of an event.
#[derive(Default)]
struct Carried(String);

impl Visit for Carried {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "line" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
