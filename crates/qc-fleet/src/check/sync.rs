//! Whether a folder is copied to other machines by a service.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How services call their folders, in lower case; more may follow, as in `OneDrive - Company`.
const FOLDERS: [(&str, &str); 9] = [
    ("onedrive", "OneDrive"),
    ("dropbox", "Dropbox"),
    ("google drive", "Google Drive"),
    ("googledrive", "Google Drive"),
    ("my drive", "Google Drive"),
    ("iclouddrive", "iCloud"),
    ("icloud drive", "iCloud"),
    ("nextcloud", "Nextcloud"),
    ("pclouddrive", "pCloud"),
];

/// Environment variables in which services name their folders.
pub(super) const VARIABLES: [&str; 3] = ["OneDrive", "OneDriveCommercial", "OneDriveConsumer"];

/// Returns the service that copies `path`, told by the names of folders, and by the folders that
/// `variables` name.
pub(super) fn synced_by(
    path: &Path,
    variables: &dyn Fn(&str) -> Option<OsString>,
) -> Option<&'static str> {
    let below = |folder: &Path| {
        let key = |path: &Path| {
            let text = path.to_string_lossy().to_lowercase().replace('\\', "/");
            PathBuf::from(text.strip_prefix("//?/").unwrap_or(&text))
        };
        !folder.as_os_str().is_empty() && key(path).starts_with(key(folder))
    };
    if VARIABLES.iter().filter_map(|name| variables(name)).any(|folder| below(Path::new(&folder))) {
        return Some("OneDrive");
    }
    let text = path.to_string_lossy().to_lowercase();
    text.split(['/', '\\']).find_map(|part| {
        FOLDERS.iter().find_map(|(folder, service)| {
            let rest = part.strip_prefix(folder)?;
            // `dropbox` and `dropbox (personal)`, but not `dropboxes`.
            (!rest.starts_with(char::is_alphanumeric)).then_some(*service)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_services_are_known() {
        let variables = |name: &str| (name == "OneDriveCommercial").then(|| r"D:\Cloud".into());
        for (path, service) in [
            (r"C:\Users\x\OneDrive\fleet\.locks", Some("OneDrive")),
            (r"C:\Users\x\OneDrive - Trading Ltd\fleet", Some("OneDrive")),
            ("/home/x/Dropbox (Personal)/fleet", Some("Dropbox")),
            (r"G:\My Drive\fleet", Some("Google Drive")),
            (r"d:\cloud\fleet", Some("OneDrive")),
            (r"\\?\D:\Cloud\fleet", Some("OneDrive")),
            ("/home/x/dropboxes/fleet", None),
            (r"C:\Trading\fleet", None),
            (r"D:\Clouds\fleet", None),
        ] {
            assert_eq!(synced_by(Path::new(path), &variables), service, "{path}");
        }
    }
}
