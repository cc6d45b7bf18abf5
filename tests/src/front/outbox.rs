//! What is on its way to one client: a buffer with an end, and who empties it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::SinkExt;
use futures::stream::SplitSink;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::FRAME_BYTES_MAX;

/// What is left behind for a client.
#[derive(Debug)]
pub enum Outgoing {
    /// A message.
    Text(Vec<u8>),
    /// The end, with its code and reason.
    Close(u16, &'static str),
}

/// The end of the buffer where messages come in.
#[derive(Clone, Debug)]
pub struct Outbox {
    sender: UnboundedSender<Outgoing>,
    waiting: Arc<AtomicUsize>,
    bytes_max: usize,
}

impl Outbox {
    /// A buffer of so many bytes and its other end.
    #[must_use]
    pub fn new(bytes_max: usize) -> (Self, Drain) {
        let (sender, receiver) = unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        (Self { sender, waiting: Arc::clone(&waiting), bytes_max }, Drain { receiver, waiting })
    }

    /// Takes a message unless the buffer is full. An empty buffer takes any.
    #[must_use]
    pub fn post(&self, text: &[u8]) -> bool {
        let fits = |waiting: usize| {
            let then = waiting + text.len();
            (waiting == 0 || then <= self.bytes_max).then_some(then)
        };
        let fitted = self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok();
        fitted && self.sender.send(Outgoing::Text(text.to_vec())).is_ok()
    }

    /// Closes behind what is waiting.
    pub fn close(&self, code: u16, reason: &'static str) {
        // Nobody is left to close when nobody empties it.
        let _ = self.sender.send(Outgoing::Close(code, reason));
    }
}

/// The end of the buffer where messages go out.
#[derive(Debug)]
pub struct Drain {
    receiver: UnboundedReceiver<Outgoing>,
    waiting: Arc<AtomicUsize>,
}

impl Drain {
    /// Writes what comes until the close, and gives the socket back. What the client does not read stays here.
    pub async fn write_to(
        mut self,
        mut sink: SplitSink<WebSocketStream<TcpStream>, Message>,
    ) -> SplitSink<WebSocketStream<TcpStream>, Message> {
        while let Some(outgoing) = self.receiver.recv().await {
            let text = match outgoing {
                Outgoing::Text(text) => text,
                Outgoing::Close(code, reason) => {
                    let _ =
                        sink.send(Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))).await;
                    break;
                }
            };
            let length = text.len();
            let mut frames = futures::stream::iter(in_frames(&text, FRAME_BYTES_MAX).into_iter().map(Ok));
            let sent = sink.send_all(&mut frames).await;
            self.waiting.fetch_sub(length, Ordering::AcqRel);
            if sent.is_err() {
                break;
            }
        }
        sink
    }
}

/// A message of text in frames of this many bytes.
#[must_use]
pub fn in_frames(text: &[u8], bytes: usize) -> Vec<Message> {
    let parts: Vec<&[u8]> = if text.is_empty() { vec![text] } else { text.chunks(bytes).collect() };
    let last = parts.len() - 1;
    let frame = |(number, part): (usize, &[u8])| {
        let kind = if number == 0 { Data::Text } else { Data::Continue };
        Message::Frame(Frame::message(part.to_vec(), OpCode::Data(kind), number == last))
    };
    parts.into_iter().enumerate().map(frame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_takes_one_message_of_any_size_and_no_more_than_its_bytes() {
        let (outbox, _drain) = Outbox::new(10);
        assert!(outbox.post(&[b'x'; 20]));
        assert!(!outbox.post(b"x"));
        let (outbox, _drain) = Outbox::new(10);
        assert!(outbox.post(b"12345") && outbox.post(b"67890"));
        assert!(!outbox.post(b"x"));
    }

    #[test]
    fn a_long_message_goes_out_in_frames_of_32_kib() {
        let payload = |message: &Message| match message {
            Message::Frame(frame) => frame.payload().len(),
            _ => 0,
        };
        let lengths: Vec<usize> = in_frames(&vec![b'x'; 80 * 1024], FRAME_BYTES_MAX).iter().map(payload).collect();
        assert_eq!(lengths, [32 * 1024, 32 * 1024, 16 * 1024]);
        assert_eq!(in_frames(b"", FRAME_BYTES_MAX).len(), 1);
    }
}
