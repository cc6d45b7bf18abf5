//! What an answer of the management API means. Pure.
//!
//! The protocol is AWS's restJson1: the error's code is in the header `X-Amzn-ErrorType` or in the body, perhaps with
//! a namespace before it and an address after it. Proxies in between send bare statuses.

use hyper::Response;
use hyper::body::Bytes;
use serde::Deserialize;

use crate::ports::Posted;

/// The members of an error's body that may hold its code.
#[derive(Default, Deserialize)]
struct Body {
    code: Option<String>,
    #[serde(rename = "__type")]
    kind: Option<String>,
}

/// What the answer means: by its modelled code, else by its status.
pub fn meaning(answer: &Response<Bytes>) -> Posted {
    if answer.status().is_success() {
        return Posted::Delivered;
    }
    let header = answer.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let of_body = || {
        let Body { code, kind } = serde_json::from_slice(answer.body()).ok()?;
        code.or(kind)
    };
    let code = header.map(str::to_owned).or_else(of_body);
    match code.as_deref().map(bare) {
        Some("GoneException") => Posted::Gone,
        Some("ForbiddenException") => Posted::Forbidden,
        Some("LimitExceededException") => Posted::Throttled,
        Some("PayloadTooLargeException") => Posted::TooLarge,
        _ => by_status(answer.status().as_u16()),
    }
}

/// The code without its namespace and address: `com.amazonaws#GoneException:http://…` is `GoneException`.
fn bare(code: &str) -> &str {
    let code = code.split_once(':').map_or(code, |(code, _)| code);
    code.split_once('#').map_or(code, |(_, code)| code)
}

fn by_status(status: u16) -> Posted {
    match status {
        410 => Posted::Gone,
        429 => Posted::Throttled,
        413 => Posted::TooLarge,
        401 | 403 => Posted::Forbidden,
        // The gateway gave up waiting for our bytes.
        408 => Posted::Unavailable,
        400..=499 => Posted::Invalid,
        _ => Posted::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bare_status_has_a_meaning() {
        let meanings = [
            (200, Posted::Delivered),
            (400, Posted::Invalid),
            (403, Posted::Forbidden),
            (404, Posted::Invalid),
            (408, Posted::Unavailable),
            (410, Posted::Gone),
            (413, Posted::TooLarge),
            (429, Posted::Throttled),
            (500, Posted::Unavailable),
            (503, Posted::Unavailable),
        ];
        for (status, expected) in meanings {
            let answer = Response::builder().status(status).body(Bytes::new()).unwrap();
            assert_eq!(meaning(&answer), expected, "{status}");
        }
    }
}
