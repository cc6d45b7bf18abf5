//! The words that the operator and the functions share.
//!
//! What the operator writes into a function's environment is what the function reads: both sides go
//! through the same typed settings here, so that a name or a format cannot differ between them.
//! Nothing in this crate does I/O.
//!
//! | module | what it fixes |
//! |---|---|
//! | [`function`] | the four functions, their time limits and concurrency |
//! | [`settings`] | the settings of each function and their form in the environment |
//! | [`connection`] | the rows of the connections table |
//! | [`presence`] | the rows of the presence table and the presence event |
//! | [`message`] | the attributes of what clients send |
//! | [`limits`] | the sizes that AWS sets |

pub mod connection;
pub mod function;
pub mod limits;
pub mod message;
pub mod presence;
pub mod settings;

pub use function::Function;
