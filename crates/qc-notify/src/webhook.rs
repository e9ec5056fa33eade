//! Telling a server, to which the event is posted.

use std::io::ErrorKind;
use std::time::Duration;

use ureq::http::{Uri, uri::Scheme};
use ureq::{Agent, Error};

use crate::worker::{DeliveryError, Transport};

/// Why a webhook's address can't be used. It is not shown: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the webhook's address must begin with http:// or https://")]
pub struct BadAddress;

impl BadAddress {
    /// Returns the step to suggest after `hint:`.
    pub fn hint(&self) -> &'static str {
        "correct PROCESS_MANAGER.notify.webhook in the config"
    }
}

pub(crate) struct Webhook {
    agent: Agent,
    address: Uri,
    host: String,
}

impl Webhook {
    pub(crate) fn new(address: &str, timeout: Duration) -> Result<Self, BadAddress> {
        let address: Uri = address.parse().map_err(|_| BadAddress)?;
        let is_web = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&address.scheme());
        let host = address.host().filter(|host| is_web && !host.is_empty()).ok_or(BadAddress)?;
        let mut config = Agent::config_builder();
        if ["127.0.0.1", "localhost", "[::1]"].contains(&host) {
            // A proxy would look for it on its own machine.
            config = config.proxy(None);
        }
        let config = config
            .timeout_global(Some(timeout))
            // A redirected post would become a question, or carry the event elsewhere.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("qc-launch/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent(), host: host.to_owned(), address })
    }
}

impl Transport for Webhook {
    /// Only the host: services put the secret into the path.
    fn name(&self) -> String {
        format!("the webhook at {}", self.host)
    }

    fn deliver(&mut self, json: &str) -> Result<(), DeliveryError> {
        let request = self.agent.post(&self.address).content_type("application/json");
        match request.send(json) {
            Ok(response) => match response.status().as_u16() {
                200..300 => Ok(()),
                code => {
                    // Too early, too much, or the server's own trouble: later it may work.
                    let may_pass = matches!(code, 408 | 425 | 429 | 500..600);
                    Err(DeliveryError {
                        reason: format!("it answered with status {code}"),
                        may_pass,
                    })
                }
            },
            Err(error) => Err(DeliveryError { reason: reason(&error), may_pass: true }),
        }
    }
}

/// Says what went wrong in words of our own: those of the library can hold the address.
fn reason(error: &Error) -> String {
    match error {
        Error::Timeout(_) => "it did not answer in time".into(),
        Error::HostNotFound => "its name is not known".into(),
        // The TLS error about a certificate names the host, but not the address.
        Error::Rustls(error) => format!("no secure connection came about: {error}"),
        Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
            format!("no secure connection came about: {error}")
        }
        Error::Io(error) if error.raw_os_error().is_some() => {
            format!("it cannot be reached: {error}")
        }
        Error::Io(_) => "it cannot be reached, or its name is not known".into(),
        _ => "it cannot be reached, or does not speak HTTP".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_or_https_with_a_host() {
        for (address, host) in [
            ("https://hooks.example.com/secret", "hooks.example.com"),
            ("http://127.0.0.1:8080/x?key=secret", "127.0.0.1"),
            ("https://user:secret@example.com", "example.com"),
        ] {
            let webhook = Webhook::new(address, Duration::from_secs(1)).unwrap();
            assert_eq!(webhook.name(), format!("the webhook at {host}"));
        }
        for address in
            ["", "secret", "ftp://example.com/secret", "https://", "http:///secret", "a b"]
        {
            let error = Webhook::new(address, Duration::from_secs(1)).err();
            assert_eq!(error, Some(BadAddress), "{address}");
            assert!(!BadAddress.to_string().contains("secret"));
        }
    }
}
