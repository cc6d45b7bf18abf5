//! One error for the whole testbed: a sentence and what led to it.
//!
//! Nobody handles these errors by kind; somebody reads them in the output of a failed test.

use std::fmt;

/// What went wrong, outermost first.
pub struct Error(Vec<String>);

/// A result of the testbed.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that nothing else led to.
    pub fn new(message: impl fmt::Display) -> Self {
        Self(vec![message.to_string()])
    }

    /// The same error, told from one step further out.
    #[must_use]
    pub fn within(mut self, message: impl fmt::Display) -> Self {
        self.0.insert(0, message.to_string());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(": "))
    }
}

// A test that returns an error prints it with `Debug`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// `Error` itself is no `std::error::Error`, or this would overlap with `impl From<T> for T`.
impl<E: std::error::Error + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let mut chain: Vec<String> = Vec::new();
        let mut next: Option<&dyn std::error::Error> = Some(&error);
        while let Some(cause) = next {
            let message = cause.to_string();
            // Many errors repeat their source in their own text.
            if !chain.iter().any(|said| said.contains(&message)) {
                chain.push(message);
            }
            next = cause.source();
        }
        Self(chain)
    }
}

/// Says what was being done when something failed.
pub trait Context<T> {
    /// Adds a sentence to the error.
    fn context(self, message: impl fmt::Display) -> Result<T>;

    /// Adds a sentence that costs something to make.
    fn with_context<M: fmt::Display>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, message: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().within(message))
    }

    fn with_context<M: fmt::Display>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| error.into().within(message()))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, message: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Error::new(message))
    }

    fn with_context<M: fmt::Display>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.ok_or_else(|| Error::new(message()))
    }
}

/// Fails with a formatted sentence unless a condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return ::std::result::Result::Err($crate::Error::new(format!($($message)+)));
        }
    };
}

/// Fails with both values unless they are equal.
#[macro_export]
macro_rules! ensure_eq {
    ($left:expr, $right:expr, $($message:tt)+) => {
        match (&$left, &$right) {
            (left, right) => {
                if left != right {
                    return ::std::result::Result::Err($crate::Error::new(format!(
                        "{}\n  got:      {left:?}\n  expected: {right:?}",
                        format!($($message)+)
                    )));
                }
            }
        }
    };
}
