//! Names of machines in old records.

/// The length of the longest NetBIOS name.
const NETBIOS: usize = 15;

/// Names that old records have and that tell no machine from another.
const OF_NO_MACHINE: [&str; 4] = ["", "unknown", "localhost", "localhost.localdomain"];

/// Whether an old record of `host` can come from the machine `here`. The old module took the name from
/// COMPUTERNAME: the NetBIOS name on Windows, which has at most 15 characters, and `unknown` elsewhere,
/// which is no machine; a later one asked for the host name, which is `localhost` where none was set.
/// Names with and without the domain are one machine.
pub(crate) fn is_old_name_of(host: Option<&str>, here: &str) -> bool {
    let plain = |name: &str| name.trim().trim_end_matches('.').to_lowercase();
    let (one, here) = (plain(host.unwrap_or_default()), plain(here));
    if OF_NO_MACHINE.contains(&one.as_str()) || one == here {
        return true;
    }
    let (first, domain) = one.split_once('.').unwrap_or((&one, ""));
    let (first_here, domain_here) = here.split_once('.').unwrap_or((&here, ""));
    if !domain.is_empty() && !domain_here.is_empty() {
        return false;
    }
    let is_netbios = domain.is_empty() && first.chars().count() == NETBIOS;
    first == first_here || (is_netbios && first_here.chars().take(NETBIOS).eq(first.chars()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The same vectors that `process_lock.py` is tested with.
    const VECTORS: &str = include_str!("host_name/vectors.json");

    #[test]
    fn all_names_of_one_machine_are_it() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        for one in vectors.as_array().unwrap() {
            let is_here = is_old_name_of(one["host"].as_str(), one["here"].as_str().unwrap());
            assert_eq!(is_here, one["is_here"], "{one}");
        }
    }
}
