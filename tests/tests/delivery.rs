//! What AWS does by itself with streams, queues, topics and expired items: each rule before a function of the test.

#[path = "delivery/bench.rs"]
mod bench;
#[path = "delivery/queues.rs"]
mod queues;
#[path = "delivery/streams.rs"]
mod streams;
#[path = "delivery/topics.rs"]
mod topics;
