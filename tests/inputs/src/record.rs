//! The record of a lock.

use qc_lock_core::ParsedRecord;
use serde_json::json;

/// The most bytes that a record has.
const LIMIT: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads `bytes` as a record.
pub fn any_record(bytes: &[u8]) {
    let reading = ParsedRecord::from_bytes(bytes);
    assert_eq!(reading, ParsedRecord::from_bytes(bytes), "it is read differently each time");
    if bytes.len() > LIMIT {
        assert!(matches!(reading, ParsedRecord::Corrupt(_)), "a large one is read");
    }
    match &reading {
        ParsedRecord::Corrupt(why) => {
            let is_one_line = !why.is_empty() && !why.contains(char::is_control);
            assert!(is_one_line, "that is no line: {why:?}");
        }
        ParsedRecord::Hidden(why) => panic!("bytes that are there are hidden: {why}"),
        ParsedRecord::Record(record) => {
            assert!(record.pid > 0, "pid 0");
            assert_eq!(record.identity().pid, record.pid);
            let written = serde_json::to_vec_pretty(record).expect("a record is JSON");
            // Escapes can make what is written again longer.
            if written.len() <= LIMIT {
                assert_eq!(
                    ParsedRecord::from_bytes(&written),
                    reading,
                    "it does not survive writing"
                );
            }
        }
        ParsedRecord::Old(record) => {
            assert!(record.pid > 0, "pid 0");
            let written = json!({
                "pid": record.pid,
                "name": record.name,
                "account": record.account,
                "timestamp": record.timestamp,
                "host": record.host,
            });
            let written = written.to_string().into_bytes();
            if written.len() <= LIMIT {
                assert_eq!(
                    ParsedRecord::from_bytes(&written),
                    reading,
                    "it does not survive writing"
                );
            }
        }
    }
    if !matches!(reading, ParsedRecord::Corrupt(_)) {
        check_spellings(bytes, &reading);
    }
}

/// A record that says who holds the lock says so also behind a mark and before blanks, but no
/// longer if it is cut off.
fn check_spellings(bytes: &[u8], reading: &ParsedRecord) {
    if !bytes.starts_with(BYTE_ORDER_MARK) {
        let marked = [BYTE_ORDER_MARK, bytes, b" \r\n"].concat();
        if marked.len() <= LIMIT {
            assert_eq!(ParsedRecord::from_bytes(&marked), *reading, "a mark changes it");
        }
    }
    let whole = bytes.trim_ascii_end();
    let cut = ParsedRecord::from_bytes(&whole[..whole.len() - 1]);
    assert!(matches!(cut, ParsedRecord::Corrupt(_)), "it is read although it is cut off: {cut:?}");
}
