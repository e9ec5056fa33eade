//! Figures for Prometheus, on this machine only and off by default.
//!
//! Whoever supervises notes what happens in [`Metrics`]; a [`Server`] on a thread of its own shows
//! it.

#![forbid(unsafe_code)]

mod server;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

pub use server::Server;

/// An address of this machine that no other machine can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalAddress(SocketAddr);

impl LocalAddress {
    /// Returns the address.
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no address.
    #[error("`{text}` is not an address with a port, such as 127.0.0.1:9464")]
    Unreadable {
        /// The given text.
        text: String,
    },
    /// Others can reach it.
    #[error("{address} can be reached by other machines; metrics are served at 127.0.0.1 only")]
    Reachable {
        /// The given address.
        address: SocketAddr,
    },
}

impl AddressError {
    /// Returns the step to suggest after `hint:`.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } | Self::Reachable { .. } => "name 127.0.0.1 and a free port",
        }
    }
}

impl TryFrom<SocketAddr> for LocalAddress {
    type Error = AddressError;

    fn try_from(address: SocketAddr) -> Result<Self, AddressError> {
        let is_local = address.ip().is_loopback();
        if is_local { Ok(Self(address)) } else { Err(AddressError::Reachable { address }) }
    }
}

impl FromStr for LocalAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let unreadable = |_| AddressError::Unreadable { text: text.into() };
        text.parse::<SocketAddr>().map_err(unreadable)?.try_into()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Component {
    component: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Exit {
    component: String,
    code: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lock {
    lock: String,
}

/// The figures; clones are the same figures. Noting one never waits for whoever reads them.
#[derive(Debug, Clone)]
pub struct Metrics {
    up: Family<Component, Gauge>,
    restarts: Family<Component, Counter>,
    exits: Family<Exit, Counter>,
    looks: Counter,
    start: Family<Component, Gauge<f64, AtomicU64>>,
    lock_age: Family<Lock, Gauge<f64, AtomicU64>>,
    /// Since when locks are held.
    held: Arc<Mutex<HashMap<String, SystemTime>>>,
    registry: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Begins with no figures.
    pub fn new() -> Self {
        let (up, restarts, exits) = (Family::default(), Family::default(), Family::default());
        let (start, lock_age) = (Family::default(), Family::default());
        let looks = Counter::default();
        let mut registry = Registry::with_prefix("qc");
        registry.register("component_up", "Whether a component runs: 1 or 0", Family::clone(&up));
        registry.register(
            "component_restarts",
            "How often a component was started again",
            Family::clone(&restarts),
        );
        registry.register(
            "component_exits",
            "How often a component ended, by exit code; 128 + signal where a signal ended it",
            Family::clone(&exits),
        );
        registry.register(
            "launcher_looks",
            "How often all processes were looked at before starts",
            Counter::clone(&looks),
        );
        registry.register_with_unit(
            "component_start",
            "How long the last start of a component took until it was ready",
            Unit::Seconds,
            Family::clone(&start),
        );
        registry.register_with_unit(
            "lock_holder_age",
            "How long a lock has been held by its holder",
            Unit::Seconds,
            Family::clone(&lock_age),
        );
        let held = Arc::default();
        Self { up, restarts, exits, looks, start, lock_age, held, registry: Arc::new(registry) }
    }

    /// Notes whether a component runs. To be called for all of them at first, so that one that
    /// never started is seen, too.
    pub fn up(&self, component: &str, is_up: bool) {
        self.up.get_or_create(&of(component)).set(i64::from(is_up));
        // From the first moment on, or a first restart would not be seen as a rise.
        drop(self.restarts.get_or_create(&of(component)));
    }

    /// Notes that a component was started again.
    pub fn restarted(&self, component: &str) {
        self.restarts.get_or_create(&of(component)).inc();
    }

    /// Notes that a component ended with this code; 128 + signal where a signal ended it.
    pub fn exited(&self, component: &str, code: i32) {
        self.exits.get_or_create(&Exit { component: component.into(), code }).inc();
    }

    /// Notes that all processes were looked at before starts.
    pub fn looked(&self) {
        self.looks.inc();
    }

    /// Notes how long a start took until the component was ready.
    pub fn started_in(&self, component: &str, time: Duration) {
        self.start.get_or_create(&of(component)).set(time.as_secs_f64());
    }

    /// Notes since when a lock is held; `None` if it is free.
    pub fn held_since(&self, lock: &str, since: Option<SystemTime>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match since {
            Some(since) => drop(held.insert(lock.into(), since)),
            None => {
                held.remove(lock);
                self.lock_age.remove(&Lock { lock: lock.into() });
            }
        }
    }

    /// Forgets a component that is no longer in the config.
    pub fn forget(&self, component: &str) {
        self.up.remove(&of(component));
        self.restarts.remove(&of(component));
        self.start.remove(&of(component));
        self.held_since(component, None);
    }

    /// Returns all figures in the text format of OpenMetrics, which Prometheus reads.
    pub fn text(&self) -> String {
        let now = SystemTime::now();
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for (lock, since) in held.iter() {
            // A time in the future, after the clock was set back, is now.
            let age = now.duration_since(*since).unwrap_or_default();
            self.lock_age.get_or_create(&Lock { lock: lock.clone() }).set(age.as_secs_f64());
        }
        drop(held);
        let mut text = String::new();
        // A string takes everything.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn of(component: &str) -> Component {
    Component { component: component.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_can_ask() {
        for text in ["127.0.0.1:9464", "127.1.2.3:1", "[::1]:9464"] {
            assert_eq!(text.parse::<LocalAddress>().unwrap().get(), text.parse().unwrap());
        }
        for text in ["0.0.0.0:9464", "192.168.1.2:9464", "[::]:9464", "[2001:db8::1]:1"] {
            let error = text.parse::<LocalAddress>().unwrap_err();
            assert!(matches!(error, AddressError::Reachable { .. }), "{error}");
        }
        for text in ["", "9464", "127.0.0.1", "localhost:9464", "127.0.0.1:99999"] {
            let error = text.parse::<LocalAddress>().unwrap_err();
            assert!(matches!(error, AddressError::Unreadable { .. }), "{error}");
        }
    }

    #[test]
    fn the_text_holds_every_figure() {
        let metrics = Metrics::new();
        metrics.up("BRAIN_A", true);
        metrics.up("BRAIN_\"B\"", false);
        metrics.restarted("BRAIN_A");
        metrics.restarted("BRAIN_A");
        metrics.exited("BRAIN_A", 1);
        metrics.looked();
        metrics.exited("BRAIN_A", -1_073_741_510);
        metrics.started_in("BRAIN_A", Duration::from_millis(1500));
        metrics.held_since("BRAIN_A", Some(SystemTime::now() - Duration::from_secs(100)));
        metrics.held_since("BRAIN_FREE", Some(SystemTime::now()));
        metrics.held_since("BRAIN_FREE", None);
        metrics.held_since("FUTURE", Some(SystemTime::now() + Duration::from_secs(1000)));
        let text = metrics.text();
        for line in [
            "# TYPE qc_component_up gauge",
            "qc_component_up{component=\"BRAIN_A\"} 1",
            "qc_component_up{component=\"BRAIN_\\\"B\\\"\"} 0",
            "# TYPE qc_component_restarts counter",
            "qc_component_restarts_total{component=\"BRAIN_A\"} 2",
            "qc_component_restarts_total{component=\"BRAIN_\\\"B\\\"\"} 0",
            "qc_component_exits_total{component=\"BRAIN_A\",code=\"1\"} 1",
            "qc_component_exits_total{component=\"BRAIN_A\",code=\"-1073741510\"} 1",
            "qc_launcher_looks_total 1",
            "# UNIT qc_component_start_seconds seconds",
            "qc_component_start_seconds{component=\"BRAIN_A\"} 1.5",
            "qc_lock_holder_age_seconds{lock=\"FUTURE\"} 0.0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let age = text.lines().find_map(|line| {
            line.strip_prefix("qc_lock_holder_age_seconds{lock=\"BRAIN_A\"} ")?.parse::<f64>().ok()
        });
        assert!((100.0..160.0).contains(&age.unwrap()), "{text}");
        assert!(!text.contains("BRAIN_FREE"), "{text}");
        assert!(text.ends_with("# EOF\n"));

        metrics.forget("BRAIN_A");
        assert!(!metrics.text().contains("up{component=\"BRAIN_A\"}"));
    }
}
