//! What functions have logged.

use std::fmt::Write as _;

use aws_config::SdkConfig;

use crate::Result;

/// Every line of every log group that has `needle` in its name, each after its group's name.
pub(super) async fn read(sdk: &SdkConfig, needle: &str) -> Result<String> {
    let client = aws_sdk_cloudwatchlogs::Client::new(sdk);
    let mut all = String::new();
    let pattern = Some(needle.to_owned()).filter(|needle| !needle.is_empty());
    let list = client.describe_log_groups().set_log_group_name_pattern(pattern);
    let mut groups = list.into_paginator().items().send();
    while let Some(group) = groups.next().await.transpose()? {
        let name = group.log_group_name().unwrap_or_default();
        if !name.contains(needle) {
            continue;
        }
        let mut events = client.filter_log_events().log_group_name(name).into_paginator().send();
        while let Some(page) = events.next().await.transpose()? {
            for event in page.events() {
                writeln!(all, "{name} {}", event.message().unwrap_or_default().trim_end())?;
            }
        }
    }
    Ok(all)
}
