//! What functions have logged.

use std::fmt::Write as _;

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client;

use crate::Result;

/// Every line of every log group that has `needle` in its name, each after its group's name.
pub(super) async fn read(sdk: &SdkConfig, needle: &str) -> Result<String> {
    let client = Client::new(sdk);
    let mut all = String::new();
    for name in groups(&client, needle).await? {
        let mut events = client.filter_log_events().log_group_name(&name).into_paginator().send();
        while let Some(page) = events.next().await.transpose()? {
            for event in page.events() {
                writeln!(all, "{name} {}", event.message().unwrap_or_default().trim_end())?;
            }
        }
    }
    Ok(all)
}

/// The names of the log groups that have `needle` in them.
pub(super) async fn groups(client: &Client, needle: &str) -> Result<Vec<String>> {
    // Asked for by name: between two pages of everybody's, other tests make and delete theirs.
    let pattern = Some(needle.to_owned()).filter(|needle| !needle.is_empty());
    let list = client.describe_log_groups().set_log_group_name_pattern(pattern);
    let mut pages = list.into_paginator().items().send();
    let mut names = Vec::new();
    while let Some(group) = pages.next().await.transpose()? {
        names.extend(group.log_group_name.filter(|name| name.contains(needle)));
    }
    Ok(names)
}
