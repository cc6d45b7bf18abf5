//! Frames and WebSocket events: a client's message is passed on byte for byte, and every frame has an answer.

use serde_json::Value;
use serde_json::value::RawValue;
use sumu_contract::limits::POST_BYTES_MAX;

use super::is_within;
use crate::routes::Route;
use crate::routes::event::Event;
use crate::routes::frame::{Fault, Frame};
use crate::routes::reply::Reply;

/// A frame: its parts are pieces of its text, and say what the whole says.
pub fn routes_frame(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let whole: Option<Value> = serde_json::from_str(text).ok();
    let frame = match Frame::parse(Some(text)) {
        Ok(frame) => frame,
        Err(fault) => {
            if fault == Fault::InvalidJson {
                assert_eq!(whole, None, "JSON that is said to be none");
            }
            return;
        }
    };
    assert!(text.len() <= POST_BYTES_MAX);
    for (name, part) in [("action", frame.action), ("message", frame.message), ("id", frame.id)] {
        let Some(part) = part else {
            assert!(whole.as_ref().is_none_or(|whole| whole.get(name).is_none()), "{name} was overlooked");
            continue;
        };
        assert!(is_within(part.get(), text), "{name} is a copy");
        if let Some(whole) = &whole {
            assert_eq!(serde_json::from_str::<Value>(part.get()).ok().as_ref(), whole.get(name), "{name}");
        }
    }
    match frame.message() {
        Ok(message) => assert!(is_json(message) && !message.contains(['\u{fffe}', '\u{ffff}'])),
        Err(fault) => assert!(matches!(fault, Fault::MessageMissing | Fault::MessageRefused)),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// An event of the WebSocket API: its route is the gateway's choice, and each frame gets one answer that fits.
pub fn routes_event(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    let Ok(event) = Event::parse(&value) else { return };
    let context = &value["requestContext"];
    assert_eq!(context["connectionId"], event.connection_id);
    assert_ne!(event.user_id, Some(""));
    assert!(event.user_id.is_none_or(|user_id| context["authorizer"]["principalId"] == user_id));
    let answer = match Route::parse(&event) {
        Route::Connect => return assert_eq!(context["eventType"], "CONNECT"),
        Route::Disconnect => return assert_eq!(context["eventType"], "DISCONNECT"),
        Route::Ping { id } => Reply::Pong.to_answer(&event, id),
        Route::Refused { fault, id } => Reply::Refused(fault).to_answer(&event, id),
        Route::Forward { channel, message, id } => {
            assert_eq!(context["routeKey"], channel.action());
            assert!(event.body.is_some_and(|body| is_within(message, body)), "a message from somewhere else");
            Reply::Accepted { channel, message_id: "m" }.to_answer(&event, id)
        }
    };
    let answer = answer.ok();
    let body = answer.as_ref().and_then(|answer| answer["body"].as_str());
    assert!(body.is_some_and(is_json), "a frame without an answer");
    // The gateway's ids are short; here they may be anything.
    let ids = event.connection_id.len() + event.request_id.len();
    assert!(body.is_some_and(|body| body.len() <= 4096 + 6 * ids), "an answer that could be too long");
}
