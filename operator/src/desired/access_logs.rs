//! Access logs: what API Gateway writes of each request to the stage, and where.

use crate::stack::StackSpec;
use crate::stack::name::{LogGroupId, Names};

/// Where access logs go, and what a line of them says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogs {
    /// The ARN of the log group, without the `:*` that some AWS calls add.
    pub destination_arn: String,
    /// A line of text with API Gateway's variables in it.
    pub format: String,
}

/// The members of a line, each with the variable that is its value (API Gateway Developer Guide, configure logging for
/// WebSocket APIs).
///
/// None of them is something that a client has written freely: no query string, no header and no payload, in which there
/// may be a token, and which could break the line's JSON.
pub const FIELDS: [(&str, &str); 13] = [
    ("requestId", "$context.requestId"),
    ("requestTimeEpoch", "$context.requestTimeEpoch"),
    ("eventType", "$context.eventType"),
    ("routeKey", "$context.routeKey"),
    ("connectionId", "$context.connectionId"),
    ("principalId", "$context.authorizer.principalId"),
    ("sourceIp", "$context.identity.sourceIp"),
    ("status", "$context.status"),
    ("authorizerStatus", "$context.authorizer.status"),
    ("integrationStatus", "$context.integration.integrationStatus"),
    ("functionStatus", "$context.integration.status"),
    ("integrationError", "$context.integrationErrorMessage"),
    ("responseLatency", "$context.responseLatency"),
];

/// The access logs of a stack.
pub(super) fn of(spec: &StackSpec, names: &Names) -> Option<AccessLogs> {
    spec.access_log_retention_days?;
    Some(AccessLogs { destination_arn: names.log_group_arn(LogGroupId::AccessLogs), format: format() })
}

/// One line of JSON. All values are texts, because API Gateway puts `-` for a value that there is not.
fn format() -> String {
    let members: Vec<String> = FIELDS.iter().map(|(name, variable)| format!(r#""{name}":"{variable}""#)).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_and_asks_for_nothing_that_a_client_writes_freely() {
        let line: serde_json::Value = serde_json::from_str(&format()).unwrap_or_default();
        assert_eq!(line.as_object().map(serde_json::Map::len), Some(FIELDS.len()), "{}", format());
        assert!(format().contains("$context.requestId") && !format().contains('\n'), "API Gateway takes no other");
        let free = ["path", "query", "header", "userAgent", "body"];
        assert!(free.iter().all(|word| !format().contains(word)), "{}", format());
    }
}
