//! The resources that the processes of a supervisor use, from `/proc`.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// The processes of a supervisor, its children excluded.
pub(super) struct Own(Vec<u32>);

/// The totals since their start.
#[derive(Clone, Copy)]
pub(super) struct Work {
    pub(super) switches: u64,
    pub(super) processor: Duration,
}

impl Own {
    /// Finds `supervisor` and all that it has started but the `children`.
    pub(super) fn find(supervisor: u32, children: &HashSet<u32>) -> Result<Self> {
        let mut all = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            let parent = pid.and_then(parent);
            all.extend(pid.zip(parent));
        }
        let mut own = vec![supervisor];
        let mut looked_at = 0;
        while let Some(&one) = own.get(looked_at) {
            looked_at += 1;
            let below =
                all.iter().filter(|&&(pid, parent)| parent == one && !children.contains(&pid));
            own.extend(below.map(|&(pid, _)| pid));
        }
        Ok(Self(own))
    }

    pub(super) fn pids(&self) -> &[u32] {
        &self.0
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns their memory (PSS) in bytes: what is shared is divided among those who share it.
    pub(super) fn memory(&self) -> Result<u64> {
        let mut kibibytes = 0;
        for pid in &self.0 {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
            kibibytes += number_after(&text, "Pss:").context("smaps_rollup has no Pss")?;
        }
        Ok(kibibytes * 1024)
    }

    pub(super) fn work(&self) -> Result<Work> {
        let mut work = Work { switches: 0, processor: Duration::ZERO };
        for pid in &self.0 {
            for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
                let thread = thread?.path();
                work.switches += switches(&thread)?;
                let times = fs::read_to_string(thread.join("schedstat"))?;
                let nanoseconds = times.split(' ').next().and_then(|first| first.parse().ok());
                work.processor += Duration::from_nanos(nanoseconds.context("schedstat is odd")?);
            }
        }
        Ok(work)
    }
}

impl Work {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            switches: self.switches.saturating_sub(before.switches),
            processor: self.processor.saturating_sub(before.processor),
        }
    }
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn switches(thread: &Path) -> Result<u64> {
    // Involuntary switches only show that another process needed the processor.
    let status = fs::read_to_string(thread.join("status"))?;
    let own = number_after(&status, "\nvoluntary_ctxt_switches:");
    own.context("status has no context switches")
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    let (_, rest) = text.split_once(key)?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}
