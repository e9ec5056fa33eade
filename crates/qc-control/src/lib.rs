//! Talking to a running `qc-launch`: one line of JSON is asked, one is answered. Any tool can be a
//! client; only the user who started `qc-launch` can connect.
//!
//! ```no_run
//! use qc_control::{Client, Request};
//!
//! # fn main() -> Result<(), qc_control::ControlError> {
//! let mut client = Client::connect(".locks".as_ref(), None)?;
//! for component in client.ask(&Request::Status)?.components {
//!     println!("{} is {}", component.name, component.state);
//! }
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod announcement;
mod client;
mod error;
mod line;
mod protocol;
mod server;

pub use announcement::{MISSING, SETTLED};
pub use client::Client;
pub use error::ControlError;
pub use protocol::{Answer, ComponentStatus, Refusal, Request, StateWord, Status, VERSION};
pub use server::{Handler, Server};
