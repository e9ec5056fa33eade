//! Whether these tests run under Wine.

use std::env;
use std::path::Path;

/// Whether this Windows program runs under Wine and not on Windows: only Wine has its settings
/// program in the folder of the system.
pub fn is_wine() -> bool {
    let root = env::var_os("SystemRoot");
    root.is_some_and(|root| Path::new(&root).join(r"system32\winecfg.exe").exists())
}
