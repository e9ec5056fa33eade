//! The names of log files: `<component>_<start>.log`, and `<component>_<start>.<segment>.log` for what
//! was cut off its front. Sorted by name, a component's files are in the order they were written.

use chrono::{DateTime, Local};

const ENDING: &str = ".log";

/// `20260131_235959`.
const STAMP: &str = "%Y%m%d_%H%M%S";

/// The length of a stamp.
const STAMP_LENGTH: usize = 15;

/// The name of a log file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogName {
    component: String,
    stamp: String,
    /// `None`, which is the file still written to, comes after all parts.
    segment: Segment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Segment {
    CutOff(u32),
    Rest,
}

impl LogName {
    /// Names the file of a component that is started at this time.
    pub fn new(component: &str, started: DateTime<Local>) -> Self {
        let stamp = started.format(STAMP).to_string();
        Self { component: component.into(), stamp, segment: Segment::Rest }
    }

    /// Reads a file name; `None` if it is not one of ours.
    pub fn parse(file_name: &str) -> Option<Self> {
        let stem = file_name.strip_suffix(ENDING)?;
        let (stem, segment) = match stem.rsplit_once('.') {
            Some((before, number)) if is_number(number) => {
                (before, Segment::CutOff(number.parse().ok()?))
            }
            _ => (stem, Segment::Rest),
        };
        let at = stem.len().checked_sub(STAMP_LENGTH)?;
        let (component, stamp) = (stem.get(..at)?.strip_suffix('_')?, stem.get(at..)?);
        let name = Self { component: component.into(), stamp: stamp.into(), segment };
        // A name in another form, such as a segment `.1`, comes from another program.
        (!component.is_empty() && is_stamp(stamp) && name.file_name() == file_name).then_some(name)
    }

    /// Returns the file name.
    pub fn file_name(&self) -> String {
        let Self { component, stamp, segment } = self;
        match segment {
            Segment::CutOff(number) => format!("{component}_{stamp}.{number:03}{ENDING}"),
            Segment::Rest => format!("{component}_{stamp}{ENDING}"),
        }
    }

    /// Returns the component that wrote it.
    pub fn component(&self) -> &str {
        &self.component
    }

    /// Returns the number of the segment, from 1; `None` for the file that is, or was last, written to.
    pub fn segment(&self) -> Option<u32> {
        match self.segment {
            Segment::CutOff(number) => Some(number),
            Segment::Rest => None,
        }
    }

    /// Returns the name of a part of the same log.
    pub fn with_segment(&self, number: u32) -> Self {
        Self { segment: Segment::CutOff(number), ..self.clone() }
    }

    /// Returns the name of the file that the parts were cut off.
    pub fn without_segment(&self) -> Self {
        Self { segment: Segment::Rest, ..self.clone() }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_stamp(text: &str) -> bool {
    text.split_once('_').is_some_and(|(date, time)| {
        date.len() == 8 && time.len() == 6 && is_number(date) && is_number(time)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (text, component, segment) in [
            ("BRAIN_ATLAS_20260131_235959.log", "BRAIN_ATLAS", None),
            ("BRAIN_ATLAS_20260131_235959.001.log", "BRAIN_ATLAS", Some(1)),
            ("BRAIN_ATLAS_20260131_235959.1234.log", "BRAIN_ATLAS", Some(1234)),
            ("a.b_20260131_235959.log", "a.b", None),
            ("X_20260101_000000_20260131_235959.log", "X_20260101_000000", None),
            ("é_20260131_235959.log", "é", None),
        ] {
            let name = LogName::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((name.component(), name.segment()), (component, segment), "{text}");
            assert_eq!(name.file_name(), text);
        }
    }

    #[test]
    fn what_is_not_ours_has_no_name() {
        for text in [
            "",
            ".log",
            "notes.log",
            "BRAIN_ATLAS.log",
            "BRAIN_ATLAS_latest.log",
            "_20260131_235959.log",
            "BRAIN_ATLAS_20260131_235959.txt",
            "BRAIN_ATLAS_20260131_235959.log.copying",
            "BRAIN_ATLAS_20260131_235959.1.log",
            "BRAIN_ATLAS_20260131_235959.0001.log",
            "BRAIN_ATLAS_20260131_235959.99999999999.log",
            "BRAIN_ATLAS_20260131_23595é.log",
            "BRAIN_ATLAS-20260131_235959.log",
            "BRAIN_ATLAS_2026013_1235959.log",
        ] {
            assert_eq!(LogName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_component_s_names_sort_in_the_order_they_were_written() {
        let rest = LogName::parse("A_20260101_000000.log").unwrap();
        let later = LogName::parse("A_20260101_000001.log").unwrap();
        let mut names =
            [later.clone(), rest.clone(), rest.with_segment(1000), rest.with_segment(2)];
        names.sort();
        assert_eq!(names, [rest.with_segment(2), rest.with_segment(1000), rest, later]);
    }

    proptest::proptest! {
        #[test]
        fn any_file_name_can_be_asked_about(text: String) {
            if let Some(name) = LogName::parse(&text) {
                proptest::prop_assert_eq!(name.file_name(), text);
            }
        }
    }
}
