//! The text encodings that editors on Windows leave behind.

/// Decodes UTF-8 with or without byte-order mark, and UTF-16; `None` if it is neither. A tool that
/// adds a mark to each file it saves leaves several: none of them is part of the text.
pub(crate) fn decode(bytes: &[u8]) -> Option<String> {
    let text = decode_marked(bytes)?;
    let marks = text.len() - text.trim_start_matches('\u{feff}').len();
    Some(if marks == 0 { text } else { text[marks..].to_owned() })
}

fn decode_marked(bytes: &[u8]) -> Option<String> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // JSON starts with an ASCII character, so a zero tells UTF-16 without a mark.
        [_, 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, _, ..] => utf16(bytes, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|&pair| unit(pair)).collect();
    if rest.is_empty() { String::from_utf16(&units).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_windows_editors_save_is_read() {
        let text = "{\"é\": 1}";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let utf8 = text.as_bytes().to_vec();
        for bytes in [
            utf8.clone(),
            [&[0xef, 0xbb, 0xbf], &utf8[..]].concat(),
            [&[0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf], &utf8[..]].concat(),
            [&[0xff, 0xfe, 0xff, 0xfe], &le[..]].concat(),
            [&[0xff, 0xfe], &le[..]].concat(),
            [&[0xfe, 0xff], &be[..]].concat(),
            le,
            be,
        ] {
            assert_eq!(decode(&bytes).as_deref(), Some(text));
        }
        assert_eq!(decode(b"{\"\xff\": 1}"), None);
        assert_eq!(decode(b"\xff\xfe{"), None);
    }
}
