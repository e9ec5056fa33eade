//! Reading the last lines of a log.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::{Found, LogName};

/// The most that is read for the last lines.
const LIMIT: u64 = 64 * 1024 * 1024;

/// How much is read at a time, from the end to the front.
const BLOCK: u64 = 64 * 1024;

/// Reads the last lines of these files, joined; each start begins a new line.
pub(super) fn last_lines(files: &[Found], lines: usize) -> io::Result<Vec<u8>> {
    let mut blocks: VecDeque<Vec<u8>> = VecDeque::new();
    let (mut total, mut line_ends) = (0, 0);
    let mut newer: Option<LogName> = None;
    for found in files.iter().rev().filter(|found| found.bytes > 0) {
        let start = found.name.without_segment();
        let is_last_of_start = newer.as_ref().is_some_and(|newer| *newer != start);
        let mut file = File::open(&found.path)?;
        let mut end = found.bytes;
        // One more, which ends the line before the first one wanted.
        while end > 0 && line_ends <= lines && total < LIMIT {
            let from = end.saturating_sub(BLOCK);
            let mut block = Vec::new();
            file.seek(SeekFrom::Start(from))?;
            Read::by_ref(&mut file).take(end - from).read_to_end(&mut block)?;
            if end == found.bytes && is_last_of_start && block.last() != Some(&b'\n') {
                block.push(b'\n');
            }
            total += block.len() as u64;
            line_ends += block.iter().filter(|&&byte| byte == b'\n').count();
            blocks.push_front(block);
            end = from;
        }
        newer = Some(start);
    }
    let text: Vec<u8> = blocks.into_iter().flatten().collect();
    Ok(text[start_of_last(&text, lines)..].to_vec())
}

/// Returns where the last `lines` lines begin; the last one may lack its line end.
fn start_of_last(text: &[u8], lines: usize) -> usize {
    let before_last = text.len().saturating_sub(1);
    let line_ends = (0..before_last).rev().filter(|&at| text[at] == b'\n');
    match lines.checked_sub(1) {
        None => text.len(),
        Some(others) => line_ends.skip(others).map(|at| at + 1).next().unwrap_or(0),
    }
}
