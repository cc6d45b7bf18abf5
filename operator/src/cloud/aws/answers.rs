//! What of AWS's answers is believed.
//!
//! A read that is not answered must never look like one that found nothing: the stack would be made a second time, or
//! let go while it is still there. The SDK takes an empty body for an empty object, and follows a list's tokens for
//! ever.

use std::collections::BTreeSet;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::calls::is_read;
use super::unexpected;
use crate::cloud::CloudError;

/// More pages than any list that we read can have.
const PAGES_MAX: usize = 1000;

/// Where the pages of one list begin.
pub(super) struct Pages {
    operation: &'static str,
    resource: String,
    tokens: BTreeSet<String>,
}

impl Pages {
    pub(super) fn of(operation: &'static str, resource: impl Into<String>) -> Self {
        Self { operation, resource: resource.into(), tokens: BTreeSet::new() }
    }

    /// The token of the page after this one; nothing when this was the last. An empty page need not be the last.
    ///
    /// # Errors
    /// When the list goes round in a circle: what it has left out may be what is looked for.
    pub(super) fn after(&mut self, token: Option<String>) -> Result<Option<String>, CloudError> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
        if !self.tokens.insert(token.clone()) || self.tokens.len() > PAGES_MAX {
            return Err(unexpected(self.operation, &self.resource, "the list does not end: its pages come again"));
        }
        Ok(Some(token))
    }
}

/// Refuses a read's good answer without a body. Put into every client.
#[derive(Debug)]
pub(super) struct NoEmptyAnswers;

#[dyn_dispatch_hint]
impl Intercept for NoEmptyAnswers {
    fn name(&self) -> &'static str {
        "NoEmptyAnswers"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Metadata>().map_or("", Metadata::name);
        let is_empty = context.response().body().bytes().is_some_and(<[u8]>::is_empty);
        if is_read(operation) && is_empty && context.output_or_error().is_ok() {
            return Err("the answer is empty".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(tokens: impl IntoIterator<Item = &'static str>) -> Result<usize, CloudError> {
        let mut pages = Pages::of("GetApis", "");
        let mut count = 1;
        for token in tokens {
            if pages.after(Some(token.to_owned()))?.is_none() {
                break;
            }
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn a_list_ends_without_a_token_and_with_an_empty_one() {
        assert_eq!(Pages::of("GetApis", "").after(None), Ok(None));
        assert_eq!(walk(["a", "b", "", "c"]), Ok(3));
    }

    #[test]
    fn a_list_that_goes_round_in_a_circle_is_no_list() {
        assert!(walk(["a", "a"]).is_err());
        assert!(walk(["a", "b", "a"]).is_err_and(|error| error.kind.is_transient()));
    }

    #[test]
    fn a_list_that_has_ever_more_pages_is_no_list() {
        let mut pages = Pages::of("GetApis", "");
        let walked =
            (0..).map(|page| pages.after(Some(format!("{page}")))).take_while(Result::is_ok).take(2 * PAGES_MAX);
        assert_eq!(walked.count(), PAGES_MAX);
    }
}
