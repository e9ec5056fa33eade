//! Archives whose bytes follow from the files in them alone: sorted, without the time, the user
//! and the machine of the build.

use std::io::{Cursor, Write};

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use zip::write::SimpleFileOptions;
use zip::{DateTime, System, ZipWriter};

/// A file to be put into an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Its path, with `/`.
    pub(crate) path: String,
    /// Its contents.
    pub(crate) bytes: Vec<u8>,
}

impl File {
    /// Returns a file.
    pub(crate) fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), bytes: bytes.into() }
    }

    /// Whether it can be run on Linux: a program, or a script for the shell.
    fn mode(&self) -> u32 {
        let runs = self.path.starts_with("bin/") || self.path.ends_with(".sh");
        if runs { 0o755 } else { 0o644 }
    }
}

/// The first moment that a zip archive can name, 1980-01-01, in seconds since 1970.
const TIME: u64 = 315_532_800;

/// Returns the files in the order of an archive, with their paths below `folder`.
fn below<'a>(files: &'a [File], folder: &str) -> Vec<(String, &'a File)> {
    let mut all: Vec<_> =
        files.iter().map(|file| (format!("{folder}/{}", file.path), file)).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// Returns a `.tar.gz` with `files` below `folder`.
///
/// # Errors
/// If a path is too long for the format.
pub(crate) fn tar_gz(files: &[File], folder: &str) -> Result<Vec<u8>> {
    // No name and no time of the archive; the same word for every system.
    let gzip = GzBuilder::new().mtime(0).operating_system(255);
    let mut tar = tar::Builder::new(gzip.write(Vec::new(), Compression::best()));
    for (path, file) in below(files, folder) {
        let mut header = tar::Header::new_ustar();
        header.set_size(u64::try_from(file.bytes.len())?);
        header.set_mode(file.mode());
        header.set_mtime(TIME);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, path, file.bytes.as_slice())?;
    }
    Ok(tar.into_inner()?.finish()?)
}

/// Returns a `.zip` with `files` below `folder`.
///
/// # Errors
/// If a path is too long for the format.
pub(crate) fn zip(files: &[File], folder: &str) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, file) in below(files, folder) {
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .compression_level(Some(9))
            .system(System::Unix)
            .last_modified_time(DateTime::default())
            .unix_permissions(file.mode());
        zip.start_file(path, options)?;
        zip.write_all(&file.bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn files() -> Vec<File> {
        vec![
            File::new("bin/qc-ps", vec![0x7f; 70_000]),
            File::new("README.md", "read me\n"),
            File::new("install.sh", "#!/bin/sh\n"),
        ]
    }

    #[test]
    fn the_same_files_in_any_order_give_the_same_bytes() {
        let mut turned = files();
        turned.reverse();
        for archive in [tar_gz, zip] {
            let once = archive(&files(), "qc-1").unwrap();
            assert!(once == archive(&turned, "qc-1").unwrap());
            let mut other = files();
            other[1].bytes.push(b'!');
            assert!(once != archive(&other, "qc-1").unwrap());
        }
    }

    #[test]
    fn an_archive_holds_the_files_below_its_folder() {
        let expected =
            [("qc-1/README.md", 0o644), ("qc-1/bin/qc-ps", 0o755), ("qc-1/install.sh", 0o755)];
        let packed = tar_gz(&files(), "qc-1").unwrap();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let found: Vec<_> = tar
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().to_string_lossy().into_owned();
                (path, entry.header().mode().unwrap())
            })
            .collect();
        assert_eq!(found, expected.map(|(path, mode)| (path.to_owned(), mode)));

        let packed = zip(&files(), "qc-1").unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(packed)).unwrap();
        for (index, (path, mode)) in expected.into_iter().enumerate() {
            let mut entry = zip.by_index(index).unwrap();
            assert_eq!(entry.name().unwrap(), path);
            assert_eq!(entry.unix_mode().map(|found| found & 0o777), Some(mode));
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let file = files().into_iter().find(|file| path.ends_with(&file.path)).unwrap();
            assert!(bytes == file.bytes, "{path}");
        }
    }
}
