//! What is told of access logs that cannot be had.

use super::conditions::REASONS_FOR_A_PERSON;
use crate::plan::Part;

/// What a person does when API Gateway has no role with which it writes logs. The role is a setting of an account in a
/// region, and so is nothing that one stack could own.
pub(super) const REMEDY: &str = "make a role that apigateway.amazonaws.com may assume, with the policy \
    AmazonAPIGatewayPushToCloudWatchLogs, and set it with `aws apigateway update-account --patch-operations \
    op=replace,path=/cloudwatchRoleArn,value=ROLE_ARN`; until then the stack works without access logs";

/// Whether a condition of this type, for this reason, is about access logs that wait for a person: a stack is ready
/// without them.
pub(super) fn are_missed(type_: &str, reason: &str) -> bool {
    type_ == Part::AccessLogs.as_str() && REASONS_FOR_A_PERSON.contains(&reason)
}
